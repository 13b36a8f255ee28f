#include "archive/writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <vector>

#include "archive/content_hash.h"
#include "archive/content_label.h"
#include "archive/frame_codec.h"
#include "archive/index.h"
#include "archive/manifest.h"
#include "archive/member_path.h"
#include "archive/seek_table.h"
#include "archive/tar.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/processor.h"

namespace longhaul {

using archive::FrameCompressor;

namespace {

constexpr uint64_t kFrameSizeBytesMin = 128 << 10;  // kFramesMax of them hold every archive.
constexpr int kLevelMax = 22;
constexpr int64_t kIndexStepBytes = 1 << 20;
// Contents from this size on are hashed on the pool; below, the way there costs more.
constexpr size_t kHashInPlaceBytes = 256 << 10;
// An archive that a reader gets with one request (StoreArchiveFile::kTailSizeBytes) needs no keys
// in its index: the tar headers are at hand, and there, beside contents that often repeat it, a key
// costs least. For objects of 1 KB keys in the index add a tenth (docs/archive-format.md, "Keys").
constexpr uint64_t kNoKeysCompressedBytesMax = 3 << 19;
constexpr uint64_t kNoKeysRawBytesMax = 64 << 20;
// Labels that are told apart in one frame; those beyond count for none.
constexpr size_t kLabelsMax = 16;

Result<void> CheckOptions(const ArchiveOptions& options) {
  if (options.level < 0 || options.level > kLevelMax) {
    return InvalidInput("compression level " + std::to_string(options.level) + ": 0 to 22");
  }
  if (options.levels != nullptr &&
      (options.level_max < options.level || options.level_max > kLevelMax)) {
    return InvalidInput("levels up to " + std::to_string(options.level_max));
  }
  if (options.frame_size_bytes < kFrameSizeBytesMin ||
      options.frame_size_bytes > kFrameSizeBytesMax) {
    return InvalidInput("frame size " + std::to_string(options.frame_size_bytes) + ": " +
                        std::to_string(kFrameSizeBytesMin) + " to " +
                        std::to_string(kFrameSizeBytesMax) + " bytes");
  }
  if (options.seal) {
    const std::string& id = options.seal->id;
    const bool good =
        !id.empty() && id.size() <= 64 &&
        id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
            std::string::npos;
    if (!good) return InvalidInput("the id of a seal key is 1 to 64 of A-Z a-z 0-9 . _ -");
    if (options.seal->secret.size() < 16) return InvalidInput("a seal key of less than 16 bytes");
  }
  return Ok();
}

int64_t SlotBytes(const ArchiveOptions& options) {
  size_t context = FrameCompressor::ContextBytes(options.level, options.frame_size_bytes);
  for (int level = 1; level <= options.level_max; ++level) {
    context = std::max(context, FrameCompressor::ContextBytes(level, options.frame_size_bytes));
  }
  return static_cast<int64_t>(options.frame_size_bytes +
                              FrameCompressor::BoundBytes(options.frame_size_bytes) + context);
}

// A frame being filled, compressed or written.
struct Slot {
  Slot(const ArchiveOptions& options, Reservation memory)
      : memory(std::move(memory)),
        raw(std::make_unique_for_overwrite<std::byte[]>(options.frame_size_bytes)),
        out_size(FrameCompressor::BoundBytes(options.frame_size_bytes)),
        out(std::make_unique_for_overwrite<std::byte[]>(out_size)),
        compressor(options.level, options.frame_size_bytes) {}

  Reservation memory;
  std::unique_ptr<std::byte[]> raw;
  size_t used = 0;
  size_t out_size;
  std::unique_ptr<std::byte[]> out;
  FrameCompressor compressor;
  std::vector<std::pair<std::string, uint64_t>> labels{};  // Of the content in it, and how much.

