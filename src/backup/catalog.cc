#include "backup/catalog.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "archive/inspect.h"
#include "backup/catalog_lines.h"
#include "backup/young_archive.h"
#include "base/bytes.h"
#include "base/check.h"
#include "transfer/listing/page_codec.h"
#include "transfer/listing/text_lines.h"

namespace longhaul::backup {

namespace {

constexpr int kLevel =
    6;  // Lines that are much alike: 20 to 30 bytes each at 3, a tenth less at 6.
constexpr size_t kHashInlineBytes = 32 << 10;
// Catalogs that are read side by side, and what each may be to be read as a whole.
constexpr size_t kAtOnce = 8;
constexpr uint64_t kWholeBytesMax = 1 << 20;
// What they say is held until it is sorted. A catalog of longhaul's says nine times its own size.
constexpr int64_t kSaidBytesMax = 32 << 20;
constexpr size_t kSaidBytesMin = 2 << 20;
constexpr size_t kSaidBytesOfOne = 256 << 10;
constexpr size_t kSaidTimes = 10;
constexpr int kTroublesTold = 20;
constexpr int kAloneLookedAt = 1000;
// With less a catalog could wait for ever for what whoever sorts it holds.
constexpr int64_t kMemoryMin = 20 << 20;

class Md5Sink : public ContentSink {
 public:
  explicit Md5Sink(Runtime& runtime) : runtime_(runtime) {}
  Async<void> Write(std::span<const std::byte> bytes) override {
    if (bytes.size() <= kHashInlineBytes) {
      hasher_->Update(bytes);
    } else {
      co_await runtime_.pool.Run([&] { hasher_->Update(bytes); });
    }
    co_return Ok();
  }
  std::string Finish() { return HexEncode(hasher_->Finish()); }

 private:
  Runtime& runtime_;
  std::unique_ptr<Hasher> hasher_ = NewHasher(HashKind::kMd5);
};

}  // namespace

CatalogRecord RecordOf(const ArchiveReader& reader, size_t index) {
  const ArchiveEntry& entry = reader.entries()[index];
  CatalogRecord record{.op = entry.op,
                       .key = entry.key,
                       .version_id = entry.version_id,
                       .etag = entry.etag,
                       .stamp = entry.stamp,
                       .size_bytes = entry.size_bytes,
                       .entry = index,
                       .length_bytes = entry.op == EntryOp::kPut ? entry.size_bytes : 0,
                       .segment = entry.segment};
  if (entry.segment) {
    record.size_bytes = entry.segment->object_size_bytes;
    record.segment->first_part = 1;  // Of uploads alone.
  }
  const std::vector<ContentPiece> pieces = reader.Pieces(index);
  if (!pieces.empty()) {
    record.frame = pieces.front().frame;
    record.offset_bytes = pieces.front().offset_bytes;
  }
  return record;
}

Async<std::vector<CatalogRecord>> ReadRecords(Runtime& runtime, ArchiveReader& reader,
                                              std::function<void(uint64_t bytes)> moved) {
  FrameWindow window(reader);
  size_t frame = 0;
  // Frames that no entry asks for are read as well: whatever the archive holds must be sound.
  auto read_until = [&](size_t end) -> size_t {
    return std::exchange(frame, std::max(frame, end));
  };
  std::vector<CatalogRecord> records;
  records.reserve(reader.entries().size());
  for (size_t i = 0; i < reader.entries().size(); ++i) {
    const ArchiveEntry& entry = reader.entries()[i];
    records.push_back(RecordOf(reader, i));
    const std::vector<ContentPiece> pieces = reader.Pieces(i);
    if (!pieces.empty()) {
      const size_t end = pieces.back().frame + 1;
      for (size_t next = read_until(end); next < end; ++next) {
        Result<std::span<const std::byte>> read =
            co_await window.Bytes({.frame = next, .offset_bytes = 0, .size_bytes = 1});
        if (!read) co_return read.error();
        moved(reader.frames()[next].size_bytes);
      }
    }
    if (!entry.etag.empty() || !entry.etag_is_md5) continue;
    const size_t owner = reader.ContentOwner(i);
    // That of an encrypted or multipart object says nothing of another one with the same bytes.
    if (owner < i && reader.entries()[owner].etag_is_md5) {
      records.back().etag = records[owner].etag;
      if (!records.back().etag.empty()) continue;
    }
    Md5Sink sink(runtime);
    Result<void> hashed = co_await CopyContent(reader, window, i, sink);
    if (!hashed) co_return hashed.error();
    records.back().etag = sink.Finish();
  }
  for (; frame < reader.frames().size(); ++frame) {
    Result<std::span<const std::byte>> read =
        co_await window.Bytes({.frame = frame, .offset_bytes = 0, .size_bytes = 1});
    if (!read) co_return read.error();
    moved(reader.frames()[frame].size_bytes);
  }
  co_return records;
}

Async<std::unique_ptr<TextLines>> OpenCatalogText(Runtime runtime, CatalogSource source,
                                                  std::string key) {
  Result<std::unique_ptr<TextLines>> lines = co_await TextLines::Open(
      runtime, {.store = source.store, .bucket = source.vault.bucket, .key = key, .name = key});
  if (!lines) co_return lines.error();
  if (!(*lines)->compressed()) {
    Error error = Corrupt("it is not compressed, as catalogs are");
    error.code = kNoCatalog;
    co_return error;
  }
  co_return lines;
}

asio::awaitable<std::string> PackCatalog(Runtime& runtime, CatalogHead head,
                                         std::vector<CatalogRecord> records) {
  co_return co_await runtime.pool.Run([&] {
    std::string text;
    for (const CatalogRecord& record : records) AppendCatalogLine(text, head, record);
    std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
    LH_CHECK(context != nullptr);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
    // One that is damaged must be found out: a line less is an object less.
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
    std::string packed(ZSTD_compressBound(text.size()), '\0');
    const size_t size =
        ZSTD_compress2(context.get(), packed.data(), packed.size(), text.data(), text.size());
    LH_CHECK(ZSTD_isError(size) == 0);
    packed.resize(size);
    return packed;
  });
}

namespace {

class Readings : public Listing {
 public:
  Readings(Runtime runtime, CatalogSource source, CatalogTroubles& troubles,
           std::function<void(const std::string& what)> told)
      : runtime_(runtime),
        source_(std::move(source)),
        troubles_(troubles),
        told_(std::move(told)),
        archives_(Open(false)),
        catalogs_(Open(true)) {}

