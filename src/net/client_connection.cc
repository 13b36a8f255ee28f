#include "net/client_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "net/pieces.h"

namespace longhaul {
namespace {

// A head and the body of a small object come in one read.
constexpr size_t kReadAheadBytes = 16 << 10;
constexpr size_t kLineBytesMax = 8 << 10;
constexpr int kInterimAnswersMax = 100;

Error Broken(std::string_view what, const std::string& why) {
  return Retryable(std::string(what) + ": " + why);
}
Error NotSent(std::string message) {
  Error error = Retryable(std::move(message));
  error.code = kNotSentCode;
  return error;
}

}  // namespace

// Resumed in place, by the handler of an operation of this socket.
asio::awaitable<void> ClientConnection::Park() {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [this](auto handler) {
        LH_CHECK(!resume_);
        resume_ = [handler = std::move(handler)]() mutable { std::move(handler)(); };
      },
      asio::use_awaitable);
}

void ClientConnection::Wake() {
  if (resume_) std::exchange(resume_, nullptr)();
}

void ClientConnection::Expire(Error failure) {
  if (!failure_) failure_ = std::move(failure);
  Close();
  Wake();
}

void ClientConnection::Close() {
  if (tls_ && socket_.is_open()) tls_->Shutdown();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

Async<std::vector<ClientConnection::Endpoint>> ClientConnection::Resolve(std::string host,
                                                                         uint16_t port) {
  boost::system::error_code no_address;
  std::string_view bare = host;
  if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
  const asio::ip::address address = asio::ip::make_address(bare, no_address);
  if (!no_address) co_return std::vector<Endpoint>{Endpoint(address, port)};

  finished_ = false;
  auto resolver = std::make_shared<asio::ip::tcp::resolver>(socket_.get_executor());
  resolver->async_resolve(
      host, std::to_string(port),
      [self = shared_from_this(), resolver](const boost::system::error_code& error,
                                            const asio::ip::tcp::resolver::results_type& results) {
        self->finished_ = true;
        self->result_ = error;
        for (const auto& result : results) self->endpoints_.push_back(result.endpoint());
        self->Wake();
      });
  while (!finished_ && !failure_) co_await Park();
  if (failure_) co_return *failure_;
  if (result_) co_return NotSent("cannot find the host " + host + ": " + result_.message());
  co_return std::exchange(endpoints_, {});
}

Async<void> ClientConnection::Connect(Endpoint endpoint) {
  Close();  // The address before this one did not answer.
  tls_.reset();
  failure_.reset();
  const int attempt = ++attempts_;
  auto failed = [&endpoint](const std::string& why) {
    return NotSent("cannot connect to " + endpoint.address().to_string() + " port " +
                   std::to_string(endpoint.port()) + ": " + why);
  };
  const int family = endpoint.protocol().family();
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return failed(std::strerror(errno));
  boost::system::error_code error;
  socket_.assign(endpoint.protocol(), fd, error);
  if (error) co_return failed(error.message());
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.set_option(asio::socket_base::keep_alive(true), error);
  finished_ = false;
  socket_.async_connect(
      endpoint, [self = shared_from_this(), attempt](const boost::system::error_code& error) {
        if (self->attempts_ != attempt) return;  // It was given up.
        self->finished_ = true;
        self->result_ = error;
        self->Wake();
      });
  while (!finished_ && !failure_) co_await Park();
  if (failure_) co_return *failure_;
  if (result_) co_return failed(result_.message());
  co_return Ok();
}

Async<void> ClientConnection::OpenTunnel(std::string head) {
  iovec piece{.iov_base = head.data(), .iov_len = head.size()};
  std::span<iovec> pieces(&piece, 1);
  Result<bool> sent = co_await Write(pieces, false);
  if (!sent) co_return NotSent(sent.error().message);
  Result<HttpResponseHead> answer = co_await ReadHead();
  if (!answer) co_return NotSent(answer.error().message);
  answered = false;  // Of the request nothing has gone yet.
  if (answer->status >= 200 && answer->status < 300) {
    // The server speaks second.
    co_return drained() ? Ok() : NotSent("bytes come from the tunnel before any went in");
  }
  const std::string status = std::to_string(answer->status);
  Error refused = NotSent("opens no tunnel (HTTP " + status + ")");
  if (answer->status == 407) {
    refused = {.kind = ErrorKind::kDenied,
               .message =
                   "wants a user and a password (HTTP 407); write "
                   "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"};
  } else if (answer->status >= 400 && answer->status < 500 && answer->status != 408 &&
             answer->status != 429) {
    refused = {.kind = ErrorKind::kDenied, .message = refused.message};
  }
  refused.http_status = answer->status;
  co_return refused;
}

Async<void> ClientConnection::StartTls(std::shared_ptr<TlsContext> context, std::string host) {
  Result<std::unique_ptr<TlsStream>> made =
      TlsStream::Make(std::move(context), socket_.native_handle(), std::move(host), origin_);
  if (!made) co_return made.error();
  tls_ = std::move(*made);
  while (true) {
    if (failure_) co_return *failure_;
    Result<TlsStream::Wants> wants = tls_->Handshake();
    if (!wants) co_return wants.error();
    if (*wants == TlsStream::Wants::kNothing) co_return Ok();
    if (*wants == TlsStream::Wants::kInput) {
      StartRead(tls_->input_room());
      while (!finished_ && !failure_) co_await Park();
      if (failure_) co_return *failure_;
      if (result_ && result_ != asio::error::eof) {
        co_return NotSent("no TLS with " + origin_ + ": " + result_.message());
      }
      tls_->AddInput(count_);
    } else {
      Watch(asio::socket_base::wait_write, writable_, watching_write_);
      while (!writable_ && !failure_) co_await Park();
    }
  }
}

bool ClientConnection::HasInput() {
  if (tls_) return tls_->HasInput();
  char byte;
  const ssize_t count = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count >= 0 || errno != EAGAIN;
}

bool ClientConnection::IsQuiet(bool look) {
  if (!drained() || failure_) return false;
  if (tls_) return tls_->IsQuiet(look);
  return !look || !HasInput();
}

void ClientConnection::Watch(asio::socket_base::wait_type what, bool& ready, bool& watching) {
  ready = false;
  if (watching) return;
  watching = true;
  socket_.async_wait(
      what, [self = shared_from_this(), &ready, &watching](const boost::system::error_code&) {
        watching = false;
        ready = true;  // An error as well: what is tried next names it.
        self->Wake();
      });
}

Result<bool> ClientConnection::TrySend(std::span<iovec>& pieces) {
  if (tls_) {
    Result<TlsStream::Wants> wants = tls_->Write(pieces);
    if (!wants) return wants.error();
    if (tls_->TakeSent()) idle_sweeps = 0;
    return *wants == TlsStream::Wants::kNothing;
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) {
    idle_sweeps = 0;
    Advance(pieces, static_cast<size_t>(sent));
    return true;
  }
  if (errno == EINTR) return true;
  if (errno == EAGAIN) return false;
  return Broken("sending failed", std::strerror(errno));
}

Async<bool> ClientConnection::Write(std::span<iovec>& pieces, bool watch_answer) {
  while (!pieces.empty()) {
    if (failure_) co_return *failure_;
    if (watch_answer && readable_) {
      readable_ = false;
      // What woke us may be bytes that have been read since.
      if (HasInput()) co_return false;
    }
    Result<bool> sent = TrySend(pieces);
    if (!sent) co_return sent.error();
    if (*sent) continue;
    Watch(asio::socket_base::wait_write, writable_, watching_write_);
    if (watch_answer) Watch(asio::socket_base::wait_read, readable_, watching_read_);
    const NetworkWait wait(waits_, &NetworkWaits::bodies);
    while (!writable_ && !(watch_answer && readable_) && !failure_) co_await Park();
  }
  co_return true;
}

Result<void> ClientConnection::WriteAtOnce(std::span<iovec>& pieces) {
  while (!pieces.empty()) {
    if (failure_) return *failure_;
    Result<bool> sent = TrySend(pieces);
    if (!sent) return sent.error();
    if (!*sent) break;
  }
  return Ok();
}

void ClientConnection::StartRead(std::span<std::byte> out) {
  finished_ = false;
  socket_.async_read_some(
      asio::buffer(out.data(), out.size()),
      [self = shared_from_this()](const boost::system::error_code& error, size_t count) {
        self->finished_ = true;
        self->result_ = error;
        self->count_ = error ? 0 : count;
        self->Wake();
      });
}

Result<std::optional<size_t>> ClientConnection::TryReceive(std::span<std::byte> out, bool at_once) {
  if (failure_) return *failure_;
  if (tls_ && !tls_->IsDry()) {
    size_t count = 0;
    Result<TlsStream::Wants> wants = tls_->Read(out, count);
    if (!wants) return wants.error();
    if (count > 0) idle_sweeps = 0;
    if (count > 0 || *wants == TlsStream::Wants::kNothing) return count;
  } else if (!tls_ && at_once) {
    const ssize_t count = ::recv(socket_.native_handle(), out.data(), out.size(), MSG_DONTWAIT);
    if (count >= 0) {
      idle_sweeps = 0;
      return static_cast<size_t>(count);
    }
    if (errno != EAGAIN && errno != EINTR) return Broken("reading failed", std::strerror(errno));
  }
  return std::nullopt;
}

Result<std::optional<size_t>> ClientConnection::EndRead(std::span<std::byte> out) {
  if (failure_) return *failure_;
  idle_sweeps = 0;
  if (result_ && result_ != asio::error::eof) return Broken("reading failed", result_.message());
  if (!tls_) return count_;
  tls_->AddInput(count_);
  return TryReceive(out, false);
}

Async<size_t> ClientConnection::Receive(std::span<std::byte> out, bool at_once) {
  Result<std::optional<size_t>> count = TryReceive(out, at_once);
  while (count && !*count) {
    // Reads by itself when something has come: one system call less than waiting and reading.
    StartRead(tls_ ? tls_->input_room() : out);
    const NetworkWait wait(waits_, &NetworkWaits::bodies);
    while (!finished_ && !failure_) co_await Park();
    count = EndRead(out);
  }
  if (!count) co_return count.error();
  co_return **count;
}

std::span<std::byte> ClientConnection::Room() {
  if (drained()) begin_ = end_ = 0;
  if (begin_ > 0 && buffer_.size() < end_ + kReadAheadBytes / 2) {
    // A server that always stops inside the line of a chunk must not have it grow with the body.
    buffer_.erase(0, begin_);
    end_ -= std::exchange(begin_, 0);
  }
  if (buffer_.size() < end_ + kReadAheadBytes / 2) buffer_.resize(end_ + kReadAheadBytes);
  return std::as_writable_bytes(std::span(buffer_).subspan(end_));
}

void ClientConnection::Filled(size_t count) {
  end_ += count;
  if (count > 0) answered = true;
}

Async<size_t> ClientConnection::Fill() {
  Result<size_t> count = co_await Receive(Room(), false);
  if (count) Filled(*count);
  co_return count;
}

Async<HttpResponseHead> ClientConnection::ReadHead() {
  constexpr std::string_view kBeginning = "HTTP/1.";
  for (int interim = 0; interim <= kInterimAnswersMax; ++interim) {
    size_t end = FindResponseHeadEnd(buffered());
    while (end == std::string_view::npos) {
      std::string_view known = buffered().substr(0, kBeginning.size());
      if (!kBeginning.starts_with(known)) co_return Retryable("the answer is not HTTP");
      if (buffered().size() > kResponseHeadBytesMax) {
        co_return Retryable("the head of the answer is too large");
      }
      // As Fill does, without a coroutine for each of its steps: every request comes by here.
      const std::span<std::byte> room = Room();
      Result<std::optional<size_t>> count = TryReceive(room, false);
      while (count && !*count) {
        StartRead(tls_ ? tls_->input_room() : room);
        const NetworkWait wait(waits_, &NetworkWaits::answers);
        while (!finished_ && !failure_) co_await Park();
        count = EndRead(room);
      }
      if (!count) co_return count.error();
      Filled(**count);
      if (**count == 0) {
        co_return Retryable(known.empty() ? "the server closed the connection without an answer"
                                          : "the answer has no complete head");
      }
      end = FindResponseHeadEnd(buffered());
    }
    if (end > kResponseHeadBytesMax) co_return Retryable("the head of the answer is too large");
    Result<HttpResponseHead> head = ParseResponseHead(buffered().substr(0, end));
    begin_ += end;
    if (!head || head->status >= 200) co_return head;
  }
  co_return Retryable("the server answers 1xx without end");
}

size_t ClientConnection::ReadAhead(std::span<std::byte> out) {
  const size_t count = std::min(out.size(), buffered().size());
  std::memcpy(out.data(), buffered().data(), count);
  begin_ += count;
  return count;
}

Async<size_t> ClientConnection::Read(std::span<std::byte> out) {
  const size_t count = ReadAhead(out);
  if (count > 0) co_return count;
  co_return co_await Receive(out, true);
}

Async<std::string> ClientConnection::ReadLine() {
  while (true) {
    const size_t end = buffered().find('\n');
    if (end != std::string_view::npos) {
      std::string_view line = buffered().substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      std::string text(line);
      begin_ += end + 1;
      co_return text;
    }
    if (buffered().size() > kLineBytesMax) co_return Retryable("a line of a chunk is too long");
    Result<size_t> count = co_await Fill();
    if (!count) co_return count.error();
    if (*count == 0) co_return Retryable("the body was cut");
  }
}

}  // namespace longhaul
