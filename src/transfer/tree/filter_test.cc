#include "transfer/tree/filter.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

bool In(const ObjectFilter& filter, std::string_view name) {
  const bool in = filter.Matches(name, {});
  EXPECT_EQ(filter.Explain(name, {}).in, in) << name;  // The two must never disagree.
  return in;
}

TEST(ObjectFilter, FirstMatchWinsInTheOrderGiven) {
  ObjectFilter filter;
  filter.AddGlob(false, "a/*.tmp", "--exclude 'a/*.tmp'");
  filter.AddGlob(true, "a/*", "--include 'a/*'");
  EXPECT_FALSE(In(filter, "a/x.tmp"));
  EXPECT_TRUE(In(filter, "a/b/x.log"));  // '*' goes across folders.
  EXPECT_FALSE(In(filter, "b/x.log"));   // There is an --include, and it is not this.
  EXPECT_EQ(filter.Explain("a/x.tmp", {}).rule, "--exclude 'a/*.tmp'");
  EXPECT_EQ(filter.Explain("a/x", {}).rule, "--include 'a/*'");

  ObjectFilter turned;
  turned.AddGlob(true, "a/*", "");
  turned.AddGlob(false, "a/*.tmp", "");
  EXPECT_TRUE(In(turned, "a/x.tmp"));
}

TEST(ObjectFilter, ExcludesAloneLeaveTheOthersIn) {
  ObjectFilter filter;
  filter.AddGlob(false, "*.tmp", "");
  EXPECT_FALSE(In(filter, "a/x.tmp"));
  EXPECT_TRUE(In(filter, "x"));
}

TEST(ObjectFilter, SizesAndAges) {
  ObjectFilter filter;
  filter.size_bytes_min = 10;
  filter.size_bytes_max = 20;
  const SystemTime noon = *ParseRfc3339("2026-03-01T12:00:00Z");
  filter.modified_after = noon;
  ListedObject object{.key = "x", .size_bytes = 10, .last_modified = noon};
  EXPECT_TRUE(filter.Matches("x", object));
  object.size_bytes = 9;
  EXPECT_FALSE(filter.Matches("x", object));
  EXPECT_EQ(filter.Explain("x", object).rule, "--min-size 10");
  object.size_bytes = 21;
  EXPECT_FALSE(filter.Matches("x", object));
  object.size_bytes = 20;
  EXPECT_TRUE(filter.Matches("x", object));
  object.last_modified = noon - std::chrono::microseconds(1);
  EXPECT_FALSE(filter.Matches("x", object));
}

TEST(ObjectFilter, RulesOfRclone) {
  ObjectFilter filter;
  ASSERT_TRUE(
      filter.AddRules("# a comment\n; another\n\n- secret*.jpg\r\n+ *.jpg\n"
                      "+ /dir/**\n- *\n",
                      "rules.txt"));
  EXPECT_FALSE(In(filter, "secret17.jpg"));
  EXPECT_FALSE(In(filter, "a/secret17.jpg"));
  EXPECT_TRUE(In(filter, "non-secret17.jpg"));
  EXPECT_TRUE(In(filter, "dir/a/b"));
  EXPECT_FALSE(In(filter, "a/dir/b"));
  EXPECT_EQ(filter.Explain("a/dir/b", {}).rule, "rules.txt:7 '- *'");
}

// Examples of rclone.org/filtering, "Pattern syntax".
TEST(ObjectFilter, PatternsOfRclone) {
  struct Case {
    const char* pattern;
    const char* name;
    bool matches;
  };
  for (const Case& c : {Case{"file.jpg", "file.jpg", true},
                        {"file.jpg", "directory/file.jpg", true},
                        {"file.jpg", "afile.jpg", false},
                        {"file.jpg", "directory/afile.jpg", false},
                        {"/file.jpg", "file.jpg", true},
                        {"/file.jpg", "directory/file.jpg", false},
                        {"*.jpg", "directory/file.jpg", true},
                        {"/directory/*.jpg", "directory/a/file.jpg", false},
                        {"/directory/**.jpg", "directory/a/file.jpg", true},
                        {"dir/", "a/dir/b/c", true},
                        {"dir/", "dirx/b", false},
                        {"h[ae]llo", "hello", true},
                        {"h[ae]llo", "hullo", false},
                        {"{one,two}_potato", "one_potato", true},
                        {"{one,two{a,b}}_potato", "twob_potato", true},
                        {"{one,two}_potato", "three_potato", false},
                        {"\\*.jpg", "*.jpg", true},
                        {"\\*.jpg", "a.jpg", false},
                        {"a?c", "abc", true},
                        {"a?c", "a/c", false}}) {
    ASSERT_TRUE(CheckRclonePattern(c.pattern)) << c.pattern;
    EXPECT_EQ(RclonePatternMatches(c.pattern, c.name), c.matches) << c.pattern << " " << c.name;
  }
}