  Async<std::optional<ListedObject>> Next() override {
    while (ready_.empty()) {
      if (reading_ || !streamed_.empty()) {
        Result<void> read = co_await ReadOn();
        if (!read) co_return read.error();
        continue;
      }
      if (!young_.empty()) {
        Result<void> read = co_await ReadYoung();
        if (!read) co_return read.error();
        continue;
      }
      Result<bool> more = co_await Round();
      if (!more) co_return more.error();
      if (!*more && ready_.empty() && streamed_.empty() && young_.empty()) {
        room_ = Reservation();
        co_return std::nullopt;
      }
    }
    std::optional<ListedObject> next = std::move(ready_.front());
    ready_.pop_front();
    co_return next;
  }
  bool TakeReady(ListedObject& object) override {
    if (ready_.empty()) return false;
    object = std::move(ready_.front());
    ready_.pop_front();
    return true;
  }

  asio::awaitable<void> Close() override {
    co_await archives_->Close();
    co_await catalogs_->Close();
  }

 private:
  struct Catalog {
    VaultName name;
    uint64_t size_bytes = 0;
  };
  struct OpenCatalog {
    VaultName name;
    std::unique_ptr<CatalogLines> lines;
    uint64_t skipped = 0;  // Of its lines, as far as they are counted.
  };
  // One that is read at once.
  struct Whole {
    Catalog catalog;
    size_t bytes_max = 0;  // Of `objects`.
    std::deque<ListedObject> objects{};
    bool is_more = false;  // Than that.
  };

  std::unique_ptr<Listing> Open(bool catalogs) {
    return OpenListing(runtime_, *source_.store, source_.vault.bucket,
                       VaultPrefix(source_.vault, source_.source_bucket, catalogs),
                       {.listers_max = 8, .waiting_bytes_max = 4 << 20});
  }

  void Tell(const std::string& what) {
    if (told_ && told_count_++ < kTroublesTold) told_(what);
  }

