// What damaged and hostile archives do to a reader: an error that says what is wrong, nothing else.

#include <gtest/gtest.h>

#include "archive/frame_codec.h"
#include "archive/index.h"
#include "archive/manifest.h"
#include "archive/seek_table.h"
#include "archive/tar.h"
#include "tests/support/archive.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using archive::FrameSizes;
using testing::ArchiveItem;
using testing::FakeWorld;
using testing::MemorySink;
using testing::OpenedArchive;
using testing::ReadWholeArchive;

std::string SmallArchive(FakeWorld& world) {
  std::vector<ArchiveItem> items = {testing::Put("one", "first content"),
                                    testing::Put("two", "second content"),
                                    testing::Put("two again", "second content")};
  items[1].entry.metadata = {{"name", "value"}};
  MemorySink sink;
  EXPECT_TRUE(world.Run(testing::WriteArchive(world.runtime, items, {}, sink)));
  return sink.bytes;
}

std::string Frame(std::string_view raw, int level = 1) {
  archive::FrameCompressor compressor(level, 1 << 20);
  std::string out(archive::FrameCompressor::BoundBytes(raw.size()), '\0');
  const auto size = compressor.Compress(AsBytes(raw), std::as_writable_bytes(std::span(out)));
  out.resize(*size);
  return out;
}

std::string Digested(std::string index_without_end) {
  return index_without_end + ",\"digest\":\"" + HexEncode(Sha256(index_without_end)) + "\"}";
}

// An archive around any index: its one data frame is `data`.
std::string ArchiveAround(const std::string& data, const std::string& index, uint32_t entries,
                          uint16_t version = 1) {
  std::string member =
      archive::WriteTarHeaders({.path = "longhaul/index.json", .size_bytes = index.size()});
  member += index;
  member.append(archive::PaddingBytes(index.size()) + archive::kTarEndBytes, '\0');
  const std::string frame = Frame(data);
  const std::string index_frame = Frame(member);
  return frame + index_frame +
         archive::WriteTail(
             {.version = version, .index_frames = 1, .entries = entries},
             {{static_cast<uint32_t>(frame.size()), static_cast<uint32_t>(data.size())},
              {static_cast<uint32_t>(index_frame.size()), static_cast<uint32_t>(member.size())}});
}

// The index of an archive that holds `data`, with `fields` after the frames.
std::string IndexOf(const std::string& data, const std::string& fields) {
  const std::string frame = Frame(data);
  return Digested(
      "{\"longhaul_index\":1,\"manifest\":" + archive::WriteManifest(testing::TestManifest()) +
      ",\"frames\":{\"compressed\":" + std::to_string(frame.size()) + ",\"raw\":" +
      std::to_string(data.size()) + ",\"sha256\":[\"" + HexEncode(Sha256(frame)) + "\"]}" + fields);
}

Result<OpenedArchive> OpenWithIndex(const std::string& data, const std::string& fields,
                                    uint32_t entries, int64_t memory_bytes = 256 << 20) {
  FakeWorld world(1, memory_bytes);
  auto opened = world.Run(
      ReadWholeArchive(world.runtime, ArchiveAround(data, IndexOf(data, fields), entries)));
  EXPECT_EQ(world.memory.reserved_bytes(), 0);
  return opened;
}

std::string OneMember(std::string_view path, std::string_view content) {
  std::string data =
      archive::WriteTarHeaders({.path = std::string(path), .size_bytes = content.size()});
  data += content;
  data.append(archive::PaddingBytes(content.size()), '\0');
  return data;
}

// A transfer that was cut off anywhere must be noticed, wherever that is.
TEST(HostileArchive, IsRefusedWhenCutOffAnywhere) {
  FakeWorld world;
  const std::string bytes = SmallArchive(world);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto opened = world.Run(ReadWholeArchive(world.runtime, bytes.substr(0, size)));
    ASSERT_FALSE(opened) << size;
    EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt) << size << opened.error().Describe();
  }
  EXPECT_EQ(world.memory.reserved_bytes(), 0);
}