  void Count(const std::string& label, uint64_t size_bytes) {
    const auto found = std::ranges::find(labels, label, &std::pair<std::string, uint64_t>::first);
    if (found != labels.end()) {
      found->second += size_bytes;
    } else if (labels.size() < kLabelsMax) {
      labels.emplace_back(label, size_bytes);
    }
  }
  // That of most of it.
  [[nodiscard]] std::string_view MainLabel() const {
    const auto most =
        std::ranges::max_element(labels, {}, &std::pair<std::string, uint64_t>::second);
    return most == labels.end() ? std::string_view() : most->first;
  }
};

Compressed Measured(const auto& compress, Result<size_t>& size) {
  const auto began = std::chrono::steady_clock::now();
  const std::chrono::nanoseconds cpu = ThreadCpuTime();
  size = compress();
  return {.packed_bytes = size.value_or(0),
          .cpu = ThreadCpuTime() - cpu,
          .passed = std::chrono::steady_clock::now() - began};
}

// Compresses the frame as it was chosen; before it, in the room for its result, what is to be
// compared. Runs on the pool.
Result<size_t> CompressChosen(Slot& slot, const LevelChoice& choice, int level_max,
                              FrameOutcome& outcome) {
  const std::span<const std::byte> raw(slot.raw.get(), slot.used);
  const std::span<std::byte> out(slot.out.get(), slot.out_size);
  Result<size_t> size = size_t{0};
  auto at = [&](int level, std::span<const std::byte> bytes) {
    slot.compressor.SetLevel(std::min(level, level_max));
    return Measured([&] { return slot.compressor.Compress(bytes, out); }, size);
  };
  if (choice.trial) {
    const std::span<const std::byte> piece =
        raw.subspan(choice.trial->offset_bytes, choice.trial->size_bytes);
    outcome.reference = at(choice.trial->reference_level, piece);
    outcome.trial = at(choice.trial->level, piece);
  }
  outcome.raw_bytes = raw.size();
  outcome.frame = at(choice.level, raw);
  return size;
}

}  // namespace

struct ArchiveWriter::Core : std::enable_shared_from_this<Core> {
  Core(Runtime& runtime, ArchiveManifest manifest, ArchiveOptions options, ArchiveSink& sink,
       const std::array<unsigned char, 16>& hash_key)
      : runtime(runtime),
        manifest(std::move(manifest)),
        options(std::move(options)),
        sink(sink),
        hash(hash_key) {}

  struct Content {
    archive::ContentHash::Tag tag;
    uint64_t size_bytes;
    auto operator<=>(const Content&) const = default;
  };
  struct Owner {
    uint64_t entry;
    std::string path;
  };

  Result<void> CheckEntry(const ArchiveEntry& entry) const;
  std::span<std::byte> Free() {
    if (!current) return {};
    return {current->raw.get() + current->used, options.frame_size_bytes - current->used};
  }
  Async<void> AppendWhole(std::string_view bytes);
  Async<void> Append(std::span<const std::byte> bytes);
  Async<void> AppendZeros(uint64_t count);
  Async<void> AppendMember(archive::TarMember member, std::span<const std::byte> content);
  void Advance(size_t size_bytes);
  // What follows is content of this entry, which begins so.
  void BeginContent(std::string_view key, std::span<const std::byte> head) {
    if (options.levels != nullptr) label = ContentLabel(key, head);
  }
  archive::TarMember MemberFor(const ArchiveEntry& entry);
  [[nodiscard]] int64_t MtimeSeconds() const;
  Async<void> TakeSlot();
  void Seal();
  asio::awaitable<void> WaitForFrames();
  Async<void> AddPut(ArchiveEntry entry, std::span<const std::byte> content);
  Result<void> AddWithoutContent(const ArchiveEntry& entry);
  Async<void> WriteIndex();
  void GrowIndexMemory();

  Runtime& runtime;
  ArchiveManifest manifest;
  ArchiveOptions options;
  ArchiveSink& sink;

  std::shared_ptr<Slot> current;
  std::vector<std::shared_ptr<Slot>> free_slots;
  int slots = 0;
  uint64_t frames_started = 0;
  uint64_t frames_written = 0;  // Whose turn it is at the sink.
  WaitList changed;             // A frame has been written, or all is over.
  std::vector<archive::FrameDigest> frames;
  std::string label;  // Of what is written now.
  std::optional<Error> error;
  bool aborted = false;
  bool finished = false;
  bool writes_index = false;  // All content has been sealed.

  archive::IndexBuilder index;
  std::vector<Reservation> index_memory;
  bool index_memory_spent = false;
  archive::MemberPaths paths;
  archive::ContentHash hash;
  std::map<Content, Owner> contents;
  uint64_t content_memory_bytes = 0;
  uint64_t start_bytes = 0;
  uint64_t raw_bytes = 0;
  uint64_t compressed_bytes = 0;
  uint64_t linked_entries = 0;

