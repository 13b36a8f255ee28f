#include "net/smtp_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/bytes.h"
#include "tests/support/run.h"
#include "tests/support/tls.h"

namespace longhaul {
namespace {

using asio::ip::tcp;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A mail server that knows what it is asked for: answers by the first word of a command.
class Server {
 public:
  struct Options {
    bool at_once = false;  // TLS from the first byte on.
    std::string offers = "250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n";
    std::string begin_tls = "220 go on\r\n";
    std::string log_in = "235 welcome\r\n";
    std::string recipient = "250 yes\r\n";
    std::string recipient_of = "RCPT";  // Lines with this are answered so, others are taken.
    std::string message = "250 taken\r\n";
  };

  Server(testing::RealWorld& world, asio::ssl::context& tls, Options options)
      : world_(world),
        tls_(tls),
        options_(std::move(options)),
        acceptor_(world.io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    world.Start(Accept());
  }

  [[nodiscard]] uint16_t port() const { return acceptor_.local_endpoint().port(); }

  std::vector<std::string> plain;   // Lines that came in the clear.
  std::vector<std::string> secret;  // By TLS.

 private:
  asio::awaitable<void> Accept() {
    while (true) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      world_.Start(
          Serve(std::make_unique<asio::ssl::stream<tcp::socket>>(std::move(socket), tls_)));
    }
  }

  asio::awaitable<void> Serve(std::unique_ptr<asio::ssl::stream<tcp::socket>> stream) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    if (!options_.at_once) {
      if (!co_await Talk(stream->next_layer(), plain, true)) co_return;
    }
    co_await stream->async_handshake(asio::ssl::stream_base::server, token);
    if (!error) co_await Talk(*stream, secret, options_.at_once);
  }

  // True: TLS begins now.
  template <class Stream>
  asio::awaitable<bool> Talk(Stream& stream, std::vector<std::string>& lines, bool greets) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    asio::streambuf buffer;
    if (greets) {
      co_await asio::async_write(stream, asio::buffer(std::string("220 mail.test\r\n")), token);
    }
    bool in_message = false;
    int logging_in = 0;
    while (!error) {
      const size_t size = co_await asio::async_read_until(stream, buffer, "\r\n", token);
      if (error) break;
      const auto* data = static_cast<const char*>(buffer.data().data());
      std::string line(data, size - 2);
      buffer.consume(size);
      lines.push_back(line);
      std::string answer = "250 yes\r\n";
      if (in_message) {
        if (line != ".") continue;
        in_message = false;
        answer = options_.message;
      } else if (logging_in > 0) {
        answer = --logging_in == 0 ? options_.log_in : "334 UGFzc3dvcmQ6\r\n";
      } else if (line.starts_with("EHLO")) {
        answer = options_.offers;
      } else if (line == "STARTTLS") {
        co_await asio::async_write(stream, asio::buffer(options_.begin_tls), token);
        co_return !error;
      } else if (line == "AUTH LOGIN") {
        logging_in = 2;
        answer = "334 VXNlcm5hbWU6\r\n";
      } else if (line.starts_with("AUTH")) {
        answer = options_.log_in;
      } else if (line.starts_with("RCPT")) {
        if (line.contains(options_.recipient_of)) answer = options_.recipient;
      } else if (line == "DATA") {
        in_message = true;
        answer = "354 go on\r\n";
      } else if (line == "QUIT") {
        answer = "221 bye\r\n";
      }
      co_await asio::async_write(stream, asio::buffer(answer), token);
    }
    co_return false;
  }

  testing::RealWorld& world_;
  asio::ssl::context& tls_;
  Options options_;
  tcp::acceptor acceptor_;
};

const MailMessage kMail{.from = "longhaul@example.com",
                        .to = {"ops@example.com", "night@example.com"},
                        .subject = "longhaul east: parked/main",
                        .text = "rule main has parked objects\n"};

struct Sent {
  Result<void> result;
  std::vector<std::string> plain;
  std::vector<std::string> secret;
};

