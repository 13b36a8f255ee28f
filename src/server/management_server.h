// ManagementServer: what a running process shows and takes by HTTP.
//
//   GET  /healthz    200 as long as the process answers
//   GET  /readyz     200, or 503 with the reasons (those only for who has the token)
//   GET  /metrics    Prometheus text
//   POST /v1/events  notifications of stores (events/webhook.h), ?store=NAME
//   /v1/…            the API (server/api.h)
//   GET  /, /assets/ the dashboard (server/static_files.h)
//
// Where a token is set, /metrics and /v1/events ask for "Authorization: Bearer <token>". An address
// that other machines reach needs one. No `listen` in the configuration: no such server is made. It
// belongs to one shard.

#pragma once

#include <memory>
#include <string>

#include "base/runtime.h"
#include "base/secret.h"
#include "events/webhook.h"
#include "net/http_server.h"
#include "rules/rule.h"
#include "server/api.h"
#include "server/readiness.h"
#include "server/static_files.h"

namespace longhaul {

struct ManagementServerOptions {
  ListenAddress listen;
  Secret token;
  // Whether a role of this process cannot do without (events come in here). Where it can, a port
  // that another process has taken is a warning: several processes may share a configuration.
  bool required = true;
};

class ManagementServer {
 public:
  // Borrowed until Stop has returned. `webhook` and `api` may be null: their paths are then 404.
  ManagementServer(Runtime runtime, ManagementServerOptions options, EventWebhook* webhook,
                   const Readiness& readiness, Api* api = nullptr);

  // Listens. kInvalidInput: no token for an address that others reach, no such address, or code
  // "AddressInUse"; kDenied: the port needs privileges.
  Async<void> Start();
  // Lets requests in flight finish for `grace`.
  Async<void> Stop(std::chrono::milliseconds grace);

  // "127.0.0.1:8787"; empty while it does not listen.
  [[nodiscard]] std::string address() const;

 private:
  asio::awaitable<void> Handle(HttpServerRequest& request, HttpServerResponse& response);
  asio::awaitable<void> HandleEvents(HttpServerRequest& request, HttpServerResponse& response);
  [[nodiscard]] bool Authorized(const HttpServerRequest& request) const;

  Runtime runtime_;
  ManagementServerOptions options_;
  EventWebhook* webhook_;
  const Readiness& readiness_;
  Api* api_;
  StaticFiles files_{EmbeddedFiles()};
  std::unique_ptr<HttpServer> server_;  // Null while it does not listen.
};

}  // namespace longhaul
