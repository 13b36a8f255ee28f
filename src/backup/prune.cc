#include "backup/prune.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backup/prune_note.h"
#include "backup/vault_versions.h"
#include "backup/vault_walk.h"
#include "storage/restores_objects.h"
#include "transfer/listing/sorted_listing.h"
#include "transfer/listing/text_lines.h"

namespace longhaul::backup {

namespace {

constexpr int kRemovalsAtOnce = 16;
// So many refusals and no removal: the store lets nobody remove anything here.
constexpr uint64_t kRefusalsMax = 100;
constexpr std::chrono::hours kClocksApartMax{1};
constexpr std::chrono::seconds kClocksAlike{3};

struct Archive {
  VaultName name;
  std::string key;
  std::string etag;  // As listed; of the catalog where there is no archive.
  uint64_t size_bytes = 0;
  StatesSum states;  // By its catalog.
  bool in_catalogs = false;
  bool gone = false;        // A catalog is all that there is.
  bool unreadable = false;  // In a class that nothing is read from at once.
  bool needed = false;
  bool supersedes = false;  // For its sake another may go.
};

// The readings of a vault, and behind them those of archives that are gone.
class AllReadings : public Listing {
 public:
  AllReadings(Runtime runtime, CatalogSource source, std::unique_ptr<Listing> readings,
              std::vector<Archive*> gone)
      : runtime_(runtime),
        source_(std::move(source)),
        readings_(std::move(readings)),
        gone_(std::move(gone)) {}

  Async<std::optional<ListedObject>> Next() override {
    if (!ended_) {
      Result<std::optional<ListedObject>> next = co_await readings_->Next();
      if (!next || *next) co_return next;
      ended_ = true;
    }
    while (at_ < gone_.size()) {
      Archive& archive = *gone_[at_];
      Result<std::optional<CatalogRecord>> record = co_await NextRecord(archive);
      if (!record) {
        if (IsOfSurroundings(record.error())) co_return record.error();
        // Nobody knows what it spoke of.
        archive.needed = archive.needed || record.error().kind != ErrorKind::kNotFound;
      }
      if (!record || !*record) {
        lines_.reset();
        ++at_;
        continue;
      }
      if ((*record)->op == EntryOp::kAttributes) continue;
      co_return ListedOf(**record, archive.name);
    }
    co_return std::nullopt;
  }
  bool TakeReady(ListedObject& object) override { return !ended_ && readings_->TakeReady(object); }
  asio::awaitable<void> Close() override { co_await readings_->Close(); }

 private:
  Async<std::optional<CatalogRecord>> NextRecord(const Archive& archive) {
    if (lines_ == nullptr) {
      auto lines = co_await OpenCatalogText(runtime_, source_, archive.key);
      if (!lines) co_return lines.error();
      lines_ = std::move(*lines);
    }
    Result<std::optional<std::string_view>> line = co_await lines_->Next();
    if (!line) co_return line.error();
    if (!*line) co_return std::optional<CatalogRecord>();
    Result<CatalogRecord> record = ParseCatalogLine(**line, archive.name.ulid);
    if (!record) co_return record.error();
    co_return std::optional(std::move(*record));
  }

  Runtime runtime_;
  CatalogSource source_;
  std::unique_ptr<Listing> readings_;
  std::vector<Archive*> gone_;
  bool ended_ = false;
  size_t at_ = 0;
  std::unique_ptr<TextLines> lines_;
};

// Whether readings of one stamp are a state: not if they are segments and some are missing.
bool IsState(const std::vector<const ListedObject*>& readings) {
  struct Plan {
    std::set<std::string> numbers;
    std::string count;
    bool sound = true;
  };
  std::map<std::string, Plan> plans;
  for (const ListedObject* reading : readings) {
    const std::string& segment = reading->storage_class;  // "plan number count".
    if (segment.empty()) return true;
    const size_t one = segment.find(' ');
    const size_t two = segment.rfind(' ');
    Plan& plan = plans[segment.substr(0, one)];
    const std::string count = segment.substr(two + 1);
    if (plan.count.empty()) plan.count = count;
    plan.sound = plan.sound && plan.count == count;
    plan.numbers.insert(segment.substr(one + 1, two - one - 1));
  }
  return std::ranges::any_of(plans, [](const auto& of) {
    return of.second.sound && std::to_string(of.second.numbers.size()) == of.second.count;
  });
}

class Pruning : public ArchiveVisitor {
 public:
  Pruning(Runtime runtime, CatalogSource source, PruneOptions options, CatalogTroubles& troubles,
          std::function<void(const std::string& what)> told, PruneObserver& observer,
          PruneTotals& totals)
      : runtime_(runtime),
        source_(std::move(source)),
        options_(std::move(options)),
        troubles_(troubles),
        told_(std::move(told)),
        observer_(observer),
        totals_(totals) {
    source_.seal_keys = options_.seal_keys;
  }