Sent Send(Server::Options options, bool logs_in = true, bool trusted = true) {
  testing::RealWorld world;
  testing::TlsServer identity("DNS:localhost,IP:127.0.0.1");
  testing::TlsServer stranger("DNS:localhost,IP:127.0.0.1");
  const bool at_once = options.at_once;
  Server server(world, identity.context(), std::move(options));
  SmtpServer settings{.host = "127.0.0.1",
                      .port = server.port(),
                      .security = at_once ? SmtpSecurity::kTls : SmtpSecurity::kStartTls,
                      .ca_file = (trusted ? identity : stranger).trust_file()};
  if (logs_in) {
    settings.username = "longhaul";
    settings.password = Secret("open sesame");
  }
  SmtpClient client(world.runtime, std::move(settings));
  Result<void> result = world.Run(client.Send(kMail));
  return {.result = std::move(result), .plain = server.plain, .secret = server.secret};
}

TEST(SmtpClientTest, EverythingButTheWishForTlsGoesByTls) {
  const Sent sent = Send({});
  ASSERT_TRUE(sent.result) << sent.result.error().Describe();
  ASSERT_EQ(sent.plain.size(), 2U);
  EXPECT_THAT(sent.plain[0], StartsWith("EHLO "));
  EXPECT_EQ(sent.plain[1], "STARTTLS");
  const std::string zero(1, '\0');
  EXPECT_THAT(sent.secret,
              Contains("AUTH PLAIN " + Base64Encode(zero + "longhaul" + zero + "open sesame")));
  EXPECT_THAT(sent.secret, Contains("MAIL FROM:<longhaul@example.com>"));
  EXPECT_THAT(sent.secret, Contains("RCPT TO:<ops@example.com>"));
  EXPECT_THAT(sent.secret, Contains("RCPT TO:<night@example.com>"));
  EXPECT_THAT(sent.secret, Contains(Base64Encode("rule main has parked objects\n")));
  EXPECT_EQ(sent.secret.back(), "QUIT");
}

// A trial that wakes somebody is not made twice.
TEST(SmtpClientTest, ATrialLogsInAndSendsNothing) {
  testing::RealWorld world;
  testing::TlsServer identity("IP:127.0.0.1");
  Server server(world, identity.context(), {});
  SmtpClient client(world.runtime, {.host = "127.0.0.1",
                                    .port = server.port(),
                                    .username = "longhaul",
                                    .password = Secret("open sesame"),
                                    .ca_file = identity.trust_file()});
  Result<void> tried = world.Run(client.Try());
  ASSERT_TRUE(tried) << tried.error().Describe();
  EXPECT_THAT(server.secret, Contains(StartsWith("AUTH PLAIN")));
  EXPECT_THAT(server.secret, Not(Contains(StartsWith("MAIL"))));
}

TEST(SmtpClientTest, TlsAtOnceAndLogin) {
  const Sent sent =
      Send({.at_once = true, .offers = "250-mail.test\r\n250 AUTH LOGIN XOAUTH2\r\n"});
  ASSERT_TRUE(sent.result) << sent.result.error().Describe();
  EXPECT_THAT(sent.plain, ::testing::IsEmpty());
  EXPECT_THAT(sent.secret, Contains("AUTH LOGIN"));
  EXPECT_THAT(sent.secret, Contains(Base64Encode("longhaul")));
  EXPECT_THAT(sent.secret, Contains(Base64Encode("open sesame")));
}

// Whoever sits between could take STARTTLS out of the answer, and get a password in the clear.
TEST(SmtpClientTest, WithoutTlsNothingIsSaid) {
  const Sent sent = Send({.offers = "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"});
  ASSERT_FALSE(sent.result);
  EXPECT_EQ(sent.result.error().kind, ErrorKind::kDenied);
  EXPECT_THAT(sent.result.error().Describe(), HasSubstr("tls: "));
  EXPECT_EQ(sent.plain.size(), 1U);
}

// A stranger's certificate must end it before user, password or message are sent.
TEST(SmtpClientTest, AStrangerGetsNothing) {
  const Sent sent = Send({}, true, false);
  ASSERT_FALSE(sent.result);
  EXPECT_EQ(sent.result.error().kind, ErrorKind::kDenied);
  EXPECT_THAT(sent.result.error().Describe(), HasSubstr("not trusted"));
  EXPECT_THAT(sent.secret, ::testing::IsEmpty());
}

// What came in the clear before TLS would be taken for what the server says by TLS.
TEST(SmtpClientTest, WhatCameBeforeTlsEndsIt) {
  const Sent sent = Send({.begin_tls = "220 go on\r\n250 AUTH PLAIN\r\n"});
  ASSERT_FALSE(sent.result);
  EXPECT_THAT(sent.result.error().Describe(), HasSubstr("before TLS"));
  EXPECT_THAT(sent.secret, ::testing::IsEmpty());
}

