#include "migration/request.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

class MigrationRequestTest : public ::testing::Test {
 protected:
  MigrationRequestTest() {
    for (const char* name : {"a", "b"}) configuration.stores[name].name = name;
    configuration.stores["b"].endpoint = "http://west:9000";
    configuration.stores["b2"] = configuration.stores["b"];
    Rule rule;
    rule.id = "r";
    rule.source = {"a", "in", ""};
    rule.targets = {{.name = "copy", .to = {"b", "out", "x/"}, .staging = {"b", "stage", ""}}};
    configuration.rules.push_back(rule);
  }
  Result<migration::Run> RunTo(Address target, Address source = {"a", "from", ""}) const {
    return migration::RunOf(configuration,
                            {.id = "run", .source = std::move(source), .target = std::move(target)},
                            SystemTime(), [](const StoreSettings& store) {
                              return store.endpoint.empty() ? "s3 elsewhere" : store.Place();
                            });
  }
  Configuration configuration;
};

// Where a store is may be said by the environment alone, and it may say another place tomorrow.
TEST_F(MigrationRequestTest, ARunKeepsWhereItsStoresAre) {
  const Result<migration::Run> run = RunTo({"b", "to", ""});
  ASSERT_TRUE(run);
  EXPECT_EQ(run->source_place, "s3 elsewhere");
  EXPECT_EQ(run->target_place, "s3 west:9000");
}

// Into a target that replication writes to, a copy of an older state may come last.
TEST_F(MigrationRequestTest, ATargetOfARuleIsFreeWhileTheRuleIsDisabled) {
  EXPECT_FALSE(RunTo({"b", "out", ""}));
  EXPECT_FALSE(RunTo({"b2", "out", "x/y/"}));
  EXPECT_FALSE(RunTo({"b", "stage", "z/"}));
  EXPECT_TRUE(RunTo({"b", "out", "y/"}));
  EXPECT_TRUE(RunTo({"a", "in", ""})) << "what comes to a source is replicated";
  configuration.rules[0].enabled = false;
  EXPECT_TRUE(RunTo({"b", "out", "x/"}));
  EXPECT_FALSE(RunTo({"b", "stage", "z/"})) << "its archives are still there";
}

// A copy would be a copy of a copy, or lie over an object that is not copied yet.
TEST_F(MigrationRequestTest, NeitherSideLiesInTheOther) {
  EXPECT_TRUE(RunTo({"b2", "to", "y/"}, {"b", "to", "x/"}));
  EXPECT_FALSE(RunTo({"b2", "to", "x/y/"}, {"b", "to", "x/"}));
  EXPECT_FALSE(RunTo({"b2", "to", "x/"}, {"b", "to", "x/y/"}));
  EXPECT_FALSE(RunTo({"b", "to", ""}, {"b2", "to", "x"}));
  EXPECT_FALSE(RunTo({"b", "to", "x/"}, {"b", "to", "x/"}));
  const auto between = [&](const char* source, const char* target) {
    return migration::MigrationBetween(configuration, {}, source, target, "run");
  };
  EXPECT_TRUE(between("b:to/x/", "b2:to/y/"));
  EXPECT_FALSE(between("b:to/x/", "b2:to/x/y/"));
  const Result<Migration> up = between("b:to/x/y/", "b2:to/x/");
  ASSERT_FALSE(up);
  EXPECT_EQ(up.error().code, "target");
}

// A name that is written wrongly is a mistake; where events tell of objects, none need be there.
TEST_F(MigrationRequestTest, NothingBelowAPrefixIsAMistake) {
  testing::FakeWorld world;
  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->buckets["from"];
  backend->buckets["to"];
  testing::MemoryStore store(world.runtime, backend);
  migration::Run run{.id = "run", .source = {"a", "from", "x/"}, .target = {"b", "to", ""}};
  const auto check = [&] {
    return world.Run(
        migration::CheckEnds(world.runtime, run, {.source = &store, .target = &store}));
  };
  ASSERT_FALSE(check());
  EXPECT_EQ(check().error().kind, ErrorKind::kNotFound);
  run.options.events = true;
  EXPECT_TRUE(check());
  run.options.events = false;
  run.source.prefix.clear();
  EXPECT_TRUE(check()) << "a bucket may be empty";
  run.source.prefix = "x/";
  ASSERT_TRUE(world.Run(PutText(store, {.bucket = "from", .key = "x/1"}, "text")));
  EXPECT_TRUE(check());
}

}  // namespace
}  // namespace longhaul