// A flipped byte may be refused or may not matter, but must never become somebody's content.
TEST(HostileArchive, NeverGivesWrongContentForAFlippedByte) {
  FakeWorld world;
  const std::string bytes = SmallArchive(world);
  const auto right = world.Run(ReadWholeArchive(world.runtime, bytes));
  int refused = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const auto opened = world.Run(ReadWholeArchive(world.runtime, damaged));
      if (!opened) {
        ++refused;
        EXPECT_TRUE(opened.error().kind == ErrorKind::kCorrupt ||
                    opened.error().kind == ErrorKind::kInvalidInput)
            << opened.error().Describe();
        continue;
      }
      EXPECT_TRUE(opened->contents == right->contents) << at;
      EXPECT_TRUE(opened->entries == right->entries) << at;
    }
  }
  EXPECT_GT(refused, static_cast<int>(bytes.size() * 3 * 9 / 10));
  EXPECT_EQ(world.memory.reserved_bytes(), 0);
}

constexpr std::string_view kOneEntry =
    ",\"start\":0,\"entries\":1,\"shapes\":[[]],\"shape\":0,\"header\":512,\"size\":3,"
    "\"stamp\":{\"first\":0,\"unit\":1,\"step\":[]},\"columns\":{}";

// The ground of the cases below: what they change is what is refused.
TEST(HostileArchive, IsReadWhenItIsNot) {
  const auto opened = OpenWithIndex(OneMember("objects/k", "abc"), std::string(kOneEntry), 1);
  ASSERT_TRUE(opened) << opened.error().Describe();
  EXPECT_EQ(opened->entries.at(0).key, "k");
  EXPECT_EQ(opened->contents.at(0), "abc");
}

// What a later version adds must not make today's reader refuse it.
TEST(HostileArchive, MayHoldFieldsThatAreNotKnown) {
  std::string fields(kOneEntry);
  fields.replace(fields.find("[[]]"), 4, "[[\"colour\"]]");
  fields.replace(fields.find("\"columns\":{}"), 12,
                 "\"columns\":{\"colour\":{\"rgb\":[1,2e5,null]}},\"more\":[[{}]]");
  const auto opened = OpenWithIndex(OneMember("objects/k", "abc"), fields, 1);
  ASSERT_TRUE(opened) << opened.error().Describe();
  EXPECT_EQ(opened->contents.at(0), "abc");
}

struct IndexCase {
  const char* what;
  const char* from;
  const char* to;
  ErrorKind kind;
};

