#include "transfer/tree/glob.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(Glob, Matches) {
  EXPECT_TRUE(GlobMatches("*.log", "a/b/c.log"));
  EXPECT_TRUE(GlobMatches("a*b*c", "aXXbYYc"));
  EXPECT_FALSE(GlobMatches("a*b*c", "aXXbYY"));
  EXPECT_TRUE(GlobMatches("file-?.txt", "file-1.txt"));
  EXPECT_TRUE(GlobMatches("[a-c]x", "bx"));
  EXPECT_FALSE(GlobMatches("[!a-c]x", "bx"));
  EXPECT_TRUE(GlobMatches("[x", "[x"));
  EXPECT_TRUE(GlobMatches("", ""));
  EXPECT_FALSE(GlobMatches("", "a"));
  // Patterns like this one take exponential time in a naive matcher.
  EXPECT_FALSE(GlobMatches("*a*a*a*a*a*a*a*a*b", std::string(10'000, 'a')));
}

}  // namespace
}  // namespace longhaul
