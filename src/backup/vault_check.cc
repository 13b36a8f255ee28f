#include "backup/vault_check.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "backup/vault_walk.h"

namespace longhaul::backup {

namespace {

using Kind = VaultProblem::Kind;

std::vector<VaultName> NamesOf(const std::map<VaultName, ListedObject>& listed) {
  std::vector<VaultName> names;
  names.reserve(listed.size());
  for (const auto& [name, object] : listed) names.push_back(name);
  return names;
}

// Of an archive that is damaged.
constexpr size_t kEntriesNamedMax = 100'000;

std::vector<std::string> KeysOf(const std::map<uint64_t, std::string>& by_entry) {
  std::vector<std::string> keys;
  for (const auto& [entry, key] : by_entry) keys.push_back(key);
  return keys;
}

// Whether a frame is damaged that alone tells keys.
bool HasLostKeys(const ArchiveReader& reader) {
  return std::ranges::any_of(reader.entries(), &std::string::empty, &ArchiveEntry::key);
}

class VaultCheck : public ArchiveVisitor {
 public:
  VaultCheck(Runtime runtime, CatalogSource source, VaultCheckOptions options,
             std::function<void(const VaultProblem& problem)> told, VaultCheckTotals& totals)
      : runtime_(runtime),
        source_(std::move(source)),
        options_(std::move(options)),
        told_(std::move(told)),
        totals_(totals) {}

  Async<void> Run() {
    // In this order: an archive has its catalog a little later.
    Result<std::map<VaultName, ListedObject>> archives =
        co_await ListVault(runtime_, source_, false);
    if (!archives) co_return archives.error();
    Result<std::map<VaultName, ListedObject>> catalogs =
        co_await ListVault(runtime_, source_, true);
    if (!catalogs) co_return catalogs.error();
    archives_ = std::move(*archives);
    catalogs_ = std::move(*catalogs);
    for (const auto& [name, object] : catalogs_) {
      if (archives_.contains(name)) continue;
      Result<void> checked = co_await CheckAlone(name, object.key);
      if (!checked) co_return checked;
    }
    co_return co_await VisitArchives(runtime_, NamesOf(archives_), *this, options_.stop);
  }

  Async<void> Visit(Runtime& runtime, VaultName name) override {
    const std::string key = VaultArchiveKey(source_.vault, name);
    uint64_t entries = 0;
    StatesSum states;
    bool lost = false;
    {
      Result<OpenedArchive> opened = co_await OpenVaultArchive(
          runtime, source_, name, {.seal_keys = options_.seal_keys, .spare_damaged_frames = true});
      if (!opened) co_return co_await NoteUnopened(runtime, name, opened.error());
      ++totals_.archives;
      const ArchiveReader& reader = *opened->reader;
      lost = HasLostKeys(reader);
      std::map<uint64_t, std::string> keys;
      if (lost && catalogs_.contains(name)) {
        Result<CatalogLook> look =
            co_await LookAtCatalog(runtime_, source_, name, kEntriesNamedMax);
        if (look) keys = std::move(look->keys);
      }
      Result<void> read = co_await CheckFrames(*opened->reader, key, keys);
      if (!read) co_return read.error().In(key);
      entries = reader.entries().size();
      states = SumOfArchive(reader, name);
    }
    if (!catalogs_.contains(name)) {
      if (archives_.at(name).last_modified < runtime_.clock.Now() - kCatalogDelayMax) {
        Tell({.kind = Kind::kCatalog, .file = key, .what = "it has no catalog"});
      }
      co_return Ok();
    }
    const std::string catalog = VaultCatalogKey(source_.vault, name);
    Result<CatalogLook> look = co_await LookAtCatalog(runtime, source_, name);
    if (!look) {
      // Pruned since, with its archive.
      if (look.error().kind == ErrorKind::kNotFound) co_return Ok();
      co_return look.error().In(catalog);
    }
    if (!look->sound) {
      Tell({.kind = Kind::kCatalog, .file = catalog, .what = "the catalog cannot be read"});
    } else if (look->lines != entries || (!lost && look->states != states)) {
      Tell({.kind = Kind::kCatalog,
            .file = catalog,
            .what =
                "the catalog does not say what its archive says: " + std::to_string(look->lines) +
                " lines of " + std::to_string(entries) + " entries"});
    }
    co_return Ok();
  }

  Result<void> OnUnread(const VaultName& name, const Error& error) override {
    ++totals_.archives;
    Tell({.kind = Kind::kUnread,
          .file = VaultArchiveKey(source_.vault, name),
          .what = error.message});
    return Ok();
  }

 private:
  void Tell(const VaultProblem& problem) {
    ++(problem.kind == Kind::kUnread ? totals_.unread : totals_.problems);
    told_(problem);
  }

