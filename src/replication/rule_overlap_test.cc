#include "replication/rule_overlap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/hint.h"
#include "replication/make_context.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::ReplicationWorld;

using Keys = std::set<std::string>;

// A process with a configuration of its own, on the queue and the State of all.
class Process {
 public:
  Process(ReplicationWorld& world, Configuration configuration)
      : world_(world),
        configuration_(std::move(configuration)),
        queue_(world.runtime, world.queue_backend, &queue_faults_),
        state_(world.runtime, world.state_backend) {
    std::map<std::string, Store*> stores;
    for (const auto& [name, troubled] : world.stores) stores[name] = troubled->store.get();
    auto context = MakeReplicationContext(world.runtime, configuration_, stores, queue_, state_,
                                          world.observer, world.limits);
    EXPECT_TRUE(context);
    context_ = std::move(*context);
    auto replicator = Replicator::Make(*context_, {});
    EXPECT_TRUE(replicator);
    replicator_ = std::move(*replicator);
    world.world.Start(Run());
  }
  // Whether it takes messages.
  void Listen(bool listens) { queue_faults_.fails_before = listens ? 0 : 1; }
  void Stop() {
    stop_.Set();
    world_.world.Drive([this] { return ended_; });
  }

 private:
  asio::awaitable<void> Run() {
    co_await replicator_->RunContinuous(stop_);
    ended_ = true;
  }

  ReplicationWorld& world_;
  Configuration configuration_;
  testing::FakeFaults queue_faults_{1};
  testing::FakeQueue queue_;
  testing::FakeState state_;
  std::unique_ptr<ReplicationContext> context_;
  std::unique_ptr<Replicator> replicator_;
  Event stop_;
  bool ended_ = false;
};

