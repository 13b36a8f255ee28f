// Archives whose frames have levels of their own.

#include "archive/frame_levels.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/archive.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using testing::ArchiveItem;
using testing::MemorySink;
using testing::Noise;
using testing::Put;
using testing::ReadWholeArchive;
using testing::RealWorld;

// Goes through the levels, and tries something with each frame.
class EachLevel : public FrameLevels {
 public:
  LevelChoice Choose(const FrameContent& content) override {
    labels.insert(std::string(content.label));
    raw_bytes += content.raw.size();
    LevelChoice choice{.kind = std::to_string(chosen), .level = chosen % 24};
    const size_t size = std::min<size_t>(content.raw.size(), 64 << 10);
    choice.trial = LevelChoice::Trial{.level = 3,
                                      .reference_level = 1,
                                      .offset_bytes = content.raw.size() - size,
                                      .size_bytes = size};
    ++chosen;
    return choice;
  }
  void OnFrame(const LevelChoice& choice, const FrameOutcome& outcome) override {
    EXPECT_TRUE(kinds.insert(choice.kind).second);
    told_bytes += outcome.raw_bytes;
    EXPECT_GT(outcome.frame.packed_bytes, 0U);
    EXPECT_GT(outcome.frame.cpu.count(), 0);
    EXPECT_GT(outcome.trial.packed_bytes, 0U);
    EXPECT_GT(outcome.reference.packed_bytes, 0U);
  }

  int chosen = 0;
  uint64_t raw_bytes = 0;
  uint64_t told_bytes = 0;
  std::set<std::string> labels;
  std::set<std::string> kinds;
};

// A frame at another level than its neighbour, or a piece that was tried before it, must not change
// a byte of what comes out.
TEST(FrameLevels, AFrameOfAnyLevelComesBack) {
  RealWorld world;
  std::vector<ArchiveItem> items;
  for (int i = 0; i < 60; ++i) {
    const std::string ending = i < 30 ? ".csv" : ".gz";
    std::string content =
        i < 30 ? std::string(60'000, 'x') + Noise(30'000 + i, i) : Noise(90'000, i);
    if (i >= 30) content.replace(0, 2, "\x1f\x8b");
    items.push_back(Put("k" + std::to_string(100 + i) + ending, std::move(content)));
  }
  EachLevel levels;
  MemorySink sink;
  auto summary = world.Run(WriteArchive(
      world.runtime, items,
      {.frame_size_bytes = 128 << 10, .slots_max = 3, .levels = &levels, .level_max = 12}, sink));
  ASSERT_TRUE(summary) << summary.error().Describe();
  EXPECT_GT(levels.chosen, 24);
  EXPECT_EQ(levels.kinds.size(), static_cast<size_t>(levels.chosen));
  EXPECT_EQ(levels.told_bytes, levels.raw_bytes);
  EXPECT_EQ(levels.labels, (std::set<std::string>{"csv", "gz gzip"}));
  // The index has a frame of its own, of which nobody learns.
  EXPECT_LT(levels.raw_bytes, summary->raw_bytes);
  const auto opened = world.Run(ReadWholeArchive(world.runtime, sink.bytes));
  ASSERT_TRUE(opened) << opened.error().Describe();
  ASSERT_EQ(opened->contents.size(), items.size());
  for (size_t i = 0; i < items.size(); ++i) EXPECT_EQ(opened->contents[i], items[i].content);
}

// Memory is reserved for the highest level that may come, before anything is read.
TEST(FrameLevels, MemoryIsThatOfTheHighestLevel) {
  const ArchiveOptions fixed{.level = 6};
  ArchiveOptions chosen{.level = 6};
  chosen.level_max = 12;
  EXPECT_EQ(ArchiveWriter::MemoryNeeded(chosen), ArchiveWriter::MemoryNeeded({.level = 12}));
  EXPECT_LT(ArchiveWriter::MemoryNeeded(fixed), ArchiveWriter::MemoryNeeded(chosen));
}

}  // namespace
}  // namespace longhaul
