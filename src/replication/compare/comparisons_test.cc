#include "replication/compare/comparisons.h"

#include <gtest/gtest.h>

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

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
  int Heads() {
    const int count = world.target().backend->count(testing::StoreOperation::kHead);
    world.target().backend->ResetCounts();
    return count;
  }

  ReplicationWorld world;
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
  for (const char* key : {"a", "b", "c", "elsewhere/a"}) {
    ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = "out", .key = key}, "text")));
  }
  world.world.clock.Advance(std::chrono::minutes(5));
  for (const char* key : {"a", "b", "c"}) world.Put(key, "text");
  RunOnce();
  const int first = Heads();
  world.world.clock.Advance(std::chrono::hours(5));
  RunOnce();
  EXPECT_EQ(Heads() + 3, first);
  world.world.clock.Advance(std::chrono::hours(5));
  world.configuration.rules[0].source.prefix = "a";
  world.configuration.rules[0].targets[0].to.prefix = "elsewhere/";  // Not looked at yet.
  RunOnce();
  EXPECT_EQ(Heads() + 2, first);
}

}  // namespace
}  // namespace longhaul
