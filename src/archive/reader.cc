#include "archive/reader.h"

#include <algorithm>

#include "archive/frame_codec.h"
#include "archive/index.h"
#include "archive/member_path.h"
#include "archive/seek_table.h"
#include "archive/tar.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"

namespace longhaul {

using archive::EntryLocation;
using archive::FrameSizes;

struct ArchiveReader::Impl {
  Impl(Runtime& runtime, ArchiveFile& file, ReaderOptions options)
      : runtime(runtime), file(file), options(std::move(options)) {}

  Async<void> Open();
  Async<void> ReadTail();
  Async<void> ReadIndex();
  Async<void> ReadKeysFromTar();
  Async<ArchiveFrame> ReadFrame(size_t number);
  Result<void> CheckFrames();
  // kInvalidInput: so much beside what is held is more than the budget. Who waited for it would
  // wait for ever.
  [[nodiscard]] Result<void> CheckFits(int64_t size_bytes) const;
  // Waits until so much is free. kInvalidInput: see CheckFits.
  Async<Reservation> Take(uint64_t size_bytes);
  // Does not wait. kInvalidInput: with `beside`, which is held but not in `memory`, it is more than
  // the budget; kRetryable: others hold too much now.
  Result<void> TakeMore(int64_t size_bytes, int64_t beside);
  [[nodiscard]] int64_t held_bytes() const;
  [[nodiscard]] int64_t FrameMemoryNeeded() const;
  [[nodiscard]] ContentPiece HeaderPiece(size_t entry) const;
  [[nodiscard]] std::vector<ContentPiece> Locate(uint64_t offset, uint64_t size) const;
  [[nodiscard]] uint64_t QuarterOfBudget() const {
    return static_cast<uint64_t>(runtime.memory.limit_bytes()) / 4;
  }

