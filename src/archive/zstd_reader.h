// ZstdReader: what comes out of a stream of zstd frames, read from front to back.
//
// For files that others have made: nothing but the bytes themselves says how long they are. The
// window that the first frame asks for is reserved from the budget before it is allocated; a later
// frame may not ask for more.
//   kCorrupt       not zstd, cut off, or damaged as far as zstd can tell;
//   kInvalidInput  a window beyond the limit of entry.h, a dictionary, or more memory than the
//                  budget has (the message says how much).
// Errors of the source come through as they are.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul::archive {

class ZstdReader : public ByteReader {
 public:
  // What reading takes that begins with `head`: kHeadBytes, or all that there are. For whoever sets
  // it aside in one step, so that the reader has to wait for nothing.
  static constexpr size_t kHeadBytes = 18;
  static int64_t MemoryNeeded(std::span<const std::byte> head);

  // `source` outlives it.
  ZstdReader(Runtime& runtime, ByteReader& source);
  ~ZstdReader() override;
  ZstdReader(const ZstdReader&) = delete;
  ZstdReader& operator=(const ZstdReader&) = delete;

  // 0: the source has ended, and with it a frame.
  Async<size_t> Read(std::span<std::byte> out) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul::archive