TEST(ObjectFilter, BadRulesAreNamed) {
  ObjectFilter filter;
  for (const char* rule : {"*.jpg", "+", "- ", "+ [a", "+ {a", "+ {{a.*}}", "+ a***b"}) {
    EXPECT_FALSE(filter.AddRule(rule, "")) << rule;
  }
  Result<void> added = filter.AddRules("+ a\n? b\n", "rules.txt");
  ASSERT_FALSE(added);
  EXPECT_TRUE(added.error().message.contains("rules.txt:2")) << added.error().message;
}

// Patterns like these take exponential time in a naive matcher.
TEST(ObjectFilter, HostilePatternsEnd) {
  const std::string name(2000, 'a');
  EXPECT_FALSE(RclonePatternMatches("/**a**a**a**a**a**a**a**b", name));
  EXPECT_FALSE(RclonePatternMatches("/{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}b", name));
  std::string braces = "/";
  for (int i = 0; i < 50; ++i) braces += "{a,aa}";
  EXPECT_FALSE(RclonePatternMatches(braces + "b", name));
  EXPECT_TRUE(RclonePatternMatches(braces + "b", std::string(75, 'a') + "b"));
  std::string stars = "/";
  for (int i = 0; i < 100; ++i) stars += "**a";
  EXPECT_FALSE(RclonePatternMatches(stars + "b", std::string(1024, 'a')));
}

// Whoever gives a key its name must not get it past an exclude: `rm` and `--delete` would take it.
TEST(ObjectFilter, NoNameIsTooHardForAPattern) {
  std::string name;
  for (int i = 0; i < 4; ++i) name += std::string(250, 'a') + "/";
  EXPECT_TRUE(RclonePatternMatches("/**a*b", name + "ab"));
  EXPECT_TRUE(RclonePatternMatches("**a*a*b", name + "aab"));
  EXPECT_FALSE(RclonePatternMatches("/**a*b", name + "ac"));
}

// An inventory without the column, or a listing with a time that is none: not older than all.
TEST(ObjectFilter, WhatHasNoTimeHasNoAge) {
  ListedObject object;
  object.etag = "abc";
  for (const bool before : {true, false}) {
    ObjectFilter filter;
    (before ? filter.modified_before : filter.modified_after) =
        SystemTime(std::chrono::seconds(before ? 1'700'000'000 : -5));
    EXPECT_FALSE(filter.Matches("a", object));
    EXPECT_EQ(filter.Explain("a", object).rule, "its age, which nobody tells");
  }
  ObjectFilter filter;
  filter.size_bytes_max = 5;
  EXPECT_TRUE(filter.Matches("a", object));
}

// A filter that a run keeps in State must leave out the same objects when it is read again.
TEST(ObjectFilter, TextsMakeTheSameRules) {
  ObjectFilter filter;
  ASSERT_TRUE(filter.AddRule("- secret*.jpg", "--filter '- secret*.jpg'"));
  filter.AddGlob(false, "tmp/*", "--exclude 'tmp/*'");
  filter.AddGlob(true, "+ odd", "--include '+ odd'");
  ASSERT_TRUE(filter.AddRule("+ /dir/**", "--filter '+ /dir/**'"));
  ObjectFilter again;
  for (const std::string& text : filter.Texts()) ASSERT_TRUE(again.AddText(text)) << text;
  EXPECT_EQ(again, filter);
  EXPECT_FALSE(again.AddText("sideways x"));
  EXPECT_FALSE(again.AddText("+ [a"));
}

TEST(ObjectFilter, ForgettingTheRulesForgetsIncludesToo) {
  ObjectFilter filter;
  filter.AddGlob(true, "a/*", "");
  ASSERT_TRUE(filter.AddRule("!", ""));
  EXPECT_TRUE(In(filter, "b"));
  EXPECT_TRUE(filter.empty());
}

// Where a folder cannot be read it must not be taken for left out when one of its names is wanted.
TEST(ObjectFilter, FoldersThatAreLeftOutAsAWhole) {
  const auto leaves_out = [](const std::vector<std::string>& rules, std::string_view folder) {
    ObjectFilter filter;
    for (const std::string& rule : rules) EXPECT_TRUE(filter.AddText(rule)) << rule;
    return filter.LeavesOutFolder(folder);
  };
  for (const char* rule : {"exclude *", "exclude a/b/*", "exclude a/*", "exclude a*", "- a/**",
                           "- /a/**", "- a/", "- b/", "- b/**", "- /a/b/", "- /**"}) {
    EXPECT_TRUE(leaves_out({rule}, "a/b/")) << rule;
  }
  for (const char* rule :
       {"exclude b/*", "exclude a/b", "exclude a/b/c*", "exclude ?/*", "- /b/**", "- a/*", "- a/b",
        "- a/b/c/", "- *.tmp", "- [a]/**", "+ a/**", "include a/*"}) {
    EXPECT_FALSE(leaves_out({rule}, "a/b/")) << rule;
  }
  EXPECT_FALSE(leaves_out({}, "a/b/"));
  EXPECT_FALSE(leaves_out({"include *.jpg", "exclude a/*"}, "a/b/"));
  EXPECT_FALSE(leaves_out({"+ *.jpg", "- a/**"}, "a/b/"));
  EXPECT_TRUE(leaves_out({"exclude *.jpg", "exclude a/*"}, "a/b/"));
}

}  // namespace
}  // namespace longhaul
