// How stores are reached, as words: what a plan keeps of it.

#include "cli/stores.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace longhaul {
namespace {

// A plan that forgets one of them is applied to another place, or to none.
TEST(StoreFlagsTest, ArgumentsHaveEveryOption) {
  FlagSet declared;
  StoreFlags unused;
  unused.Declare(declared, true);
  ASSERT_FALSE(declared.flags().empty());
  for (const FlagSet::Flag& flag : declared.flags()) {
    const std::string name = "--" + std::string(flag.info.name);
    std::string word = name;
    if (!flag.choices.empty()) {
      word += "=" + std::string(flag.choices.back());
    } else if (flag.info.value_name == "DURATION") {
      word += "=7s";
    } else if (!flag.info.value_name.empty()) {
      word += "=minio";
    }
    FlagSet flags;
    StoreFlags given;
    given.Declare(flags, true);
    ASSERT_TRUE(flags.Parse({word}, [](const std::string&) { return std::nullopt; })) << word;
    const std::vector<std::string> arguments = given.Arguments();
    EXPECT_NE(std::ranges::find(arguments, word), arguments.end()) << word;
    FlagSet again;
    StoreFlags same;
    same.Declare(again, true);
    ASSERT_TRUE(again.Parse(arguments, [](const std::string&) { return std::nullopt; })) << word;
    EXPECT_EQ(same.Arguments(), arguments) << word;
  }
}

}  // namespace
}  // namespace longhaul
