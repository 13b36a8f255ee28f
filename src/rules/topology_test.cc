#include "rules/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Rules between the stores east, west, north (S3), east2 (east under another name) and the folders
// disk (/srv) and inner (/srv/buckets).
class TopologyTest : public ::testing::Test {
 protected:
  TopologyTest() {
    for (const char* name : {"east", "west", "north"}) {
      configuration_.stores[name] = {.name = name,
                                     .endpoint = "http://" + std::string(name) + ":9000"};
    }
    configuration_.stores["east2"] = {.name = "east2", .endpoint = "https://east:9000"};
    configuration_.stores["disk"] = {.name = "disk", .type = StoreType::kFile, .root = "/srv"};
    configuration_.stores["inner"] = {
        .name = "inner", .type = StoreType::kFile, .root = "/srv/buckets"};
  }

  Rule& Add(const std::string& id, const std::string& source, const std::string& to,
            const std::string& staging = "north:staging/") {
    Rule rule;
    rule.id = id;
    rule.source = *ParseAddress(source);
    rule.targets.push_back(
        {DerivedTargetName(*ParseAddress(to)), *ParseAddress(to), *ParseAddress(staging), "", ""});
    configuration_.rules.push_back(rule);
    return configuration_.rules.back();
  }

  std::vector<std::string> Problems() {
    std::vector<std::string> whats;
    for (const TopologyProblem& problem : CheckTopology(configuration_))
      whats.push_back(problem.what);
    return whats;
  }

  Configuration configuration_;
};

// What is ordinary must pass: fan-out, chains, rules side by side.
TEST_F(TopologyTest, AllowsOrdinaryRules) {
  Rule& fan = Add("fan", "east:a/", "west:a/");
  fan.targets.push_back(
      {"second", *ParseAddress("north:a/"), *ParseAddress("north:staging/"), "", ""});
  Add("same-source", "east:a/", "west:b/");
  Add("inside-source", "east:a/x/", "west:c/");
  Add("chain", "west:a/", "north:chain/");
  Add("same-bucket", "east:d/in/", "east:d/out/");
  Add("back-elsewhere", "west:c/", "east:e/");
  EXPECT_THAT(Problems(), IsEmpty());
}