// Each would otherwise read past an end, give one object's bytes as another's, or lose an entry.
TEST(HostileArchive, IsRefusedWhenItsIndexDoesNotFit) {
  const IndexCase cases[] = {
      {"newer version", "\"longhaul_index\":1", "\"longhaul_index\":2", ErrorKind::kInvalidInput},
      {"version 0", "\"longhaul_index\":1", "\"longhaul_index\":0", ErrorKind::kCorrupt},
      {"newer manifest", "\"longhaul_archive\":1", "\"longhaul_archive\":7",
       ErrorKind::kInvalidInput},
      {"unknown kind", "\"bundle\"", "\"bunch\"", ErrorKind::kInvalidInput},
      {"too long", "\"size\":3", "\"size\":3000", ErrorKind::kCorrupt},
      {"negative size", "\"size\":3", "\"size\":-3", ErrorKind::kCorrupt},
      {"huge size", "\"size\":3", "\"size\":9223372036854775807", ErrorKind::kCorrupt},
      {"fractional size", "\"size\":3", "\"size\":3.5", ErrorKind::kCorrupt},
      {"too large a number", "\"size\":3", "\"size\":99999999999999999999", ErrorKind::kCorrupt},
      {"no header", "\"header\":512", "\"header\":0", ErrorKind::kCorrupt},
      {"odd header", "\"header\":512", "\"header\":511", ErrorKind::kCorrupt},
      {"no shape", "\"shape\":0", "\"shape\":1", ErrorKind::kCorrupt},
      {"negative shape", "\"shape\":0", "\"shape\":-1", ErrorKind::kCorrupt},
      {"late start", "\"start\":0", "\"start\":512", ErrorKind::kCorrupt},
      {"fewer entries", "\"entries\":1", "\"entries\":0", ErrorKind::kCorrupt},
      {"more entries", "\"entries\":1", "\"entries\":2", ErrorKind::kCorrupt},
      {"too many entries", "\"entries\":1", "\"entries\":1000001", ErrorKind::kInvalidInput},
      {"too few sizes", "\"size\":3", "\"size\":[]", ErrorKind::kCorrupt},
      {"too many sizes", "\"size\":3", "\"size\":[3,3]", ErrorKind::kCorrupt},
      {"field twice", "\"size\":3", "\"size\":3,\"size\":3", ErrorKind::kCorrupt},
      {"field missing", "\"size\":3,", "", ErrorKind::kCorrupt},
      {"too many steps", "\"step\":[]", "\"step\":[1]", ErrorKind::kCorrupt},
      {"column missing", "[[]]", "[[\"key\"]]", ErrorKind::kCorrupt},
      {"column of unknown encoding", "[[]],\"shape\":0", "[[\"key\"]],\"shape\":0",
       ErrorKind::kInvalidInput},
      {"link to itself", "[[]],\"shape\":0", "[[\"link\"]],\"shape\":0", ErrorKind::kCorrupt},
      {"parts", "[[]],\"shape\":0", "[[\"parts\"]],\"shape\":0", ErrorKind::kCorrupt},
      {"delete with content", "[[]],\"shape\":0", "[[\"delete\"]],\"shape\":0",
       ErrorKind::kCorrupt},
      {"lone surrogate", "[[]]", "[[\"\\ud800\"]]", ErrorKind::kCorrupt},
      {"not JSON", "\"columns\":{}", "\"columns\":{]", ErrorKind::kCorrupt},
      {"deep", "\"columns\":{}",
       "\"columns\":{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
       "]]]]]]]]}",
       ErrorKind::kCorrupt},
  };
  const std::string data = OneMember("objects/k", "abc");
  for (const IndexCase& test : cases) {
    SCOPED_TRACE(test.what);
    std::string index = IndexOf(data, std::string(kOneEntry));
    index.resize(index.find(",\"digest\""));
    const size_t at = index.find(test.from);
    ASSERT_NE(at, std::string::npos);
    index.replace(at, std::string_view(test.from).size(), test.to);
    const auto set_column = [&](std::string_view column) {
      index.replace(index.find("\"columns\":{}"), 12, "\"columns\":{" + std::string(column) + "}");
    };
    if (std::string_view(test.what) == "column of unknown encoding") set_column("\"key\":{}");
    if (std::string_view(test.what) == "link to itself") set_column("\"link\":\"0\"");
    if (std::string_view(test.what) == "parts") set_column("\"parts\":\"1x10001\"");
    if (std::string_view(test.what) == "delete with content") set_column("\"delete\":\"\"");
    FakeWorld world;
    const auto opened =
        world.Run(ReadWholeArchive(world.runtime, ArchiveAround(data, Digested(index), 1)));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, test.kind) << opened.error().Describe();
  }
}

// What was changed before it was compressed, or by whoever can compress it again, has every
// checksum of the layers below.
TEST(HostileArchive, AnIndexThatDoesNotHaveItsDigestIsRefused) {
  const std::string data = OneMember("objects/k", "abc");
  std::string index = IndexOf(data, std::string(kOneEntry));
  const size_t at = index.find("\"first\":0");
  ASSERT_NE(at, std::string::npos);
  index.replace(at, 9, "\"first\":7");
  FakeWorld world;
  const auto opened = world.Run(ReadWholeArchive(world.runtime, ArchiveAround(data, index, 1)));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt) << opened.error().Describe();
}

// Keys that only the tar tells must not be taken from a member that tells none.
TEST(HostileArchive, IsRefusedWhenATarHeaderTellsNoKey) {
  std::string broken = OneMember("objects/k", "abc");
  broken[150] ^= 1;
  for (const std::string& data :
       {OneMember("objects/%ZZ", "abc"), OneMember("renamed/0000000-k", "abc"),
        OneMember("objects/", "abc"), OneMember("/etc/passwd", "abc"), broken}) {
    const auto opened = OpenWithIndex(data, std::string(kOneEntry), 1);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::kCorrupt) << opened.error().Describe();
  }
}

