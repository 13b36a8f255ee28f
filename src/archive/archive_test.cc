// Writer and reader together: what goes in comes out.

#include "tests/support/archive.h"

#include <gtest/gtest.h>

#include <thread>

#include "archive/attributes.h"
#include "archive/index_attributes.h"
#include "archive/inspect.h"
#include "archive/member_path.h"
#include "base/checksum.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::ArchiveItem;
using testing::Everything;
using testing::FakeWorld;
using testing::MemoryArchiveFile;
using testing::MemorySink;
using testing::Noise;
using testing::OpenedArchive;
using testing::Put;
using testing::ReadWholeArchive;
using testing::RealWorld;
using testing::TestManifest;
using testing::WriteArchive;

template <class World>
std::string WriteOrFail(World& world, std::vector<ArchiveItem> items, ArchiveOptions options = {}) {
  MemorySink sink;
  auto summary = world.Run(WriteArchive(world.runtime, std::move(items), options, sink));
  EXPECT_TRUE(summary) << summary.error().Describe();
  if (summary) EXPECT_EQ(summary->compressed_bytes, sink.bytes.size());
  return sink.bytes;
}

void ExpectSame(const std::vector<ArchiveItem>& items, const Result<OpenedArchive>& opened) {
  ASSERT_TRUE(opened) << opened.error().Describe();
  EXPECT_EQ(opened->manifest, TestManifest());
  ASSERT_EQ(opened->entries.size(), items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(opened->entries[i], items[i].entry) << items[i].entry.key;
    EXPECT_TRUE(opened->contents[i] == items[i].content) << items[i].entry.key;
  }
}

// Losing any one of these fields or bytes would alter somebody's object.
TEST(Archive, GivesBackEverythingThatWentIn) {
  FakeWorld world;
  const auto items = Everything();
  ExpectSame(items, world.Run(ReadWholeArchive(world.runtime, WriteOrFail(world, items))));
  EXPECT_EQ(world.memory.reserved_bytes(), 0);
}

