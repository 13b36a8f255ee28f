// What a person does with an archive: take files out of it, and find out whether it is sound.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "archive/reader.h"
#include "base/async.h"
#include "base/runtime.h"

namespace longhaul {

// Where content goes, piece by piece and in order.
class ContentSink {
 public:
  virtual ~ContentSink() = default;
  virtual Async<void> Write(std::span<const std::byte> bytes) = 0;
};

// Gives the bytes of pieces, keeping the last frame: neighbours mostly lie in one.
class FrameWindow {
 public:
  explicit FrameWindow(ArchiveReader& reader) : reader_(reader) {}
  // The span lives until the next call. Errors as of ArchiveReader::ReadFrame.
  Async<std::span<const std::byte>> Bytes(ContentPiece piece);

 private:
  ArchiveReader& reader_;
  ArchiveFrame frame_;
  size_t number_ = SIZE_MAX;
};

// Copies the content of an entry. Errors of the reader, and of the sink.
Async<void> CopyContent(ArchiveReader& reader, FrameWindow& window, size_t entry,
                        ContentSink& sink);

struct ExtractOptions {
  std::string folder;      // Made if it is not there.
  std::string prefix;      // Only keys that begin with this.
  bool overwrite = false;  // Replace files that are there; else they are errors.
};

struct ExtractSummary {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t failed = 0;  // Each was told.
};

// Writes each object below the folder, under a path made from its key (archive/member_path.h),
// whatever the key says: nothing is ever written outside, and no link in the folder is followed. A
// file is dated by its stamp. `told` hears of every object with what became of it.
// Errors: those of the reader; the folder cannot be made.
Async<ExtractSummary> ExtractArchive(
    Runtime& runtime, ArchiveReader& reader, ExtractOptions options,
    std::function<void(const ArchiveEntry&, const std::string& path, const Result<void>&)> told);

struct VerifySummary {
  uint64_t frames = 0;
  uint64_t entries = 0;
  uint64_t raw_bytes = 0;
  uint64_t problems = 0;  // Each was told.
};

// Reads everything: every frame has its SHA-256 and decompresses; every entry has the tar headers
// that the index says, and the MD5 and the checksum where the archive holds them; the manifest in
// the tar is that of the index. A problem does not end the search.
// Errors: only those that say nothing about the archive (kRetryable, kDenied, …).
Async<VerifySummary> VerifyArchive(Runtime& runtime, ArchiveReader& reader,
                                   std::function<void(const std::string& problem)> told);

}  // namespace longhaul