// A few bytes that stand for gigabytes: refused by what they would take, which the message names.
TEST(HostileArchive, IsRefusedBeforeItTakesTheMemory) {
  const std::string value(30'000, 'v');
  const std::string fields =
      ",\"start\":0,\"entries\":100000,\"shapes\":[[\"delete\",\"key\",\"meta:m\"]],\"shape\":0,"
      "\"header\":0,\"size\":0,\"stamp\":{\"first\":0,\"unit\":1,\"step\":0},\"columns\":{"
      "\"delete\":\"\",\"key\":\"k\",\"meta:m\":\"" +
      value + "\"}";
  const std::string data = "";
  FakeWorld world(1, 1 << 30);
  std::string index =
      "{\"longhaul_index\":1,\"manifest\":" + archive::WriteManifest(testing::TestManifest()) +
      ",\"frames\":{\"compressed\":[],\"raw\":[],\"sha256\":[]}" + fields;
  const auto parsed = archive::ParseIndex(Digested(index), {}, 1'000'000, 256 << 20);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(parsed.error().message.find("--memory"), std::string::npos);
}

// The parser must not walk for ever over shapes that cost no memory.
TEST(HostileArchive, IsRefusedWhenAShapeIsEndless) {
  std::string shape;
  for (int i = 0; i < 70'000; ++i) shape += (i > 0 ? "," : "") + std::string("\"x\"");
  const std::string index =
      "{\"longhaul_index\":1,\"manifest\":" + archive::WriteManifest(testing::TestManifest()) +
      ",\"frames\":{\"compressed\":[],\"raw\":[],\"sha256\":[]},\"start\":0,\"entries\":100000,"
      "\"shapes\":[[" +
      shape +
      "]],\"shape\":0,\"header\":0,\"size\":0,"
      "\"stamp\":{\"first\":0,\"unit\":1,\"step\":0},\"columns\":{}";
  const auto parsed = archive::ParseIndex(Digested(index), {}, 1'000'000, 256 << 20);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt);
}

// Nor over a few that are known: what they say twice costs no memory either.
TEST(HostileArchive, IsRefusedWhenAShapeSaysSomethingTwice) {
  for (const char* again : {"", ",\"delete\"", ",\"key\"", ",\"x\",\"x\""}) {
    const std::string index =
        "{\"longhaul_index\":1,\"manifest\":" + archive::WriteManifest(testing::TestManifest()) +
        ",\"frames\":{\"compressed\":[],\"raw\":[],\"sha256\":[]},\"start\":0,\"entries\":1,"
        "\"shapes\":[[\"key\",\"delete\"" +
        again +
        "]],\"shape\":0,\"header\":0,\"size\":0,"
        "\"stamp\":{\"first\":0,\"unit\":1,\"step\":0},"
        "\"columns\":{\"delete\":\"\",\"key\":\"k\"}";
    const auto parsed = archive::ParseIndex(Digested(index), {}, 1'000'000, 256 << 20);
    if (std::string_view(again).empty()) {
      EXPECT_TRUE(parsed) << parsed.error().Describe();
      continue;
    }
    ASSERT_FALSE(parsed) << again;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt);
  }
}

struct TailCase {
  const char* what;
  archive::Locator locator;
  std::vector<FrameSizes> frames;
  ErrorKind kind;
};

