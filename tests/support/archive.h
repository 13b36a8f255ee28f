// Archives in memory, for tests of whatever writes or reads them.

#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "archive/archive_file.h"
#include "archive/reader.h"
#include "archive/writer.h"
#include "base/bytes.h"

namespace longhaul::testing {

// Keeps what it is given. Fails from the write on that `fail_at` counts (1 is the first).
class MemorySink : public ArchiveSink {
 public:
  Async<void> Write(std::span<const std::byte> piece) override {
    ++writes;
    if (fail_at != 0 && writes >= fail_at) co_return Retryable("the sink broke");
    bytes += AsText(piece);
    co_return Ok();
  }
  std::string bytes;
  int writes = 0;
  int fail_at = 0;
};

class MemoryArchiveFile : public ArchiveFile {
 public:
  explicit MemoryArchiveFile(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] uint64_t size_bytes() const override { return bytes_.size(); }
  Async<void> ReadAt(uint64_t offset_bytes, std::span<std::byte> out) override {
    ++reads;
    read_bytes += out.size();
    if (offset_bytes > bytes_.size() || out.size() > bytes_.size() - offset_bytes) {
      co_return Corrupt("the file ends inside the archive");
    }
    std::memcpy(out.data(), bytes_.data() + offset_bytes, out.size());
    co_return Ok();
  }
  int reads = 0;
  uint64_t read_bytes = 0;

 private:
  std::string bytes_;
};

// The content of an entry, fetched frame by frame.
inline Async<std::string> ReadContent(ArchiveReader& reader, size_t entry) {
  std::string content;
  for (const ContentPiece& piece : reader.Pieces(entry)) {
    auto frame = co_await reader.ReadFrame(piece.frame);
    if (!frame) co_return frame.error();
    content += AsText(frame->bytes().subspan(piece.offset_bytes, piece.size_bytes));
  }
  co_return content;
}

struct OpenedArchive {
  ArchiveManifest manifest;
  std::vector<ArchiveEntry> entries;
  std::vector<std::string> contents;
  std::string seal_key_id;
};

// Everything that an archive holds.
inline Async<OpenedArchive> ReadWholeArchive(Runtime& runtime, std::string bytes,
                                             ReaderOptions options = {}) {
  MemoryArchiveFile file(std::move(bytes));
  auto reader = co_await ArchiveReader::Open(runtime, file, std::move(options));
  if (!reader) co_return reader.error();
  OpenedArchive opened{.manifest = (*reader)->manifest(),
                       .entries = (*reader)->entries(),
                       .contents = {},
                       .seal_key_id = (*reader)->seal_key_id()};
  for (size_t i = 0; i < opened.entries.size(); ++i) {
    auto content = co_await ReadContent(**reader, i);
    if (!content) co_return content.error();
    opened.contents.push_back(std::move(*content));
  }
  co_return opened;
}

}  // namespace longhaul::testing
