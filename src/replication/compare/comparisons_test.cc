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
