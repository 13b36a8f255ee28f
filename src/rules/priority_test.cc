#include "rules/priority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Rule From(const std::string& id, const std::string& source, const std::string& to, int priority) {
  Rule rule;
  rule.id = id;
  rule.source = *ParseAddress(source);
  rule.priority = priority;
  Target target;
  target.to = *ParseAddress(to);
  target.staging = *ParseAddress("west:staging/");
  rule.targets = {target};
  return rule;
}

bool Rivals(const std::string& source, const std::string& to, const std::string& other_source,
            const std::string& other_to) {
  const Rule one = From("one", source, to, 1);
  const Rule other = From("other", other_source, other_to, 2);
  const bool rivals = AreRivals(one, one.targets[0], other, other.targets[0]);
  EXPECT_EQ(rivals, AreRivals(other, other.targets[0], one, one.targets[0]));
  return rivals;
}

// Rules that would write different keys must not keep each other from it; rules that would write
// one key must not both do so.
// A backup takes all that its rule matches, whatever a rule of replicas does.
TEST(PriorityTest, ABackupHasNoRivals) {
  const Rule one = From("one", "e:a/", "w:b/", 1);
  Rule other = From("other", "e:a/", "w:b/", 2);
  ASSERT_TRUE(AreRivals(one, one.targets[0], other, other.targets[0]));
  other.targets[0].backup = BackupOptions();
  EXPECT_FALSE(AreRivals(one, one.targets[0], other, other.targets[0]));
  EXPECT_FALSE(AreRivals(other, other.targets[0], one, one.targets[0]));
}

TEST(PriorityTest, RivalsWriteTheSameKeys) {
  EXPECT_TRUE(Rivals("e:a/", "w:b/", "e:a/", "w:b/"));
  EXPECT_TRUE(Rivals("e:a/", "w:b/", "e:a/logs/", "w:b/logs/"));
  EXPECT_TRUE(Rivals("e:a/logs/", "w:b/x/", "e:a/logs/2026/", "w:b/x/2026/"));
  EXPECT_FALSE(Rivals("e:a/", "w:b/", "e:a/logs/", "w:b/"));     // Other names there.
  EXPECT_FALSE(Rivals("e:a/x/", "w:b/x/", "e:a/y/", "w:b/y/"));  // Other keys here.
  EXPECT_FALSE(Rivals("e:a/", "w:b/", "e:a/", "w:c/"));
  EXPECT_FALSE(Rivals("e:a/", "w:b/", "n:a/", "w:b/"));
  EXPECT_FALSE(Rivals("e:a/", "w:b/", "e:c/", "w:b/"));
}

TEST(PriorityTest, TheHighestThatMatchesCarries) {
  std::vector<Rule> rules = {From("low", "e:a/", "w:b/", 1), From("hot", "e:a/", "w:b/", 5),
                             From("logs", "e:a/logs/", "w:b/logs/", 3),
                             From("elsewhere", "e:a/", "w:c/", 9)};
  rules[1].filter.tags = {{"tier", "hot"}};
  const Rule& low = rules[0];
  const std::vector<const Rule*> above = RivalsAbove(rules, low, low.targets[0]);
  EXPECT_THAT(above, ElementsAre(&rules[1], &rules[2]));
  EXPECT_THAT(RivalsAbove(rules, rules[1], rules[1].targets[0]), IsEmpty());
  EXPECT_THAT(RivalsAbove(rules, rules[2], rules[2].targets[0]), ElementsAre(&rules[1]));

  const Tags hot = {{"tier", "hot"}};
  const Tags cold = {{"tier", "cold"}};
  EXPECT_EQ(CarrierAmong(above, "x", {.tags = &hot}), &rules[1]);
  EXPECT_EQ(CarrierAmong(above, "x", {.tags = &cold}), nullptr);
  EXPECT_EQ(CarrierAmong(above, "logs/x", {.tags = &cold}), &rules[2]);
  // Tags are not known, or there is no object any more: only what needs none is sure.
  EXPECT_EQ(CarrierAmong(above, "x", {}), nullptr);
  EXPECT_EQ(CarrierAmong(above, "logs/x", {}), &rules[2]);

  // A delete is of now and under no key: rules that leave old objects, or those under keys, to
  // others decide of it as if they did not.
  rules[2].filter.modified_since = SystemTime{} + std::chrono::hours(2);
  rules[2].filter.kms_encrypted = false;
  EXPECT_EQ(CarrierAmong(above, "logs/x", {}), nullptr);
  EXPECT_EQ(CarrierAmong(above, "logs/x", kFactsOfDelete), &rules[2]);
  EXPECT_EQ(CarrierAmong(above, "x", kFactsOfDelete), nullptr);

  rules[1].enabled = false;
  EXPECT_THAT(RivalsAbove(rules, low, low.targets[0]), ElementsAre(&rules[2]));
}

TEST(PriorityTest, KnowsWhenOneRuleCoversAnother) {
  const Rule plain = From("outer", "e:a/", "w:b/", 2);
  Rule inner = From("inner", "e:a/logs/", "w:b/logs/", 1);
  inner.filter = {.suffix = ".log",
                  .size_bytes_min = 1,
                  .size_bytes_max = 9,
                  .tags = {{"a", "1"}, {"b", "2"}},
                  .modified_since = SystemTime{} + std::chrono::hours(2),
                  .kms_encrypted = false};
  EXPECT_TRUE(Covers(plain, inner));
  EXPECT_FALSE(Covers(inner, plain));
  EXPECT_TRUE(Covers(inner, inner));
  auto with = [&](Filter filter) {
    Rule outer = plain;
    outer.filter = std::move(filter);
    return outer;
  };
  EXPECT_TRUE(Covers(with({.suffix = "log"}), inner));
  EXPECT_FALSE(Covers(with({.suffix = "x.log"}), inner));
  EXPECT_FALSE(Covers(with({.size_bytes_min = 2}), inner));
  EXPECT_FALSE(Covers(with({.size_bytes_max = 8}), inner));
  EXPECT_TRUE(Covers(with({.size_bytes_max = 9}), inner));
  EXPECT_TRUE(Covers(with({.tags = {{"b", "2"}}}), inner));
  EXPECT_FALSE(Covers(with({.tags = {{"b", "1"}}}), inner));
  EXPECT_TRUE(Covers(with({.modified_since = SystemTime{} + std::chrono::hours(1)}), inner));
  EXPECT_FALSE(Covers(with({.modified_since = SystemTime{} + std::chrono::hours(3)}), inner));
  EXPECT_TRUE(Covers(with({.kms_encrypted = false}), inner));
  inner.filter.kms_encrypted = true;
  EXPECT_FALSE(Covers(with({.kms_encrypted = false}), inner));
  inner.source.prefix = "";
  EXPECT_TRUE(Covers(plain, inner));
  EXPECT_FALSE(Covers(From("x", "e:a/logs/", "w:b/logs/", 2), inner));
}

}  // namespace
}  // namespace longhaul
