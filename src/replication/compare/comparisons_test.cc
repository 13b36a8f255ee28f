#include "replication/compare/comparisons.h"

#include <gmock/gmock.h>

#include <set>
#include <string>
#include <utility>

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

}  // namespace
}  // namespace longhaul
