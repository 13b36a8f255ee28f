#include "replication/compare/comparisons.h"

#include <gmock/gmock.h>

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "replica/lease.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::ReplicationWorld;

class ComparisonsTest : public ::testing::Test {
 protected:
  void RunOnce() {
    const OnceResult result = world.RunOnce();
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  }
  [[nodiscard]] std::string NoteOf(const std::string& key) {
    const UserMetadata& metadata = world.target().backend->Find("out", key)->info.metadata;
    for (const auto& [name, value] : metadata) {
      if (name == "note") return value;
    }
    return "";
  }
  // The keys that were looked at in the target's bucket since the last call.
  std::set<std::string> TakeHeads() { return std::exchange(heads_, {}); }
  void NoteHeads() {
    world.target().decide = [this](testing::StoreOperation operation, std::string_view bucket,
                                   std::string_view key) {
      if (operation == testing::StoreOperation::kHead && bucket == "out") heads_.emplace(key);
      return testing::Fault();
    };
  }

  ReplicationWorld world;

 private:
  std::set<std::string> heads_;
};

// An object that is written anew with the same bytes has its ETag, and perhaps other headers. No
// event tells of it here.
TEST_F(ComparisonsTest, CarriesHeadersThatChangedWithoutTheBytes) {
  world.Put("k", "text", {{"note", "first"}});
  world.Put("other", "text", {{"note", "first"}});
  RunOnce();
  EXPECT_EQ(NoteOf("k"), "first");
  world.world.clock.Advance(std::chrono::hours(5));
  world.Put("k", "text", {{"note", "second"}});
  RunOnce();
  EXPECT_EQ(NoteOf("k"), "second");
  EXPECT_EQ(NoteOf("other"), "first");
}

// They were another rule's to carry, which was paused then, and is gone now. This one's earlier
// comparisons say nothing of them.
TEST_F(ComparisonsTest, CarriesWhatARuleThatIsGoneDidNotCarry) {
  Rule above = world.configuration.rules[0];
  above.id = "above";
  above.priority = 2;
  world.configuration.rules.push_back(above);
  world.Put("k", "text", {{"note", "first"}});
  RunOnce();
  ASSERT_TRUE(world.world.Run(WritePause(world.state, "above", "", {})));
  world.world.clock.Advance(std::chrono::hours(5));
  world.Put("k", "text", {{"note", "second"}});
  world.world.clock.Advance(std::chrono::hours(5));
  RunOnce();
  EXPECT_EQ(NoteOf("k"), "first");
  world.configuration.rules.resize(1);
  world.world.clock.Advance(std::chrono::hours(5));
  RunOnce();
  EXPECT_EQ(NoteOf("k"), "second");
}

// Another installation carries another source to the same prefix: here its replicas are keys that
// only the target has.
TEST_F(ComparisonsTest, DeletesNoReplicasOfAnotherInstallation) {
  world.Put("kept", "text");
  RunOnce();
  testing::MemoryStore direct(world.runtime, world.target().backend);
  for (const char* key : {"gone", "theirs"}) {
    const Mark mark{.site = key == std::string("theirs") ? "there" : "here",
                    .stamp = std::chrono::floor<std::chrono::seconds>(world.world.clock.Now()),
                    .source_etag = "etag"};
    PutRequest request{.bucket = "out", .key = key};
    request.metadata[std::string(kMarkName)] = *FormatMark(mark, "out", key);
    ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), "text")));
  }
  world.world.clock.Advance(std::chrono::minutes(5));
  RunOnce();
  EXPECT_EQ(world.Replicas(), (std::set<std::string>{"kept", "theirs"}));
  EXPECT_EQ(world.observer.Count(OutcomeState::kConflict), 0) << "it is not even tried";
  EXPECT_TRUE(world.log.Has("not deleted: replicas of another installation"));
}

TEST_F(ComparisonsTest, DeletesWhatWasCarriedUnderAnotherNameOfTheSite) {
  world.Put("kept", "text");
  world.Put("gone", "text");
  RunOnce();
  world.configuration.site = "renamed";
  world.source().backend->buckets["in"].objects.erase("gone");
  world.world.clock.Advance(std::chrono::minutes(5));
  RunOnce();
  EXPECT_EQ(world.Replicas(), std::set<std::string>{"kept"});
}

