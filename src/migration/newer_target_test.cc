// What is newer at the target stays, in a run with `update`, however long its tasks wait.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/migration_world.h"

namespace longhaul {
namespace {

using testing::FakeQueue;
using testing::FakeState;
using testing::Fault;
using ::testing::IsEmpty;
using testing::MemoryStore;
using testing::MigrationWorld;
using testing::StoreOperation;

// Does something at the first call of one operation; refuses another for one key.
class Meanwhile : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    Fault fault;
    if (operation == at && then) {
      fault.delay = std::chrono::seconds(1);
      std::exchange(then, nullptr)();
    }
    if (operation == StoreOperation::kGet && key == refused) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "no", .code = "AccessDenied"};
    }
    return fault;
  }
  StoreOperation at = StoreOperation::kGet;
  std::function<void()> then;
  std::string refused;
};

class NewerTargetTest : public ::testing::Test {
 protected:
  NewerTargetTest() { world.migration.options.compare.update = true; }

  void PutTarget(const std::string& name, const std::string& text) {
    MemoryStore target(world.base.runtime, world.target);
    ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/" + name}, text)));
  }
  // At the server itself: this is called in the midst of a request of somebody else.
  void Write(testing::MemoryStoreBackend& backend, const std::string& bucket,
             const std::string& key, const std::string& text) {
    testing::MemoryStoreBackend::Version version;
    version.bytes = std::make_shared<const std::string>(text);
    version.info.size_bytes = text.size();
    version.info.etag = HexEncode(Md5(text));
    version.info.last_modified = world.base.clock.Now();
    backend.buckets[bucket].objects[key] = {version};
  }
  void FinishRun() {
    auto& process = world.StartWorker({.until_done = {"run"}});
    ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  }
  MigrationWorld world;
};

// A run that was held for a week goes on with tasks of then: what was written since must not be
// replaced by what is older.
TEST_F(NewerTargetTest, WhatBecameNewerWhileARunWasStoppedStays) {
  world.PutSource("a", "old");
  world.PutSource("b", "12345");
  world.PutSource("c", "missing");
  ASSERT_TRUE(world.Start());
  auto& finder = world.StartWorker({.works = false});
  world.Drive([] { return false; }, std::chrono::minutes(1));
  ASSERT_EQ(world.Status().pending, 3);
  ASSERT_TRUE(world.Stop());
  world.Kill(finder);
  world.base.clock.Advance(std::chrono::days(7));
  PutTarget("a", "newer");
  PutTarget("b", "54321");
  ASSERT_TRUE(world.Start());
  FinishRun();
  EXPECT_EQ(world.AtTarget()["a"], "newer");
  EXPECT_EQ(world.AtTarget()["b"], "54321");
  EXPECT_EQ(world.AtTarget()["c"], "missing");
  EXPECT_EQ(world.Status().done.copied, 1);
  EXPECT_EQ(world.Status().failed, 0);
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

// What failed is tried again when somebody says so, and that may be late.
TEST_F(NewerTargetTest, WhatBecameNewerBeforeARetryStays) {
  world.PutSource("a", "old");
  Meanwhile faults;
  faults.refused = "in/a";
  world.source_faults = &faults;
  ASSERT_TRUE(world.Start());
  FinishRun();
  ASSERT_EQ(world.Status().failed, 1);
  faults.refused.clear();
  world.base.clock.Advance(std::chrono::days(7));
  PutTarget("a", "newer");
  FakeState rows(world.base.runtime, world.state);
  FakeQueue queue(world.base.runtime, world.queue);
  ASSERT_TRUE(world.Run(migration::RetryRun(world.base.runtime, queue, rows, "run")));
  FinishRun();
  EXPECT_EQ(world.AtTarget()["a"], "newer");
  EXPECT_EQ(world.Status().failed, 0);
}

// A giant takes hours between its first range and its last.
TEST_F(NewerTargetTest, WhatBecameNewerWhileAGiantWasCarriedStays) {
  for (auto& backend : {world.source, world.target}) {
    backend->options.capabilities.part_size_bytes_min = 1;
  }
  world.migration.options.giant_bytes = 5000;
  world.migration.options.part_bytes = 1000;
  world.migration.options.range_bytes = 2000;
  world.PutSource("big", std::string(12'000, 'a'));
  Meanwhile uploads;
  uploads.at = StoreOperation::kUploadPart;
  uploads.then = [&] { Write(*world.target, "to", "out/big", "newer"); };
  world.target_faults = &uploads;
  ASSERT_TRUE(world.Start());
  FinishRun();
  EXPECT_EQ(world.AtTarget()["big"], "newer");
  EXPECT_EQ(world.Status().done.equal, 1);
  EXPECT_EQ(world.Status().failed, 0);
  EXPECT_TRUE(world.target->buckets["to"].uploads.empty());
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

// The copy that has just been made is newer than what the source became while it was: that must not
// look as if somebody had written something newer there.
TEST_F(NewerTargetTest, ItsOwnCopyIsNotNewer) {
  world.migration.options.events = true;
  world.PutSource("a", "first");
  Meanwhile puts;
  puts.at = StoreOperation::kPut;
  puts.then = [&] { Write(*world.source, "from", "in/a", "second"); };
  world.target_faults = &puts;
  ASSERT_TRUE(world.Start());
  world.StartWorker();
  EXPECT_TRUE(world.Drive([&] { return world.AtTarget()["a"] == "second"; }));
}

// Whoever tries again has to know what to look at first.
TEST_F(NewerTargetTest, WhatFailedKeepsHowItIsLookedAt) {
  migration::ObjectRow row{.object = {.name = "a", .etag = "e", .look = migration::Look::kEvent}};
  Result<migration::ObjectRow> read =
      migration::DecodeObject(migration::ObjectKey("a"), migration::EncodeObject(row));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->object, row.object);
}

}  // namespace
}  // namespace longhaul
