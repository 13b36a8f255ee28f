#include "net/smtp_client.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/random.h"
#include "base/runtime.h"
#include "net/client_connection.h"
#include "net/client_pool.h"
#include "net/client_tls.h"
#include "net/smtp_reply.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectMax = 15s;
constexpr auto kSilenceMax = 30s;  // Some servers keep strangers waiting.
constexpr auto kSendMax = 60s;
constexpr size_t kReplyLinesMax = 100;
constexpr size_t kAddressBytesMax = 254;  // RFC 5321, 4.5.3.1.3.
constexpr size_t kEncodedLineBytes = 76;
constexpr size_t kWordBytes = 45;  // 60 in base64: an encoded word has at most 75 (RFC 2047, 2).
constexpr size_t kSubjectBytesMax = 200;

bool IsPlain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// The name by which this machine greets; servers mostly take any.
std::string OwnName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  const std::string text(name.data());
  const bool good = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  });
  return good ? text : "localhost";
}

// In front of a byte that begins a character of UTF-8.
size_t CutAt(std::string_view text, size_t most) {
  if (text.size() <= most) return text.size();
  size_t cut = most;
  while (cut > most - 4 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  return cut;
}

std::string SubjectText(std::string_view subject) {
  subject = subject.substr(0, CutAt(subject, kSubjectBytesMax));
  if (IsPlain(subject) && subject.find("=?") == subject.npos) return std::string(subject);
  std::string text;
  while (!subject.empty()) {
    const size_t cut = CutAt(subject, kWordBytes);
    if (!text.empty()) text += "\r\n ";
    text += "=?utf-8?B?" + Base64Encode(subject.substr(0, cut)) + "?=";
    subject.remove_prefix(cut);
  }
  return text;
}

Async<void> Nothing() { co_return Ok(); }

Error Denied(std::string message) {
  return {.kind = ErrorKind::kDenied, .message = std::move(message)};
}

Error Of(int code, std::string message) {
  Error error = Retryable(std::move(message));
  if (code >= 500 && code < 600) error.kind = ErrorKind::kInvalidInput;
  return error;
}

}  // namespace

bool IsMailAddress(std::string_view text) {
  const size_t at = text.find('@');
  return at != text.npos && at > 0 && at + 1 < text.size() && text.find('@', at + 1) == text.npos &&
         text.size() <= kAddressBytesMax && std::ranges::all_of(text, [](char c) {
           return c > ' ' && c <= '~' &&
                  std::string_view("<>()[]\\,;:\"").find(c) == std::string_view::npos;
         });
}

std::string WriteMail(const MailMessage& message, const std::string& id, SystemTime now) {
  std::string date = FormatHttpDate(now);
  if (date.ends_with("GMT")) date.replace(date.size() - 3, 3, "+0000");
  std::string recipients;
  for (const std::string& to : message.to) recipients += (recipients.empty() ? "" : ",\r\n ") + to;
  std::string mail = "Date: " + date + "\r\nFrom: " + message.from + "\r\nTo: " + recipients +
                     "\r\nSubject: " + SubjectText(message.subject) + "\r\nMessage-ID: <" + id +
                     message.from.substr(message.from.find('@')) +
                     ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: base64\r\n\r\n";
  const std::string encoded = Base64Encode(message.text);
  for (size_t i = 0; i < encoded.size(); i += kEncodedLineBytes) {
    mail += encoded.substr(i, kEncodedLineBytes) + "\r\n";
  }
  return mail;
}

SmtpClient::SmtpClient(const Runtime& runtime, SmtpServer server)
    : runtime_(runtime),
      server_(std::move(server)),
      pool_(std::make_shared<ClientPool>(runtime, 0)) {}

SmtpClient::~SmtpClient() = default;

Async<void> SmtpClient::StartTls(ClientConnection& connection) {
  if (!tls_) {
    Result<std::shared_ptr<TlsContext>> made = TlsContext::Make(server_.ca_file, true, "");
    if (!made) co_return made.error();
    tls_ = std::move(*made);
  }
  std::string host = server_.host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  co_return co_await connection.StartTls(tls_, std::move(host));
}

