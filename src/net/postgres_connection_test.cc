#include "net/postgres_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/run.h"
#include "tests/support/silent_server.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using ::testing::HasSubstr;

class PostgresConnectionTest : public ::testing::Test {
 protected:
  // What it fails with.
  std::string Connect(const std::string& hosts, const std::string& ports,
                      std::chrono::nanoseconds timeout) {
    PostgresConnection connection(world_.runtime);
    const SteadyTime begin = world_.clock.SteadyNow();
    Result<void> connected = world_.Run(connection.Connect(
        {{"host", hosts}, {"port", ports}, {"user", "u"}, {"dbname", "d"}}, timeout));
    took_ = world_.clock.SteadyNow() - begin;
    return connected ? "connected" : connected.error().Describe();
  }

  testing::RealWorld world_;
  std::chrono::nanoseconds took_{};
};

// One pod of a cluster has no entry while it starts: the database is where the others are.
TEST_F(PostgresConnectionTest, AHostWithoutAnAddressIsLeftOut) {
  EXPECT_THAT(Connect("nowhere.invalid,127.0.0.1", "1", 20s), HasSubstr("refused"));
  EXPECT_THAT(Connect("nowhere.invalid,nor.here.invalid", "1", 20s),
              HasSubstr("cannot find the host nowhere.invalid, nor.here.invalid"));
}

// A machine without power must not keep the one that has taken over from being tried.
TEST_F(PostgresConnectionTest, AServerThatIsSilentLeavesTimeForTheNextOne) {
  testing::SilentServer silent(world_.io);
  const std::string port = std::to_string(silent.endpoint().port());
  EXPECT_THAT(Connect("127.0.0.1,127.0.0.1", port + ",1", 5s), HasSubstr("refused"));
  EXPECT_LT(took_, 4s);
  // The last one has all of the time that is left.
  EXPECT_THAT(Connect("127.0.0.1,127.0.0.1", "1," + port, 3s), HasSubstr("within its time"));
  EXPECT_GT(took_, 2500ms);
}

// The next one's socket may have the number of the one before.
TEST_F(PostgresConnectionTest, AfterARefusalTheNextServerIsHeard) {
  struct Closing {
    static asio::awaitable<void> Accept(tcp::acceptor& acceptor) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    }
  };
  tcp::acceptor acceptor(world_.io, {asio::ip::address_v4::loopback(), 0});
  world_.Start(Closing::Accept(acceptor));
  const std::string port = std::to_string(acceptor.local_endpoint().port());
  EXPECT_THAT(Connect("127.0.0.1,127.0.0.1", "1," + port, 10s),
              ::testing::AnyOf(HasSubstr("closed the connection"), HasSubstr("reset by peer")));
  EXPECT_LT(took_, 4s);
}

// A pooler that loses its server before a statement is answered, and says so.
struct LosingPooler {
  static std::string Message(char type, const std::string& body) {
    const auto size = static_cast<uint32_t>(body.size() + 4);
    std::string message(1, type);
    for (int shift = 24; shift >= 0; shift -= 8) message += static_cast<char>(size >> shift & 0xff);
    return message + body;
  }
  // The type of a message that has come; 0: of the first one, which has none, or the end.
  static asio::awaitable<char> Take(tcp::socket& socket, size_t type_bytes = 1) {
    boost::system::error_code error;
    std::string head(type_bytes + 4, '\0');
    co_await asio::async_read(socket, asio::buffer(head),
                              asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return '\0';
    size_t size = 0;
    for (size_t i = type_bytes; i < head.size(); ++i) {
      size = size << 8 | static_cast<unsigned char>(head[i]);
    }
    std::string body(size - 4, '\0');
    co_await asio::async_read(socket, asio::buffer(body),
                              asio::redirect_error(asio::use_awaitable, error));
    co_return error || type_bytes == 0 ? '\0' : head[0];
  }
  static asio::awaitable<void> TakeUntilSync(tcp::socket& socket) {
    char type = 'P';
    while (type != 'S' && type != '\0') type = co_await Take(socket);
  }
  static asio::awaitable<void> Tell(tcp::socket& socket, std::string text) {
    boost::system::error_code error;
    co_await asio::async_write(socket, asio::buffer(text),
                               asio::redirect_error(asio::use_awaitable, error));
  }
  static asio::awaitable<void> Serve(tcp::acceptor& acceptor, std::string state, bool closes) {
    const std::string ready = Message('Z', "I");
    boost::system::error_code error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    co_await Take(socket, 0);
    co_await Tell(socket, Message('R', std::string(4, '\0')) + ready);
    co_await TakeUntilSync(socket);
    co_await Tell(socket, Message('1', "") + ready);
    co_await TakeUntilSync(socket);
    std::string fields = "SFATAL";
    for (const std::string& field : {std::string("VFATAL"), "C" + state, std::string("Mlost")}) {
      fields += '\0' + field;
    }
    fields.append(2, '\0');
    co_await Tell(socket, Message('E', fields) + (closes ? "" : ready));
    if (!closes) co_await Take(socket);
  }
};

// The server may have done all of it by then: what adds to a number would be added twice.
TEST_F(PostgresConnectionTest, WhatAPoolerHasLostIsNotAnswered) {
  struct Case {
    std::string state;
    bool closes;
    std::string_view code;
  };
  for (const Case& one :
       {Case{"08P01", true, kPostgresNoAnswer}, Case{"08P01", false, kPostgresNoAnswer},
        Case{"08006", false, kPostgresNoAnswer}, Case{"40001", false, "40001"}}) {
    tcp::acceptor acceptor(world_.io, {asio::ip::address_v4::loopback(), 0});
    world_.Start(LosingPooler::Serve(acceptor, one.state, one.closes));
    PostgresConnection connection(world_.runtime);
    Result<void> connected =
        world_.Run(connection.Connect({{"host", "127.0.0.1"},
                                       {"port", std::to_string(acceptor.local_endpoint().port())},
                                       {"user", "u"},
                                       {"dbname", "d"},
                                       {"sslmode", "disable"},
                                       {"gssencmode", "disable"}},
                                      20s));
    ASSERT_TRUE(connected) << connected.error().Describe();
    Result<PostgresRows> rows = world_.Run(connection.Run("SELECT 1", PostgresArguments(), 20s));
    ASSERT_FALSE(rows);
    EXPECT_EQ(rows.error().code, one.code) << rows.error().Describe();
    EXPECT_EQ(rows.error().kind, ErrorKind::kRetryable);
    EXPECT_EQ(connection.usable(), one.state == "40001");
  }
}

}  // namespace
}  // namespace longhaul
