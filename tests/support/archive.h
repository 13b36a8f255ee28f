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
#include "base/checksum.h"
#include "base/random.h"

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

struct ArchiveItem {
  ArchiveEntry entry;
  std::string content;
};

inline ArchiveManifest TestManifest() {
  return {.id = "01KJM0000000000000000000AR",
          .rule_id = "app-logs",
          .site = "east-1",
          .source = "east:app-logs/2026/",
          .sites_passed = {"west-2"},
          .created = SystemTime(std::chrono::seconds(1772355600)),
          .writer = "longhaul test"};
}

// Bytes that neither repeat nor compress.
inline std::string Noise(size_t size, uint64_t seed) {
  SeededRandom random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// Text that compresses, as logs do.
inline std::string Lines(size_t size, uint64_t seed) {
  SeededRandom random(seed);
  std::string text;
  while (text.size() < size) {
    text += "2026-03-01T09:30:00Z GET /item/" + std::to_string(random.Below(50)) + " 200\n";
  }
  text.resize(size);
  return text;
}

inline ArchiveItem Put(std::string key, std::string content) {
  ArchiveItem item{.entry = {.key = std::move(key),
                             .stamp = SystemTime(std::chrono::seconds(1772355000)),
                             .size_bytes = content.size()},
                   .content = std::move(content)};
  return item;
}

// One of everything that an entry can have, and of the keys that make trouble.
inline std::vector<ArchiveItem> Everything() {
  std::vector<ArchiveItem> items;
  items.push_back(Put("a", "file and folder"));
  items.push_back(Put("a/b", "below a file"));
  items.push_back(Put("a//b", "double slash"));
  items.push_back(Put("a/./b", "dot"));
  items.push_back(Put("a/../../etc/passwd", "dots"));
  items.push_back(Put("/absolute", "leading slash"));
  items.push_back(Put("folder/", "trailing slash with a body"));
  items.push_back(Put("B/CASE", "case"));
  items.push_back(Put("b/case", "letter case"));
  items.push_back(Put("line\nbreak\x01\x7f\\\"%41", "control characters"));
  items.push_back(Put("ключ/äöü/鍵", "not ASCII"));
  items.push_back(Put("bytes/\xff\xfe\xc3(\xf4\x8f\xbc\x80", "not UTF-8"));
  items.push_back(Put(std::string(1024, 'k'), "one long component"));
  std::string deep;
  while (deep.size() < 1023) deep += "d/";
  items.push_back(Put(deep + "x", "deep"));
  items.push_back(Put(std::string(150, 'p') + "/" + std::string(120, 'q'), "needs pax"));
  items.push_back(Put(std::string(120, 'p') + "/" + std::string(90, 'q'), "fits in two fields"));
  items.push_back(Put("empty", ""));
  items.push_back(Put("empty too", ""));
  items.push_back(
      Put(std::string(150, 'p') + "/" + std::string(120, 't'), "the same bytes in two objects"));
  items.push_back(Put("twin/1", "the same bytes in two objects"));
  items.push_back(Put("twin/of-the-long-one", "the same bytes in two objects"));
  items.push_back(Put("large", Lines(300'000, 7)));

  ArchiveItem rich = Put("rich", "content with everything");
  rich.entry.version_id = "3HL4kqtJvjVBH40Nrjfkd";
  rich.entry.stamp = SystemTime(std::chrono::microseconds(1772355001123456));
  rich.entry.etag = "9bb58f26192e4ba00f01e2e7b136bbd8-3";
  rich.entry.part_sizes = {8388608, 8388608, 8388608, 17};
  rich.entry.headers = {.content_type = "text/plain; charset=\"utf-8\"",
                        .content_encoding = "gzip",
                        .content_language = "de",
                        .content_disposition = "attachment; filename=\"ä.txt\"",
                        .cache_control = "no-cache",
                        .expires = "Wed, 21 Oct 2026 07:28:00 GMT",
                        .website_redirect_location = "/other"};
  rich.entry.metadata = {{"owner", "a team"}, {"latin", "caf\xe9"}, {"empty", ""}};
  rich.entry.tags = {{"tier", "hot"}, {"a:b/c", "="}};
  rich.entry.storage_class = "STANDARD_IA";
  items.push_back(rich);

  ArchiveItem md5 = Put("md5/small", "its ETag follows from the bytes");
  md5.entry.etag_is_md5 = true;
  items.push_back(md5);
  ArchiveItem large_md5 = Put("md5/large", Lines(70'000, 8));
  large_md5.entry.etag = HexEncode(Md5(large_md5.content));
  large_md5.entry.etag_is_md5 = true;
  large_md5.entry.checksum =
      Checksum{.algorithm = ChecksumAlgorithm::kCrc64Nvme, .value = "AAAAAAAAAAA="};
  items.push_back(large_md5);

  ArchiveItem gone = Put("gone", "");
  gone.entry.op = EntryOp::kDelete;
  items.push_back(gone);
  ArchiveItem retagged = Put("retagged", "");
  retagged.entry.op = EntryOp::kAttributes;
  retagged.entry.size_bytes = 12345;
  retagged.entry.etag = "0123456789abcdef0123456789abcdef";
  retagged.entry.etag_is_md5 = true;
  retagged.entry.tags = {{"tier", "cold"}};
  items.push_back(retagged);
  return items;
}

inline Async<ArchiveSummary> WriteArchive(Runtime& runtime, std::vector<ArchiveItem> items,
                                          ArchiveOptions options, MemorySink& sink,
                                          ArchiveManifest manifest = TestManifest()) {
  auto writer = co_await ArchiveWriter::Open(runtime, manifest, options, sink);
  if (!writer) co_return writer.error();
  Result<void> added = Ok();
  for (const ArchiveItem& item : items) {
    if (item.entry.op == EntryOp::kDelete) {
      added = co_await (*writer)->AddDelete(item.entry);
    } else if (item.entry.op == EntryOp::kAttributes) {
      added = co_await (*writer)->AddAttributes(item.entry);
    } else {
      added = co_await (*writer)->Add(item.entry, AsBytes(item.content));
    }
    if (!added) break;
  }
  if (!added) {
    co_await (*writer)->Abort();
    co_return added.error();
  }
  auto summary = co_await (*writer)->Finish();
  if (!summary) co_await (*writer)->Abort();
  co_return summary;
}

}  // namespace longhaul::testing
