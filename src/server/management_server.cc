#include "server/management_server.h"

#include <boost/json.hpp>

#include "base/bytes.h"

namespace longhaul {

namespace {

std::string AddressOf(const ListenAddress& listen) {
  bool is_v6 = listen.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + listen.host + "]" : listen.host) + ":" + std::to_string(listen.port);
}

// The value of `name` in a query; empty when it is not there.
std::string QueryValue(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != name || equals == pair.size()) continue;
    Result<std::string> value = FormDecode(pair.substr(equals + 1));
    return value ? *value : std::string(pair.substr(equals + 1));
  }
  return "";
}

asio::awaitable<void> Answer(HttpServerResponse& response, int status, std::string_view type,
                             std::string body) {
  response.status = status;
  response.headers.Set("Content-Type", std::string(type));
  response.headers.Set("Cache-Control", "no-store");
  // A client that has gone away needs no answer.
  Result<void> sent = co_await response.Send(std::move(body));
  static_cast<void>(sent);
}

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kJson = "application/json";

}  // namespace

ManagementServer::ManagementServer(Runtime runtime, ManagementServerOptions options,
                                   EventWebhook* webhook, const Readiness& readiness, Api* api)
    : runtime_(runtime),
      options_(std::move(options)),
      webhook_(webhook),
      readiness_(readiness),
      api_(api) {}

Async<void> ManagementServer::Start() {
  std::string address = AddressOf(options_.listen);
  if (!options_.listen.loopback() && options_.token.empty()) {
    co_return InvalidInput("listen: " + address +
                           " can be reached by other machines, so it needs a token: set 'token', "
                           "or listen on 127.0.0.1");
  }
  auto server = std::make_unique<HttpServer>(
      runtime_, [this](HttpServerRequest& request, HttpServerResponse& response) {
        return Handle(request, response);
      });
  Result<void> listening = co_await server->Listen(address);
  if (!listening) {
    if (listening.error().code != "AddressInUse" || options_.required) {
      co_return listening.error().In("listen on " + address);
    }
    runtime_.log.Warning("no listener: the port is taken",
                         {{"address", address}, listening.error()});
    co_return Ok();
  }
  server_ = std::move(server);
  runtime_.log.Info("listening", {{"address", server_->address()}});
  co_return Ok();
}

Async<void> ManagementServer::Stop(std::chrono::milliseconds grace) {
  if (!server_) co_return Ok();
  Result<void> stopped = co_await server_->Stop(grace);
  server_.reset();
  co_return stopped;
}

std::string ManagementServer::address() const { return server_ ? server_->address() : ""; }

bool ManagementServer::Authorized(const HttpServerRequest& request) const {
  return options_.token.empty() ||
         BearerTokenFits(request.headers().Get("Authorization"), options_.token);
}

asio::awaitable<void> ManagementServer::Handle(HttpServerRequest& request,
                                               HttpServerResponse& response) {
  if (request.path() == "/v1/events" && webhook_ != nullptr) {
    co_return co_await HandleEvents(request, response);
  }
  if (api_ != nullptr && Api::Owns(request.path()) && request.path() != "/v1/events") {
    co_return co_await api_->Handle(request, response);
  }
  bool is_health = request.path() == "/healthz";
  bool is_ready = request.path() == "/readyz";
  bool is_metrics = request.path() == "/metrics";
  const bool is_file = api_ != nullptr && StaticFiles::Owns(request.path());
  if (!is_health && !is_ready && !is_metrics && !is_file) {
    co_return co_await Answer(response, 404, kText,
                              "nothing here; there are /healthz, /readyz, /metrics, POST "
                              "/v1/events and the API at /v1\n");
  }
  if (request.method() != "GET" && request.method() != "HEAD") {
    response.headers.Set("Allow", "GET, HEAD");
    co_return co_await Answer(response, 405, kText, "only GET and HEAD\n");
  }
  if (is_file) {
    if (co_await api_->CheckOrigin(request, response)) co_await files_.Serve(request, response);
    co_return;
  }
  if (is_health) co_return co_await Answer(response, 200, kText, "ok\n");
  if (is_ready) {
    std::map<std::string, std::string> reasons = readiness_.reasons();
    boost::json::object body{{"ready", reasons.empty()}};
    if (!reasons.empty() && Authorized(request)) {
      boost::json::object& shown = body["reasons"].emplace_object();
      for (const auto& [name, reason] : reasons) shown[name] = reason;
    }
    co_return co_await Answer(response, reasons.empty() ? 200 : 503, kJson,
                              boost::json::serialize(body) + "\n");
  }
  if (!Authorized(request)) {
    response.headers.Set("WWW-Authenticate", "Bearer");
    co_return co_await Answer(response, 401, kText,
                              "send 'Authorization: Bearer <token>' with the configured token\n");
  }
  co_await Answer(response, 200, "text/plain; version=0.0.4; charset=utf-8",
                  runtime_.metrics.RenderPrometheus());
}

asio::awaitable<void> ManagementServer::HandleEvents(HttpServerRequest& request,
                                                     HttpServerResponse& response) {
  std::optional<WebhookReply> reply =
      webhook_->CheckHead(request.method(), request.headers().Get("Authorization"));
  if (!reply) {
    Result<std::string> body = co_await request.ReadBody(kEventBodyBytesMax);
    if (!body && body.error().code != "EntityTooLarge") {
      // Cut or garbled: the sender did not finish and will send it again.
      response.close = true;
      co_return co_await Answer(response, 400, kText, "the body did not arrive whole\n");
    }
    if (body) {
      reply = co_await webhook_->Handle(QueryValue(request.query(), "store"), std::move(*body));
    } else {
      reply = webhook_->BodyTooLarge();
    }
  }
  if (reply->status == 401) response.headers.Set("WWW-Authenticate", "Bearer");
  if (reply->status == 405) response.headers.Set("Allow", "POST, HEAD");
  if (reply->retry_after_seconds) {
    response.headers.Set("Retry-After", std::to_string(*reply->retry_after_seconds));
  }
  co_await Answer(response, reply->status, kJson, std::move(reply->body));
}

}  // namespace longhaul