// With threads, frames finish in any order; they must be written in the order of the tar.
TEST(Archive, KeepsOrderWhenFramesAreCompressedSideBySide) {
  RealWorld world;
  auto items = Everything();
  for (int i = 0; i < 60; ++i) {
    items.push_back(Put("n/" + std::to_string(100 + i), Noise(20'000 + i * 997, 100 + i)));
  }
  const std::string bytes =
      WriteOrFail(world, items, {.frame_size_bytes = 128 << 10, .slots_max = 4});
  ExpectSame(items, world.Run(ReadWholeArchive(world.runtime, bytes)));
}

// Otherwise a retried batch would differ from the first try, and golden files would say nothing.
TEST(Archive, IsTheSameForTheSameEntriesWhateverRunsAtOnce) {
  const auto items = Everything();
  FakeWorld one(1);
  FakeWorld two(2);
  RealWorld threads;
  const std::string bytes = WriteOrFail(one, items, {.frame_size_bytes = 128 << 10});
  EXPECT_TRUE(bytes == WriteOrFail(two, items, {.frame_size_bytes = 128 << 10}));
  EXPECT_TRUE(bytes ==
              WriteOrFail(threads, items, {.frame_size_bytes = 128 << 10, .slots_max = 3}));
}

// Every level is a choice that a rule can make.
TEST(Archive, WritesAtEveryKindOfLevel) {
  FakeWorld world(1, 1 << 30);
  const auto items = Everything();
  for (int level : {0, 1, 6, 12, 22}) {
    const std::string bytes =
        WriteOrFail(world, items, {.level = level, .frame_size_bytes = 1 << 20});
    ExpectSame(items, world.Run(ReadWholeArchive(world.runtime, bytes)));
  }
}

// A rule on which nothing has happened, or only deletes, still makes an archive.
TEST(Archive, MayHoldNothing) {
  FakeWorld world;
  ExpectSame({}, world.Run(ReadWholeArchive(world.runtime, WriteOrFail(world, {}))));
  std::vector<ArchiveItem> deletes = {Put("gone", "")};
  deletes[0].entry.op = EntryOp::kDelete;
  ExpectSame(deletes, world.Run(ReadWholeArchive(world.runtime, WriteOrFail(world, deletes))));
}

// Equal objects must cost their bytes once, and still come back one by one.
TEST(Archive, StoresEqualObjectsOnce) {
  FakeWorld world;
  const std::string content = Noise(100'000, 3);
  std::vector<ArchiveItem> items;
  for (int i = 0; i < 20; ++i) items.push_back(Put("copy/" + std::to_string(i), content));
  MemorySink sink;
  const auto summary = world.Run(WriteArchive(world.runtime, items, {}, sink));
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->linked_entries, 19);
  EXPECT_LT(sink.bytes.size(), 102'000);
  ExpectSame(items, world.Run(ReadWholeArchive(world.runtime, sink.bytes)));
}

Async<void> WriteSingle(Runtime& runtime, ArchiveEntry entry, std::string content,
                        size_t piece_bytes, MemorySink& sink) {
  ArchiveManifest manifest = TestManifest();
  manifest.kind = ArchiveKind::kSingle;
  auto writer =
      co_await ArchiveWriter::Open(runtime, manifest, {.frame_size_bytes = 128 << 10}, sink);
  if (!writer) co_return writer.error();
  Result<void> done = co_await (*writer)->Begin(entry);
  size_t at = 0;
  while (done) {
    auto room = co_await (*writer)->Buffer();
    if (!room) co_return room.error();
    if (room->empty()) break;
    const size_t count = std::min({room->size(), piece_bytes, content.size() - at});
    if (count == 0) break;
    std::memcpy(room->data(), content.data() + at, count);
    at += count;
    done = co_await (*writer)->Commit(count);
  }
  if (done) done = co_await (*writer)->End(entry);
  if (done) {
    auto summary = co_await (*writer)->Finish();
    if (!summary) done = summary.error();
  }
  co_await (*writer)->Abort();
  co_return done;
}

// A large object goes through without ever being in memory as a whole.
TEST(Archive, StreamsOneLargeObject) {
  RealWorld world;
  const ArchiveItem item = Put("big/object.bin", Noise(1'500'001, 5));
  MemorySink sink;
  const auto written =
      world.Run(WriteSingle(world.runtime, item.entry, item.content, 50'000, sink));
  ASSERT_TRUE(written) << written.error().Describe();
  const auto opened = world.Run(ReadWholeArchive(world.runtime, sink.bytes));
  ASSERT_TRUE(opened) << opened.error().Describe();
  EXPECT_EQ(opened->manifest.kind, ArchiveKind::kSingle);
  EXPECT_TRUE(opened->contents.at(0) == item.content);
}

// A segment that does not know its place would be taken for the whole object.
TEST(Archive, CarriesASegmentWithItsPlace) {
  RealWorld world;
  ArchiveItem item = Put("big/object.bin", Noise(150'001, 5));
  item.entry.segment = Segment{.plan = "01JC5N0XVRKGBGSKP4ZPQE4M7T",
                               .offset_bytes = 300'000,
                               .object_size_bytes = 6ULL << 40,
                               .number = 2,
                               .count = 10'000,
                               .first_part = 7};
  item.entry.part_sizes = {50'000, 50'000, 50'001};
  MemorySink sink;
  ASSERT_TRUE(world.Run(WriteSingle(world.runtime, item.entry, item.content, 50'000, sink)));
  const auto opened = world.Run(ReadWholeArchive(world.runtime, sink.bytes));
  ASSERT_TRUE(opened) << opened.error().Describe();
  EXPECT_EQ(opened->entries.at(0).segment, item.entry.segment);
  EXPECT_EQ(opened->entries.at(0).part_sizes, item.entry.part_sizes);
  EXPECT_EQ(opened->entries.at(0).key, "big/object.bin");
  EXPECT_TRUE(opened->contents.at(0) == item.content);
  const auto file = std::make_unique<MemoryArchiveFile>(sink.bytes);
  const auto reader = world.Run(ArchiveReader::Open(world.runtime, *file, {}));
  ASSERT_TRUE(reader);
  std::vector<std::string> problems;
  ASSERT_TRUE(world.Run(VerifyArchive(world.runtime, **reader,
                                      [&](const std::string& text) { problems.push_back(text); })));
  EXPECT_EQ(problems, std::vector<std::string>());
}

// A lock that gets lost on the way is a replica that anybody may remove.
TEST(Archive, CarriesLocks) {
  FakeWorld world;
  std::vector<ArchiveItem> items{Put("both", "1"), Put("free", "2"), Put("held", "3"),
                                 Put("retained", "4")};
  const SystemTime until(std::chrono::microseconds(1'900'000'000'500'000));
  items[0].entry.lock = ObjectLock{.mode = "COMPLIANCE", .until = until, .legal_hold = true};
  items[2].entry.lock = ObjectLock{.legal_hold = true};
  items[3].entry.lock = ObjectLock{.mode = "GOVERNANCE", .until = until};
  ExpectSame(items, world.Run(ReadWholeArchive(world.runtime, WriteOrFail(world, items))));
  // What nobody can apply is not taken for no lock.
  items[3].entry.lock->mode = "WISH";
  const auto opened = world.Run(ReadWholeArchive(world.runtime, WriteOrFail(world, items)));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt);
}

// What an index says of a segment comes from outside.
TEST(Archive, RefusesSegmentsThatAreNone) {
  const std::string good = "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 3, byte 5 of 9, part 4";
  ASSERT_TRUE(archive::ReadSegment(good));
  EXPECT_EQ(archive::SegmentText(*archive::ReadSegment(good)), good);
  for (const char* bad :
       {"", "2 of 3, byte 5 of 9, part 4", "01JC5N0XVRKGBGSKP4ZPQE4M7T",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 3 of 3, byte 5 of 9, part 4",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 3, byte 10 of 9, part 4",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 3, byte 5 of 9, part 0",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 3, byte 5 of 9, part 10001",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 10001, byte 5 of 9, part 4",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 3, byte -5 of 9, part 4",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 3, byte 5 of 99999999999999999999, part 4",
        "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 3, byte 5 of 9, part 4 "}) {
    EXPECT_FALSE(archive::ReadSegment(bad)) << bad;
  }
}

// An object that turns out shorter must never look complete in an archive.
TEST(Archive, RefusesAnObjectThatEndsEarly) {
  FakeWorld world;
  ArchiveItem item = Put("short", Noise(1000, 5));
  item.entry.size_bytes = 1001;
  MemorySink sink;
  const auto written = world.Run(WriteSingle(world.runtime, item.entry, item.content, 300, sink));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kInvalidInput);
}

Async<void> AddWrongSize(Runtime& runtime, MemorySink& sink) {
  auto writer = co_await ArchiveWriter::Open(runtime, TestManifest(), {}, sink);
  ArchiveItem item = Put("wrong", "size");
  item.entry.size_bytes = 5;
  const auto wrong = co_await (*writer)->Add(item.entry, AsBytes(item.content));
  EXPECT_EQ(wrong.error().kind, ErrorKind::kInvalidInput);
  ArchiveItem large = Put("large/metadata", "x");
  large.entry.metadata["m"] = std::string(70'000, 'm');
  EXPECT_FALSE(co_await (*writer)->Add(large.entry, AsBytes(large.content)));
  item.entry.size_bytes = 4;
  EXPECT_TRUE(co_await (*writer)->Add(item.entry, AsBytes(item.content)));
  EXPECT_TRUE(co_await (*writer)->Finish());
  co_return Ok();
}

// One object that does not fit must not cost the batch the others.
TEST(Archive, GoesOnAfterAnEntryThatItRefused) {
  FakeWorld world;
  MemorySink sink;
  ASSERT_TRUE(world.Run(AddWrongSize(world.runtime, sink)));
  ExpectSame({Put("wrong", "size")}, world.Run(ReadWholeArchive(world.runtime, sink.bytes)));
}

// Whichever write of the sink fails, the caller hears of it and no memory stays reserved.
TEST(Archive, PassesOnWhatTheSinkSays) {
  RealWorld world;
  std::vector<ArchiveItem> items;
  for (int i = 0; i < 10; ++i) items.push_back(Put(std::to_string(i), Noise(60'000, i)));
  int writes = 0;
  for (int fail_at = 1;; ++fail_at) {
    MemorySink sink;
    sink.fail_at = fail_at;
    const auto summary = world.Run(
        WriteArchive(world.runtime, items, {.frame_size_bytes = 128 << 10, .slots_max = 2}, sink));
    EXPECT_EQ(world.memory.reserved_bytes(), 0);
    if (summary) break;
    EXPECT_EQ(summary.error().kind, ErrorKind::kRetryable);
    ASSERT_LT(++writes, 100);
  }
  EXPECT_GT(writes, 5);
}

// The smallest budget that Open accepts must be enough to the end, or a process would stand still.
TEST(Archive, WorksInExactlyTheMemoryItAsksFor) {
  const ArchiveOptions options{.frame_size_bytes = 128 << 10};
  const int64_t needed = ArchiveWriter::MemoryNeeded(options);
  const auto items = Everything();
  FakeWorld enough(1, needed);
  const std::string bytes = WriteOrFail(enough, items, options);
  EXPECT_LE(enough.memory.peak_bytes(), needed);
  FakeWorld reader;
  ExpectSame(items, reader.Run(ReadWholeArchive(reader.runtime, bytes)));

  FakeWorld too_small(1, needed - 1);
  MemorySink sink;
  const auto refused = too_small.Run(WriteArchive(too_small.runtime, items, options, sink));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(refused.error().message.find(std::to_string(needed)), std::string::npos)
      << refused.error().message;
}

Async<void> CountReads(Runtime& runtime, std::string bytes) {
  MemoryArchiveFile file(std::move(bytes));
  auto reader = co_await ArchiveReader::Open(runtime, file, {});
  if (!reader) co_return reader.error();
  EXPECT_LT(file.read_bytes, file.size_bytes() / 10);
  const uint64_t before = file.read_bytes;
  const size_t wanted = (*reader)->entries().size() / 2;
  EXPECT_FALSE((*reader)->entries()[wanted].key.empty());
  auto content = co_await testing::ReadContent(**reader, wanted);
  EXPECT_TRUE(content);
  EXPECT_LE(file.read_bytes - before, 3 * (128 << 10));
  co_return Ok();
}

// One object of a large archive must come back without the rest of it.
TEST(Archive, FetchesOnlyTheFramesItNeeds) {
  FakeWorld world;
  std::vector<ArchiveItem> items;
  for (int i = 0; i < 200; ++i) items.push_back(Put(std::to_string(1000 + i), Noise(20'000, i)));
  const std::string bytes = WriteOrFail(world, items, {.frame_size_bytes = 128 << 10});
  ASSERT_GT(bytes.size(), 3 << 20);
  ASSERT_TRUE(world.Run(CountReads(world.runtime, bytes)));
}

// Seals: who holds the key can tell, who does not cannot forge, and keys can be changed.
TEST(Archive, ChecksSeals) {
  FakeWorld world;
  const SealKey old_key{.id = "2026-01", .secret = "0123456789abcdef"};
  const SealKey new_key{.id = "2026-02", .secret = "fedcba9876543210"};
  const auto items = Everything();
  const std::string sealed = WriteOrFail(world, items, {.seal = new_key});
  const auto open = [&](const std::string& bytes, std::vector<SealKey> keys) {
    return world.Run(ReadWholeArchive(world.runtime, bytes, {.seal_keys = std::move(keys)}));
  };
  ExpectSame(items, open(sealed, {old_key, new_key}));
  EXPECT_EQ(open(sealed, {new_key})->seal_key_id, "2026-02");
  ExpectSame(items, open(sealed, {}));
  EXPECT_EQ(open(sealed, {old_key}).error().kind, ErrorKind::kInvalidInput);
  const SealKey forged{.id = "2026-02", .secret = "another 16 bytes"};
  EXPECT_EQ(open(sealed, {forged}).error().kind, ErrorKind::kCorrupt);
  const std::string unsealed = WriteOrFail(world, items);
  EXPECT_EQ(open(unsealed, {new_key}).error().kind, ErrorKind::kInvalidInput);
}

// A batch that writes on regardless would take memory that nobody reserved.
TEST(Archive, SaysWhenItsIndexHasTakenWhatTheBudgetHad) {
  const ArchiveOptions options{.frame_size_bytes = 128 << 10, .slots_max = 1};
  FakeWorld world(1, ArchiveWriter::MemoryNeeded(options));
  MemorySink sink;
  const auto run = [](Runtime& runtime, ArchiveOptions options, MemorySink& sink) -> Async<void> {
    auto writer = co_await ArchiveWriter::Open(runtime, TestManifest(), options, sink);
    if (!writer) co_return writer.error();
    while (!(*writer)->full() && (*writer)->entries() < 100'000) {
      ArchiveItem item = Put("key/" + std::to_string((*writer)->entries()), "x");
      item.entry.metadata["note"] = Noise(40, (*writer)->entries());
      if (auto added = co_await (*writer)->Add(item.entry, AsBytes(item.content)); !added) {
        co_return added.error();
      }
    }
    EXPECT_TRUE((*writer)->full());
    EXPECT_GT((*writer)->entries(), 500);
    auto summary = co_await (*writer)->Finish();
    if (!summary) co_return summary.error();
    co_return Ok();
  };
  ASSERT_TRUE(world.Run(run(world.runtime, options, sink)));
}

}  // namespace
}  // namespace longhaul