Async<void> SmtpClient::Connect(ClientConnection& connection) {
  connection.connect_deadline = runtime_.clock.SteadyNow() + kConnectMax;
  Result<std::vector<ClientConnection::Endpoint>> found =
      co_await connection.Resolve(server_.host, server_.port);
  if (!found) co_return found.error();
  Result<void> connected = co_await pool_->Connect(
      connection, server_.host, std::move(*found), "", [this](ClientConnection& to) {
        return server_.security == SmtpSecurity::kTls ? StartTls(to) : Nothing();
      });
  if (connected) connection.connect_deadline = SteadyTime::max();
  co_return connected;
}

Async<SmtpClient::Reply> SmtpClient::ReadReply(ClientConnection& connection) {
  Reply reply;
  while (reply.lines.size() < kReplyLinesMax) {
    Result<std::string> line = co_await connection.ReadLine();
    if (!line) co_return line.error();
    std::optional<SmtpReplyLine> parsed = ParseSmtpReplyLine(*line);
    if (!parsed) co_return Retryable("the server does not speak SMTP");
    reply.code = parsed->code;
    reply.lines.push_back(std::move(parsed->text));
    if (parsed->last) co_return reply;
  }
  co_return Retryable("the server's answer does not end");
}

Async<SmtpClient::Reply> SmtpClient::Ask(ClientConnection& connection, std::string line) {
  line += "\r\n";
  iovec piece{.iov_base = line.data(), .iov_len = line.size()};
  std::span<iovec> pieces(&piece, 1);
  Result<bool> sent = co_await connection.Write(pieces, false);
  if (!sent) co_return sent.error();
  co_return co_await ReadReply(connection);
}

Result<void> SmtpClient::Expect(const Reply& reply, int code, const std::string& what) {
  if (reply.code == code) return Ok();
  return Of(reply.code, "it does not " + what + ": " + std::to_string(reply.code) + " " +
                            SmtpSaid(reply.lines));
}

Async<void> SmtpClient::Command(ClientConnection& connection, std::string line, int code,
                                std::string what) {
  Result<Reply> reply = co_await Ask(connection, std::move(line));
  if (!reply) co_return reply.error().In(what);
  co_return Expect(*reply, code, what);
}

Async<std::vector<std::string>> SmtpClient::Hello(ClientConnection& connection) {
  Result<Reply> reply = co_await Ask(connection, "EHLO " + OwnName());
  if (!reply) co_return reply.error();
  if (reply->code != 250) {
    co_return Of(reply->code, "it does not take a greeting: " + std::to_string(reply->code) + " " +
                                  SmtpSaid(reply->lines));
  }
  co_return std::move(reply->lines);
}

Async<void> SmtpClient::LogIn(ClientConnection& connection,
                              const std::vector<std::string>& offers) {
  const std::string& password = server_.password.Reveal();
  Result<Reply> reply = Reply{};
  if (SmtpOffers(offers, "AUTH", "PLAIN")) {
    const std::string zero(1, '\0');
    reply = co_await Ask(connection,
                         "AUTH PLAIN " + Base64Encode(zero + server_.username + zero + password));
  } else if (SmtpOffers(offers, "AUTH", "LOGIN")) {
    reply = co_await Ask(connection, "AUTH LOGIN");
    if (reply && reply->code == 334) {
      reply = co_await Ask(connection, Base64Encode(server_.username));
    }
    if (reply && reply->code == 334) reply = co_await Ask(connection, Base64Encode(password));
  } else {
    co_return Denied(
        "it offers neither AUTH PLAIN nor AUTH LOGIN; take username and password away "
        "if it asks for none");
  }
  if (!reply) co_return reply.error();
  if (reply->code == 235) co_return Ok();
  const std::string code = " (" + std::to_string(reply->code) + ")";
  if (reply->code >= 400 && reply->code < 500 && reply->code != 432) {
    co_return Retryable("it lets nobody log in now" + code);
  }
  co_return Denied("it does not take username and password" + code);
}

std::string SmtpClient::place() const {
  return "mail server " + server_.host + ":" + std::to_string(server_.port);
}

