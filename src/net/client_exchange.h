// ClientExchange: one request on its connection, until the head of its answer is here.
//
// Internal to the HTTP client.

#pragma once

#include <optional>
#include <span>
#include <string>

#include "net/client_pool.h"
#include "net/client_url.h"
#include "net/http_client.h"
#include "net/http_response_head.h"

namespace longhaul {

// Request line and headers. kInvalidInput: what would break out of its line.
Result<std::string> WriteRequestHead(const HttpRequest& request, const ClientUrl& url);

class ClientExchange {
 public:
  // Borrows all three.
  ClientExchange(ClientLease& lease, const HttpRequest& request, const std::string& head)
      : lease_(lease), connection_(*lease.connection()), request_(request), head_(head) {}

  // As HttpClient::Send, on this connection alone.
  Async<HttpResponseHead> Run();
  // Whether all of the request has gone.
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  Async<void> SendSource();
  // Sends `pieces`, or a part of them if an answer of 400 or more comes first.
  Async<void> Send(std::span<iovec> pieces);

  ClientLease& lease_;
  ClientConnection& connection_;
  const HttpRequest& request_;
  const std::string& head_;
  std::optional<HttpResponseHead> answer_;  // That came before the request had gone.
  bool complete_ = false;
  bool broken_ = false;
};

}  // namespace longhaul