  Runtime& runtime;
  ArchiveFile& file;
  ReaderOptions options;
  archive::Tail tail;
  uint64_t tail_bytes = 0;
  archive::ParsedIndex index;
  std::vector<FrameInfo> frames;
  std::vector<FrameInfo> index_frames;
  std::string seal_key_id;
  std::vector<Reservation> memory;  // For index and keys.
};

Result<void> ArchiveReader::Impl::CheckFrames() {
  if (tail.locator.version > 1) {
    return InvalidInput("archive format " + std::to_string(tail.locator.version) +
                        "; this program reads format 1");
  }
  if (tail.locator.version == 0) return Corrupt("archive format 0");
  if (tail.locator.entries > options.entries_max) {
    return InvalidInput("an archive of " + std::to_string(tail.locator.entries) +
                        " entries; the limit is " + std::to_string(options.entries_max));
  }
  const size_t index_count = tail.locator.index_frames;
  if (index_count == 0 || index_count > tail.frames.size()) {
    return Corrupt("the locator names index frames that are not there");
  }
  uint64_t offset = 0;
  uint64_t raw_offset = 0;
  for (size_t i = 0; i < tail.frames.size(); ++i) {
    const FrameSizes& sizes = tail.frames[i];
    if (sizes.raw_bytes > options.frame_size_bytes_max) {
      return InvalidInput("a frame of " + std::to_string(sizes.raw_bytes) +
                          " bytes; the limit is " + std::to_string(options.frame_size_bytes_max));
    }
    if (sizes.raw_bytes == 0 || sizes.compressed_bytes == 0 ||
        sizes.compressed_bytes > archive::FrameCompressor::BoundBytes(sizes.raw_bytes) + 64) {
      return Corrupt("the seek table gives a frame an impossible size");
    }
    FrameInfo frame{.offset_bytes = offset,
                    .size_bytes = sizes.compressed_bytes,
                    .raw_offset_bytes = raw_offset,
                    .raw_size_bytes = sizes.raw_bytes};
    offset += sizes.compressed_bytes;
    raw_offset += sizes.raw_bytes;
    const bool data = i < tail.frames.size() - index_count;
    (data ? frames : index_frames).push_back(std::move(frame));
    if (data && raw_offset > kArchiveRawSizeBytesMax) {
      return InvalidInput("an archive of more than " + std::to_string(kArchiveRawSizeBytesMax) +
                          " bytes before compression");
    }
  }
  if (offset + tail_bytes != file.size_bytes()) {
    return Corrupt("the file does not have the length that its seek table says");
  }
  return Ok();
}

Async<void> ArchiveReader::Impl::ReadTail() {
  const uint64_t size = file.size_bytes();
  if (size < archive::kSeekTableFooterBytes) co_return Corrupt("too short for an archive");
  std::byte footer[archive::kSeekTableFooterBytes];
  if (auto read = co_await file.ReadAt(size - sizeof footer, footer); !read) {
    co_return read.error();
  }
  const auto needed = archive::TailSizeBytes(footer);
  if (!needed) co_return needed.error();
  if (*needed > size) co_return Corrupt("cut off: the seek table is longer than the file");
  tail_bytes = *needed;
  // The table as it is, as numbers and as FrameInfo.
  auto reserved =
      co_await Take(tail_bytes + tail_bytes / 8 * (sizeof(FrameSizes) + sizeof(FrameInfo) + 32));
  if (!reserved) co_return reserved.error();
  std::vector<std::byte> bytes(tail_bytes);
  if (auto read = co_await file.ReadAt(size - tail_bytes, bytes); !read) co_return read.error();
  auto parsed = archive::ParseTail(bytes);
  if (!parsed) co_return parsed.error();
  tail = std::move(*parsed);
  memory.push_back(std::move(*reserved));
  co_return CheckFrames();
}

Async<void> ArchiveReader::Impl::ReadIndex() {
  uint64_t raw_bytes = 0;
  uint64_t compressed_bytes_max = 0;
  for (const FrameInfo& frame : index_frames) {
    raw_bytes += frame.raw_size_bytes;
    compressed_bytes_max = std::max(compressed_bytes_max, frame.size_bytes);
  }
  if (raw_bytes > options.index_size_bytes_max) {
    co_return InvalidInput("an index of " + std::to_string(raw_bytes) + " bytes; the limit is " +
                           std::to_string(options.index_size_bytes_max));
  }
  if (raw_bytes > QuarterOfBudget()) {
    co_return InvalidInput(
        "an index of " + std::to_string(raw_bytes) +
        " bytes is more than a quarter of the memory budget: raise --memory to " + "at least " +
        std::to_string(4 * raw_bytes));
  }
  // In one step: the text, what it was compressed to, and what usually comes out of it.
  const uint64_t text_memory = raw_bytes + compressed_bytes_max + archive::kDecompressContextBytes;
  uint64_t entries_memory =
      std::min(archive::UsualIndexMemoryBytes(tail.locator.entries, raw_bytes), QuarterOfBudget());
  auto reserved = co_await Take(text_memory + entries_memory);
  if (!reserved) co_return reserved.error();

  auto raw = std::make_unique_for_overwrite<std::byte[]>(raw_bytes);
  auto compressed = std::make_unique_for_overwrite<std::byte[]>(compressed_bytes_max);
  uint64_t at = 0;
  for (const FrameInfo& frame : index_frames) {
    const std::span<std::byte> in(compressed.get(), frame.size_bytes);
    if (auto read = co_await file.ReadAt(frame.offset_bytes, in); !read) co_return read.error();
    const std::span<std::byte> out(raw.get() + at, frame.raw_size_bytes);
    auto decompressed = co_await runtime.pool.Run(
        [in, out] { return archive::DecompressFrame(in, out, /*verified=*/false); });
    if (!decompressed) co_return decompressed.error().In("index");
    at += frame.raw_size_bytes;
  }

  const std::span<const std::byte> member(raw.get(), raw_bytes);
  const auto headers = archive::ParseTarHeaders(member);
  if (!headers) co_return headers.error().In("index");
  if (headers->member.path != archive::kIndexPath ||
      headers->header_bytes + headers->member.size_bytes > raw_bytes) {
    co_return Corrupt("the index is not where the locator says");
  }
  const std::string_view text =
      AsText(member.subspan(headers->header_bytes, headers->member.size_bytes));
  const std::vector<FrameSizes> data_frames(
      tail.frames.begin(), tail.frames.begin() + static_cast<ptrdiff_t>(frames.size()));
  auto sealed =
      co_await runtime.pool.Run([&] { return archive::CheckSeal(text, options.seal_keys); });
  if (!sealed) co_return sealed.error();
  seal_key_id = std::move(*sealed);
  auto parse = [&] {
    return archive::ParseIndex(text, data_frames, options.entries_max, entries_memory);
  };
  auto parsed = co_await runtime.pool.Run(parse);
  if (!parsed && parsed.error().code == archive::kIndexMemoryCode &&
      entries_memory < QuarterOfBudget()) {
    // Unusual: few bytes of text that stand for many. Not waited for: waiting while holding memory
    // is how readers stop each other.
    auto more =
        TakeMore(static_cast<int64_t>(QuarterOfBudget() - entries_memory), reserved->size_bytes());
    if (!more) co_return more.error();
    entries_memory = QuarterOfBudget();
    parsed = co_await runtime.pool.Run(parse);
  }
  if (!parsed) co_return parsed.error();
  index = std::move(*parsed);
  if (index.entries.size() != tail.locator.entries) {
    co_return Corrupt("index and locator disagree about the number of entries");
  }
  for (size_t i = 0; i < frames.size(); ++i) frames[i].sha256 = index.frame_sha256[i];
  // What is kept is known now.
  if (memory.size() > 1) memory.pop_back();
  reserved->ShrinkTo(std::min(reserved->size_bytes(), static_cast<int64_t>(index.memory_bytes)));
  const auto missing = static_cast<int64_t>(index.memory_bytes) - reserved->size_bytes();
  memory.push_back(std::move(*reserved));
  if (missing > 0) co_return TakeMore(missing, 0);
  co_return Ok();
}

// The index of a small archive holds no keys that the paths in the tar tell.
Async<void> ArchiveReader::Impl::ReadKeysFromTar() {
  constexpr int64_t kStepBytes = 256 << 10;
  const size_t count = index.entries.size();
  int64_t available = 0;
  ArchiveFrame frame;
  size_t frame_number = SIZE_MAX;
  for (size_t i = 0; i < count; ++i) {
    const EntryLocation& location = index.locations[i];
    if (!location.key_in_path) continue;
    const ContentPiece piece = HeaderPiece(i);
    if (piece.size_bytes < location.header_bytes) {
      co_return Corrupt("a tar header is cut in two by a frame");
    }
    if (piece.frame != frame_number) {
      frame = ArchiveFrame();  // First give back, then take.
      auto read = co_await ReadFrame(piece.frame);
      frame_number = piece.frame;
      if (read) {
        frame = std::move(*read);
      } else if (!options.spare_damaged_frames || read.error().kind != ErrorKind::kCorrupt) {
        co_return read.error();
      }
    }
    if (frame.bytes().empty()) continue;  // Damaged.
    const auto parsed =
        archive::ParseTarHeaders(frame.bytes().subspan(piece.offset_bytes, location.header_bytes));
    if (!parsed) co_return parsed.error().In("entry " + std::to_string(i));
    auto key = archive::KeyFromPath(parsed->member.path);
    if (!key || key->empty()) {
      co_return Corrupt("entry " + std::to_string(i) +
                        " has neither a key nor a path that tells it");
    }
    available -= static_cast<int64_t>(key->size()) + 32;
    if (available < 0) {
      auto more = TakeMore(kStepBytes, static_cast<int64_t>(frame.bytes().size()));
      if (!more) co_return more.error();
      available += kStepBytes;
    }
    index.entries[i].key = std::move(*key);
  }
  co_return Ok();
}

Result<void> ArchiveReader::Impl::CheckFits(int64_t size_bytes) const {
  const int64_t needed = held_bytes() + size_bytes;
  if (needed <= runtime.memory.limit_bytes()) return Ok();
  return InvalidInput("reading the archive takes " + std::to_string(needed) +
                      " bytes of memory, the budget is " +
                      std::to_string(runtime.memory.limit_bytes()) + " (--memory)");
}

Async<Reservation> ArchiveReader::Impl::Take(uint64_t size_bytes) {
  const auto bytes = static_cast<int64_t>(size_bytes);
  if (auto fits = CheckFits(bytes); !fits) co_return fits.error();
  co_return co_await runtime.memory.Reserve(bytes);
}

Result<void> ArchiveReader::Impl::TakeMore(int64_t size_bytes, int64_t beside) {
  if (auto fits = CheckFits(beside + size_bytes); !fits) return fits;
  auto more = runtime.memory.TryReserve(size_bytes);
  if (!more) {
    return Retryable("opening the archive takes " + std::to_string(size_bytes) +
                     " bytes more than are free in the memory budget now");
  }
  memory.push_back(std::move(*more));
  return Ok();
}

Async<ArchiveFrame> ArchiveReader::Impl::ReadFrame(size_t number) {
  LH_CHECK(number < frames.size());
  const FrameInfo& frame = frames[number];
  const std::string context = "frame " + std::to_string(number);
  auto reserved =
      co_await Take(frame.size_bytes + frame.raw_size_bytes + archive::kDecompressContextBytes);
  if (!reserved) co_return reserved.error().In(context);
  auto compressed = std::make_unique_for_overwrite<std::byte[]>(frame.size_bytes);
  const std::span<std::byte> in(compressed.get(), frame.size_bytes);
  if (auto read = co_await file.ReadAt(frame.offset_bytes, in); !read) {
    co_return read.error().In(context);
  }
  auto raw = std::make_unique_for_overwrite<std::byte[]>(frame.raw_size_bytes);
  const std::span<std::byte> out(raw.get(), frame.raw_size_bytes);
  const std::string_view sha256 = frame.sha256;
  auto decompressed = co_await runtime.pool.Run([in, out, sha256]() -> Result<void> {
    if (Sha256(AsText(in)) != sha256) {
      return Corrupt("the bytes do not have the SHA-256 that the index gives: damaged");
    }
    return archive::DecompressFrame(in, out, /*verified=*/true);
  });
  if (!decompressed) co_return decompressed.error().In(context);
  compressed.reset();
  reserved->ShrinkTo(static_cast<int64_t>(frame.raw_size_bytes));
  co_return ArchiveFrame(std::move(raw), frame.raw_size_bytes, std::move(*reserved));
}

std::vector<ContentPiece> ArchiveReader::Impl::Locate(uint64_t offset, uint64_t size) const {
  std::vector<ContentPiece> pieces;
  if (size == 0) return pieces;
  auto frame = std::ranges::upper_bound(frames, offset, {}, &FrameInfo::raw_offset_bytes);
  for (--frame; size > 0; ++frame) {
    LH_CHECK(frame != frames.end());  // The index was checked against the frames.
    const uint64_t inside = offset - frame->raw_offset_bytes;
    const uint64_t part = std::min(size, frame->raw_size_bytes - inside);
    pieces.push_back({static_cast<size_t>(frame - frames.begin()), inside, part});
    offset += part;
    size -= part;
  }
  return pieces;
}

int64_t ArchiveReader::Impl::held_bytes() const {
  int64_t total = file.held_bytes();
  for (const Reservation& reservation : memory) total += reservation.size_bytes();
  return total;
}

int64_t ArchiveReader::Impl::FrameMemoryNeeded() const {
  uint64_t most = 0;
  for (const FrameInfo& frame : frames) {
    most = std::max(most, frame.size_bytes + frame.raw_size_bytes);
  }
  return static_cast<int64_t>(most + archive::kDecompressContextBytes);
}

ContentPiece ArchiveReader::Impl::HeaderPiece(size_t entry) const {
  const EntryLocation& location = index.locations[entry];
  const auto pieces = Locate(location.header_offset_bytes, location.header_bytes);
  return pieces.empty() ? ContentPiece() : pieces.front();
}

Async<void> ArchiveReader::Impl::Open() {
  if (auto read = co_await ReadTail(); !read) co_return read.error();
  if (auto read = co_await ReadIndex(); !read) co_return read.error();
  if (auto fits = CheckFits(FrameMemoryNeeded()); !fits) co_return fits.error();
  if (auto read = co_await ReadKeysFromTar(); !read) co_return read.error();
  co_return CheckFits(FrameMemoryNeeded());  // The keys take memory, too.
}

ArchiveReader::ArchiveReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ArchiveReader::~ArchiveReader() = default;

Async<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(Runtime& runtime, ArchiveFile& file,
                                                          ReaderOptions options) {
  auto impl = std::make_unique<Impl>(runtime, file, std::move(options));
  if (auto opened = co_await impl->Open(); !opened) co_return opened.error();
  co_return std::unique_ptr<ArchiveReader>(new ArchiveReader(std::move(impl)));
}

const ArchiveManifest& ArchiveReader::manifest() const { return impl_->index.manifest; }
const std::vector<ArchiveEntry>& ArchiveReader::entries() const { return impl_->index.entries; }
const std::vector<FrameInfo>& ArchiveReader::frames() const { return impl_->frames; }
const std::string& ArchiveReader::seal_key_id() const { return impl_->seal_key_id; }

std::vector<ContentPiece> ArchiveReader::Pieces(size_t entry) const {
  const ArchiveEntry& what = impl_->index.entries[entry];
  if (what.op != EntryOp::kPut) return {};
  return impl_->Locate(impl_->index.locations[entry].content_offset_bytes, what.size_bytes);
}

size_t ArchiveReader::ContentOwner(size_t entry) const {
  return impl_->index.locations[entry].owner;
}

ContentPiece ArchiveReader::TarHeader(size_t entry) const { return impl_->HeaderPiece(entry); }

int64_t ArchiveReader::held_bytes() const { return impl_->held_bytes(); }
int64_t ArchiveReader::FrameMemoryNeeded() const { return impl_->FrameMemoryNeeded(); }

Async<ArchiveFrame> ArchiveReader::ReadFrame(size_t frame) { return impl_->ReadFrame(frame); }

}  // namespace longhaul