// Objects in a circle are copied for ever, and each round costs money.
TEST_F(TopologyTest, FindsCyclesOfAnyLength) {
  Add("one", "east:a/", "west:b/");
  Add("two", "west:b/", "north:c/");
  Add("aside", "west:b/", "east:z/");
  Add("three", "north:c/", "east:a/");
  EXPECT_THAT(Problems(), ElementsAre("objects would go in a circle: one (east:a/ -> west:b/), two "
                                      "(west:b/ -> north:c/), three (north:c/ -> east:a/)"));
  configuration_.rules[1].enabled = false;
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(TopologyTest, FindsSelfTargets) {
  Add("same", "east:a/x/", "east:a/x/");
  EXPECT_THAT(Problems(),
              ElementsAre("the target overlaps the rule's own source: same (east:a/x/ -> "
                          "east:a/x/)"));
}

// Nested prefixes write into what is read, or read what is written.
TEST_F(TopologyTest, FindsNestedPrefixes) {
  Add("down", "east:a/", "east:a/copy/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("own source")));
  configuration_.rules.clear();
  Add("up", "east:a/x/", "east:a/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("own source")));
  configuration_.rules.clear();
  Add("out", "east:a/p/", "west:b/");
  Add("back", "west:b/q/", "east:a/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("in a circle")));
  configuration_.rules.clear();
  Add("prefix-is-text", "east:a/lo", "east:a/logs/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("own source")));
}

// Two names of one endpoint, or of one folder, hide a circle.
TEST_F(TopologyTest, KnowsOnePlaceUnderTwoNames) {
  Add("out", "east:a/", "west:b/");
  Add("back", "west:b/", "east2:a/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("in a circle")));
  configuration_.rules.clear();
  Add("folder", "inner:a/", "disk:buckets/a/b/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("own source")));
  configuration_.rules.clear();
  Add("folders", "inner:a/", "disk:other/");
  EXPECT_THAT(Problems(), IsEmpty());
}

// A region of a partition and its host are one place, and none of another partition.
TEST_F(TopologyTest, KnowsThePartitionsOfAws) {
  auto store = [this](const std::string& name, const std::string& region, const std::string& host) {
    configuration_.stores[name] = {
        .name = name, .endpoint = host.empty() ? "" : "https://" + host, .region = region};
  };
  store("plain", "eu-west-1", "");
  store("plain-host", "eu-west-1", "s3.eu-west-1.amazonaws.com");
  store("china", "cn-north-1", "");
  store("china-host", "cn-north-1", "s3.cn-north-1.amazonaws.com.cn");
  store("gov", "us-gov-west-1", "");
  store("gov-host", "us-gov-west-1", "s3-fips.us-gov-west-1.amazonaws.com");
  for (const std::string first : {"plain", "china", "gov"}) {
    for (const std::string second : {"plain", "china", "gov"}) {
      configuration_.rules.clear();
      Add("out", first + ":a/", "west:b/");
      Add("back", "west:b/", second + "-host:a/");
      EXPECT_EQ(Problems().size(), first == second ? 1u : 0u) << first << " " << second;
    }
  }
}

// Suffixes keep rules apart: keys keep their ends.
TEST_F(TopologyTest, RespectsSuffixes) {
  Add("out", "east:a/", "west:b/").filter.suffix = ".log";
  Add("back", "west:b/", "east:a/").filter.suffix = ".csv";
  EXPECT_THAT(Problems(), IsEmpty());
  configuration_.rules[1].filter.suffix = "x.log";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("in a circle")));
  configuration_.rules[1].filter.suffix = "";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("in a circle")));
}

// Archives never have one name; objects beside them, or a vault inside a vault, would be read as
// part of it.
TEST_F(TopologyTest, BackupsMayShareAVault) {
  Add("first", "east:a/", "west:v/").targets[0].backup = BackupOptions();
  Add("second", "north:b/", "west:v/").targets[0].backup = BackupOptions();
  EXPECT_THAT(Problems(), IsEmpty());
  configuration_.rules[1].targets[0].to.prefix = "b/";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("two sources write to one place")));
  configuration_.rules[1].targets[0].to.prefix = "";
  configuration_.rules[1].targets[0].backup.reset();
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("two sources write to one place")));
}

// A vault knows sources by their buckets' names: two of one name would be one history.
TEST_F(TopologyTest, BucketsOfOneNameDoNotShareAVault) {
  Add("first", "east:a/x/", "west:v/").targets[0].backup = BackupOptions();
  Add("second", "north:a/y/", "west:v/").targets[0].backup = BackupOptions();
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("would share a history")));
  configuration_.rules[1].targets[0].to.prefix = "north/";
  configuration_.rules[0].targets[0].to.prefix = "east/";
  EXPECT_THAT(Problems(), IsEmpty());
  // Of one bucket they may be two rules, also where its store has two names.
  configuration_.rules[1].source.store = "east2";
  configuration_.rules[1].targets[0].to.prefix = "east/";
  EXPECT_THAT(Problems(), IsEmpty());
}

// What ends in .log comes to the vault in archives that do not.
TEST_F(TopologyTest, ABackupsSuffixIsThatOfArchives) {
  Rule& rule = Add("out", "east:a/", "west:v/");
  rule.filter.suffix = ".log";
  rule.targets[0].backup = BackupOptions();
  Add("replicas", "north:b/", "west:v/").filter.suffix = ".csv";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("two sources write to one place")));
  configuration_.rules[0].targets[0].backup.reset();
  EXPECT_THAT(Problems(), IsEmpty());
}