class RuleOverlapTest : public ::testing::Test {
 protected:
  RuleOverlapTest() {
    rule().intake.listing.reset();
    world.source().decide = [this](testing::StoreOperation operation, std::string_view bucket,
                                   std::string_view) {
      if (operation == testing::StoreOperation::kList && bucket == "in") ++listings;
      return testing::Fault();
    };
  }
  Rule& rule() { return world.configuration.rules[0]; }
  void Tell(const std::string& key) {
    world.Put(key, "text of " + key);
    HintMessage message{.store = "east",
                        .bucket = "in",
                        .rule = "r",
                        .hints = {{.key = key, .time = world.world.clock.Now()}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
  }

  ReplicationWorld world{2};
  int listings = 0;  // Of the source.
};

// A change of a rule is rolled out: the process with the new one is there before that with the old
// one has gone. What the old one takes meanwhile and does not know is lost, where nobody compares
// after it.
TEST_F(RuleOverlapTest, WhatAnOlderConfigurationDoesNotKnowIsFoundWhenItHasGone) {
  Configuration older = world.configuration;
  older.rules[0].source.prefix = "a/";
  for (Target& target : older.rules[0].targets) target.to.prefix = "a/";
  Process old_one(world, older);
  world.RunFor(30s);
  Process new_one(world, world.configuration);
  world.RunFor(90s);
  new_one.Listen(false);
  Tell("a/known");
  Tell("b/unknown");
  world.RunFor(30s);
  EXPECT_TRUE(world.queue_backend->rows.empty());
  EXPECT_EQ(world.Replicas(0), Keys{"a/known"});
  old_one.Stop();
  new_one.Listen(true);
  world.RunFor(6min);
  EXPECT_EQ(world.Replicas(0), (Keys{"a/known", "b/unknown"}));
  // Once, and not for ever.
  const int then = listings;
  world.RunFor(30min);
  EXPECT_EQ(listings, then);
  new_one.Stop();
}

// Hints are for all targets of a rule, as far as their taker knows them.
TEST_F(RuleOverlapTest, ATargetThatAnOlderConfigurationDoesNotHaveGetsItWhenItHasGone) {
  Configuration older = world.configuration;
  older.rules[0].targets.pop_back();
  Process old_one(world, older);
  world.RunFor(30s);
  Process new_one(world, world.configuration);
  world.RunFor(90s);
  new_one.Listen(false);
  Tell("k");
  world.RunFor(30s);
  EXPECT_TRUE(world.queue_backend->rows.empty());
  EXPECT_EQ(world.Replicas(0), Keys{"k"});
  EXPECT_EQ(world.Replicas(1), Keys{});
  old_one.Stop();
  new_one.Listen(true);
  world.RunFor(6min);
  EXPECT_EQ(world.Replicas(1), Keys{"k"});
  new_one.Stop();
}

// Events of a rule that another process does not have are dropped there: it is new, and shares a
// queue of events with others.
TEST_F(RuleOverlapTest, AProcessWithoutTheRuleHasAnotherConfiguration) {
  Configuration older = world.configuration;
  older.rules[0].id = "other";
  Process old_one(world, older);
  Process new_one(world, world.configuration);
  world.RunFor(90s);
  old_one.Stop();
  const int then = listings;
  world.RunFor(6min);
  EXPECT_GT(listings, then);
  new_one.Stop();
}

// A comparison is a listing of the source, which costs money: not where a process has only been
// restarted.
TEST_F(RuleOverlapTest, TheSameConfigurationIsNoReasonToCompare) {
  Process one(world, world.configuration);
  Process two(world, world.configuration);
  world.RunFor(3min);
  one.Stop();
  const int then = listings;
  world.RunFor(10min);
  EXPECT_EQ(listings, then);
  two.Stop();
}

// A process that does not get up, with a change that was to be rolled out, comes and goes for days.
TEST_F(RuleOverlapTest, WhoComesAndGoesIsComparedAfterOnceAnHour) {
  world.MakeContext();
  std::vector<SystemTime> compared;
  {
    RuleOverlap overlap(*world.context, [&](const std::string& rule) {
      EXPECT_EQ(rule, "r");
      compared.push_back(world.world.clock.Now());
    });
    Event stop;
    bool ended = false;
    struct Watcher {
      static asio::awaitable<void> Run(RuleOverlap& overlap, Event& stop, bool& ended) {
        co_await overlap.Watch(true, stop);
        ended = true;
      }
    };
    world.world.Start(Watcher::Run(overlap, stop, ended));
    for (int i = 0; i < 18; ++i) {
      ASSERT_TRUE(world.world.Run(world.state.Write(
          "configurations", {.key = "other",
                             .value = R"({"events":true,"rules":{"r":"another"}})",
                             .expires = world.world.clock.Now() + 3min})));
      world.RunFor(10min);
    }
    stop.Set();
    world.world.Drive([&] { return ended; });
  }
  ASSERT_GE(compared.size(), 2U);
  EXPECT_LE(compared.size(), 3U);
  for (size_t i = 1; i < compared.size(); ++i) EXPECT_GE(compared[i] - compared[i - 1], 1h);
}

// What decides which keys go where, and nothing else: other levels or batches lose nothing.
TEST_F(RuleOverlapTest, TheDigestIsOfWhatIsCarried) {
  auto digest = [this](const std::function<void(Rule&)>& change) {
    const Configuration before = world.configuration;
    change(rule());
    world.MakeContext();
    std::string text = DigestOfRule(*world.context->rules.front());
    world.context.reset();
    world.configuration = before;
    return text;
  };
  const std::string now = digest([](Rule&) {});
  EXPECT_EQ(digest([](Rule& rule) {
              rule.compression_level = 19;
              rule.batch.count = 7;
              rule.intake.listing = 1h;
            }),
            now);
  const std::vector<std::function<void(Rule&)>> changes = {
      [](Rule& rule) { rule.source.prefix = "x/"; },
      [](Rule& rule) { rule.filter.suffix = ".txt"; },
      [](Rule& rule) { rule.filter.tags["a"] = "b"; },
      [](Rule& rule) { rule.deletes = !rule.deletes; },
      [](Rule& rule) { rule.targets[0].to.prefix = "x/"; },
      [](Rule& rule) { rule.targets[0].staging.prefix = "x/"; },
      [](Rule& rule) { rule.targets[0].backup = BackupOptions{}; },
      [](Rule& rule) { rule.targets.pop_back(); },
  };
  for (size_t i = 0; i < changes.size(); ++i) EXPECT_NE(digest(changes[i]), now) << i;
}

}  // namespace
}  // namespace longhaul