ClientLease SmtpClient::TakeConnection() {
  ClientLease lease(pool_,
                    pool_->TakeNew("smtp://" + server_.host + ":" + std::to_string(server_.port)));
  ClientConnection& connection = *lease.connection();
  connection.timeouts.connect = kConnectMax;
  connection.timeouts.stall = kSilenceMax;
  connection.deadline = runtime_.clock.SteadyNow() + kSendMax;
  return lease;
}

Async<void> SmtpClient::Begin(ClientConnection& connection) {
  Result<void> done = co_await Connect(connection);
  if (!done) co_return done.error();
  Result<Reply> greeting = co_await ReadReply(connection);
  if (!greeting) co_return greeting.error();
  if (greeting->code != 220) {
    co_return Of(greeting->code, "it takes nobody: " + SmtpSaid(greeting->lines));
  }
  Result<std::vector<std::string>> offers = co_await Hello(connection);
  if (!offers) co_return offers.error();
  if (server_.security == SmtpSecurity::kStartTls) {
    if (!SmtpOffers(*offers, "STARTTLS")) {
      co_return Denied(
          "it does not offer STARTTLS; write tls: tls for a port that speaks TLS at once (465), or "
          "tls: none where mail may go in the clear");
    }
    done = co_await Command(connection, "STARTTLS", 220, "begin TLS");
    if (!done) co_return done.error();
    // Whoever sits on the way could have put them there, to be taken for the server's.
    if (!connection.drained()) co_return Retryable("bytes came before TLS began");
    done = co_await StartTls(connection);
    if (!done) co_return done.error();
    offers = co_await Hello(connection);
    if (!offers) co_return offers.error();
  }
  if (server_.username.empty()) co_return Ok();
  co_return co_await LogIn(connection, *offers);
}

Async<void> SmtpClient::SayRecipients(ClientConnection& connection,
                                      const std::vector<std::string>& to) {
  Result<void> refused = Ok();
  size_t taken = 0;
  for (const std::string& one : to) {
    const std::string what = "take mail to " + one;
    Result<Reply> reply = co_await Ask(connection, "RCPT TO:<" + one + ">");
    if (!reply) co_return reply.error().In(what);
    // 251: it forwards what comes for this one.
    Result<void> done = reply->code == 251 ? Ok() : Expect(*reply, 250, what);
    if (done) {
      ++taken;
      continue;
    }
    runtime_.log.Warning("a recipient of mail is refused", {{"server", place()}, done.error()});
    if (refused || done.error().Transient()) refused = done;
  }
  co_return taken > 0 ? Ok() : refused;
}

Async<void> SmtpClient::Say(ClientConnection& connection, const MailMessage& message) {
  Result<void> done = co_await Command(connection, "MAIL FROM:<" + message.from + ">", 250,
                                       "take mail from " + message.from);
  if (!done) co_return done.error();
  done = co_await SayRecipients(connection, message.to);
  if (!done) co_return done.error();
  done = co_await Command(connection, "DATA", 354, "take a message");
  if (!done) co_return done.error();
  const SystemTime now = runtime_.clock.Now();
  // No line of it begins with a dot: headers do not, and base64 has none.
  co_return co_await Command(connection,
                             WriteMail(message, NewUlid(now, runtime_.random), now) + ".", 250,
                             "take the message");
}

Async<void> SmtpClient::Send(MailMessage message) {
  ClientLease lease = TakeConnection();
  Result<void> done = co_await Begin(*lease.connection());
  if (done) done = co_await Say(*lease.connection(), message);
  if (!done) co_return done.error().In(place());
  // It is the server's now, whatever becomes of this.
  Result<Reply> bye = co_await Ask(*lease.connection(), "QUIT");
  static_cast<void>(bye);
  co_return Ok();
}

Async<void> SmtpClient::Try() {
  ClientLease lease = TakeConnection();
  Result<void> done = co_await Begin(*lease.connection());
  if (!done) co_return done.error().In(place());
  Result<Reply> bye = co_await Ask(*lease.connection(), "QUIT");
  static_cast<void>(bye);
  co_return Ok();
}

}  // namespace longhaul
