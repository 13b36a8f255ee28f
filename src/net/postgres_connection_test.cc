#include "net/postgres_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

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

}  // namespace
}  // namespace longhaul