  Async<void> NoteUnopened(Runtime& runtime, VaultName name, Error error) {
    const std::string key = VaultArchiveKey(source_.vault, name);
    if (IsOfSurroundings(error)) co_return error.In(key);
    if (error.kind == ErrorKind::kNotFound) co_return Ok();  // Pruned since.
    if (error.kind == ErrorKind::kInvalidInput) co_return error;
    ++totals_.archives;
    VaultProblem problem{.file = key, .what = error.message};
    if (error.kind == ErrorKind::kDenied) {
      problem.kind = Kind::kUnread;  // Of an archive class.
    } else if (catalogs_.contains(name)) {
      Result<CatalogLook> look = co_await LookAtCatalog(runtime, source_, name, kProblemKeysMax);
      if (look) problem.keys = KeysOf(look->keys);
    }
    Tell(problem);
    co_return Ok();
  }

  // A catalog without an archive, unless that has come since.
  Async<void> CheckAlone(VaultName name, std::string key) {
    Result<ObjectInfo> archive = co_await source_.store->Head(
        {.bucket = source_.vault.bucket, .key = VaultArchiveKey(source_.vault, name)});
    if (archive) co_return Ok();
    if (archive.error().kind != ErrorKind::kNotFound) co_return archive.error().In(key);
    VaultProblem problem{
        .kind = Kind::kOrphan, .file = std::move(key), .what = "its archive is not there"};
    Result<CatalogLook> look = co_await LookAtCatalog(runtime_, source_, name, kProblemKeysMax);
    if (!look && look.error().kind != ErrorKind::kNotFound) co_return look.error().In(problem.file);
    if (!look) co_return Ok();
    problem.keys = KeysOf(look->keys);
    Tell(problem);
    co_return Ok();
  }

  // `keys`: of entries whose keys the archive does not tell.
  Async<void> CheckFrames(ArchiveReader& reader, const std::string& key,
                          const std::map<uint64_t, std::string>& keys) {
    const size_t count = reader.frames().size();
    std::set<size_t> damaged;  // Already known.
    for (size_t i = 0; i < reader.entries().size(); ++i) {
      if (reader.entries()[i].key.empty()) damaged.insert(reader.TarHeader(i).frame);
    }
    totals_.frames_all += count;
    const size_t always = count == 0 ? 0 : runtime_.random.Below(count);
    constexpr uint64_t kSteps = 1'000'000;
    const auto chosen = static_cast<uint64_t>(options_.sample * kSteps);
    for (size_t frame = 0; frame < count; ++frame) {
      const bool picked = frame == always || runtime_.random.Below(kSteps) < chosen;
      if (!picked && !damaged.contains(frame)) continue;
      if (options_.stop != nullptr && options_.stop->is_set()) {
        co_return Cancelled("stopped on request");
      }
      Result<ArchiveFrame> read = co_await reader.ReadFrame(frame);
      ++totals_.frames;
      totals_.bytes += reader.frames()[frame].size_bytes;
      if (read) continue;
      if (read.error().kind != ErrorKind::kCorrupt) co_return read.error();
      Tell({.kind = Kind::kArchive,
            .file = key,
            .frame = frame,
            .what = read.error().message,
            .keys = KeysIn(reader, frame, keys)});
    }
    co_return Ok();
  }

  static std::vector<std::string> KeysIn(const ArchiveReader& reader, size_t frame,
                                         const std::map<uint64_t, std::string>& known) {
    std::vector<std::string> keys;
    for (size_t i = 0; i < reader.entries().size() && keys.size() < kProblemKeysMax; ++i) {
      std::vector<ContentPiece> pieces = reader.Pieces(i);
      pieces.push_back(reader.TarHeader(i));
      if (std::ranges::any_of(pieces, [frame](const ContentPiece& at) {
            return at.frame == frame && at.size_bytes > 0;
          })) {
        const auto by_catalog = known.find(i);
        if (!reader.entries()[i].key.empty()) {
          keys.push_back(reader.entries()[i].key);
        } else if (by_catalog != known.end()) {
          keys.push_back(by_catalog->second);
        }
      }
    }
    return keys;
  }

  Runtime runtime_;
  CatalogSource source_;
  VaultCheckOptions options_;
  std::function<void(const VaultProblem& problem)> told_;
  VaultCheckTotals& totals_;
  std::map<VaultName, ListedObject> archives_;
  std::map<VaultName, ListedObject> catalogs_;
};

Error Damaged(std::string what) {
  Error error = Corrupt(std::move(what));
  error.code = kDamagedArchive;
  return error;
}

// The prefix of "store:bucket/prefix", as a manifest names a rule's source.
std::string PrefixOfSource(const std::string& source, const std::string& bucket) {
  const std::string in_bucket = ":" + bucket + "/";
  const size_t at = source.find(in_bucket);
  return at == std::string::npos ? "" : source.substr(at + in_bucket.size());
}

class Rebuilding : public ArchiveVisitor {
 public:
  Rebuilding(Runtime runtime, CatalogSource source, RebuildOptions options, RebuildTold told,
             RebuildTotals& totals)
      : runtime_(runtime),
        source_(std::move(source)),
        options_(std::move(options)),
        told_(std::move(told)),
        totals_(totals) {}

