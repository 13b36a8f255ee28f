// Which objects a migration takes for those at the target, and which it leaves out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/migration_fixture.h"

namespace longhaul {
namespace {

using testing::Fault;
using ::testing::IsEmpty;
using testing::MemoryStore;
using testing::MigrationTest;
using testing::StoreOperation;

// Whose MD5s differ is another object, also where the copy is newer: the source may have changed
// while it was copied.
TEST_F(MigrationTest, NewerCopyOfOtherBytesIsReplaced) {
  world.PutSource("a", "new");
  world.base.clock.Advance(std::chrono::minutes(1));
  MemoryStore target(world.base.runtime, world.target);
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/a"}, "old")));
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  ExpectDone();
  EXPECT_EQ(world.Status().done.copied, 1);
}

// Under KMS no ETag is an MD5: each start would copy everything anew.
TEST_F(MigrationTest, EtagsThatTellNothingLeaveItToTheTimes) {
  Fill(12);
  ASSERT_TRUE(world.Start());
  auto& first = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !first.running; }));
  for (auto& [key, versions] : world.target->buckets["to"].objects) {
    versions.back().info.etag = std::string(32, 'a');
    versions.back().info.etag_opaque = true;
    versions.back().info.checksums.clear();
  }
  world.target->ResetCounts();
  ASSERT_TRUE(world.Start());
  auto& second = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !second.running; }));
  EXPECT_EQ(world.target->count(StoreOperation::kPut), 0);
  EXPECT_EQ(world.Status().done.equal, 12);
  EXPECT_THAT(world.Leftovers(), IsEmpty());
}

class Unreadable : public testing::FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view) override {
    Fault fault;
    if (operation == StoreOperation::kHead) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "no", .http_status = 403};
    }
    return fault;
  }
};

// Who copies need not be allowed to read the target: what came in parts, and has another ETag
// there, is looked at where that can be done.
TEST_F(MigrationTest, ATargetThatMayNotBeReadLeavesItToTheTimes) {
  MemoryStore target(world.base.runtime, world.target);
  world.PutSource("a", "bytes");
  auto& versions = world.source->buckets["from"].objects.at("in/a");
  versions.back().info.etag = std::string(32, 'a') + "-2";
  versions.back().info.checksums.clear();
  world.base.clock.Advance(std::chrono::minutes(1));
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/a"}, "bytes")));
  Unreadable unreadable;
  world.target_faults = &unreadable;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.target->count(StoreOperation::kPut), 1) << "that of this test";
  EXPECT_EQ(world.Status().done.equal, 1);
  EXPECT_EQ(world.Status().failed, 0);
}

// With `update` the target is asked for each object, also for what is only at the source: a refusal
// is no word that it is there.
TEST_F(MigrationTest, WithUpdateATargetThatMayNotBeReadIsAFailure) {
  world.PutSource("a", "bytes");
  world.migration.options.compare.update = true;
  Unreadable unreadable;
  world.target_faults = &unreadable;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.Status().done.equal, 0);
  EXPECT_EQ(world.Status().failed, 1);
}

// With --checksum the bytes decide, whatever the times; what is the same costs heads alone.
TEST_F(MigrationTest, ChecksumLooksAtBytes) {
  MemoryStore target(world.base.runtime, world.target);
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/same"}, "bytes")));
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/other"}, "bytes")));
  world.base.clock.Advance(std::chrono::minutes(1));
  world.PutSource("same", "bytes");
  world.PutSource("other", "BYTES");
  world.PutSource("new", "bytes");
  world.migration.options.compare.checksum = true;
  world.target->ResetCounts();
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  ExpectDone();
  EXPECT_EQ(world.target->count(StoreOperation::kPut), 2);
  EXPECT_EQ(world.Status().done.equal, 1);
}

TEST_F(MigrationTest, SizeOnlyAndUpdateLeaveAlone) {
  MemoryStore target(world.base.runtime, world.target);
  world.PutSource("size", "12345");
  world.PutSource("update", "1");
  world.base.clock.Advance(std::chrono::minutes(1));
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/size"}, "54321")));
  ASSERT_TRUE(world.Run(PutText(target, {.bucket = "to", .key = "out/update"}, "22")));
  world.migration.options.compare.size_only = true;
  world.migration.options.compare.update = true;
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.AtTarget()["size"], "54321");
  EXPECT_EQ(world.AtTarget()["update"], "22");
}

// The filter of `sync`, by name, size and age, as it is when the run is started.
TEST_F(MigrationTest, FilterIsThatOfSync) {
  world.PutSource("old.log", "12345");
  world.base.clock.Advance(std::chrono::hours(5));
  world.PutSource("a.log", "12345");
  world.PutSource("dir/b.log", "12345");
  world.PutSource("small.log", "1");
  world.PutSource("c.txt", "12345");
  MigrationOptions& options = world.migration.options;
  ASSERT_TRUE(options.filter.AddRule("- /dir/**", ""));
  options.filter.AddGlob(true, "*.log", "");
  options.filter.size_bytes_min = 2;
  options.age_max = std::chrono::hours(1);
  ASSERT_TRUE(world.Start());
  auto& process = world.StartWorker({.until_done = {"run"}});
  ASSERT_TRUE(world.Drive([&] { return !process.running; }));
  EXPECT_EQ(world.AtTarget().size(), 1U);
  EXPECT_TRUE(world.AtTarget().contains("a.log"));
}

}  // namespace
}  // namespace longhaul