TEST(SmtpClientTest, ARefusedPasswordIsInNoMessage) {
  const Sent sent = Send({.log_in = "535 'open sesame' is wrong\r\n"});
  ASSERT_FALSE(sent.result);
  EXPECT_EQ(sent.result.error().kind, ErrorKind::kDenied);
  EXPECT_THAT(sent.result.error().Describe(), Not(HasSubstr("sesame")));
  EXPECT_THAT(sent.secret, Not(Contains(StartsWith("MAIL"))));
}

// Somebody who has left must not keep all others from their alarms, for good or with each try anew.
TEST(SmtpClientTest, ARecipientThatIsRefusedKeepsNobodyFromMail) {
  for (const char* refusal : {"550 nobody of that name\r\n", "451 grey list\r\n"}) {
    for (const char* refused : {"ops@", "night@"}) {
      const Sent sent = Send({.recipient = refusal, .recipient_of = refused});
      ASSERT_TRUE(sent.result) << sent.result.error().Describe();
      EXPECT_THAT(sent.secret, Contains(Base64Encode("rule main has parked objects\n")));
    }
  }
}

// What is refused for now is told again, what is refused for good is for the person to mend.
TEST(SmtpClientTest, ARefusalHasItsKind) {
  const Sent later = Send({.recipient = "451 grey\x1b[31m list\r\n"});
  ASSERT_FALSE(later.result);
  EXPECT_EQ(later.result.error().kind, ErrorKind::kRetryable);
  EXPECT_THAT(later.result.error().Describe(), HasSubstr("451 grey?[31m list"));
  const Sent never = Send({.recipient = "550 nobody of that name\r\n"}, false);
  ASSERT_FALSE(never.result);
  EXPECT_EQ(never.result.error().kind, ErrorKind::kInvalidInput);
  EXPECT_THAT(never.secret, Not(Contains("DATA")));
  const Sent full = Send({.message = "452 full\r\n"});
  ASSERT_FALSE(full.result);
  EXPECT_EQ(full.result.error().kind, ErrorKind::kRetryable);
  EXPECT_FALSE(Send({.offers = "HTTP/1.1 400 Bad Request\r\n"}).result);
}

// A name of an object that somebody else chose stands in the text, that of a rule in the subject:
// neither may add a header, a recipient or the end of the message.
TEST(SmtpClientTest, NothingOfAMessageBecomesAHeader) {
  MailMessage mail = kMail;
  mail.subject = "a\r\nBcc: spy@example.com\r\n\r\nb \xc3\xa4 " + std::string(90, 'x');
  mail.text = "x\r\n.\r\nMAIL FROM:<spy@example.com>\r\n";
  const std::string text = WriteMail(mail, "01ID", SystemTime{});
  EXPECT_THAT(text, Not(HasSubstr("Bcc")));
  EXPECT_THAT(text, Not(HasSubstr("spy")));
  EXPECT_THAT(text, HasSubstr("\r\nSubject: =?utf-8?B?"));
  EXPECT_THAT(text, HasSubstr("Message-ID: <01ID@example.com>"));
  EXPECT_THAT(text, HasSubstr("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
  for (size_t begin = 0, end; (end = text.find("\r\n", begin)) != text.npos; begin = end + 2) {
    const std::string line = text.substr(begin, end - begin);
    EXPECT_LE(line.size(), 100U) << line;
    EXPECT_FALSE(line.starts_with('.')) << line;
    EXPECT_EQ(line.find_first_of("\r\n"), line.npos) << line;
  }
}

TEST(SmtpClientTest, AddressesAreAddressesAlone) {
  for (const char* good : {"a@b", "first.last+tag@mail.example.com"}) {
    EXPECT_TRUE(IsMailAddress(good)) << good;
  }
  for (const std::string& wrong :
       {std::string(), std::string("a"), std::string("@b"), std::string("a@"), std::string("a@b@c"),
        std::string("a@b>\r\nRCPT TO:<c@d"), std::string("a b@c"), std::string("Ops <a@b>"),
        std::string("a@b,c"), std::string("\xc3\xa4@b"), std::string(251, 'a') + "@b.c"}) {
    EXPECT_FALSE(IsMailAddress(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace longhaul
