#include "net/http_client.h"

#include "base/runtime.h"
#include "base/shards.h"
#include "net/client_body.h"
#include "net/client_exchange.h"
#include "net/client_gate.h"
#include "net/client_pool.h"
#include "net/client_proxy.h"
#include "net/client_shards.h"
#include "net/client_url.h"

namespace longhaul {
namespace {

class SocketHttpClient : public HttpClient {
 public:
  SocketHttpClient(const Runtime& runtime, const HttpClientOptions& options)
      : options_(options),
        pool_(std::make_shared<ClientPool>(runtime, 2 * static_cast<size_t>(options.requests_max))),
        plain_gate_(std::make_shared<ClientGate>(options.requests_max)),
        source_gate_(std::make_shared<ClientGate>(options.requests_max)) {}

  Async<HttpResponse> Send(HttpRequest request) override {
    Result<ClientUrl> url = ParseClientUrl(request.url);
    if (!url) co_return url.error();
    Result<std::string> head = WriteRequestHead(request, *url);
    if (!head) co_return head.error();
    std::shared_ptr<ClientGate> gate = request.source ? source_gate_ : plain_gate_;
    if (!gate->TryEnter()) co_await gate.get()->Wait();
    ClientPassage passage(std::move(gate));
    const SteadyTime deadline = request.timeouts.total.count() > 0
                                    ? pool_->clock().SteadyNow() + request.timeouts.total
                                    : SteadyTime::max();
    // The server may close an idle connection just when it is used again. It may as well have
    // carried the request out: whether a write may be sent again is for its sender to say.
    const bool spare = request.source == nullptr && !request.once;
    bool retried = false;
    while (true) {
      std::shared_ptr<ClientConnection> kept =
          retried ? nullptr : pool_->TakeKept(url->origin.name, spare);
      const bool reused = kept != nullptr;
      ClientLease lease(pool_, reused ? std::move(kept) : pool_->TakeNew(url->origin.name));
      ClientConnection& connection = *lease.connection();
      connection.timeouts = request.timeouts;
      connection.deadline = deadline;
      connection.idle_sweeps = 0;
      connection.answered = false;
      if (!reused) {
        Result<void> connected = co_await Connect(connection, url->origin);
        if (!connected) co_return connected.error();
      }
      if (request.times_sent != nullptr) ++*request.times_sent;
      ClientExchange exchange(lease, request, *head);
      Result<HttpResponseHead> answer = co_await exchange.Run();
      if (!answer) {
        const Error& error = answer.error();
        const bool stale =
            spare && reused && !connection.answered && error.Transient() && error.code.empty();
        if (!stale || retried) co_return error;
        retried = true;
        continue;
      }
      const bool no_body =
          request.method == "HEAD" || answer->status == 204 || answer->status == 304;
      HttpResponse response;
      response.status = answer->status;
      response.body =
          std::make_unique<ClientBody>(std::move(lease), *answer, no_body, exchange.complete());
      response.headers = std::move(answer->headers);
      co_return response;
    }
  }

 private:
  Async<void> Connect(ClientConnection& connection, const Origin& origin) {
    connection.connect_deadline = pool_->clock().SteadyNow() + connection.timeouts.connect;
    std::optional<ClientProxy> proxy;
    if (origin.tls && !options_.proxy.url.empty() &&
        !IsExemptFromProxy(origin, options_.proxy.no_proxy)) {
      Result<ClientProxy> parsed = ParseClientProxy(options_.proxy.url.Reveal());
      if (!parsed) co_return parsed.error();
      proxy = std::move(*parsed);
    }
    const Origin& first = proxy ? proxy->origin : origin;
    ClientPool::Endpoints endpoints = pool_->NextAddresses(first.name);
    if (endpoints.empty()) {
      Result<ClientPool::Endpoints> found = co_await connection.Resolve(first.host, first.port);
      if (!found) co_return Through(proxy, found.error());
      pool_->NoteAddresses(first.name, std::move(*found));
      endpoints = pool_->NextAddresses(first.name);
    }
    Result<void> connected = co_await pool_->Connect(
        connection, first.name, std::move(endpoints), proxy ? "proxy " + first.name : "",
        [this, &proxy, &origin](ClientConnection& to) { return Begin(to, proxy, origin); });
    if (connected) connection.connect_deadline = SteadyTime::max();
    co_return connected;
  }

  // What a connection needs before its first request.
  Async<void> Begin(ClientConnection& connection, const std::optional<ClientProxy>& proxy,
                    const Origin& origin) {
    if (proxy) {
      Result<void> opened = co_await connection.OpenTunnel(ConnectRequestHead(*proxy, origin));
      if (!opened) co_return Through(proxy, opened.error());
    }
    if (origin.tls) co_return co_await StartTls(connection, origin);
    co_return Ok();
  }

  static Error Through(const std::optional<ClientProxy>& proxy, const Error& error) {
    return proxy ? error.In("proxy " + proxy->origin.name) : error;
  }

  Async<void> StartTls(ClientConnection& connection, const Origin& origin) {
    if (!tls_) {
      Result<std::shared_ptr<TlsContext>> made =
          TlsContext::Make(options_.ca_file, options_.verify_certificate);
      if (!made) co_return made.error();
      tls_ = std::move(*made);
    }
    co_return co_await connection.StartTls(tls_, std::string(origin.bare_host()));
  }

  HttpClientOptions options_;
  std::shared_ptr<ClientPool> pool_;
  std::shared_ptr<TlsContext> tls_;  // Made when it is first needed. shared with connections.
  std::shared_ptr<ClientGate> plain_gate_;  // shared with what has passed.
  std::shared_ptr<ClientGate> source_gate_;
};

}  // namespace

std::unique_ptr<HttpClient> MakeHttpClient(const Runtime& runtime, HttpClientOptions options) {
  if (options.shards != nullptr && !options.shards->all().empty()) {
    return MakeShardedHttpClient(runtime, std::move(options));
  }
  return std::make_unique<SocketHttpClient>(runtime, options);
}

}  // namespace longhaul
