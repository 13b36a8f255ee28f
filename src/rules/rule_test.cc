#include "rules/rule.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

Rule LogsRule() {
  Rule rule;
  rule.id = "logs";
  rule.source = {"east", "app-logs", "2026/"};
  rule.filter.suffix = ".log";
  Target target;
  target.to = {"west", "copy", "all/2026-"};
  target.staging = {"west", "staging", "lh/"};
  target.name = DerivedTargetName(target.to);
  rule.targets = {target};
  return rule;
}

// An address that is cut at the wrong place replicates another folder.
TEST(RuleTest, ReadsAddresses) {
  EXPECT_EQ(*ParseAddress("east:bucket"), (Address{"east", "bucket", ""}));
  EXPECT_EQ(*ParseAddress("east:bucket/"), (Address{"east", "bucket", ""}));
  EXPECT_EQ(*ParseAddress("east:bucket/a//b:c"), (Address{"east", "bucket", "a//b:c"}));
  EXPECT_EQ(ParseAddress("east:bucket/a/")->ToString(), "east:bucket/a/");
  for (const char* bad : {"", "bucket/prefix", ":bucket", "east:", "east:/prefix"}) {
    EXPECT_FALSE(ParseAddress(bad)) << bad;
  }
  // What rules rely on (versions, tags, an order; a name) these do not have.
  for (const char* bad :
       {"east:fast--use1-az4--x-s3/a", "east:arn:aws:s3:eu-west-1:123456789012:accesspoint/x/a"}) {
    EXPECT_FALSE(ParseAddress(bad)) << bad;
  }
}

// Keys are bytes: whatever cleans them writes an object under another name.
// Told to write an alias, nobody would find out that none of these works.
TEST(RuleTest, AnArnIsRefusedWithWhatToWrite) {
  const auto says = [](const std::string& text) {
    Result<Address> address = ParseAddress(text);
    EXPECT_FALSE(address) << text;
    return address ? "" : address.error().message;
  };
  const std::string many = "east:arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
  for (const std::string& text : {many, many + "/logs/"}) {
    EXPECT_TRUE(says(text).contains("SigV4A")) << says(text);
    EXPECT_FALSE(says(text).contains("alias")) << says(text);
  }
  for (const char* text : {"east:arn:aws:s3:eu-west-1:123456789012:accesspoint/reports/logs/",
                           "east:arn:aws:s3:::b", "east:arn:aws:s3:::accesspoint"}) {
    EXPECT_TRUE(says(text).contains("alias of its access point")) << says(text);
  }
}

TEST(RuleTest, MapsKeysByteForByte) {
  Rule rule = LogsRule();
  const Target& target = rule.targets[0];
  EXPECT_EQ(*TargetKey(rule, target, "2026/x.log"), "all/2026-x.log");
  EXPECT_EQ(*TargetKey(rule, target, "2026///../ä +%"), "all/2026-//../ä +%");
  EXPECT_EQ(*TargetKey(rule, target, "2026/"), "all/2026-");
  EXPECT_FALSE(TargetKey(rule, target, "2026"));
  EXPECT_EQ(*SourceKey(rule, target, "all/2026-//../ä +%"), "2026///../ä +%");
  EXPECT_FALSE(SourceKey(rule, target, "all/2025-x"));
}

// A filter that lets too much through copies what should stay; too little loses objects.
TEST(RuleTest, FiltersByKeySizeAndTags) {
  Rule rule = LogsRule();
  EXPECT_TRUE(rule.MatchesKey("app-logs", "2026/a.log"));
  EXPECT_TRUE(rule.MatchesKey("app-logs", "2026/.log"));
  EXPECT_FALSE(rule.MatchesKey("app-logs", "2026/a.csv"));
  EXPECT_FALSE(rule.MatchesKey("app-logs", "2025/a.log"));
  EXPECT_FALSE(rule.MatchesKey("other", "2026/a.log"));
  rule.filter.suffix = "/";
  EXPECT_TRUE(rule.MatchesKey("app-logs", "2026/"));  // Prefix and suffix may share bytes.

  using Match = Filter::Match;
  Filter filter;
  EXPECT_EQ(filter.Matches({}), Match::kYes);
  filter.size_bytes_min = 1;
  filter.size_bytes_max = 10;
  EXPECT_EQ(filter.Matches({}), Match::kUnknown);
  EXPECT_EQ(filter.Matches({.size_bytes = 0}), Match::kNo);
  EXPECT_EQ(filter.Matches({.size_bytes = 1}), Match::kYes);
  EXPECT_EQ(filter.Matches({.size_bytes = 10}), Match::kYes);
  EXPECT_EQ(filter.Matches({.size_bytes = 11}), Match::kNo);
  filter.tags = {{"tier", "hot"}};
  const Tags hot = {{"tier", "hot"}, {"team", "a"}};
  const Tags cold = {{"tier", "cold"}};
  const Tags none;
  EXPECT_EQ(filter.Matches({.size_bytes = 5}), Match::kUnknown);
  EXPECT_EQ(filter.Matches({.size_bytes = 11}), Match::kNo);  // Whatever its tags are.
  EXPECT_EQ(filter.Matches({.size_bytes = 5, .tags = &hot}), Match::kYes);
  EXPECT_EQ(filter.Matches({.size_bytes = 5, .tags = &cold}), Match::kNo);
  EXPECT_EQ(filter.Matches({.size_bytes = 5, .tags = &none}), Match::kNo);
}

TEST(RuleTest, FiltersByTimeAndEncryption) {
  using Match = Filter::Match;
  const SystemTime noon = *ParseRfc3339("2026-11-21T12:00:00Z");
  Filter filter;
  filter.modified_since = noon;
  EXPECT_EQ(filter.Matches({}), Match::kUnknown);
  EXPECT_EQ(filter.Matches({.last_modified = noon}), Match::kYes);
  EXPECT_EQ(filter.Matches({.last_modified = noon - std::chrono::seconds(1)}), Match::kNo);
  filter = {};
  filter.kms_encrypted = false;
  EXPECT_EQ(filter.Matches({.kms_encrypted = false}), Match::kYes);
  EXPECT_EQ(filter.Matches({.kms_encrypted = true}), Match::kNo);
}

// Both regions must find archives, receipts and State under the same names, for ever.
TEST(RuleTest, NamesAreStable) {
  Rule rule = LogsRule();
  EXPECT_EQ(StagingPrefix(rule, rule.targets[0]), "lh/logs/");
  EXPECT_EQ(ProbePrefix(rule.targets[0]), "lh/probe/");
  EXPECT_EQ(DerivedTargetName({"west", "copy", "all/2026-"}),
            DerivedTargetName({"elsewhere", "copy", "all/2026-"}));
  EXPECT_NE(DerivedTargetName({"west", "copy", "a"}), DerivedTargetName({"west", "copy", "b"}));
  EXPECT_EQ(DerivedTargetName({"west", "copy", ""}), "copy-4a8d868d");
  EXPECT_EQ(StatePartition(rule, rule.targets[0]), "logs/" + rule.targets[0].name);
  EXPECT_EQ(ReplicaPartition(rule.targets[0]), "replicas/west/copy");
}

}  // namespace
}  // namespace longhaul