  Async<void> Run() {
    Result<std::map<VaultName, ListedObject>> archives =
        co_await ListVault(runtime_, source_, false);
    if (!archives) co_return archives.error();
    totals_.archives = archives->size();
    co_return co_await VisitArchives(runtime_, NamesOf(*archives), *this, options_.stop);
  }

  Async<void> Visit(Runtime& runtime, VaultName name) override {
    const std::string key = VaultArchiveKey(source_.vault, name);
    Result<CatalogLook> look = co_await LookAtCatalog(runtime, source_, name);
    if (!look && look.error().kind != ErrorKind::kNotFound) co_return look.error().In(key);
    Result<OpenedArchive> opened = co_await OpenVaultArchive(
        runtime, source_, name, {.seal_keys = options_.seal_keys, .spare_damaged_frames = true});
    if (!opened) {
      if (IsOfSurroundings(opened.error())) co_return opened.error().In(key);
      if (opened.error().kind == ErrorKind::kInvalidInput) co_return opened.error();
      if (opened.error().kind == ErrorKind::kNotFound) co_return Ok();  // Pruned since.
      co_return OnUnread(name, opened.error());
    }
    ArchiveReader& reader = *opened->reader;
    const bool readable = look && look->sound && look->lines == reader.entries().size();
    if (readable && HasLostKeys(reader)) {
      ++totals_.damaged;
      told_(VaultCatalogKey(source_.vault, name),
            Damaged("it stays: its archive " + key + " is damaged and tells less"));
      co_return Ok();
    }
    if (readable && !options_.all && look->states == SumOfArchive(reader, name)) {
      ++totals_.sound;
      co_return Ok();
    }
    Result<void> written = Ok();
    if (!options_.dry_run) {
      written = co_await Write(runtime, reader, name);
      if (!written && written.error().code != kDamagedArchive) co_return written.error().In(key);
    }
    ++totals_.written;
    if (!written) ++totals_.damaged;
    told_(VaultCatalogKey(source_.vault, name), written);
    co_return Ok();
  }

  Result<void> OnUnread(const VaultName& name, const Error& error) override {
    ++totals_.failed;
    told_(VaultCatalogKey(source_.vault, name),
          error.In("its archive " + VaultArchiveKey(source_.vault, name)));
    return Ok();
  }

 private:
  Async<void> Write(Runtime& runtime, ArchiveReader& reader, VaultName name) {
    Result<std::vector<CatalogRecord>> records =
        co_await ReadRecords(runtime, reader, [](uint64_t) {});
    std::optional<Error> damage;
    if (!records) {
      if (records.error().kind != ErrorKind::kCorrupt) co_return records.error();
      damage = Damaged("written from what its archive still tells: " + records.error().message);
      records = std::vector<CatalogRecord>();
      // Without them what is older would be given back for current, and what was deleted.
      CatalogLook before;
      if (HasLostKeys(reader)) {
        Result<CatalogLook> look =
            co_await LookAtCatalog(runtime, source_, name, reader.entries().size());
        if (!look && look.error().kind != ErrorKind::kNotFound) co_return look.error();
        if (look) before = std::move(*look);
      }
      for (size_t i = 0; i < reader.entries().size(); ++i) {
        CatalogRecord record = RecordOf(reader, i);
        const auto known = before.keys.find(i);
        if (record.key.empty() && known != before.keys.end()) record.key = known->second;
        if (!record.key.empty()) records->push_back(std::move(record));
      }
    }
    const std::string bucket = name.folder.substr(0, name.folder.find('/'));
    const Address from{
        .store = "", .bucket = bucket, .prefix = PrefixOfSource(reader.manifest().source, bucket)};
    std::string text = co_await PackCatalog(
        runtime, {.vault = source_.vault, .name = name, .source = from}, std::move(*records));
    PutRequest request = options_.request;
    request.bucket = source_.vault.bucket;
    request.key = VaultCatalogKey(source_.vault, name);
    request.headers.content_type = "application/zstd";
    Result<PutResult> put = co_await PutText(*source_.store, std::move(request), std::move(text));
    if (!put) co_return put.error().In("write the catalog");
    if (damage) co_return *damage;
    co_return Ok();
  }

  Runtime runtime_;
  CatalogSource source_;
  RebuildOptions options_;
  RebuildTold told_;
  RebuildTotals& totals_;
};

}  // namespace

Async<void> CheckVault(Runtime runtime, CatalogSource source, VaultCheckOptions options,
                       std::function<void(const VaultProblem& problem)> told,
                       VaultCheckTotals& totals) {
  VaultCheck check(runtime, std::move(source), std::move(options), std::move(told), totals);
  co_return co_await check.Run();
}

Async<void> RebuildCatalogs(Runtime runtime, CatalogSource source, RebuildOptions options,
                            RebuildTold told, RebuildTotals& totals) {
  Rebuilding rebuilding(runtime, std::move(source), std::move(options), std::move(told), totals);
  co_return co_await rebuilding.Run();
}

}  // namespace longhaul::backup