  std::optional<ArchiveEntry> open_entry;  // Between Begin and End.
  uint64_t open_missing_bytes = 0;
  uint64_t open_header_bytes = 0;
  bool open_key_in_path = false;
};

namespace {

// Compresses one frame and hands it to the sink when its turn comes. Watches the core: it may be
// dropped while this waits for the pool or the sink. (Waiting in core.changed dies with it.)
template <class Core>
asio::awaitable<void> CompressAndWrite(std::weak_ptr<Core> watched, std::shared_ptr<Slot> slot,
                                       uint64_t turn, CpuPool& pool,
                                       std::optional<LevelChoice> choice, int level,
                                       int level_max) {
  std::string sha256;
  FrameOutcome outcome;
  auto compressed = co_await pool.Run([&] {
    Result<size_t> size = size_t{0};
    if (choice) {
      size = CompressChosen(*slot, *choice, level_max, outcome);
    } else {
      slot->compressor.SetLevel(level);
      size = slot->compressor.Compress({slot->raw.get(), slot->used},
                                       {slot->out.get(), slot->out_size});
    }
    if (size) sha256 = Sha256(AsText({slot->out.get(), *size}));
    return size;
  });
  Core* core = watched.lock().get();  // Nothing else runs on this shard until the next co_await.
  if (core == nullptr) co_return;
  if (choice && compressed) core->options.levels->OnFrame(*choice, outcome);
  while (core->frames_written != turn) co_await core->changed.Wait();
  if (!compressed && !core->error) core->error = compressed.error();
  if (!core->error && !core->aborted) {
    auto written = co_await core->sink.Write({slot->out.get(), *compressed});
    core = watched.lock().get();
    if (core == nullptr) co_return;
    if (!written && !core->error) core->error = written.error();
    core->compressed_bytes += *compressed;
    core->frames.push_back({.sizes = {.compressed_bytes = static_cast<uint32_t>(*compressed),
                                      .raw_bytes = static_cast<uint32_t>(slot->used)},
                            .sha256 = std::move(sha256)});
  }
  slot->used = 0;
  slot->labels.clear();
  core->free_slots.push_back(std::move(slot));
  ++core->frames_written;
  core->changed.NotifyAll();
}

}  // namespace

int64_t ArchiveWriter::MemoryNeeded(const ArchiveOptions& options) {
  return SlotBytes(options) + kIndexStepBytes;
}

ArchiveWriter::ArchiveWriter(std::shared_ptr<Core> core) : core_(std::move(core)) {}
ArchiveWriter::~ArchiveWriter() = default;

Async<std::unique_ptr<ArchiveWriter>> ArchiveWriter::Open(Runtime& runtime,
                                                          ArchiveManifest manifest,
                                                          ArchiveOptions options,
                                                          ArchiveSink& sink) {
  if (auto good = CheckOptions(options); !good) co_return good.error();
  if (options.slots_max <= 0) options.slots_max = runtime.pool.threads() + 1;
  if (manifest.version != 1) co_return InvalidInput("this program writes archives of version 1");
  const std::string manifest_text = archive::WriteManifest(manifest);
  if (manifest_text.size() > kFrameSizeBytesMin / 2) {
    co_return InvalidInput("a manifest of " + std::to_string(manifest_text.size()) + " bytes");
  }

  auto memory = co_await runtime.memory.Reserve(MemoryNeeded(options));
  if (!memory) co_return memory.error().In("archive");
  std::array<unsigned char, 16> hash_key;
  for (size_t i = 0; i < hash_key.size(); i += 8) {
    const uint64_t chance = runtime.random.Next();
    std::memcpy(hash_key.data() + i, &chance, 8);
  }
  auto core =
      std::make_shared<Core>(runtime, std::move(manifest), std::move(options), sink, hash_key);
  core->current = std::make_shared<Slot>(core->options, std::move(*memory));
  core->slots = 1;
  auto written = co_await core->AppendMember({.path = std::string(archive::kManifestPath),
                                              .size_bytes = manifest_text.size(),
                                              .mtime_seconds = core->MtimeSeconds()},
                                             AsBytes(manifest_text));
  if (!written) co_return written.error();
  core->start_bytes = core->raw_bytes;
  co_return std::unique_ptr<ArchiveWriter>(new ArchiveWriter(std::move(core)));
}

// Waits for a slot that is free, or opens another one where the budget has room for it.
Async<void> ArchiveWriter::Core::TakeSlot() {
  while (free_slots.empty()) {
    if (error) co_return *error;
    if (slots < options.slots_max) {
      if (auto memory = runtime.memory.TryReserve(SlotBytes(options))) {
        ++slots;
        free_slots.push_back(std::make_shared<Slot>(options, std::move(*memory)));
        break;
      }
    }
    co_await changed.Wait();
  }
  if (error) co_return *error;
  current = std::move(free_slots.back());
  free_slots.pop_back();
  co_return Ok();
}

// Sends the current frame off to be compressed.
void ArchiveWriter::Core::Seal() {
  if (!current || current->used == 0) return;
  std::optional<LevelChoice> choice;
  // The index is compressed as ever: nothing is to be learnt from it.
  if (options.levels != nullptr && !writes_index) {
    choice = options.levels->Choose(
        {.label = current->MainLabel(), .raw = {current->raw.get(), current->used}});
  }
  SpawnDetached(runtime.executor,
                CompressAndWrite(weak_from_this(), std::move(current), frames_started, runtime.pool,
                                 std::move(choice), options.level, options.level_max));
  ++frames_started;
  current.reset();
}

asio::awaitable<void> ArchiveWriter::Core::WaitForFrames() {
  while (frames_written < frames_started) co_await changed.Wait();
}

Async<void> ArchiveWriter::Core::AppendWhole(std::string_view bytes) {
  if (current && Free().size() < bytes.size()) Seal();
  if (!current) {
    if (auto taken = co_await TakeSlot(); !taken) co_return taken.error();
  }
  co_return co_await Append(AsBytes(bytes));
}

Async<void> ArchiveWriter::Core::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (!current) {
      if (auto taken = co_await TakeSlot(); !taken) co_return taken.error();
    }
    const std::span<std::byte> room = Free();
    const size_t count = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), count);
    Advance(count);
    bytes = bytes.subspan(count);
  }
  co_return Ok();
}

void ArchiveWriter::Core::Advance(size_t size_bytes) {
  current->used += size_bytes;
  if (options.levels != nullptr) current->Count(label, size_bytes);
  raw_bytes += size_bytes;
  if (current->used == options.frame_size_bytes) Seal();
}

Async<void> ArchiveWriter::Core::AppendZeros(uint64_t count) {
  static constexpr std::array<std::byte, archive::kTarEndBytes> kZeros{};
  co_return co_await Append(std::span(kZeros).first(count));
}

Async<void> ArchiveWriter::Core::AppendMember(archive::TarMember member,
                                              std::span<const std::byte> content) {
  // One frame holds all headers of a member: readers need not join pieces to parse them.
  if (auto headers = co_await AppendWhole(archive::WriteTarHeaders(member)); !headers) {
    co_return headers.error();
  }
  if (auto bytes = co_await Append(content); !bytes) co_return bytes.error();
  co_return co_await AppendZeros(archive::PaddingBytes(content.size()));
}

Result<void> ArchiveWriter::Core::CheckEntry(const ArchiveEntry& entry) const {
  if (error) return *error;
  if (finished || aborted) return InvalidInput("the archive is closed");
  if (open_entry) return InvalidInput("the archive waits for the rest of " + open_entry->key);
  if (entry.key.empty()) return InvalidInput("an entry without a key");
  if (entry.size_bytes > kContentSizeBytesMax) {
    return InvalidInput("an object of " + std::to_string(entry.size_bytes) +
                        " bytes; an archive holds at most " + std::to_string(kContentSizeBytesMax));
  }
  constexpr uint64_t kHeaders = 16 << 10;  // More than the headers of one member.
  if (index.entries() == kArchiveEntriesMax ||
      raw_bytes + archive::PaddedBytes(entry.size_bytes) + kHeaders > kArchiveRawSizeBytesMax) {
    return InvalidInput("the archive is full");
  }
  return index.Check(entry);
}

void ArchiveWriter::Core::GrowIndexMemory() {
  // Build takes as much again as the columns.
  const auto needed = static_cast<int64_t>(2 * index.memory_bytes() + content_memory_bytes);
  const auto have = kIndexStepBytes * static_cast<int64_t>(1 + index_memory.size());
  if (needed <= have || index_memory_spent) return;
  auto more = runtime.memory.TryReserve(kIndexStepBytes);
  if (more) {
    index_memory.push_back(std::move(*more));
  } else {
    index_memory_spent = true;
  }
}

