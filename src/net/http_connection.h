// One connection of an HttpServer: heads and bodies as they come and go on its socket.
//
// Internal to the HTTP server.

#pragma once

#include <boost/asio/ip/tcp.hpp>
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
  std::unique_ptr<Clock::Timer> sweeper;
  WaitList changed;  // A connection or the accept loop ended.

  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self);
  // Shuts the connections that have been idle longest, an eighth of all at most.
  void MakeRoom();
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
    server_->connections.insert(this);
    Touch(server_->options.head_timeout);
  }
  ~HttpConnection() {
    server_->connections.erase(this);
    server_->changed.NotifyAll();
  }

  static asio::awaitable<void> Run(std::shared_ptr<HttpServer::Impl> server,
                                   asio::ip::tcp::socket socket) {
    HttpConnection connection(std::move(server), std::move(socket));
    while (co_await connection.ServeOne()) connection.served_ = true;
    co_await connection.Linger();
  }

  [[nodiscard]] bool idle() const { return idle_; }
  // Since when it waits for a further request; nothing while it serves one, or waits for its first.
  [[nodiscard]] std::optional<SteadyTime> idle_since() const {
    if (!idle_ || !served_) return std::nullopt;
    return deadline_ - server_->options.idle_timeout;
  }
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
