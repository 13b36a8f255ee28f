#include "server/api_access.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

ApiAccess Access(std::vector<ApiToken> tokens, std::string token = "") {
  return {{.tokens = std::move(tokens), .hosts = {"longhaul.example.com"}},
          ListenAddress{.host = "127.0.0.1", .port = 8787},
          Secret(std::move(token))};
}

// Who may only look must not change anything, and who has no token sees nothing.
TEST(ApiAccessTest, TokensHaveRoles) {
  const ApiAccess access =
      Access({{.name = "board", .operate = false, .token = Secret("0123456789abcdef")}}, "secret");
  EXPECT_TRUE(access.token_needed());
  EXPECT_EQ(access.CallerOf("Bearer 0123456789abcdef").who, "board");
  EXPECT_FALSE(access.CallerOf("Bearer 0123456789abcdef").operate);
  EXPECT_TRUE(access.CallerOf("Bearer secret").operate);
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets",
                            "Basic secret", "secret", "Bearer 0123456789abcdeF"}) {
    EXPECT_FALSE(access.CallerOf(wrong).known) << wrong;
  }
  EXPECT_TRUE(Access({}).CallerOf("").operate);
  EXPECT_FALSE(Access({}).token_needed());
}

// A page of somebody whose name points to 127.0.0.1 would read and change everything.
TEST(ApiAccessTest, NamesOfHostsThatOthersOwnAreRefused) {
  const ApiAccess access = Access({});
  for (const char* good : {"127.0.0.1:8787", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8787",
                           "10.0.0.7:8787", "longhaul.example.com", "Longhaul.Example.com:443"}) {
    EXPECT_TRUE(access.HostFits(good)) << good;
  }
  for (const char* bad : {"", "evil.example", "evil.example:8787", "127.0.0.1.evil.example",
                          "localhost.evil.example", "[::1", "longhaul.example.com.evil"}) {
    EXPECT_FALSE(access.HostFits(bad)) << bad;
  }
  EXPECT_TRUE(ApiAccess::OriginFits("", "localhost:8787"));
  EXPECT_TRUE(ApiAccess::OriginFits("http://localhost:8787", "localhost:8787"));
  EXPECT_TRUE(ApiAccess::OriginFits("https://longhaul.example.com", "longhaul.example.com"));
  for (const char* bad : {"http://evil.example", "http://localhost:8788", "null",
                          "http://localhost:8787.evil.example", "localhost:8787"}) {
    EXPECT_FALSE(ApiAccess::OriginFits(bad, "localhost:8787")) << bad;
  }
}

// One client in a loop must not take the time of all others, nor the memory.
TEST(ApiAccessTest, AddressesHaveARate) {
  RateLimit rate(10, 3);
  SteadyTime now{};
  EXPECT_TRUE(rate.Take("a", now) && rate.Take("a", now) && rate.Take("a", now));
  EXPECT_FALSE(rate.Take("a", now));
  EXPECT_TRUE(rate.Take("b", now));
  now += std::chrono::milliseconds(150);
  EXPECT_TRUE(rate.Take("a", now));
  EXPECT_FALSE(rate.Take("a", now));
  for (int i = 0; i < 10'000; ++i) (void)rate.Take(std::to_string(i), now);
  EXPECT_FALSE(rate.Take("another", now)) << "there is no bound";
  now += std::chrono::seconds(1);
  EXPECT_TRUE(rate.Take("another", now));
}

}  // namespace
}  // namespace longhaul