// The seek table is the first thing that is believed, so nothing of it may be.
TEST(HostileArchive, IsRefusedForItsSeekTable) {
  const TailCase cases[] = {
      {"newer version", {.version = 2, .index_frames = 1}, {{100, 100}}, ErrorKind::kInvalidInput},
      {"version 0", {.version = 0, .index_frames = 1}, {{100, 100}}, ErrorKind::kCorrupt},
      {"no index", {.index_frames = 0}, {{100, 100}}, ErrorKind::kCorrupt},
      {"more index than frames", {.index_frames = 2}, {{100, 100}}, ErrorKind::kCorrupt},
      {"too many entries",
       {.index_frames = 1, .entries = 1'000'001},
       {{100, 100}},
       ErrorKind::kInvalidInput},
      {"frame too large", {.index_frames = 1}, {{100, (64 << 20) + 1}}, ErrorKind::kInvalidInput},
      {"empty frame", {.index_frames = 1}, {{100, 0}}, ErrorKind::kCorrupt},
      {"frame that grew", {.index_frames = 1}, {{100'000, 100}}, ErrorKind::kCorrupt},
      {"other length", {.index_frames = 1}, {{99, 100}}, ErrorKind::kCorrupt},
      {"tar too large",
       {.index_frames = 1},
       std::vector<FrameSizes>(90, {1, 64 << 20}),
       ErrorKind::kInvalidInput},
      {"index too large",
       {.index_frames = 5},
       std::vector<FrameSizes>(5, {20, 64 << 20}),
       ErrorKind::kInvalidInput},
  };
  for (const TailCase& test : cases) {
    SCOPED_TRACE(test.what);
    FakeWorld world(1, 4LL << 30);
    const auto opened = world.Run(ReadWholeArchive(
        world.runtime, std::string(100, 'x') + archive::WriteTail(test.locator, test.frames)));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, test.kind) << opened.error().Describe();
    EXPECT_LT(world.memory.peak_bytes(), 1 << 20);
  }
}

Async<int64_t> MemoryToRead(Runtime& runtime, std::string bytes) {
  testing::MemoryArchiveFile file(std::move(bytes));
  auto reader = co_await ArchiveReader::Open(runtime, file, {});
  if (!reader) co_return reader.error();
  co_return (*reader)->held_bytes() + (*reader)->FrameMemoryNeeded();
}

// A frame that fits into the budget alone, but not beside the index, would be waited for until
// somebody ends the process.
TEST(HostileArchive, IsRefusedWhenAFrameDoesNotFitBesideTheIndex) {
  FakeWorld maker;
  testing::MemorySink sink;
  std::vector<testing::ArchiveItem> items;
  for (int i = 0; i < 100; ++i) {
    items.push_back(testing::Put("a/" + std::to_string(i), testing::Noise(20'000, 1 + i)));
  }
  ASSERT_TRUE(maker.Run(
      testing::WriteArchive(maker.runtime, std::move(items), {.frame_size_bytes = 4 << 20}, sink)));
  Result<int64_t> needed = maker.Run(MemoryToRead(maker.runtime, sink.bytes));
  ASSERT_TRUE(needed);
  FakeWorld enough(1, *needed);
  EXPECT_TRUE(enough.Run(testing::ReadWholeArchive(enough.runtime, sink.bytes)));
  FakeWorld less(1, *needed - 1);
  auto opened = less.Run(testing::ReadWholeArchive(less.runtime, sink.bytes));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(opened.error().message.find(std::to_string(*needed)), std::string::npos)
      << opened.error().message;
}

// An index that the budget cannot hold: the person who can change that must learn how.
TEST(HostileArchive, NamesTheBudgetThatAnIndexNeeds) {
  FakeWorld world(1, 100'000);
  const auto opened = world.Run(ReadWholeArchive(
      world.runtime,
      std::string(100, 'x') + archive::WriteTail({.index_frames = 1}, {{100, 40'000}})));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidInput);
  EXPECT_NE(opened.error().message.find("160000"), std::string::npos) << opened.error().message;
}

// Frames that zstd reads but that are not what was announced.
TEST(HostileArchive, FramesMustBeWhatWasAnnounced) {
  const std::string raw(1000, 'r');
  std::string out(1000, '\0');
  const auto decode = [&](std::string_view compressed, size_t size) {
    out.resize(size);
    return archive::DecompressFrame(AsBytes(compressed), std::as_writable_bytes(std::span(out)),
                                    false);
  };
  const std::string frame = Frame(raw);
  EXPECT_TRUE(decode(frame, 1000));
  EXPECT_FALSE(decode(frame, 999));
  EXPECT_FALSE(decode(frame, 1001));
  EXPECT_FALSE(decode(frame + frame, 1000));
  EXPECT_FALSE(decode(frame + "x", 1000));
  EXPECT_FALSE(decode("", 1000));
  // 16 bytes of a skippable frame; a frame that names a dictionary; one with a window of 2^31.
  EXPECT_FALSE(decode(std::string("\x5d\x2a\x4d\x18\x08\0\0\0........", 16), 1000));
  EXPECT_EQ(decode(std::string("\x28\xb5\x2f\xfd\x61\x07\xe8\x02\x01\0\0", 11), 1000).error().kind,
            ErrorKind::kInvalidInput);
  EXPECT_EQ(decode(std::string("\x28\xb5\x2f\xfd\x40\xa8\xe8\x02\x01\0\0", 11), 1000).error().kind,
            ErrorKind::kInvalidInput);
}

}  // namespace
}  // namespace longhaul
