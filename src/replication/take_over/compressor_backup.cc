#include "replication/take_over/compressor_backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "backup/vault_versions.h"
#include "base/bytes.h"
#include "base/memory_share.h"
#include "transfer/listing/sorted_listing.h"
#include "transfer/listing/text_lines.h"

namespace longhaul {

namespace {

using archive::CompressorCatalogLine;
using archive::CompressorCatalogName;

constexpr size_t kCatalogsAtOnce = 16;
constexpr size_t kLinesMax = 100'000;  // Of a catalog; ten messages make an archive.
constexpr int kToldMax = 20;
constexpr size_t kSurveysKept = 8;
constexpr int64_t kSurveyKeptBytesMax = 1 << 20;
constexpr int64_t kStreamsMax = 4;
constexpr std::string_view kArchiveEnd = ".tar.zst";

// "<backup seconds>-<created seconds>-<archive>.<size of the prefix>@<archive's key>": in the order
// of texts the later backup is the greater.
struct VersionId {
  int64_t created_seconds = 0;
  size_t prefix_bytes = 0;
  std::string archive_key;
};

std::string FormatVersionId(const CompressorCatalogLine& line, std::string_view archive,
                            const std::string& archive_key) {
  const int64_t created =
      std::chrono::floor<std::chrono::seconds>(line.created.time_since_epoch()).count();
  return fmt::format("{:012}-{:012}-{}.{}@{}", line.backup_seconds, created, archive,
                     line.source_prefix.size(), archive_key);
}

Result<VersionId> ParseVersionId(const std::string& text) {
  const Error wrong = InvalidInput("\"" + text + "\" is no version of the compressor's backups");
  const size_t one = text.find('-');
  const size_t two = text.find('-', one + 1);
  const size_t dot = text.find('.');
  const size_t at = text.find('@');
  if (one == std::string::npos || two == std::string::npos || dot == std::string::npos ||
      at == std::string::npos || dot < two || at < dot) {
    return wrong;
  }
  const auto number = [&text](size_t begin, size_t end, auto& out) {
    const auto [stop, code] = std::from_chars(text.data() + begin, text.data() + end, out);
    return code == std::errc() && stop == text.data() + end;
  };
  VersionId id{.archive_key = text.substr(at + 1)};
  if (!number(one + 1, two, id.created_seconds) || !number(dot + 1, at, id.prefix_bytes)) {
    return wrong;
  }
  return id;
}

// Every line of the catalogs that is one, in no order.
class Readings : public Listing {
 public:
  Readings(Runtime runtime, const CompressorBackupPlace& place, std::string prefix,
           backup::CatalogTroubles& troubles, std::function<void(const std::string& what)> told)
      : runtime_(runtime),
        place_(place),
        prefix_(std::move(prefix)),
        troubles_(troubles),
        told_(std::move(told)),
        catalogs_(OpenListing(runtime_, *place_.catalogs, place_.catalog.bucket,
                              place_.catalog.prefix, {.listers_max = 8})) {}

  Async<std::optional<ListedObject>> Next() override {
    while (ready_.empty()) {
      Result<bool> more = co_await Round();
      if (!more) co_return more.error();
      if (!*more && ready_.empty()) co_return std::nullopt;
    }
    std::optional<ListedObject> next = std::move(ready_.front());
    ready_.pop_front();
    co_return next;
  }
  asio::awaitable<void> Close() override { co_await catalogs_->Close(); }

 private:
  struct Catalog {
    std::string key;
    CompressorCatalogName name;
    std::vector<ListedObject> objects;
  };

  void Tell(const std::string& what) {
    if (told_ && told_count_++ < kToldMax) told_(what);
  }

  // Whether keys that are wanted can begin with it: each other catalog would cost two requests.
  [[nodiscard]] bool MayHave(const std::string& catalog_prefix) const {
    return prefix_.starts_with('/') || prefix_.starts_with(catalog_prefix) ||
           catalog_prefix.starts_with(prefix_);
  }

  // Several catalogs. False: there are no more.
  Async<bool> Round() {
    std::deque<Catalog> catalogs;
    bool more = true;
    while (catalogs.size() < kCatalogsAtOnce) {
      Result<std::optional<ListedObject>> next = co_await catalogs_->Next();
      if (!next) co_return next.error().In("list the catalogs");
      more = next->has_value();
      if (!more) break;
      const std::string& key = (*next)->key;
      std::optional<CompressorCatalogName> name = archive::CompressorCatalogOfKey(
          std::string_view(key).substr(place_.catalog.prefix.size()));
      if (!name) {
        ++troubles_.files;
        Tell(key + ": it is no catalog; it is left alone");
      } else if (name->source_bucket == place_.source_bucket && MayHave(name->prefix)) {
        catalogs.push_back({.key = key, .name = std::move(*name), .objects = {}});
      }
    }
    TaskGroup reading(runtime_.executor);
    for (Catalog& catalog : catalogs) reading.Spawn(ReadOne(catalog));
    Result<void> joined = co_await reading.Join();
    if (!joined) co_return joined.error();
    for (Catalog& catalog : catalogs) {
      for (ListedObject& object : catalog.objects) ready_.push_back(std::move(object));
    }
    co_return more;
  }