// What a look has shown is not looked at by every comparison from then on.
TEST_F(ComparisonsTest, LooksOnceAtWhatIsNewerThanItsCopyAndNobodys) {
  testing::MemoryStore direct(world.runtime, world.target().backend);
  world.configuration.rules[0].targets[0].to.prefix = "here/";
  for (const char* key : {"here/a", "here/b", "elsewhere/a", "elsewhere/b"}) {
    ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = key}, "text")));
  }
  world.world.clock.Advance(std::chrono::minutes(5));
  world.Put("a", "text");
  world.Put("b", "text");
  NoteHeads();
  RunOnce();
  EXPECT_THAT(TakeHeads(), ElementsAre("here/a", "here/b"));
  world.world.clock.Advance(std::chrono::hours(5));
  RunOnce();  // They may have been written in the hour by which clocks may differ.
  EXPECT_THAT(TakeHeads(), ElementsAre("here/a", "here/b"));
  world.world.clock.Advance(std::chrono::hours(5));
  RunOnce();
  EXPECT_THAT(TakeHeads(), IsEmpty());
  world.configuration.rules[0].filter.size_bytes_min = 1;  // Others may belong to the rule now.
  RunOnce();
  EXPECT_THAT(TakeHeads(), ElementsAre("here/a", "here/b"));
  world.world.clock.Advance(std::chrono::hours(5));
  world.configuration.rules[0].targets[0].to.prefix = "elsewhere/";  // Not looked at yet.
  RunOnce();
  EXPECT_THAT(TakeHeads(), ElementsAre("elsewhere/a", "elsewhere/b"));
}

// Two processes that begin together: the second one helps to carry what the first one finds, and
// has nothing left to find. What was begun before it, or held deletes back, it compares itself.
TEST_F(ComparisonsTest, WhatAnotherHasComparedSinceIsNotComparedAgain) {
  world.Put("k", "text");
  enum class First { kBegunLater, kBegunBefore, kGuarded };
  for (const First first : {First::kBegunLater, First::kBegunBefore, First::kGuarded}) {
    world.MakeContext();
    ASSERT_TRUE(world.world.Run(world.context->control->Refresh()));
    world.context->rules[0]->targets[0]->target_found = true;
    if (first == First::kGuarded) {
      RunOnce();
      world.source().backend->buckets["in"].objects.clear();
      world.MakeContext();
      ASSERT_TRUE(world.world.Run(world.context->control->Refresh()));
      world.context->rules[0]->targets[0]->target_found = true;
    }
    RuleContext& compared = *world.context->rules[0];
    std::optional<Comparisons> second;
    if (first != First::kBegunBefore) second.emplace(*world.context);
    world.world.clock.Advance(std::chrono::milliseconds(100));
    Lease lease(world.state, world.world.clock, "reconcile/r", "another", std::chrono::minutes(1));
    ASSERT_TRUE(*world.world.Run(lease.TryAcquire()));
    compared.targets[0]->compare_due = true;
    ASSERT_TRUE(world.world.Run(Comparisons(*world.context).CompareDue(compared, nullptr)));
    world.world.clock.Advance(std::chrono::milliseconds(100));
    if (!second) second.emplace(*world.context);
    compared.targets[0]->compare_due = true;
    world.queue_backend->rows.clear();  // Carried by somebody.
    const int lists = world.source().backend->count(testing::StoreOperation::kList);
    bool ended = false;
    bool guarded = false;
    const auto run = [&]() -> asio::awaitable<void> {
      Result<void> done = co_await second->CompareAlone(compared, world.stop, &guarded, nullptr);
      EXPECT_TRUE(done) << done.error().Describe();
      ended = true;
    };
    world.world.Start(run());
    world.RunFor(std::chrono::seconds(5));
    EXPECT_FALSE(ended);
    world.world.Run(lease.Release());
    world.world.Drive([&] { return ended; });
    EXPECT_FALSE(compared.targets[0]->compare_due);
    const bool again = world.source().backend->count(testing::StoreOperation::kList) > lists;
    EXPECT_EQ(again, first != First::kBegunLater) << static_cast<int>(first);
    EXPECT_EQ(guarded, first == First::kGuarded);
  }
}

}  // namespace
}  // namespace longhaul
