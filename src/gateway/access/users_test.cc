#include "gateway/access/users.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

Result<std::vector<GatewayUser>> Parse(const std::string& text) {
  return ParseGatewayUsers(text, "users.yaml", [](std::string_view name) {
    return name == "S" ? std::optional<std::string>("a long secret") : std::nullopt;
  });
}

// A user would read what belongs to another, or not what is its own.
TEST(GatewayUsersTest, RightsAreBeginningsOfKeys) {
  Result<std::vector<GatewayUser>> users = Parse(
      "users:\n"
      "  - {name: a, access_key_id: AAA, secret_access_key: '${S}', read: [logs/in/], write: "
      "[out]}\n"
      "  - {name: b, access_key_id: BBB, secret_access_key: '${S}', read: ['*']}\n");
  ASSERT_TRUE(users) << users.error().Describe();
  const GatewayUser& a = users->at(0);
  EXPECT_EQ(a.secret_access_key.Reveal(), "a long secret");
  EXPECT_TRUE(a.MayRead("logs", "in/1"));
  EXPECT_FALSE(a.MayRead("logs", "in"));
  EXPECT_FALSE(a.MayRead("logs", ""));
  EXPECT_FALSE(a.MayRead("logs2", "in/1"));
  EXPECT_FALSE(a.MayWrite("logs", "in/1"));
  EXPECT_TRUE(a.MayWrite("out", ""));
  EXPECT_FALSE(a.MayRead("out", "x"));
  EXPECT_TRUE(a.Knows("logs") && a.Knows("out") && !a.Knows("other"));
  EXPECT_TRUE(users->at(1).MayRead("any", "thing"));
  EXPECT_FALSE(users->at(1).MayWrite("any", "thing"));
}

// A mistake in the file would become a user who may do more, or nothing.
TEST(GatewayUsersTest, MistakesAreRefused) {
  const std::string good = "name: a, access_key_id: AAA, secret_access_key: 'long enough'";
  for (const std::string& text : {
           std::string("users: []\n"),
           std::string("users:\n  - {" + good + "}\n"),
           std::string("users:\n  - {" + good + ", read: ['a*']}\n"),
           std::string("users:\n  - {" + good + ", read: [/x]}\n"),
           std::string("users:\n  - {" + good + ", read: [a], admin: true}\n"),
           std::string("users:\n  - {" + good + ", read: [a]}\n  - {" + good + ", read: [b]}\n"),
           std::string(
               "users:\n  - {name: a, access_key_id: AAA, secret_access_key: x, read: [a]}\n"),
       }) {
    EXPECT_FALSE(Parse(text)) << text;
  }
}

}  // namespace
}  // namespace longhaul
