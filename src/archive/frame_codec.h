// One frame of an archive: compressed and decompressed in one call each, with zstd.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace longhaul::archive {

// A zstd context that is used again for frame after frame. One thread at a time.
class FrameCompressor {
 public:
  // `level`: 1 to 22, or 0 for the fastest that zstd has (it finds out what does not shrink, and
  // stores it, at a small part of the price of level 1). From level 3 on, a frame that does not
  // shrink, judged by samples from all over it, is compressed like that, too.
  FrameCompressor(int level, uint64_t frame_size_bytes);
  ~FrameCompressor();
  FrameCompressor(const FrameCompressor&) = delete;
  FrameCompressor& operator=(const FrameCompressor&) = delete;

  // For the frames to come. ContextBytes of the highest level is what the context takes.
  void SetLevel(int level);

  // `out` has room for BoundBytes(raw.size()). A frame of its own, with content size and checksum.
  Result<size_t> Compress(std::span<const std::byte> raw, std::span<std::byte> out);

  static size_t BoundBytes(uint64_t raw_size_bytes);
  static size_t ContextBytes(int level, uint64_t frame_size_bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Decompresses exactly one frame into all of `out`, after its header has been found to promise just
// that and a window within the limit. kCorrupt: it is anything else.
// `verified`: the compressed bytes are known to be right (SHA-256), zstd need not check the result.
Result<void> DecompressFrame(std::span<const std::byte> compressed, std::span<std::byte> out,
                             bool verified);
inline constexpr size_t kDecompressContextBytes = 256 << 10;  // ZSTD_estimateDCtxSize: 95,968.

}  // namespace longhaul::archive