  Async<void> Run() {
    Result<void> listed = co_await ReadNames();
    if (!listed) co_return listed;
    Result<void> clocks = co_await CompareClocks();
    if (!clocks) co_return clocks;
    const CatalogTroubles before = troubles_;
    Result<void> found = co_await FindNeeded();
    while (found) {
      Result<bool> ended = co_await RemoveWhatMayGo();
      if (!ended) co_return ended.error();
      if (*ended) co_return Ok();
      // Some of what would go, or supersedes it, cannot be read: it stays, and supersedes nothing.
      for (auto& [name, archive] : archives_) {
        archive.states = {};
        archive.needed = archive.supersedes = false;
      }
      key_.reset();
      troubles_ = before;
      told_ = nullptr;
      found = co_await FindNeeded();
    }
    co_return found;
  }

  // False: archives were found that cannot be read at once, and nothing has been removed.
  Async<bool> RemoveWhatMayGo() {
    std::vector<const Archive*> going;
    std::vector<const Archive*> alone;
    std::vector<const Archive*> lost;
    std::vector<VaultName> checked;
    for (const auto& [name, archive] : archives_) {
      const bool goes = MayGo(archive);
      if (archive.gone) {
        if (goes) alone.push_back(&archive);
        if (archive.needed) lost.push_back(&archive);
        continue;
      }
      if (goes) going.push_back(&archive);
      if (goes || archive.supersedes) checked.push_back(name);
    }
    // There is no source here whose emptiness could mean anything.
    Result<void> allowed = CheckRemovals(
        {.removals = going.size(), .target_objects = totals_.archives, .source_objects = 1},
        options_.guard);
    Result<void> sound = allowed;
    if (sound && !going.empty()) {
      any_away_ = false;
      sound = co_await VisitArchives(runtime_, std::move(checked), *this, options_.stop);
      if (sound && any_away_) co_return false;
    }
    for (const Archive* archive : lost) {
      ++totals_.lost;
      observer_.OnLost(archive->key);
    }
    if (!sound) co_return sound.error();
    if (!options_.dry_run && !(alone.empty() && going.empty())) {
      Result<void> noted =
          co_await NotePruned(source_, PrefixOfFolder(), options_.cutoff, options_.note);
      if (!noted) co_return noted.error().In("note what is pruned");
    }
    Result<void> removed = co_await RemoveAll(alone);
    if (removed) removed = co_await RemoveAll(going);
    if (!options_.dry_run && !(alone.empty() && going.empty())) {
      // Where writes know no conditions, a prune of another prefix may have written over it since.
      Result<void> noted =
          co_await NotePruned(source_, PrefixOfFolder(), options_.cutoff, options_.note);
      if (removed && !noted) removed = noted.error().In("note what is pruned");
    }
    if (!removed) co_return removed.error();
    co_return true;
  }

  // A catalog that leaves something out would let its archive go, and one that says too much
  // another.
  Async<void> Visit(Runtime& runtime, VaultName name) override {
    Archive& archive = archives_.at(name);
    Result<OpenedArchive> opened =
        co_await OpenVaultArchive(runtime, source_, name, {.seal_keys = options_.seal_keys});
    if (!opened) {
      // An archive tier of INTELLIGENT_TIERING, which no listing tells.
      if (opened.error().code == kArchivedCode) {
        archive.unreadable = any_away_ = true;
        co_return Ok();
      }
      if (opened.error().kind == ErrorKind::kInvalidInput) co_return opened.error();
      co_return opened.error().In(archive.key);
    }
    if (SumOfArchive(*opened->reader, name) == archive.states) co_return Ok();
    co_return Corrupt("the catalog of " + archive.key + " does not say what that archive says");
  }
  Result<void> OnUnread(const VaultName& name, const Error& error) override {
    return error.In(VaultArchiveKey(source_.vault, name));
  }