// Two writers overwrite each other's objects in turn.
TEST_F(TopologyTest, FindsTwoWritersOfOnePlace) {
  Add("first", "east:a/", "west:c/");
  Add("second", "north:b/", "west:c/sub/");
  EXPECT_THAT(Problems(),
              ElementsAre("two sources write to one place: first (east:a/ -> west:c/) and "
                          "second (north:b/ -> west:c/sub/)"));
  configuration_.rules.clear();
  Rule& twice = Add("twice", "east:a/", "west:c/");
  twice.targets.push_back(
      {"again", *ParseAddress("west:c/"), *ParseAddress("north:staging/"), "", ""});
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("two sources write")));
}

// Rules that carry the same keys are told apart by their priority; without one nobody knows which
// of them is to carry an object, and both would write it in turn.
TEST_F(TopologyTest, RivalsNeedDifferentPriorities) {
  Add("all", "east:a/", "west:c/");
  Add("logs", "east:a/logs/", "west:c/logs/");
  EXPECT_THAT(
      Problems(),
      ElementsAre("two rules carry the same keys to one place: all (east:a/ -> west:c/) and "
                  "logs (east:a/logs/ -> west:c/logs/)"));
  configuration_.rules[1].priority = 1;
  EXPECT_THAT(Problems(), IsEmpty());
  // Not the same keys: a priority does not help.
  configuration_.rules[1].targets[0].to.prefix = "";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("two sources write to one place")));
  // Under another name nobody sees that it is the same bucket.
  configuration_.rules[1].targets[0].to.prefix = "logs/";
  configuration_.rules[1].source.store = "east2";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("two sources write to one place")));
}

// Archives in a source would be replicated, archives among replicas would be taken for objects.
TEST_F(TopologyTest, FindsStagingInTheWay) {
  Add("a", "east:a/", "west:b/", "west:b/staging/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("overlaps the target west:b/ of rule a")));
  configuration_.rules.clear();
  Add("a", "east:a/", "west:b/", "east2:a/staging/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("overlaps the source east:a/ of rule a")));
  configuration_.rules.clear();
  Add("a", "east:a/", "west:b/x/", "west:b/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("overlaps the target west:b/x/")));
  configuration_.rules.clear();
  Add("a", "east:a/", "west:b/", "north:s/");
  Add("b", "north:s/c/", "west:d/", "north:t/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("overlaps the source north:s/c/ of rule b")));
}

// One staging inside another: its archives would be taken for the other rule's.
TEST_F(TopologyTest, FindsStagingInsideStaging) {
  Add("a", "east:a/", "west:b/", "north:s/");
  Add("b", "east:c/", "west:d/", "north:s/a/");
  EXPECT_THAT(Problems(), ElementsAre("the staging north:s/a/ of rule b lies inside that of rule a "
                                      "(north:s/)"));
  configuration_.rules[1].targets[0].staging.prefix = "probe/";
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("lies inside that of rule a")));
  configuration_.rules[1].targets[0].staging.prefix = "b/";
  EXPECT_THAT(Problems(), IsEmpty());
  configuration_.rules[1].targets[0].staging.prefix = "";
  EXPECT_THAT(Problems(), IsEmpty());
}

// What a store replicates must hold archives of that rule and its like alone.
TEST_F(TopologyTest, RefusesALocalStagingInTheWay) {
  Add("r", "east:a/", "west:b/", "north:staging/").local_staging = *ParseAddress("east2:out/");
  EXPECT_THAT(Problems(), IsEmpty());
  Add("other", "east:c/", "west:d/", "north:staging/").local_staging = *ParseAddress("east:out/");
  EXPECT_THAT(Problems(), IsEmpty());
  for (const char* where : {"east:a/x/", "west:b/", "north:staging/", "north:staging/p/"}) {
    configuration_.rules[0].local_staging = *ParseAddress(where);
    EXPECT_THAT(Problems(), ElementsAre(HasSubstr("the staging " + std::string(where) +
                                                  " of rule r overlaps the ")));
  }
  configuration_.rules[0].local_staging = *ParseAddress("east:out/other/");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("it lies inside")));
}

}  // namespace
}  // namespace longhaul