  Async<void> ReadOne(Catalog& catalog) {
    Result<std::unique_ptr<TextLines>> lines =
        co_await TextLines::Open(runtime_, {.store = place_.catalogs,
                                            .bucket = place_.catalog.bucket,
                                            .key = catalog.key,
                                            .name = catalog.key});
    if (!lines) co_return Unreadable(catalog, lines.error());
    std::vector<CompressorCatalogLine> read;
    std::string archive_key;
    while (true) {
      Result<std::optional<std::string_view>> next = co_await (*lines)->Next();
      if (!next) co_return Unreadable(catalog, next.error());
      if (!*next) break;
      if ((*lines)->number() > kLinesMax) {
        co_return Unreadable(catalog, Corrupt("it has more lines than an archive has objects"));
      }
      Result<CompressorCatalogLine> line = ParseCompressorCatalogLine(**next, catalog.name);
      if (!line) {
        ++troubles_.lines;
        Tell((*lines)->Wrong(line.error().message).message);
        continue;
      }
      // Of a backup that went to another bucket alone.
      if (std::ranges::find(line->target_buckets, place_.kept.bucket) ==
          line->target_buckets.end()) {
        continue;
      }
      if (line->key.starts_with(prefix_)) read.push_back(std::move(*line));
    }
    if (read.empty()) co_return Ok();
    Result<std::string> archive = co_await FindArchive(catalog.name, read.front());
    if (!archive) co_return archive.error();
    if (archive->empty()) {
      ++troubles_.orphans;
      Tell(catalog.key + ": its archive is not there");
      co_return Ok();
    }
    for (CompressorCatalogLine& line : read) {
      std::string version_id = FormatVersionId(line, catalog.name.archive, *archive);
      catalog.objects.push_back({.key = std::move(line.key),
                                 .size_bytes = line.size_bytes,
                                 .etag = {},
                                 .storage_class = {},
                                 .last_modified = line.created,
                                 .version_id = std::move(version_id)});
    }
    co_return Ok();
  }

  // A catalog that makes no sense is passed over as one line; a store that fails ends the listing.
  Result<void> Unreadable(const Catalog& catalog, const Error& error) {
    if (error.kind != ErrorKind::kCorrupt && error.kind != ErrorKind::kInvalidInput) {
      return error.In("read the catalog " + catalog.key);
    }
    ++troubles_.lines;
    Tell(catalog.key + ": " + error.message);
    return Ok();
  }

  // Where its line says, else where the compressor puts archives. Empty: in neither place.
  Async<std::string> FindArchive(const CompressorCatalogName& name,
                                 const CompressorCatalogLine& line) {
    std::string file = name.archive + std::string(kArchiveEnd);
    std::vector<std::string> keys{place_.kept.prefix +
                                  (name.prefix.empty() ? file : name.prefix + "/" + file)};
    std::string said = line.backup_file;
    const std::string url = "s3://" + place_.kept.bucket + "/";
    if (said.starts_with(url)) said.erase(0, url.size());
    if (said.find('/') != std::string::npos && !said.starts_with("s3://") &&
        said.ends_with(kArchiveEnd)) {
      keys.insert(keys.begin(), place_.kept.prefix + said);
    }
    for (const std::string& key : keys) {
      Result<ObjectInfo> info =
          co_await place_.archives->Head({.bucket = place_.kept.bucket, .key = key});
      if (info) co_return key;
      if (info.error().kind != ErrorKind::kNotFound) {
        co_return info.error().In("look for the archive " + key);
      }
    }
    co_return std::string();
  }

  Runtime runtime_;
  const CompressorBackupPlace& place_;
  std::string prefix_;
  backup::CatalogTroubles& troubles_;
  std::function<void(const std::string& what)> told_;
  int told_count_ = 0;
  std::unique_ptr<Listing> catalogs_;
  std::deque<ListedObject> ready_;
};

// The bytes of a member. Whoever waits for one of the streams holds none.
class MemberBytes : public ByteReader {
 public:
  MemberBytes(Runtime& runtime, std::shared_ptr<const CompressorBackup::Surveyed> of,
              const CompressorEntry& entry, uint64_t offset_bytes, uint64_t length_bytes,
              std::shared_ptr<Semaphore> streams)
      : of_(std::move(of)),
        member_(entry.member),
        skip_bytes_(offset_bytes),
        left_bytes_(length_bytes),
        streams_(std::move(streams)),
        cursor_(std::make_unique<CompressorCursor>(runtime, of_->place)) {}
  MemberBytes(const MemberBytes&) = delete;
  MemberBytes& operator=(const MemberBytes&) = delete;