 private:
  [[nodiscard]] bool IsOld(const VaultName& name) const {
    return TimeOfUlid(name.ulid) < options_.cutoff && name.folder.starts_with(options_.folder);
  }
  // What all keys begin with in archives that may go, as VaultFolder has named their folders.
  [[nodiscard]] std::string PrefixOfFolder() const {
    constexpr std::string_view kYear = "/year=";
    std::string_view rest = options_.folder;
    if (!rest.starts_with(source_.source_bucket + "/")) return "";
    rest.remove_prefix(source_.source_bucket.size());
    if (!rest.ends_with(kYear)) return "";
    rest.remove_suffix(kYear.size());
    return std::string(rest.empty() ? rest : rest.substr(1));
  }
  // One that no catalog speaks of has just come.
  [[nodiscard]] bool MayGo(const Archive& archive) const {
    return !archive.needed && archive.in_catalogs && !archive.unreadable && IsOld(archive.name);
  }

  Async<void> ReadNames() {
    // In this order: an archive has its catalog a little later.
    Result<std::map<VaultName, ListedObject>> archives =
        co_await ListVault(runtime_, source_, false);
    if (!archives) co_return archives.error();
    Result<std::map<VaultName, ListedObject>> catalogs =
        co_await ListVault(runtime_, source_, true);
    if (!catalogs) co_return catalogs.error();
    for (auto& [name, object] : *archives) {
      ++totals_.archives;
      totals_.bytes += object.size_bytes;
      archives_.emplace(name, Archive{.name = name,
                                      .key = std::move(object.key),
                                      .etag = std::move(object.etag),
                                      .size_bytes = object.size_bytes,
                                      .states = {},
                                      .in_catalogs = catalogs->contains(name),
                                      .unreadable = object.storage_class == "GLACIER" ||
                                                    object.storage_class == "DEEP_ARCHIVE"});
    }
    for (auto& [name, object] : *catalogs) {
      if (archives->contains(name) || !IsOld(name)) continue;
      archives_.emplace(name, Archive{.name = name,
                                      .key = std::move(object.key),
                                      .etag = std::move(object.etag),
                                      .states = {},
                                      .in_catalogs = true,
                                      .gone = true});
    }
    co_return Ok();
  }

  // What is old is so by both clocks, this machine's and the store's. One that is far off would
  // have everything go.
  Async<void> CompareClocks() {
    now_ = runtime_.clock.Now();
    for (const auto& [name, archive] : archives_) {
      if (archive.gone) continue;
      Result<ObjectInfo> info =
          co_await source_.store->Head({.bucket = source_.vault.bucket, .key = archive.key});
      if (!info && info.error().kind == ErrorKind::kNotFound) continue;
      if (!info) co_return info.error().In(archive.key);
      if (info->server_time == SystemTime{}) co_return Ok();
      const auto ahead = runtime_.clock.Now() - info->server_time;
      if (ahead > kClocksApartMax || ahead < -kClocksApartMax) {
        co_return PreconditionFailed(
            "the store's clock says " + FormatRfc3339(info->server_time) +
            ", and this machine's is " +
            std::to_string(
                std::chrono::abs(std::chrono::round<std::chrono::minutes>(ahead)).count()) +
            (ahead > ahead.zero() ? " minutes ahead" : " minutes behind") +
            ": what is old is not known. Nothing was removed: set the clock right");
      }
      // A Date has whole seconds, and is some time under way.
      if (ahead > kClocksAlike) {
        now_ -= ahead;
        options_.cutoff -= ahead;
      }
      co_return Ok();
    }
    co_return Ok();
  }

  Async<void> FindNeeded() {
    std::vector<Archive*> gone;
    for (auto& [name, archive] : archives_) {
      if (archive.gone) gone.push_back(&archive);
    }
    std::unique_ptr<Listing> readings = SortListing(
        runtime_,
        std::make_unique<AllReadings>(
            runtime_, source_, OpenReadings(runtime_, source_, troubles_, told_), std::move(gone)),
        "", Doubles::kKeep, SortBytesOfVault(runtime_.memory));
    Result<void> marked = co_await MarkAll(*readings);
    co_await readings->Close();
    if (!marked) co_return marked;
    if (troubles_.lines > 0) {
      co_return Corrupt(std::to_string(troubles_.lines) +
                        (troubles_.lines == 1 ? " line" : " lines") +
                        " of catalogs could not be read: what they say may be needed. "
                        "`longhaul backup catalog --rebuild` writes such catalogs anew");
    }
    co_return Ok();
  }

