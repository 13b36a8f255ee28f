// FrameLevels decides at which level each frame of an archive is compressed, and hears what came of
// it. Frames of one archive may have different levels: each is compressed by itself.
//
// Belongs to one shard; the writer calls it there, and waits for nothing. Outlives the writer.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace longhaul {

// A frame that is about to be compressed. `label`: the ContentLabel that most of its bytes have.
struct FrameContent {
  std::string_view label;
  std::span<const std::byte> raw;
};

struct LevelChoice {
  // A piece of the frame is compressed at two levels besides, to compare them, and thrown away.
  struct Trial {
    int level = 0;
    int reference_level = 0;
    size_t offset_bytes = 0;
    size_t size_bytes = 0;
  };

  std::string kind;  // Given back with what came of it.
  int level = 0;
  std::optional<Trial> trial;
};

// What compressing took: processor time of the thread, and the time that passed.
struct Compressed {
  uint64_t packed_bytes = 0;
  std::chrono::nanoseconds cpu{0};
  std::chrono::nanoseconds passed{0};
};

struct FrameOutcome {
  uint64_t raw_bytes = 0;
  Compressed frame;
  // Of LevelChoice::trial, where there is one.
  Compressed trial{};
  Compressed reference{};
};

class FrameLevels {
 public:
  virtual ~FrameLevels() = default;
  virtual LevelChoice Choose(const FrameContent& content) = 0;
  virtual void OnFrame(const LevelChoice& choice, const FrameOutcome& outcome) = 0;
};

}  // namespace longhaul
