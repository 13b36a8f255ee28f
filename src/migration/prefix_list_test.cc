#include "migration/prefix_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longhaul::migration {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PrefixList, LinesAsTheyAre) {
  Result<std::vector<std::string>> read = ParsePrefixList("a/\r\n\n b c/\n2026-01", "days.txt");
  ASSERT_TRUE(read);
  EXPECT_THAT(*read, ElementsAre("a/", " b c/", "2026-01"));
}

// A file that is none must not become the prefix of everything, or take the memory of the machine.
TEST(PrefixList, WhatIsNoneIsRefused) {
  const auto said = [](std::string_view text) {
    Result<std::vector<std::string>> read = ParsePrefixList(text, "days.txt");
    return read ? std::string() : read.error().message;
  };
  EXPECT_THAT(said(""), HasSubstr("names no prefix"));
  EXPECT_THAT(said("\n\r\n"), HasSubstr("names no prefix"));
  EXPECT_THAT(said("a/\n" + std::string(1'025, 'x')), HasSubstr("days.txt:2"));
  EXPECT_THAT(said(std::string_view("a\0b", 3)), HasSubstr("days.txt:1"));
  std::string many;
  for (int i = 0; i <= 100'000; ++i) many += std::to_string(i) + "\n";
  EXPECT_THAT(said(many), HasSubstr("days.txt:100001"));
}

}  // namespace
}  // namespace longhaul::migration