  // Readings in order of keys, of each the newest first.
  Async<void> MarkAll(Listing& readings) {
    std::vector<ListedObject> group;  // Of one key and stamp.
    while (true) {
      if (options_.stop != nullptr && options_.stop->is_set()) {
        co_return Cancelled("stopped on request");
      }
      ListedObject next;
      if (!readings.TakeReady(next)) {
        Result<std::optional<ListedObject>> read = co_await readings.Next();
        if (!read) co_return read.error();
        if (!*read) {
          MarkGroup(group);
          co_return Ok();
        }
        next = std::move(**read);
      }
      if (!group.empty() &&
          (next.key != group.front().key || next.last_modified != group.front().last_modified)) {
        MarkGroup(group);
        group.clear();
      }
      if (group.size() == kOfOneStampMax) {
        co_return Corrupt("the catalogs have more than " + std::to_string(kOfOneStampMax) +
                          " entries for one state of " + next.key);
      }
      group.push_back(std::move(next));
    }
  }

  // Null: it has come since the vault was listed.
  Archive* ArchiveOf(const ListedObject& reading) {
    Result<VersionPlace> place = ParseVersion(reading.version_id);
    if (!place) return nullptr;
    auto found = archives_.find(place->name);
    return found == archives_.end() ? nullptr : &found->second;
  }

  // `group`: readings of one key and stamp, in any order; older ones of a key come after newer.
  void MarkGroup(const std::vector<ListedObject>& group) {
    if (group.empty()) return;
    if (group.front().key != key_) {
      key_ = group.front().key;
      superseded_ = superseded_with_gone_ = false;
      hiding_.clear();
      deciding_.clear();
    }
    const SystemTime stamp = group.front().last_modified;
    const SystemTime late = now_ - kLateMax;
    const bool recent = stamp > options_.cutoff;
    std::vector<std::pair<Archive*, const ListedObject*>> readings;
    std::vector<const ListedObject*> all;
    std::vector<const ListedObject*> readable;
    for (const ListedObject& reading : group) {
      Archive* archive = ArchiveOf(reading);
      readings.emplace_back(archive, &reading);
      all.push_back(&reading);
      if (archive == nullptr) continue;
      if (!archive->gone && !archive->unreadable) readable.push_back(&reading);
      archive->states.Add(reading);
    }
    const bool whole = IsState(all);
    if (superseded_ && !readable.empty()) {
      for (Archive* archive : deciding_) archive->supersedes = true;
      deciding_.clear();
    }
    const bool decides = !recent && !readable.empty() && IsState(readable);
    for (auto [archive, reading] : readings) {
      if (archive == nullptr) continue;
      const bool over = archive->gone ? superseded_with_gone_ : superseded_;
      bool needed = recent || !over;
      if (!recent && !over && reading->is_delete_marker) {
        needed = stamp > late;
        hiding_.push_back(archive);
      } else if (!recent && !over && !whole) {
        needed = TimeOfUlid(archive->name.ulid) > late;
      }
      archive->needed = archive->needed || needed;
      if (decides && !superseded_ && !archive->gone && !archive->unreadable) {
        deciding_.push_back(archive);
      }
    }
    for (auto [archive, reading] : readings) {
      if (reading->is_delete_marker || (archive != nullptr && archive->gone)) continue;
      MarkHiding(archive);
    }
    if (decides) superseded_ = true;
    if (!recent && whole) superseded_with_gone_ = true;
  }

  // An object from before a delete lies in `archive`: deletes in others keep it from coming back.
  // That it may go as well does not count: it may be locked, and this run may end before.
  void MarkHiding(const Archive* archive) {
    for (Archive* hiding : hiding_) hiding->needed = hiding->needed || hiding != archive;
  }

  Async<void> RemoveAll(const std::vector<const Archive*>& archives) {
    TaskGroup group(runtime_.executor);
    bool stopped = false;
    for (const Archive* archive : archives) {
      stopped = options_.stop != nullptr && options_.stop->is_set();
      if (stopped) break;
      co_await group.WaitBelow(kRemovalsAtOnce);
      if (group.failed()) break;
      group.Spawn(RemoveOne(*archive));
    }
    Result<void> joined = co_await group.Join();
    if (joined && stopped) joined = Cancelled("stopped on request");
    co_return joined;
  }