  // The next archive or catalog of a listing; none: the end.
  Async<std::optional<VaultName>> NextName(Listing& listing, bool catalogs, ListedObject& object) {
    while (true) {
      if (!listing.TakeReady(object)) {
        Result<std::optional<ListedObject>> next = co_await listing.Next();
        if (!next) co_return next.error().In("list the vault");
        if (!*next) co_return std::optional<VaultName>();
        object = std::move(**next);
      }
      std::optional<VaultName> name = catalogs ? CatalogOfKey(source_.vault, object.key)
                                               : ArchiveOfKey(source_.vault, object.key);
      if (name) co_return name;
      ++troubles_.files;
      Tell(object.key + ": it belongs to no backup; it is left alone");
    }
  }

  // What a catalog is whose archive the other listing does not have: each is of its own moment.
  enum class Alone {
    kKept,    // The archive has come in between.
    kPruned,  // Both are gone by now.
    kOrphan,
  };
  Async<Alone> LookAtAlone(const VaultName& name, const std::string& catalog_key) {
    // Many are no accident of a moment.
    if (looked_at_ >= kAloneLookedAt) co_return Alone::kOrphan;
    ++looked_at_;
    const std::array<std::string, 2> keys{VaultArchiveKey(source_.vault, name), catalog_key};
    for (const std::string& key : keys) {
      Result<ObjectInfo> there =
          co_await source_.store->Head({.bucket = source_.vault.bucket, .key = key});
      if (there) co_return key == catalog_key ? Alone::kOrphan : Alone::kKept;
      if (there.error().kind != ErrorKind::kNotFound) co_return there.error().In(key);
    }
    co_return Alone::kPruned;
  }

  // The next catalog whose archive is there. Both listings are in one order.
  Async<std::optional<Catalog>> NextCatalog() {
    while (true) {
      if (!archive_ && !archives_ended_) {
        Result<std::optional<VaultName>> name =
            co_await NextName(*archives_, false, archive_object_);
        if (!name) co_return name.error();
        archive_ = std::move(*name);
        archives_ended_ = !archive_;
      }
      if (!catalog_ && !catalogs_ended_) {
        Result<std::optional<VaultName>> name =
            co_await NextName(*catalogs_, true, catalog_object_);
        if (!name) co_return name.error();
        catalog_ = std::move(*name);
        catalogs_ended_ = !catalog_;
      }
      if (!archive_ && !catalog_) co_return std::optional<Catalog>();
      if (catalog_ && (!archive_ || *catalog_ < *archive_)) {
        Result<Alone> alone = co_await LookAtAlone(*catalog_, catalog_object_.key);
        if (!alone) co_return alone.error();
        const VaultName name = *std::exchange(catalog_, std::nullopt);
        if (*alone == Alone::kKept) {
          co_return std::optional(Catalog{.name = name, .size_bytes = catalog_object_.size_bytes});
        }
        if (*alone == Alone::kOrphan) {
          ++troubles_.orphans;
          Tell(catalog_object_.key + ": its archive is not there");
        }
        continue;
      }
      if (archive_ && (!catalog_ || *archive_ < *catalog_)) {
        bool young = archive_object_.last_modified >= runtime_.clock.Now() - kCatalogDelayMax;
        if (!young) {
          // By our clock, which may be ahead of the store's.
          Result<ObjectInfo> there = co_await source_.store->Head(
              {.bucket = source_.vault.bucket, .key = archive_object_.key});
          if (!there && there.error().kind == ErrorKind::kNotFound) {
            archive_.reset();  // Pruned since.
            continue;
          }
          if (!there) co_return there.error().In(archive_object_.key);
          young = there->server_time != SystemTime{} &&
                  archive_object_.last_modified >= there->server_time - kCatalogDelayMax;
        }
        if (!young) {
          // It may have come since catalogs were listed: to read all of them may take longer.
          Result<ObjectInfo> there = co_await source_.store->Head(
              {.bucket = source_.vault.bucket, .key = VaultCatalogKey(source_.vault, *archive_)});
          if (there) {
            co_return std::optional(Catalog{.name = *std::exchange(archive_, std::nullopt),
                                            .size_bytes = there->size_bytes});
          }
          if (there.error().kind != ErrorKind::kNotFound) {
            co_return there.error().In(archive_object_.key);
          }
          Error error = Corrupt("the archive " + archive_object_.key + " has no catalog");
          error.code = kNoCatalog;
          co_return error;
        }
        young_.push_back(*std::exchange(archive_, std::nullopt));
        continue;
      }
      archive_.reset();
      co_return std::optional(Catalog{.name = *std::exchange(catalog_, std::nullopt),
                                      .size_bytes = catalog_object_.size_bytes});
    }
  }

