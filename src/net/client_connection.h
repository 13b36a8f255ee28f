// ClientConnection: one connection of the HTTP client, by TCP with or without TLS, and the
// coroutine that waits for it.
//
// Internal to the HTTP client. Belongs to its shard; one coroutine at a time uses it. Errors are
// kRetryable; after one the connection is of no use.

#pragma once

#include <sys/uio.h>

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "net/client_tls.h"
#include "net/http_client.h"
#include "net/http_response_head.h"

namespace longhaul {

class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  using Endpoint = asio::ip::tcp::endpoint;

  // `origin`: "https://host:port", under which it is kept.
  ClientConnection(const asio::any_io_executor& executor, std::string origin)
      : socket_(executor), waits_(NetworkWaits::Of(executor)), origin_(std::move(origin)) {}

  // Where `host` is. An address is its own answer.
  Async<std::vector<Endpoint>> Resolve(std::string host, uint16_t port);
  // Begins anew, also after Expire.
  Async<void> Connect(Endpoint endpoint);
  // Has a proxy connect on, by a head of CONNECT. kDenied: it will not.
  Async<void> OpenTunnel(std::string head);
  // From here on all goes by TLS. kDenied: the certificate is not trusted.
  Async<void> StartTls(std::shared_ptr<TlsContext> context, std::string host);
  // Whether a kept connection is still there and silent, as it must be between two requests.
  // `look`: not only as far as is known, but at the socket.
  [[nodiscard]] bool IsQuiet(bool look);

  // Sends `pieces` and takes from them what has gone. False: something can be read before all has
  // gone; never so with `watch_answer` false.
  Async<bool> Write(std::span<iovec>& pieces, bool watch_answer);
  // Sends what can go at once, mostly all, and takes it from `pieces`. No coroutine, which would
  // cost as much as what it does.
  Result<void> WriteAtOnce(std::span<iovec>& pieces);
  // The next head that is not a 1xx.
  Async<HttpResponseHead> ReadHead();
  // Bytes that follow, those read ahead first; waits for one at least. 0: the peer has closed (with
  // TLS: and has said so).
  Async<size_t> Read(std::span<std::byte> out);
  // Those that were read ahead alone; 0: none.
  size_t ReadAhead(std::span<std::byte> out);
  // How many those are.
  [[nodiscard]] size_t ahead() const { return end_ - begin_; }
  // A line without its end, of a chunked body.
  Async<std::string> ReadLine();
  // Nothing that the peer has sent is left here.
  [[nodiscard]] bool drained() const { return begin_ == end_; }

  // For the sweeper of the pool: ends whatever it waits for with `failure`.
  void Expire(Error failure);
  void Close();
  // Whether it is the peer's turn.
  [[nodiscard]] bool waiting() const { return resume_ != nullptr; }
  // Destroys the coroutine that waits, if any does.
  void Abandon() { resume_ = nullptr; }

  [[nodiscard]] const std::string& origin() const { return origin_; }

  // Of the present request; kept by the client and its sweeper.
  HttpTimeouts timeouts;
  SteadyTime deadline = SteadyTime::max();
  SteadyTime connect_deadline = SteadyTime::max();  // max: it is connected.
  int idle_sweeps = 0;                              // Since the last byte.
  bool answered = false;                            // A byte of the answer has come.
  SteadyTime kept_since{};
  size_t active_index = 0;  // Of the pool.

 private:
  asio::awaitable<void> Park();
  // Bytes, the end or an error wait in the socket.
  [[nodiscard]] bool HasInput();
  void Wake();
  void Watch(asio::socket_base::wait_type what, bool& ready, bool& watching);
  // Sends what the socket takes of `pieces`. False: it takes no more for now.
  Result<bool> TrySend(std::span<iovec>& pieces);
  // One read of the socket when something has come: `finished_`, `result_` and `count_` say what.
  void StartRead(std::span<std::byte> out);
  // Straight from the socket. `at_once`: bytes are probably there.
  Async<size_t> Receive(std::span<std::byte> out, bool at_once);
  // What can be had without waiting; nullopt: nothing, so StartRead and EndRead are due.
  Result<std::optional<size_t>> TryReceive(std::span<std::byte> out, bool at_once);
  // What the read that has finished brought to `out`; nullopt: it has to be read again.
  Result<std::optional<size_t>> EndRead(std::span<std::byte> out);
  // Where in the buffer the next bytes go, and that so many have come.
  std::span<std::byte> Room();
  void Filled(size_t count);
  // More into the buffer; 0: the peer has closed.
  Async<size_t> Fill();
  [[nodiscard]] std::string_view buffered() const {
    return std::string_view(buffer_).substr(begin_, end_ - begin_);
  }

  asio::ip::tcp::socket socket_;
  std::shared_ptr<NetworkWaits> waits_;
  std::unique_ptr<TlsStream> tls_;
  std::string origin_;
  std::string buffer_;  // Read ahead: what lies from begin_ to end_.
  size_t begin_ = 0;
  size_t end_ = 0;
  std::optional<Error> failure_;
  int attempts_ = 0;  // At connecting.

  std::move_only_function<void()> resume_;  // The parked coroutine.
  bool readable_ = false;
  bool writable_ = false;
  bool watching_read_ = false;
  bool watching_write_ = false;
  // What the operation under way came to.
  bool finished_ = false;
  boost::system::error_code result_;
  size_t count_ = 0;
  std::vector<Endpoint> endpoints_;
};

}  // namespace longhaul