  Async<void> RemoveOne(const Archive& archive) {
    Result<void> removed = Ok();
    if (!options_.dry_run) {
      removed = archive.gone ? co_await RemoveCatalog(archive) : co_await RemoveBoth(archive);
    }
    if (!removed) {
      if (removed.error().Transient()) co_return removed.error().In(archive.key);
      ++totals_.failed;
      observer_.OnFailed(archive.key, removed.error());
      if (totals_.failed >= kRefusalsMax && totals_.removed == 0) {
        co_return removed.error().In(archive.key);
      }
      co_return Ok();
    }
    if (archive.gone) {
      ++totals_.catalogs;
    } else {
      ++totals_.removed;
      totals_.removed_bytes += archive.size_bytes;
    }
    observer_.OnRemoved(archive.key, archive.size_bytes);
    co_return Ok();
  }

  Async<void> RemoveBoth(const Archive& archive) {
    // The catalog last: without it the archive would stop everyone who reads the vault.
    Result<void> removed = co_await RemoveKey(archive.key, archive.etag);
    if (!removed) co_return removed;
    co_return co_await RemoveKey(VaultCatalogKey(source_.vault, archive.name), "");
  }

  Async<void> RemoveCatalog(const Archive& archive) {
    Result<ObjectInfo> there = co_await source_.store->Head(
        {.bucket = source_.vault.bucket, .key = VaultArchiveKey(source_.vault, archive.name)});
    if (there) co_return PreconditionFailed("its archive has come meanwhile");
    if (there.error().kind != ErrorKind::kNotFound) co_return there.error();
    co_return co_await RemoveKey(archive.key, "");
  }

  // With all its versions. `etag`: what it must have; empty: any.
  Async<void> RemoveKey(std::string key, std::string etag) {
    Result<ObjectInfo> info =
        co_await source_.store->Head({.bucket = source_.vault.bucket, .key = key});
    if (!info && info.error().kind == ErrorKind::kNotFound) co_return Ok();
    if (!info) co_return info.error();
    if (!etag.empty() && info->etag != etag) {
      co_return PreconditionFailed("it has been written anew since it was looked at");
    }
    RemoveRequest request{.bucket = source_.vault.bucket, .key = key, .version_id = {}};
    request.bucket_owner = options_.bucket_owner;
    if (info->version_id.empty() || !source_.store->capabilities().versions) {
      co_return co_await source_.store->Remove(request);
    }
    Result<std::vector<ListedObject>> versions = co_await VersionsOf(key);
    if (!versions) co_return versions.error();
    // The current one last: an older one would stand in its place.
    for (auto at = versions->rbegin(); at != versions->rend(); ++at) {
      request.version_id = at->version_id;
      Result<void> removed = co_await source_.store->Remove(request);
      if (!removed) co_return removed;
    }
    co_return Ok();
  }

  // The newest first.
  Async<std::vector<ListedObject>> VersionsOf(std::string key) {
    std::vector<ListedObject> versions;
    ListRequest request{.bucket = source_.vault.bucket, .prefix = key, .versions = true};
    do {
      Result<ListPage> page = co_await source_.store->List(request);
      if (!page) co_return page.error().In("list its versions");
      for (ListedObject& version : page->objects) {
        if (version.key == key) versions.push_back(std::move(version));
      }
      request.token = page->next_token;
    } while (!request.token.empty());
    co_return versions;
  }

  Runtime runtime_;
  CatalogSource source_;
  PruneOptions options_;
  CatalogTroubles& troubles_;
  std::function<void(const std::string& what)> told_;
  PruneObserver& observer_;
  PruneTotals& totals_;
  std::map<VaultName, Archive> archives_;
  bool any_away_ = false;  // Found when they were visited.
  SystemTime now_{};       // By the clock that is behind the other.
  // Of the key that is being marked:
  std::optional<std::string> key_;
  bool superseded_ = false;  // By a state that is not younger than the cutoff, and can be read.
  bool superseded_with_gone_ = false;  // The same, or by one whose archive is gone.
  std::vector<Archive*> deciding_;     // Hold the state at the cutoff; nothing older was seen yet.
  std::vector<Archive*> hiding_;       // Of deletes that are the state at the cutoff.
};

}  // namespace

Async<void> PruneVault(Runtime runtime, CatalogSource source, PruneOptions options,
                       CatalogTroubles& troubles, std::function<void(const std::string& what)> told,
                       PruneObserver& observer, PruneTotals& totals) {
  Pruning pruning(runtime, std::move(source), std::move(options), troubles, std::move(told),
                  observer, totals);
  co_return co_await pruning.Run();
}

}  // namespace longhaul::backup