  // Several catalogs, or a large one. False: there are no more.
  Async<bool> Round() {
    // Not waited for: whoever sorts what is read here holds memory already.
    if (room_.size_bytes() == 0) {
      const int64_t wanted = std::min(kSaidBytesMax, runtime_.memory.limit_bytes() / 8);
      if (std::optional<Reservation> room = runtime_.memory.TryReserve(wanted)) {
        room_ = std::move(*room);
      }
    }
    size_t room = std::max(static_cast<size_t>(room_.size_bytes()), kSaidBytesMin);
    std::deque<Whole> wholes;
    bool more = true;
    while (wholes.size() < kAtOnce) {
      Result<std::optional<Catalog>> next = std::exchange(held_over_, std::nullopt);
      if (!*next) next = co_await NextCatalog();
      if (!next) co_return next.error();
      more = next->has_value();
      if (!more) break;
      Catalog& catalog = **next;
      if (catalog.size_bytes > kWholeBytesMax) {
        streamed_.push_back(std::move(catalog));
        break;
      }
      const size_t said = kSaidBytesOfOne + kSaidTimes * static_cast<size_t>(catalog.size_bytes);
      if (said > room && !wholes.empty()) {
        held_over_ = std::move(catalog);
        break;
      }
      wholes.push_back({.catalog = std::move(catalog), .bytes_max = std::min(said, room)});
      room -= wholes.back().bytes_max;
    }
    TaskGroup reading(runtime_.executor);
    for (Whole& whole : wholes) reading.Spawn(ReadWhole(whole));
    Result<void> joined = co_await reading.Join();
    if (!joined) co_return joined.error();
    for (Whole& whole : wholes) {
      if (whole.is_more) streamed_.push_back(std::move(whole.catalog));
      for (ListedObject& object : whole.objects) ready_.push_back(std::move(object));
    }
    co_return more;
  }

  // A piece of the first catalog that is not read as a whole. One is open at a time: what several
  // hold, waiting for more, nobody would give back.
  Async<void> ReadOn() {
    if (!reading_) {
      Result<OpenCatalog> opened = co_await OpenOne(streamed_.front());
      if (!opened) {
        Result<void> pruned = co_await TakeForPruned(streamed_.front(), opened.error());
        if (pruned) streamed_.pop_front();
        co_return pruned;
      }
      reading_ = std::move(*opened);
    }
    Result<bool> more = co_await ReadSome(*reading_, ready_, 1000, SIZE_MAX);
    CountSkipped(*reading_);
    if (!more) co_return more.error();
    if (!*more) {
      reading_.reset();
      streamed_.pop_front();
    }
    co_return Ok();
  }

  // The archive itself tells what its catalog will: without it, what it holds would be taken for
  // missing, and what is older for current.
  Async<void> ReadYoung() {
    const VaultName name = std::move(young_.front());
    young_.pop_front();
    Result<std::vector<CatalogRecord>> records = co_await ReadYoungArchive(runtime_, source_, name);
    if (!records && records.error().kind == ErrorKind::kNotFound) co_return Ok();  // Pruned since.
    const bool passed = !records && source_.passes_unread && records.error().code == kUnreadArchive;
    if (!records && !passed) co_return records.error();
    ++troubles_.archives;
    if (passed) {
      Tell(records.error().message);
      co_return Ok();
    }
    for (const CatalogRecord& record : *records) Add(record, name, ready_);
    co_return Ok();
  }

  void Add(const CatalogRecord& record, const VaultName& name, std::deque<ListedObject>& out) {
    if (record.op == EntryOp::kAttributes || !record.key.starts_with(source_.prefix)) return;
    out.push_back(ListedOf(record, name));
  }

