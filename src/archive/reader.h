// ArchiveReader opens an archive by its tail and gives its entries and, frame by frame, their
// bytes.
//
// Nothing in an archive is trusted: every limit of entry.h is checked before memory is taken,
// memory is reserved from the budget before it is allocated, and whatever does not fit together is
//   kCorrupt       damaged: wrong digest, cut off, contradicting itself, a seal that does not fit;
//   kInvalidInput  not for this reader: a newer major version or unknown encoding, over a limit, no
//                  seal where one is asked for, or more memory than the budget can give (the
//                  message says how much is needed). The archive may be fine: keep it.
// Errors of the file (kRetryable, kPrecondition, …) come through as they are.
//
// Belongs to one shard; many coroutines may call ReadFrame at once.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "archive/archive_file.h"
#include "archive/entry.h"
#include "base/async.h"
#include "base/runtime.h"

namespace longhaul {

struct ReaderOptions {
  // Keys that may have sealed the archive. Not empty: an archive without a seal, or sealed with a
  // key that is not here, is refused (kInvalidInput); one whose seal does not fit is kCorrupt.
  // Empty: seals are not looked at.
  std::vector<SealKey> seal_keys;
  uint64_t entries_max = kArchiveEntriesMax;
  uint64_t index_size_bytes_max = kIndexSizeBytesMax;  // Also: a quarter of the budget.
  uint64_t frame_size_bytes_max = kFrameSizeBytesMax;
  // Small archives have their keys in frames. Set: those in a frame that is damaged stay empty, and
  // the others can be read; else Open finds the archive kCorrupt.
  bool spare_damaged_frames = false;
};

struct FrameInfo {
  uint64_t offset_bytes = 0;  // In the file.
  uint64_t size_bytes = 0;
  uint64_t raw_offset_bytes = 0;  // In the tar.
  uint64_t raw_size_bytes = 0;
  std::string sha256;  // 32 bytes, of the compressed bytes.
};

// A decompressed frame and the memory it takes.
class ArchiveFrame {
 public:
  ArchiveFrame() = default;
  ArchiveFrame(std::unique_ptr<std::byte[]> data, size_t size_bytes, Reservation memory)
      : data_(std::move(data)), size_bytes_(size_bytes), memory_(std::move(memory)) {}
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_.get(), size_bytes_}; }

 private:
  std::unique_ptr<std::byte[]> data_;
  size_t size_bytes_ = 0;
  Reservation memory_;
};

// A piece of an object's content: `size_bytes` of frame `frame` from `offset_bytes` on.
struct ContentPiece {
  size_t frame = 0;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  bool operator==(const ContentPiece&) const = default;
};

class ArchiveReader {
 public:
  // Reads index and seek table: the tail of the file, at most a few requests. `file` outlives it.
  // Small archives are read as a whole here (their index holds no keys, the tar does).
  static Async<std::unique_ptr<ArchiveReader>> Open(Runtime& runtime, ArchiveFile& file,
                                                    ReaderOptions options);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  [[nodiscard]] const ArchiveManifest& manifest() const;
  // In the order of the archive.
  [[nodiscard]] const std::vector<ArchiveEntry>& entries() const;
  [[nodiscard]] const std::vector<FrameInfo>& frames() const;
  // The id of the key that sealed the archive; empty when there is no seal.
  [[nodiscard]] const std::string& seal_key_id() const;
  // Where the content of an entry lies, in order; empty for an empty object, a delete, tags. Equal
  // objects share their pieces.
  [[nodiscard]] std::vector<ContentPiece> Pieces(size_t entry) const;
  // The entry that holds the content of `entry`: itself, or the one it is linked to.
  [[nodiscard]] size_t ContentOwner(size_t entry) const;
  // Where the tar headers of an entry lie: one piece, empty size for an entry without a member.
  [[nodiscard]] ContentPiece TarHeader(size_t entry) const;
  // Memory of the budget that this reader and its file hold for as long as they live.
  [[nodiscard]] int64_t held_bytes() const;
  // What one ReadFrame reserves at most, in one step, for any frame of this archive. Both together
  // are within the budget, or Open has refused the archive.
  [[nodiscard]] int64_t FrameMemoryNeeded() const;

  // Fetches a frame by one range, checks its SHA-256, decompresses it on the pool. Reserves memory
  // for both forms in one step before the request, and keeps that of the raw one in the result.
  // Waits until so much is free: whoever holds more of the same budget than `held_bytes` sees to it
  // that this can be.
  Async<ArchiveFrame> ReadFrame(size_t frame);

 private:
  struct Impl;
  explicit ArchiveReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul
