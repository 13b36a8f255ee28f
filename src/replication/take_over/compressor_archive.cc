#include "replication/take_over/compressor_archive.h"

#include <algorithm>
#include <map>
#include <utility>

#include "archive/entry.h"
#include "archive/tar_reader.h"
#include "archive/zstd_reader.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

constexpr size_t kChunkBytes = 256 << 10;
constexpr size_t kKeyBytesMax = 1024;  // S3 User Guide, "Naming objects".
// What the table of members takes for each beside its name, and of the budget at once.
constexpr int64_t kMemberBytes = 512;
constexpr int64_t kTableStepBytes = 256 << 10;
// Parsed, and as entries: some small objects of 100 to 200 bytes for a field of a few.
constexpr int64_t kManifestFactor = 16;

struct Member {
  size_t number = 0;
  uint64_t size_bytes = 0;
  std::string md5;
  std::string crc64;
};

std::string FolderOf(std::string prefix) {
  if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
  return prefix;
}

class Survey {
 public:
  Survey(Runtime& runtime, CompressorArchivePlace place, Address source)
      : runtime_(runtime), source_(std::move(source)), cursor_(runtime, std::move(place)) {}

  Async<CompressorContents> Run() {
    Result<Reservation> chunk = co_await runtime_.memory.Reserve(kChunkBytes);
    if (!chunk) co_return chunk.error();
    chunk_.resize(kChunkBytes);
    for (size_t number = 0;; ++number) {
      Result<std::optional<archive::TarMember>> next = co_await cursor_.Next();
      if (!next) co_return next.error();
      if (!*next) break;
      if (number > kArchiveEntriesMax) co_return InvalidInput("it holds too many members");
      Result<void> taken = co_await Take(number, **next);
      if (!taken) co_return taken.error();
    }
    if (!manifest_) co_return Corrupt("it holds no manifest.json");
    Result<archive::CompressorManifest> manifest = archive::ParseCompressorManifest(*manifest_);
    if (!manifest) co_return manifest.error();
    manifest_.reset();
    CompressorContents contents = Join(std::move(*manifest));
    contents.memory = std::move(table_memory_);
    co_return contents;
  }

 private:
  Async<void> Take(size_t number, const archive::TarMember& member) {
    if (member.path == archive::kCompressorManifestName) {
      if (manifest_) co_return Corrupt("it holds two manifests");
      co_return co_await ReadManifest(member.size_bytes);
    }
    if (!member.path.starts_with(archive::kCompressorObjectsFolder)) {
      // With the archive it would be thrown away.
      co_return InvalidInput("it holds a file that is neither an object nor its manifest");
    }
    std::string name = member.path.substr(archive::kCompressorObjectsFolder.size());
    if (name.size() > kKeyBytesMax) co_return InvalidInput("a name in it is too long for a key");
    Result<void> room = MakeRoom(static_cast<int64_t>(name.size()) + kMemberBytes);
    if (!room) co_return room.error();
    HashSet hashes({HashKind::kMd5, HashKind::kCrc64Nvme});
    for (uint64_t left = member.size_bytes; left > 0;) {
      Result<size_t> count = co_await cursor_.Read(chunk_);
      if (!count) co_return count.error();
      if (*count == 0) co_return Corrupt("the tar is cut off");
      left -= *count;
      co_await runtime_.pool.Run(
          [&hashes, bytes = std::span(chunk_).first(*count)] { hashes.Update(bytes); });
    }
    auto digests = hashes.Finish();
    members_[std::move(name)] = {.number = number,
                                 .size_bytes = member.size_bytes,
                                 .md5 = HexEncode(digests[0].second),
                                 .crc64 = std::move(digests[1].second)};
    co_return Ok();
  }

  Async<void> ReadManifest(uint64_t size_bytes) {
    if (size_bytes > kIndexSizeBytesMax) co_return InvalidInput("its manifest is too large");
    Result<void> room = MakeRoom(static_cast<int64_t>(size_bytes) * kManifestFactor);
    if (!room) co_return room.error();
    manifest_.emplace(size_bytes, '\0');
    for (size_t filled = 0; filled < size_bytes;) {
      Result<size_t> count =
          co_await cursor_.Read(std::as_writable_bytes(std::span(*manifest_)).subspan(filled));
      if (!count) co_return count.error();
      if (*count == 0) co_return Corrupt("the tar is cut off");
      filled += *count;
    }
    co_return Ok();
  }

  Result<void> MakeRoom(int64_t size_bytes) {
    table_bytes_ += size_bytes;
    if (table_bytes_ <= table_memory_.size_bytes()) return Ok();
    // One reservation in place of the last: they do not add up.
    const int64_t held = table_memory_.size_bytes();
    const int64_t wanted = std::max(table_bytes_, held + std::max(held, kTableStepBytes));
    table_memory_ = Reservation();
    std::optional<Reservation> memory = runtime_.memory.TryReserve(wanted);
    if (!memory) memory = runtime_.memory.TryReserve(table_bytes_);
    if (!memory) {
      return InvalidInput("what it says of its objects takes more than " +
                          std::to_string(table_bytes_) + " bytes of memory (--memory)");
    }
    table_memory_ = std::move(*memory);
    return Ok();
  }

  CompressorContents Join(archive::CompressorManifest manifest) {
    CompressorContents contents;
    contents.targets = std::move(manifest.targets);
    // Of several with one name the last.
    std::map<std::string, const archive::CompressorObject*> objects;
    for (const archive::CompressorObject& object : manifest.objects) {
      objects[object.relative_key] = &object;
    }
    for (auto& [name, member] : members_) {
      auto found = objects.find(name);
      CompressorEntry entry{.member = member.number,
                            .key = FolderOf(source_.prefix) + name,
                            .size_bytes = member.size_bytes,
                            .md5 = std::move(member.md5),
                            .crc64 = std::move(member.crc64)};
      if (found == objects.end()) {
        entry.refusal = "its archive's manifest does not name it";
      } else {
        Describe(*found->second, entry);
      }
      contents.entries.push_back(std::move(entry));
    }
    for (const auto& [name, object] : objects) {
      if (members_.contains(name)) continue;
      CompressorEntry entry{.key = FolderOf(source_.prefix) + name, .stamp = object->created};
      entry.size_bytes = object->size_bytes;
      entry.refusal = "its archive names it and does not hold it";
      contents.entries.push_back(std::move(entry));
    }
    std::ranges::sort(contents.entries, {}, &CompressorEntry::member);
    return contents;
  }

  void Describe(const archive::CompressorObject& object, CompressorEntry& entry) const {
    using Proof = CompressorEntry::Proof;
    entry.stamp = object.created;
    entry.tags = object.tags;
    entry.storage_class = object.storage_class;
    if (entry.size_bytes != object.size_bytes) {
      // The time is that of a newer state, which has an archive of its own.
      entry.proof = Proof::kOtherSize;
      entry.stamp -= std::chrono::seconds(1);
    } else if (!IsPlainMd5Etag(object.etag)) {
      entry.proof = Proof::kNone;
    } else {
      entry.proof = object.etag == entry.md5 ? Proof::kEtag : Proof::kOtherEtag;
    }
    if (object.source_bucket != source_.bucket) {
      entry.refusal = "its archive says that it is from bucket " + object.source_bucket;
    } else if (FolderOf(object.source_prefix) != FolderOf(source_.prefix)) {
      entry.refusal = "its archive says that it is from prefix \"" + object.source_prefix + "\"";
    } else if (object.source_prefix != FolderOf(object.source_prefix) &&
               object.source_region.empty()) {
      // "logs" and "2024/x" are of logs/2024/x, or of logs2024/x.
      entry.refusal =
          "it was packed by release 1.0.0 with a prefix that does not end in \"/\": nobody can "
          "tell "
          "its key";
    } else if (entry.key.size() > kKeyBytesMax) {
      entry.refusal = "its key is too long";
    }
  }

  Runtime& runtime_;
  Address source_;
  CompressorCursor cursor_;
  std::vector<std::byte> chunk_;
  std::map<std::string, Member> members_;  // By relative key.
  int64_t table_bytes_ = 0;
  Reservation table_memory_;
  std::optional<std::string> manifest_;
};

}  // namespace

struct CompressorCursor::Stream {
  Stream(Runtime& runtime, ObjectStream opened)
      : object(std::move(opened)), zstd(runtime, *object.body), tar(zstd) {}

  ObjectStream object;
  archive::ZstdReader zstd;
  archive::TarReader tar;
};

CompressorCursor::CompressorCursor(Runtime& runtime, CompressorArchivePlace place)
    : runtime_(runtime), place_(std::move(place)) {}
CompressorCursor::~CompressorCursor() = default;

Async<void> CompressorCursor::Open() {
  stream_.reset();  // Its memory first.
  members_seen_ = 0;
  Result<ObjectStream> opened = co_await place_.store->Get(
      {.bucket = place_.bucket, .key = place_.key, .if_match = place_.etag});
  if (!opened) co_return opened.error();
  stream_ = std::make_unique<Stream>(runtime_, std::move(*opened));
  co_return Ok();
}

Async<std::optional<archive::TarMember>> CompressorCursor::Next() {
  if (!stream_) {
    Result<void> opened = co_await Open();
    if (!opened) co_return opened.error();
  }
  Result<std::optional<archive::TarMember>> next = co_await stream_->tar.Next();
  if (next && *next) ++members_seen_;
  untouched_ = true;
  co_return next;
}

Async<void> CompressorCursor::SeekTo(size_t member) {
  if (stream_ && (members_seen_ > member + 1 || (members_seen_ == member + 1 && !untouched_))) {
    stream_.reset();
  }
  while (!stream_ || members_seen_ < member + 1) {
    Result<std::optional<archive::TarMember>> next = co_await Next();
    if (!next) co_return next.error();
    if (!*next) co_return Corrupt("the archive holds fewer members than before");
  }
  co_return Ok();
}

Async<size_t> CompressorCursor::Read(std::span<std::byte> out) {
  untouched_ = false;
  co_return co_await stream_->tar.Read(out);
}

Async<CompressorContents> SurveyCompressorArchive(Runtime& runtime, CompressorArchivePlace place,
                                                  Address source) {
  Survey survey(runtime, std::move(place), std::move(source));
  co_return co_await survey.Run();
}

}  // namespace longhaul
