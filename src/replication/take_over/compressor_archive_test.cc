// What a compressor's archive may hold, and what of it is refused.

#include <gtest/gtest.h>

#include "tests/support/cut_over.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::CompressorArchive;
using testing::CutOver;
using testing::kTargetAlone;
using Keys = std::set<std::string>;

TEST(TakeOverTest, KeepsOddKeysByteForByte) {
  CutOver world;
  world.rule().source.prefix = "logs/";
  world.rule().targets[0].to.prefix = "copy/";
  const Keys names = {"../../etc/passwd",
                      "a//b",
                      "folder/",
                      "\xc3\xa4/\xf0\x9f\x9a\x9a",
                      std::string(90, 'f') + "/" + std::string(150, 'n'),
                      std::string(900, 'x'),
                      "",
                      "manifest.json",
                      "a b+c%41"};
  CompressorArchive archive{.source_prefix = "logs/"};
  Keys wanted;
  for (const std::string& name : names) {
    archive.objects.push_back(
        {.relative_key = name, .content = "of " + name, .created = world.now - 1h});
    wanted.insert("copy/" + name);
  }
  world.Leave(archive, "in/logs/");
  OnceResult result = world.RunOnce(kTargetAlone);
  EXPECT_EQ(result.parked_archives, 0) << world.ParkedReason();
  EXPECT_EQ(world.Replicas(), wanted);
  for (const std::string& name : names) EXPECT_EQ(world.Text("copy/" + name), "of " + name);
}

// A key that came twice is in the archive twice; what counts is the last.
TEST(TakeOverTest, OfSeveralWithOneNameTheLastCounts) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "first", .created = world.now - 2h},
                           {.relative_key = "b", .content = "b", .created = world.now - 2h},
                           {.relative_key = "a", .content = "last", .created = world.now - 1h}}});
  EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
  EXPECT_EQ(world.Text("a"), "last");
  EXPECT_EQ(world.Replica("a").info.etag, HexEncode(Md5("last")));
  EXPECT_EQ(world.observer.Count(OutcomeState::kApplied), 2);
  EXPECT_EQ(world.Left(), 0u);
}

