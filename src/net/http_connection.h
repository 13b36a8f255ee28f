// One connection of an HttpServer: heads and bodies as they come and go on its socket.
//
// Internal to the HTTP server.

#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace longhaul {

struct HttpServer::Impl {
  Impl(Runtime runtime, Handler handler, HttpServerOptions options)
      : runtime(runtime),
        handler(std::move(handler)),
        options(options),
        acceptor(runtime.executor) {}

  Runtime runtime;
  Handler handler;
  HttpServerOptions options;
  asio::ip::tcp::acceptor acceptor;
  std::set<HttpConnection*> connections;  // Each removes itself at its end.
  bool stopping = false;
  bool accepting = false;
  bool admitting = false;
  std::unique_ptr<Clock::Timer> sweeper;
  WaitList changed;                             // A connection or the accept loop ended.
  std::map<asio::ip::address, int> by_address;  // Connections of each.
  // Accepted and without a place: all are taken, or its address has its share.
  std::deque<asio::ip::tcp::socket> waiting;

  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self);
  // So many places one address may hold: others always find some.
  [[nodiscard]] int share() const { return options.connections_max - options.connections_max / 8; }
  // Gives places to those that wait; true: somebody waits still.
  static bool Admit(const std::shared_ptr<Impl>& self);
  // The same until nobody waits.
  static asio::awaitable<void> AdmitAll(std::shared_ptr<Impl> self);
  // Shuts the connections that have waited longest for a request, or for the rest of a head: an
  // eighth of all at most, of `address` alone where one is given.
  void MakeRoom(const std::optional<asio::ip::address>& address);
  static void Sweep(const std::weak_ptr<Impl>& weak);
  void CloseListener() {
    boost::system::error_code ignored;
    acceptor.close(ignored);
  }
};

// One connection: its socket, what has been read ahead, and where in which message it is.
class HttpConnection {
 public:
  HttpConnection(std::shared_ptr<HttpServer::Impl> server, asio::ip::tcp::socket socket)
      : server_(std::move(server)), socket_(std::move(socket)) {
    boost::system::error_code failed;
    const asio::ip::tcp::endpoint peer = socket_.remote_endpoint(failed);
    if (!failed) address_ = peer.address();
    ++server_->by_address[address_];
    server_->connections.insert(this);
    waits_since_ = server_->runtime.clock.SteadyNow();
    Touch(server_->options.head_timeout);
  }
  ~HttpConnection() {
    server_->connections.erase(this);
    if (--server_->by_address[address_] == 0) server_->by_address.erase(address_);
    server_->changed.NotifyAll();
  }

  // It holds its place from when it is made.
  static asio::awaitable<void> Run(std::unique_ptr<HttpConnection> connection) {
    while (co_await connection->ServeOne()) connection->served_ = true;
    co_await connection->Linger();
  }

  [[nodiscard]] bool idle() const { return idle_; }
  // Since when it waits for a request, or for the rest of a head that has begun; nothing while it
  // serves one.
  [[nodiscard]] std::optional<SteadyTime> waits_since() const { return waits_since_; }
  // Nothing has come of it yet, since it was accepted.
  [[nodiscard]] bool silent() const { return idle_ && !served_; }
  // Part of a head is there: however slowly the rest comes, it is not one that has just arrived.
  [[nodiscard]] bool in_head() const { return waits_since_ && !idle_; }
  [[nodiscard]] const asio::ip::address& address() const { return address_; }
  // A request has arrived that has not been read yet.
  [[nodiscard]] bool HasArrived() const {
    boost::system::error_code closed;
    return socket_.available(closed) > 0;
  }
  [[nodiscard]] bool Expired(SteadyTime now) const { return now >= deadline_; }
  // Ends whatever it waits for.
  void Shut() {
    boost::system::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  [[nodiscard]] std::optional<uint64_t> body_size_bytes() const {
    if (head_->chunked) return std::nullopt;
    return head_->content_length.value_or(0);
  }
  Async<size_t> ReadBody(std::span<std::byte> out);
  [[nodiscard]] const HttpHeaders& trailers() const { return trailers_; }

  Async<void> Start(HttpServerResponse& response, std::optional<uint64_t> size_bytes,
                    std::string_view body);
  Async<void> Write(std::span<const std::byte> bytes);
  Async<void> Finish();
  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] bool is_head() const { return head_ != nullptr && head_->method == "HEAD"; }

 private:
  void Touch(std::chrono::nanoseconds timeout) {
    deadline_ = server_->runtime.clock.SteadyNow() + timeout;
  }
  asio::awaitable<bool> ServeOne();
  asio::awaitable<bool> ReadHead(size_t& head_end);
  asio::awaitable<void> Refuse(const Error& error);
  asio::awaitable<void> Linger();
  asio::awaitable<bool> Drain();
  // Reads more into the buffer; false at the end of the connection.
  asio::awaitable<bool> Fill();
  Async<size_t> ReadRaw(std::span<std::byte> out);
  Async<std::string> ReadLine(size_t size_bytes_max);
  Async<void> NextChunk();
  template <class Buffers>
  Async<void> Send(const Buffers& buffers);

  [[nodiscard]] std::string_view Buffered() const {
    return std::string_view(buffer_).substr(consumed_);
  }

  std::shared_ptr<HttpServer::Impl> server_;  // shared: the server may be gone before us.
  asio::ip::tcp::socket socket_;
  SteadyTime deadline_{};
  asio::ip::address address_;
  std::optional<SteadyTime> waits_since_;
  bool idle_ = true;
  bool served_ = false;  // A request at least.
  std::string buffer_;   // Read ahead; from `consumed_` on it is still to be used.
  size_t consumed_ = 0;

  // Of the present request.
  HttpRequestHead* head_ = nullptr;
  bool continue_due_ = false;
  bool body_done_ = true;
  bool body_broken_ = false;
  uint64_t body_left_ = 0;  // Of the body, or of the present chunk.
  bool first_chunk_ = true;
  HttpHeaders trailers_;

  // Of the present answer.
  bool started_ = false;
  bool finished_ = false;
  bool answer_chunked_ = false;
  bool answer_until_close_ = false;  // To HTTP/1.0, when the size is unknown.
  bool answer_without_body_ = false;
  uint64_t answer_left_ = 0;
  bool keep_alive_ = true;
};

}  // namespace longhaul
