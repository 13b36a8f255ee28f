// Asks for explanations of objects of a ReplicationWorld, as a process of its own.

#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "replication/explain/explain.h"
#include "replication/make_context.h"
#include "tests/support/replication_world.h"

namespace longhaul::testing {

class ExplainTest : public ::testing::Test {
 protected:
  Explanation Ask(const std::string& store, const std::string& bucket, const std::string& key) {
    // One of its own: whoever asks is another process than those that run the rules.
    std::map<std::string, Store*> pointers;
    for (const auto& [name, troubled] : world.stores) pointers[name] = troubled->store.get();
    auto context = MakeReplicationContext(world.runtime, world.configuration, pointers, world.queue,
                                          world.state, nobody, world.limits);
    EXPECT_TRUE(context);
    auto told = world.world.Run(
        Explain(**context, world.configuration, {store}, bucket, key, {.archives_max = 3}));
    EXPECT_TRUE(told);
    return told ? std::move(*told) : Explanation();
  }
  Explanation AskSource(const std::string& key) { return Ask("east", "in", key); }
  // As the row of a process that runs the rule in both roles.
  void Publish(RuleNow now) {
    now.beat = world.world.clock.Now();
    now.source = now.target = true;
    ASSERT_TRUE(world.world.Run(
        world.state.Write("status", {.key = "r/process", .value = EncodeNow(now)})));
  }
  void RefuseWrites(const std::string& refused) {
    world.target().decide = [refused](StoreOperation operation, std::string_view bucket,
                                      std::string_view key) {
      const bool hit = operation == StoreOperation::kPut && bucket == "out" && key == refused;
      return hit ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
    };
  }
  // The one archive in staging.
  std::string StagedUlid() {
    const std::set<std::string> staged = world.Staged();
    EXPECT_EQ(staged.size(), 1u);
    return staged.empty() ? "" : UlidOfArchive("r/", *staged.begin()).value_or("");
  }
  [[nodiscard]] SystemTime Now() const { return world.world.clock.Now(); }
  [[nodiscard]] Rule& rule() { return world.configuration.rules[0]; }

  ReplicationWorld world;
  Observer nobody;
};

inline bool Says(const std::string& text, std::string_view words) {
  return text.find(words) != std::string::npos;
}

}  // namespace longhaul::testing