// Larger than what is held in memory: streamed, in one piece or in parts.
TEST(TakeOverTest, StreamsLargeObjects) {
  for (const bool in_parts : {false, true}) {
    CutOver world;
    std::string noise(700'000, '\0');
    SeededRandom random(7);
    for (char& c : noise) c = static_cast<char>(random.Below(256));
    world.PutDirectly("out", "there", noise);
    world.Leave({.objects = {{.relative_key = "there", .content = noise, .created = world.now},
                             {.relative_key = "big", .content = noise, .created = world.now},
                             {.relative_key = "small", .content = "s", .created = world.now},
                             {.relative_key = "big2", .content = noise, .created = world.now}}});
    if (in_parts) world.target().backend->options.capabilities.put_size_bytes_max = 100'000;
    OnceResult result = world.RunOnce(kTargetAlone);
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
    EXPECT_EQ(result.parked_archives, 0) << world.ParkedReason();
    EXPECT_EQ(world.Replicas(), (Keys{"there", "big", "small", "big2"}));
    EXPECT_TRUE(world.Text("big") == noise && world.Text("big2") == noise);
    EXPECT_TRUE(world.Replica("there").info.metadata.empty());
    EXPECT_EQ(world.Replica("big").part_sizes_bytes.empty(), !in_parts);
    EXPECT_EQ(world.Left(), 0u);
  }
}

TEST(TakeOverTest, RefusesWhatIsDamaged) {
  const CompressorArchive archive{
      .objects = {{.relative_key = "a", .content = std::string(50'000, 'x')}}};
  auto expect = [](std::string bytes, std::string_view words) {
    CutOver world;
    world.LeaveBytes(std::move(bytes));
    world.ExpectRefused(words);
  };
  const std::string bytes = archive.Bytes();
  expect(bytes.substr(0, bytes.size() - 1), "cut off");
  expect(bytes.substr(0, 5), "zstd");
  expect("no archive at all, but some text", "zstd frame");
  expect("", "zstd");
  expect(testing::ZstdStream(archive.Tar().substr(0, 30'000)), "cut off");
  expect(testing::ZstdStream(archive.Tar() + "more"), "behind its end");
  expect(testing::ZstdStream(""), "cut off");
  CompressorArchive none = archive;
  none.manifest = CompressorArchive::Manifest::kNone;
  expect(none.Bytes(), "no manifest");
  CompressorArchive twice = archive;
  twice.manifest = CompressorArchive::Manifest::kTwice;
  expect(twice.Bytes(), "two manifests");
  CompressorArchive more = archive;
  more.more_members.emplace_back("somebody's", "file");
  expect(more.Bytes(), "neither an object nor its manifest");
  CompressorArchive unknown = archive;
  unknown.objects[0].in_manifest = false;
  expect(unknown.Bytes(), "does not name it");
  CompressorArchive lacking = archive;
  lacking.objects[0].in_tar = false;
  expect(lacking.Bytes(), "does not hold it");
  CompressorArchive tags = archive;
  tags.objects[0].tags = "[[]]";
  expect(tags.Bytes(), "not one name with one value");
}

// Where the manifest lies is nobody's promise.
TEST(TakeOverTest, TheManifestMayComeFirst) {
  CutOver world;
  world.Leave({.objects = {{.relative_key = "a", .content = "text", .created = world.now - 1h}},
               .manifest = CompressorArchive::Manifest::kFirst});
  EXPECT_EQ(world.RunOnce(kTargetAlone).parked_archives, 0);
  EXPECT_EQ(world.Replicas(), Keys{"a"});
}

// The configuration decides what a rule carries, not the archive.
TEST(TakeOverTest, RefusesWhatIsNotTheRules) {
  CompressorArchive archive{.objects = {{.relative_key = "a", .content = "text"}}};
  {
    CutOver world;
    CompressorArchive other = archive;
    other.source_bucket = "elsewhere";
    world.Leave(other);
    world.ExpectRefused("from bucket elsewhere");
  }
  {
    CutOver world;
    CompressorArchive other = archive;
    other.source_prefix = "logs";
    world.Leave(other);
    world.ExpectRefused("from prefix");
  }
  {
    CutOver world;
    world.rule().filter.suffix = ".csv";
    world.Leave(archive);
    world.ExpectRefused("does not carry this key");
  }
  {
    CutOver world;
    archive.objects[0].created = world.now + 24h;
    world.Leave(archive);
    world.ExpectRefused("ahead of this machine's clock");
  }
}

// "logs" as the configured prefix meant the folder in release 1.1.0; before, nobody can tell.
TEST(TakeOverTest, PrefixesWithoutASlash) {
  for (const bool old : {false, true}) {
    CutOver world;
    world.rule().source.prefix = "logs/";
    CompressorArchive archive{
        .source_prefix = "logs",
        .objects = {{.relative_key = "2024/x", .content = "x", .created = world.now - 1h}}};
    if (old) archive.source_region = "";
    world.Leave(archive, "in/logs/");
    if (old) {
      world.ExpectRefused("release 1.0.0");
      continue;
    }
    EXPECT_FALSE(world.RunOnce(kTargetAlone).store_error);
    EXPECT_EQ(world.Replicas(), Keys{"2024/x"});
  }
}

// Memory is the budget's: an archive that asks for more says how much.
TEST(TakeOverTest, AWindowThatDoesNotFitIsRefused) {
  CutOver world;
  CompressorArchive archive{.objects = {{.relative_key = "a", .content = "a"}}};
  world.LeaveBytes(testing::ZstdStream(archive.Tar(), 27));
  world.ExpectRefused("--memory");
}

// A bomb: what it unpacks to takes time, and no more memory than there is.
TEST(TakeOverTest, MemoryIsBounded) {
  CutOver world;
  CompressorArchive archive;
  for (int i = 0; i < 12'000; ++i) {
    archive.objects.push_back({.relative_key = std::to_string(i), .content = ""});
  }
  std::string tar = CompressorArchive::Member("objects/zeros", std::string(16 << 20, '\0'));
  tar += archive.Tar();
  world.LeaveBytes(testing::ZstdStream(tar));
  world.ExpectRefused("--memory");
  EXPECT_LE(world.world.memory.peak_bytes(), world.world.memory.limit_bytes());
}

}  // namespace
}  // namespace longhaul