  Async<size_t> Read(std::span<std::byte> out) override {
    if (left_bytes_ == 0) co_return 0;
    if (!permit_) {
      co_await streams_->Acquire();
      permit_.emplace(streams_);
      Result<void> found = co_await cursor_->SeekTo(member_);
      if (!found) co_return found.error();
    }
    while (skip_bytes_ > 0) {
      Result<size_t> skipped =
          co_await cursor_->Read(out.first(std::min<uint64_t>(out.size(), skip_bytes_)));
      if (!skipped) co_return skipped.error();
      if (*skipped == 0) co_return Corrupt("the archive holds less than it did");
      skip_bytes_ -= *skipped;
    }
    Result<size_t> count =
        co_await cursor_->Read(out.first(std::min<uint64_t>(out.size(), left_bytes_)));
    if (!count) co_return count.error();
    if (*count == 0) co_return Corrupt("the archive holds less than it did");
    left_bytes_ -= *count;
    if (left_bytes_ == 0) {
      cursor_.reset();
      permit_.reset();
    }
    co_return *count;
  }

 private:
  std::shared_ptr<const CompressorBackup::Surveyed> of_;
  size_t member_;
  uint64_t skip_bytes_;
  uint64_t left_bytes_;
  std::shared_ptr<Semaphore> streams_;
  std::optional<Permit> permit_;  // Given back behind the cursor.
  std::unique_ptr<CompressorCursor> cursor_;
};

}  // namespace

CompressorBackup::CompressorBackup(const Runtime& runtime, CompressorBackupPlace place,
                                   int64_t memory_bytes)
    : budget_(memory_bytes),
      runtime_(WithMemory(runtime, budget_)),
      outside_(runtime),
      place_(std::move(place)),
      streams_(std::make_shared<Semaphore>(kStreamsMax)) {}

CompressorBackup::~CompressorBackup() = default;

std::unique_ptr<Listing> CompressorBackup::OpenVersions(
    std::string prefix, backup::CatalogTroubles& troubles,
    std::function<void(const std::string& what)> told) {
  auto readings =
      std::make_unique<Readings>(outside_, place_, std::move(prefix), troubles, std::move(told));
  return backup::FoldVersions(SortListing(outside_, std::move(readings), "", Doubles::kKeep));
}

std::unique_ptr<Listing> CompressorBackup::OpenAt(
    std::string prefix, SystemTime at, backup::CatalogTroubles& troubles,
    std::function<void(const std::string& what)> told) {
  return backup::CurrentAt(OpenVersions(std::move(prefix), troubles, std::move(told)), at);
}

std::string CompressorBackup::description() const {
  return "the compressor's backup in " + place_.kept.bucket + "/" + place_.kept.prefix + " of " +
         place_.archives->description();
}

Async<std::shared_ptr<const CompressorBackup::Surveyed>> CompressorBackup::SurveyOnce(
    std::string archive_key, Address source) {
  while (surveying_.contains(archive_key)) co_await changed_.Wait();
  if (auto found = surveyed_.find(archive_key); found != surveyed_.end()) co_return found->second;
  surveying_.insert(archive_key);
  co_await streams_->Acquire();
  std::optional<Permit> permit(streams_);
  auto survey = std::make_shared<Surveyed>();
  survey->place = {
      .store = place_.archives, .bucket = place_.kept.bucket, .key = archive_key, .etag = {}};
  Result<void> done;
  Result<ObjectInfo> info =
      co_await place_.archives->Head({.bucket = place_.kept.bucket, .key = archive_key});
  if (!info) {
    done = info.error();
  } else {
    survey->place.etag = info->etag;
    Result<CompressorContents> contents =
        co_await SurveyCompressorArchive(runtime_, survey->place, std::move(source));
    if (contents) {
      survey->contents = std::move(*contents);
    } else {
      done = contents.error();
    }
  }
  permit.reset();
  surveying_.erase(archive_key);
  changed_.NotifyAll();
  if (!done) {
    // An archive that is gone is not an object that is not there.
    Error error = done.error().In("the archive " + archive_key);
    if (error.kind == ErrorKind::kNotFound) error.kind = ErrorKind::kCorrupt;
    co_return error;
  }
  if (survey->contents.memory.size_bytes() <= kSurveyKeptBytesMax) {
    surveyed_[archive_key] = survey;
    surveyed_order_.push_back(archive_key);
    if (surveyed_order_.size() > kSurveysKept) {
      surveyed_.erase(surveyed_order_.front());
      surveyed_order_.pop_front();
    }
  }
  co_return std::shared_ptr<const Surveyed>(std::move(survey));
}

std::vector<std::string> CompressorBackup::ArchiveKeys(const std::string& version_id) const {
  Result<VersionId> id = ParseVersionId(version_id);
  if (!id) return {};
  return {std::move(id->archive_key)};
}

Async<CompressorBackup::Found> CompressorBackup::Find(std::string key, std::string version_id) {
  if (version_id.empty()) version_id = Remembered(key);
  if (version_id.empty()) co_return NotFound("there is no " + key, "NoSuchKey");
  Result<VersionId> id = ParseVersionId(version_id);
  if (!id) co_return id.error();
  if (id->prefix_bytes > key.size()) co_return InvalidInput("no version of " + key);
  const std::string prefix = key.substr(0, id->prefix_bytes);
  Result<std::shared_ptr<const Surveyed>> archive = co_await SurveyOnce(
      id->archive_key, {.store = {}, .bucket = place_.source_bucket, .prefix = prefix});
  if (!archive) co_return archive.error().In(key);
  // As the survey has it: the prefix as a folder, and what follows without "/" at its beginning.
  std::string wanted = prefix;
  if (!wanted.empty() && !wanted.ends_with('/')) wanted += '/';
  const size_t begin = key.find_first_not_of('/', prefix.size());
  if (begin != std::string::npos) wanted += key.substr(begin);
  const std::vector<CompressorEntry>& entries = (*archive)->contents.entries;
  const auto entry = std::ranges::find(entries, wanted, &CompressorEntry::key);
  const std::string where = key + ": the archive " + id->archive_key + " ";
  if (entry == entries.end()) co_return Corrupt(where + "does not hold it");
  if (!entry->refusal.empty()) co_return Corrupt(key + ": " + entry->refusal);
  using Proof = CompressorEntry::Proof;
  if (entry->proof == Proof::kOtherSize) {
    co_return Corrupt(where + "holds an older state than it says: the object was replaced while " +
                      "it was packed");
  }
  const SystemTime created{std::chrono::seconds(id->created_seconds)};
  if (entry->stamp != created) {
    co_return Corrupt(where + "has it with the time " + FormatRfc3339(entry->stamp) +
                      ", and its catalog says " + FormatRfc3339(created));
  }
  if (entry->proof == Proof::kOtherEtag && place_.etags_are_md5) {
    co_return Corrupt(where + "holds bytes that are not those of its ETag; where the source " +
                      "encrypts under KMS no ETag is (--opaque-etags)");
  }
  co_return Found{.archive = *archive, .entry = &*entry};
}

ObjectInfo CompressorBackup::InfoOf(const CompressorEntry& entry, std::string version_id) const {
  ObjectInfo info{.size_bytes = entry.size_bytes, .etag = entry.md5};
  info.version_id = std::move(version_id);
  info.last_modified = entry.stamp;
  info.storage_class = entry.storage_class;
  info.tag_count = static_cast<int>(entry.tags.value_or(Tags()).size());
  info.checksums.push_back(
      {.algorithm = ChecksumAlgorithm::kCrc64Nvme, .value = Base64Encode(entry.crc64)});
  info.server_time = runtime_.clock.Now();
  return info;
}

Async<ObjectInfo> CompressorBackup::Head(HeadRequest request) {
  Result<Found> found = co_await Find(request.key, request.version_id);
  if (!found) co_return found.error();
  co_return InfoOf(*found->entry, request.version_id);
}

Async<ObjectStream> CompressorBackup::Get(GetRequest request, SystemTime* /*absent_at*/) {
  Result<Found> found = co_await Find(request.key, request.version_id);
  if (!found) co_return found.error();
  ObjectStream stream{.info = InfoOf(*found->entry, request.version_id)};
  Result<void> ranged = SetRange(request, stream);
  if (!ranged) co_return ranged.error();
  stream.body = std::make_unique<MemberBytes>(runtime_, found->archive, *found->entry,
                                              stream.offset_bytes, stream.length_bytes, streams_);
  co_return stream;
}

Async<Tags> CompressorBackup::GetTags(std::string /*bucket*/, std::string key,
                                      std::string version_id) {
  Result<Found> found = co_await Find(std::move(key), std::move(version_id));
  if (!found) co_return found.error();
  co_return found->entry->tags.value_or(Tags());
}

}  // namespace longhaul
