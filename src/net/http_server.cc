#include "net/http_server.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <set>
#include <vector>

#include "base/check.h"
#include "net/http_connection.h"

namespace longhaul {

using tcp = asio::ip::tcp;

namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
// How often stalled connections are looked for.
constexpr std::chrono::seconds kSweep{1};
// A client that has just had an answer may be about to send its next request.
constexpr std::chrono::milliseconds kIdleMin{100};
// One that has just connected has its first request on the way.
constexpr std::chrono::milliseconds kSilentMin{750};
// Accepted and without a place; further ones wait in the kernel.
constexpr size_t kWaitingMax = 64;

}  // namespace

std::optional<uint64_t> HttpServerRequest::body_size_bytes() const {
  return connection_.body_size_bytes();
}

Async<size_t> HttpServerRequest::ReadBody(std::span<std::byte> out) {
  return connection_.ReadBody(out);
}

Async<std::string> HttpServerRequest::ReadBody(size_t size_bytes_max) {
  Error too_large = InvalidInput("the body is longer than " + std::to_string(size_bytes_max));
  too_large.code = "EntityTooLarge";
  too_large.http_status = 413;
  if (body_size_bytes().value_or(0) > size_bytes_max) co_return too_large;
  std::string body;
  size_t filled = 0;
  while (true) {
    if (filled == body.size()) {
      if (filled > size_bytes_max) co_return too_large;
      size_t wanted = body_size_bytes().value_or(std::max<size_t>(4096, filled * 2)) + 1;
      body.resize(std::min(std::max(wanted, filled + 1), size_bytes_max + 1));
    }
    Result<size_t> count =
        co_await ReadBody(std::as_writable_bytes(std::span(body)).subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
  }
  if (filled > size_bytes_max) co_return too_large;
  body.resize(filled);
  co_return body;
}

const HttpHeaders& HttpServerRequest::trailers() const { return connection_.trailers(); }

Async<void> HttpServerResponse::Send(std::string body) {
  Result<void> sent = co_await connection_.Start(*this, body.size(), body);
  if (!sent) co_return sent.error();
  co_return co_await connection_.Finish();
}

Async<void> HttpServerResponse::Start(std::optional<uint64_t> size_bytes) {
  return connection_.Start(*this, size_bytes, {});
}

Async<void> HttpServerResponse::Write(std::span<const std::byte> bytes) {
  return connection_.Write(bytes);
}

Async<void> HttpServerResponse::Finish() { return connection_.Finish(); }

bool HttpServerResponse::started() const { return connection_.started(); }

asio::awaitable<void> HttpServer::Impl::Accept(std::shared_ptr<Impl> self) {
  self->accepting = true;
  while (!self->stopping) {
    auto [error, socket] = co_await self->acceptor.async_accept(kAsTuple);
    if (self->stopping) break;
    if (error) {
      // Out of descriptors, or a client that was gone at once: go on, but not in a busy loop.
      self->runtime.log.Warning("http accept failed", {{"why", error.message()}});
      co_await self->runtime.clock.Sleep(std::chrono::milliseconds(100));
      continue;
    }
    self->waiting.push_back(std::move(socket));
    // With places for some: who comes next may be of another address.
    while (Admit(self) && !self->stopping && self->waiting.size() >= kWaitingMax) {
      co_await self->changed.WaitFor(self->runtime.clock, kIdleMin);
    }
    if (!self->waiting.empty() && !self->admitting) {
      self->admitting = true;
      SpawnDetached(self->runtime.executor, AdmitAll(self));
    }
  }
  self->waiting.clear();
  self->accepting = false;
  self->changed.NotifyAll();
}

asio::awaitable<void> HttpServer::Impl::AdmitAll(std::shared_ptr<Impl> self) {
  while (Admit(self) && !self->stopping) {
    co_await self->changed.WaitFor(self->runtime.clock, kIdleMin);
  }
  self->admitting = false;
  self->changed.NotifyAll();
}

bool HttpServer::Impl::Admit(const std::shared_ptr<Impl>& self) {
  std::set<asio::ip::address> over;  // Have their share.
  for (auto one = self->waiting.begin(); one != self->waiting.end() && !self->stopping;) {
    if (static_cast<int>(self->connections.size()) >= self->options.connections_max) {
      self->MakeRoom(std::nullopt);
      return true;
    }
    boost::system::error_code failed;
    const tcp::endpoint peer = one->remote_endpoint(failed);
    if (failed) {  // It has gone.
      one = self->waiting.erase(one);
      continue;
    }
    const auto held = self->by_address.find(peer.address());
    if (held != self->by_address.end() && held->second >= self->share()) {
      if (over.insert(peer.address()).second) self->MakeRoom(peer.address());
      ++one;
      continue;
    }
    boost::system::error_code ignored;
    one->set_option(tcp::no_delay(true), ignored);
    auto connection = std::make_unique<HttpConnection>(self, std::move(*one));
    one = self->waiting.erase(one);
    SpawnDetached(self->runtime.executor, HttpConnection::Run(std::move(connection)));
  }
  // Those of one address may fill the line; it must not keep others from coming to it.
  if (!over.empty() && self->waiting.size() >= kWaitingMax) {
    self->waiting.pop_front();
  }
  return !self->waiting.empty();
}

void HttpServer::Impl::MakeRoom(const std::optional<asio::ip::address>& address) {
  const SteadyTime now = runtime.clock.SteadyNow();
  const SteadyTime enough = now - kIdleMin;
  const SteadyTime long_enough = now - kSilentMin;
  std::vector<std::pair<SteadyTime, HttpConnection*>> idle;
  for (HttpConnection* connection : connections) {
    std::optional<SteadyTime> since = connection->waits_since();
    if (address && connection->address() != *address) continue;
    if (!since || *since > (connection->silent() ? long_enough : enough)) continue;
    idle.emplace_back(*since, connection);
  }
  std::ranges::sort(idle);
  idle.resize(std::min(idle.size(), connections.size() / 8 + 1));
  for (auto& [since, connection] : idle) {
    if (connection->in_head() || !connection->HasArrived()) connection->Shut();
  }
}

void HttpServer::Impl::Sweep(const std::weak_ptr<Impl>& weak) {
  std::shared_ptr<Impl> self = weak.lock();
  if (self == nullptr) return;
  SteadyTime now = self->runtime.clock.SteadyNow();
  for (HttpConnection* connection : self->connections) {
    if (connection->Expired(now)) connection->Shut();
  }
  self->sweeper = self->runtime.clock.StartTimer(kSweep, [weak] { Sweep(weak); });
}

HttpServer::HttpServer(Runtime runtime, Handler handler, HttpServerOptions options)
    : impl_(std::make_shared<Impl>(runtime, std::move(handler), options)) {}

HttpServer::~HttpServer() {
  impl_->stopping = true;
  impl_->sweeper.reset();
  impl_->CloseListener();
  for (HttpConnection* connection : impl_->connections) connection->Shut();
}

Async<void> HttpServer::Listen(std::string address) {
  LH_CHECK(!impl_->acceptor.is_open());
  size_t colon = address.rfind(':');
  std::string host = colon == std::string::npos ? "" : address.substr(0, colon);
  std::string port = colon == std::string::npos ? address : address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  uint16_t port_number = 0;
  auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), port_number);
  if (colon == std::string::npos || port.empty() || bad != std::errc() ||
      end != port.data() + port.size()) {
    co_return InvalidInput("listen on \"" + address + "\": not of the form HOST:PORT");
  }

  tcp::endpoint endpoint(tcp::v4(), port_number);
  if (!host.empty()) {
    tcp::resolver resolver(impl_->runtime.executor);
    auto [error, found] = co_await resolver.async_resolve(host, port, kAsTuple);
    if (error || found.empty()) {
      co_return InvalidInput("listen on " + address + ": " + error.message());
    }
    endpoint = found.begin()->endpoint();
  }
  boost::system::error_code error;
  tcp::acceptor& acceptor = impl_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    impl_->CloseListener();
    if (error == asio::error::address_in_use) {
      Error used = InvalidInput("listen on " + address +
                                ": the address is in use, by another process perhaps");
      used.code = "AddressInUse";
      co_return used;
    }
    Error failed = InvalidInput("listen on " + address + ": " + error.message());
    if (error == asio::error::access_denied) failed.kind = ErrorKind::kDenied;
    co_return failed;
  }
  SpawnDetached(impl_->runtime.executor, Impl::Accept(impl_));
  Impl::Sweep(impl_);
  co_return Ok();
}