archive::TarMember ArchiveWriter::Core::MemberFor(const ArchiveEntry& entry) {
  return {.path = paths.PathFor(archive::MemberKey(entry), index.entries()),
          .size_bytes = entry.size_bytes,
          .mtime_seconds = MtimeSeconds()};
}

int64_t ArchiveWriter::Core::MtimeSeconds() const {
  return std::chrono::floor<std::chrono::seconds>(manifest.created).time_since_epoch().count();
}

Async<void> ArchiveWriter::Core::AddPut(ArchiveEntry entry, std::span<const std::byte> content) {
  if (auto good = CheckEntry(entry); !good) co_return good.error();
  if (content.size() != entry.size_bytes) {
    co_return InvalidInput(entry.key + ": " + std::to_string(content.size()) +
                           " bytes instead of " + std::to_string(entry.size_bytes));
  }
  archive::TarMember member = MemberFor(entry);
  const bool key_in_path = archive::KeyFromPath(member.path) == entry.key;
  std::optional<uint64_t> link;
  if (!content.empty()) {
    Content what{.tag = {}, .size_bytes = content.size()};
    if (content.size() <= kHashInPlaceBytes) {
      what.tag = hash.Of(content);
    } else {
      what.tag = co_await runtime.pool.Run([this, content] { return hash.Of(content); });
    }
    const auto [it, first] =
        contents.try_emplace(what, Owner{.entry = index.entries(), .path = member.path});
    if (first) {
      content_memory_bytes += sizeof(Content) + sizeof(Owner) + 64 + member.path.size();
    } else {
      link = it->second.entry;
      member.link = it->second.path;
      member.size_bytes = 0;
      content = {};
      ++linked_entries;
    }
  }
  const std::string headers = archive::WriteTarHeaders(member);
  BeginContent(entry.key, content);
  index.Add(entry, headers.size(), link, key_in_path);
  GrowIndexMemory();
  if (auto bytes = co_await AppendWhole(headers); !bytes) co_return bytes.error();
  if (auto bytes = co_await Append(content); !bytes) co_return bytes.error();
  co_return co_await AppendZeros(archive::PaddingBytes(content.size()));
}

Result<void> ArchiveWriter::Core::AddWithoutContent(const ArchiveEntry& entry) {
  if (auto good = CheckEntry(entry); !good) return good.error();
  index.Add(entry, 0, std::nullopt, /*key_in_path=*/false);
  GrowIndexMemory();
  return Ok();
}

Async<void> ArchiveWriter::Core::WriteIndex() {
  Seal();
  writes_index = true;
  co_await WaitForFrames();  // The index holds their digests.
  if (error) co_return *error;
  const size_t data_frames = frames.size();
  const bool keys = compressed_bytes > kNoKeysCompressedBytesMax || raw_bytes > kNoKeysRawBytesMax;
  const std::string text = co_await runtime.pool.Run(
      [this, keys] { return index.Build(manifest, frames, start_bytes, keys, options.seal); });
  if (text.size() + archive::kTarBlockBytes * 4 > kIndexSizeBytesMax) {
    co_return InvalidInput("an index of " + std::to_string(text.size()) + " bytes");
  }
  auto written = co_await AppendMember({.path = std::string(archive::kIndexPath),
                                        .size_bytes = text.size(),
                                        .mtime_seconds = MtimeSeconds()},
                                       AsBytes(text));
  if (!written) co_return written.error();
  if (auto end = co_await AppendZeros(archive::kTarEndBytes); !end) co_return end.error();
  Seal();
  co_await WaitForFrames();
  if (error) co_return *error;

  std::vector<archive::FrameSizes> sizes;
  for (const archive::FrameDigest& frame : frames) sizes.push_back(frame.sizes);
  const std::string tail =
      archive::WriteTail({.index_frames = static_cast<uint32_t>(frames.size() - data_frames),
                          .entries = static_cast<uint32_t>(index.entries())},
                         sizes);
  compressed_bytes += tail.size();
  co_return co_await sink.Write(AsBytes(tail));
}

bool ArchiveWriter::full() const {
  return core_->index_memory_spent || core_->index.attributes_full() ||
         core_->index.entries() >= kArchiveEntriesMax || core_->raw_bytes >= kContentSizeBytesMax;
}
uint64_t ArchiveWriter::entries() const { return core_->index.entries(); }
uint64_t ArchiveWriter::raw_bytes() const { return core_->raw_bytes; }

