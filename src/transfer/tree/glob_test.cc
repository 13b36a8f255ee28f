#include "transfer/tree/glob.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

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

// For every head, text and pattern of these letters.
TEST(Glob, RestsMatchWhatIsLeft) {
  auto texts = [](std::string_view letters, size_t length_max) {
    std::vector<std::string> all{""};
    for (size_t i = 0, length = 0; length < length_max; ++length) {
      for (const size_t end = all.size(); i < end; ++i) {
        for (char c : letters) all.push_back(all[i] + c);
      }
    }
    return all;
  };
  int matched = 0;
  for (const std::string& pattern : texts("a/*?", 4)) {
    for (const std::string& head : texts("a/", 3)) {
      const std::vector<std::string_view> rests = GlobRests(pattern, head);
      for (const std::string& text : texts("a/", 3)) {
        const bool whole = GlobMatches(pattern, head + text);
        matched += whole ? 1 : 0;
        EXPECT_EQ(whole, std::ranges::any_of(
                             rests, [&](std::string_view rest) { return GlobMatches(rest, text); }))
            << pattern << " " << head << " " << text;
      }
    }
  }
  EXPECT_GT(matched, 1'000);
  EXPECT_EQ(GlobRests("[k-m]o*/x", "logs/"), (std::vector<std::string_view>{"*/x", "x"}));
}

}  // namespace
}  // namespace longhaul