uint16_t HttpServer::port() const {
  boost::system::error_code error;
  tcp::endpoint endpoint = impl_->acceptor.local_endpoint(error);
  return error ? 0 : endpoint.port();
}

std::string HttpServer::address() const {
  boost::system::error_code error;
  tcp::endpoint endpoint = impl_->acceptor.local_endpoint(error);
  if (error) return "";
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) host = "[" + host + "]";
  return host + ":" + std::to_string(endpoint.port());
}

Async<void> HttpServer::Stop(std::chrono::milliseconds grace) {
  std::shared_ptr<Impl> impl = impl_;
  impl->stopping = true;
  impl->changed.NotifyAll();
  impl->CloseListener();
  for (HttpConnection* connection : impl->connections) {
    if (connection->idle()) connection->Shut();
  }
  SteadyTime deadline = impl->runtime.clock.SteadyNow() + grace;
  bool shut = false;
  while (impl->accepting || impl->admitting || !impl->connections.empty()) {
    SteadyTime now = impl->runtime.clock.SteadyNow();
    if (now >= deadline && !shut) {
      shut = true;
      for (HttpConnection* connection : impl->connections) connection->Shut();
    }
    auto wait = shut ? std::chrono::nanoseconds(std::chrono::seconds(1)) : deadline - now;
    (void)co_await impl->changed.WaitFor(impl->runtime.clock, wait);
  }
  impl->sweeper.reset();
  co_return Ok();
}

int HttpServer::connections() const { return static_cast<int>(impl_->connections.size()); }

}  // namespace longhaul