  Async<OpenCatalog> OpenOne(const Catalog& catalog) {
    if (runtime_.memory.limit_bytes() < kMemoryMin) {
      co_return InvalidInput("listing a backup takes " + std::to_string(kMemoryMin) +
                             " bytes of memory, " + std::to_string(runtime_.memory.limit_bytes()) +
                             " are there for it (--memory)");
    }
    const std::string key = VaultCatalogKey(source_.vault, catalog.name);
    Result<std::unique_ptr<TextLines>> lines = co_await OpenCatalogText(runtime_, source_, key);
    if (!lines) co_return lines.error().In("read the catalog " + key);
    co_return OpenCatalog{
        .name = catalog.name,
        .lines = std::make_unique<CatalogLines>(std::move(*lines), catalog.name.ulid,
                                                [this](const std::string& what) { Tell(what); })};
  }

  // What a catalog that was listed and cannot be opened means: OK, if a prune has taken it since
  // and its archive with it.
  Async<void> TakeForPruned(Catalog catalog, Error failure) {
    if (failure.kind != ErrorKind::kNotFound) co_return failure;
    const std::string key = VaultArchiveKey(source_.vault, catalog.name);
    Result<ObjectInfo> there =
        co_await source_.store->Head({.bucket = source_.vault.bucket, .key = key});
    if (!there && there.error().kind == ErrorKind::kNotFound) co_return Ok();
    if (!there) co_return there.error().In(key);
    Error error = Corrupt("the archive " + key + " has no catalog");
    error.code = kNoCatalog;
    co_return error;
  }

  // What says more than such a file should is read anew, piece by piece: zstd makes a megabyte of
  // gigabytes.
  Async<void> ReadWhole(Whole& whole) {
    Result<OpenCatalog> opened = co_await OpenOne(whole.catalog);
    if (!opened) co_return co_await TakeForPruned(whole.catalog, opened.error());
    Result<bool> more = co_await ReadSome(*opened, whole.objects, SIZE_MAX, whole.bytes_max);
    if (!more || !*more) CountSkipped(*opened);
    if (!more) co_return more.error();
    whole.is_more = *more;
    if (whole.is_more) whole.objects.clear();
    co_return Ok();
  }

  // Up to `count` lines, or a little more than so many bytes. False: that was the last one.
  Async<bool> ReadSome(OpenCatalog& catalog, std::deque<ListedObject>& out, size_t count,
                       size_t bytes_max) {
    size_t bytes = 0;
    for (size_t i = 0; i < count && bytes <= bytes_max; ++i) {
      Result<std::optional<CatalogRecord>> record = co_await catalog.lines->Next();
      if (!record) co_return record.error();
      if (!*record) co_return false;
      const size_t before = out.size();
      Add(**record, catalog.name, out);
      if (out.size() > before) bytes += ListedBytes(out.back());
    }
    co_return true;
  }

  void CountSkipped(OpenCatalog& catalog) {
    troubles_.lines +=
        catalog.lines->skipped() - std::exchange(catalog.skipped, catalog.lines->skipped());
  }

  Runtime runtime_;
  CatalogSource source_;
  CatalogTroubles& troubles_;
  std::function<void(const std::string& what)> told_;
  int told_count_ = 0;
  int looked_at_ = 0;  // Catalogs without their archive.
  std::unique_ptr<Listing> archives_;
  std::unique_ptr<Listing> catalogs_;
  ListedObject archive_object_;
  ListedObject catalog_object_;
  std::optional<VaultName> archive_;
  std::optional<VaultName> catalog_;
  bool archives_ended_ = false;
  bool catalogs_ended_ = false;
  std::deque<ListedObject> ready_;
  Reservation room_;                    // For what a round has read.
  std::optional<Catalog> held_over_;    // There was no room for it in the last round.
  std::deque<Catalog> streamed_;        // To be read piece by piece.
  std::optional<OpenCatalog> reading_;  // The first of them.
  std::deque<VaultName> young_;         // Archives that are to be read themselves.
};

}  // namespace

std::unique_ptr<Listing> OpenReadings(Runtime runtime, CatalogSource source,
                                      CatalogTroubles& troubles,
                                      std::function<void(const std::string& what)> told) {
  return std::make_unique<Readings>(runtime, std::move(source), troubles, std::move(told));
}

}  // namespace longhaul::backup
