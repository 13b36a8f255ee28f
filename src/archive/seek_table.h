// The end of an archive: the seek table of zstd's seekable format, and longhaul's locator before
// it.
//
// Both are skippable frames, so every zstd decoder passes over them. Source of the seek table:
// github.com/facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace longhaul::archive {

struct FrameSizes {
  uint32_t compressed_bytes = 0;
  uint32_t raw_bytes = 0;
};

// Says where the index is, before any of it has been read. In the file it ends in a CRC32C of
// itself and the seek table: a damaged number must look damaged, not like a newer or too large
// archive.
struct Locator {
  uint16_t version = 1;       // Of the format.
  uint32_t index_frames = 0;  // The last this many frames of the seek table hold the index.
  uint32_t entries = 0;
};

inline constexpr size_t kSeekTableFooterBytes = 9;
inline constexpr size_t kLocatorBytes = 24;

// What stands at the end of the file.
std::string WriteTail(const Locator& locator, const std::vector<FrameSizes>& frames);

// How many bytes locator and seek table take together, from the last kSeekTableFooterBytes of the
// file. kCorrupt: no seek table, or more than kFramesMax frames.
Result<uint64_t> TailSizeBytes(std::span<const std::byte> footer);

struct Tail {
  Locator locator;
  std::vector<FrameSizes> frames;
};

// `bytes`: TailSizeBytes of them, the end of the file.
Result<Tail> ParseTail(std::span<const std::byte> bytes);

}  // namespace longhaul::archive