Async<void> ArchiveWriter::Add(ArchiveEntry entry, std::span<const std::byte> content) {
  if (entry.op != EntryOp::kPut) co_return InvalidInput("content for what is not a put");
  co_return co_await core_->AddPut(std::move(entry), content);
}

Async<void> ArchiveWriter::AddDelete(ArchiveEntry entry) {
  entry.op = EntryOp::kDelete;
  if (entry.size_bytes != 0) co_return InvalidInput("a delete has no size");
  co_return core_->AddWithoutContent(entry);
}

Async<void> ArchiveWriter::AddAttributes(ArchiveEntry entry) {
  entry.op = EntryOp::kAttributes;
  co_return core_->AddWithoutContent(entry);
}

Async<void> ArchiveWriter::Begin(ArchiveEntry entry) {
  Core& core = *core_;
  if (entry.op != EntryOp::kPut) co_return InvalidInput("content for what is not a put");
  if (auto good = core.CheckEntry(entry); !good) co_return good.error();
  const archive::TarMember member = core.MemberFor(entry);
  const std::string headers = archive::WriteTarHeaders(member);
  core.open_header_bytes = headers.size();
  core.open_key_in_path = archive::KeyFromPath(member.path) == entry.key;
  core.open_missing_bytes = entry.size_bytes;
  core.open_entry = std::move(entry);
  co_return co_await core.AppendWhole(headers);
}

Async<std::span<std::byte>> ArchiveWriter::Buffer() {
  Core& core = *core_;
  if (core.error) co_return *core.error;
  if (!core.open_entry) co_return InvalidInput("no object has been begun");
  if (core.open_missing_bytes == 0) co_return std::span<std::byte>();
  if (!core.current) {
    if (auto taken = co_await core.TakeSlot(); !taken) co_return taken.error();
  }
  const std::span<std::byte> room = core.Free();
  co_return room.first(std::min<uint64_t>(room.size(), core.open_missing_bytes));
}

Async<void> ArchiveWriter::Commit(size_t size_bytes) {
  Core& core = *core_;
  if (!core.open_entry || size_bytes > core.open_missing_bytes || size_bytes > core.Free().size()) {
    co_return InvalidInput("more bytes than there is room for");
  }
  if (size_bytes == 0) co_return Ok();
  if (core.open_missing_bytes == core.open_entry->size_bytes) {
    core.BeginContent(core.open_entry->key, core.Free().first(size_bytes));
  }
  core.open_missing_bytes -= size_bytes;
  core.Advance(size_bytes);
  co_return Ok();
}

Async<void> ArchiveWriter::End(ArchiveEntry final_entry) {
  Core& core = *core_;
  if (core.error) co_return *core.error;
  if (!core.open_entry) co_return InvalidInput("no object has been begun");
  if (final_entry.key != core.open_entry->key ||
      final_entry.size_bytes != core.open_entry->size_bytes || core.open_missing_bytes != 0) {
    co_return InvalidInput(core.open_entry->key + ": " + std::to_string(core.open_missing_bytes) +
                           " of " + std::to_string(core.open_entry->size_bytes) +
                           " bytes are missing, or the end is not that of the beginning");
  }
  core.open_entry.reset();
  const uint64_t padding = archive::PaddingBytes(final_entry.size_bytes);
  if (auto good = core.index.Check(final_entry); !good) {
    core.error = good.error();  // The tar holds what the index cannot.
    co_return good.error();
  }
  core.index.Add(final_entry, core.open_header_bytes, std::nullopt, core.open_key_in_path);
  core.GrowIndexMemory();
  co_return co_await core.AppendZeros(padding);
}

Async<ArchiveSummary> ArchiveWriter::Finish() {
  Core& core = *core_;
  if (core.error) co_return *core.error;
  if (core.finished || core.aborted || core.open_entry) {
    co_return InvalidInput("the archive cannot be finished now");
  }
  core.finished = true;
  if (auto written = co_await core.WriteIndex(); !written) {
    if (!core.error) core.error = written.error();
    co_return written.error();
  }
  co_return ArchiveSummary{.raw_bytes = core.raw_bytes,
                           .compressed_bytes = core.compressed_bytes,
                           .frames = core.frames.size(),
                           .entries = core.index.entries(),
                           .linked_entries = core.linked_entries};
}

asio::awaitable<void> ArchiveWriter::Abort() {
  core_->aborted = true;
  co_await core_->WaitForFrames();
}

}  // namespace longhaul
