#include "base/secret.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/log.h"

namespace longhaul {
namespace {

template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };

// A secret that a field or a stream takes ends in a log file one day.
TEST(SecretTest, NothingTakesItByAccident) {
  static_assert(Printable<std::string>);
  static_assert(!Printable<Secret>);
  static_assert(!std::is_constructible_v<LogField, std::string_view, Secret>);
  static_assert(!std::is_convertible_v<Secret, std::string>);
  static_assert(!std::is_convertible_v<std::string, Secret>);
  EXPECT_EQ(::testing::PrintToString(Secret("hunter2")), "(secret)");
  EXPECT_EQ(Secret("hunter2").Reveal(), "hunter2");
}

// Tokens and signatures are compared by this; a prefix must not pass.
TEST(SecretTest, ComparesWholeTexts) {
  EXPECT_TRUE(EqualInConstantTime("", ""));
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_FALSE(EqualInConstantTime("abc", "abd"));
  EXPECT_FALSE(EqualInConstantTime("xbc", "abc"));
  EXPECT_FALSE(EqualInConstantTime("ab", "abc"));
  EXPECT_TRUE(Secret("a") == Secret("a"));
  EXPECT_FALSE(Secret("a") == Secret("b"));
}

}  // namespace
}  // namespace longhaul
