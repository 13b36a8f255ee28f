// Backups, by the API: what a vault has of a bucket at a time, and restores of it, which this
// process carries.

#include <algorithm>
#include <utility>

#include "backup/catalog.h"
#include "backup/restore.h"
#include "backup/vault_store.h"
#include "backup/vault_versions.h"
#include "replication/staging/seal.h"
#include "server/api.h"
#include "server/api_json.h"

namespace longhaul {

namespace {

// Each reads all catalogs of a bucket, and sorts what it needs of them.
constexpr int kVaultListingsMax = 4;
// That are left open for the next page.
constexpr size_t kOpenListsMax = 2;
constexpr size_t kFinishedRunsKept = 200;
constexpr std::chrono::hours kFinishedRunsAge{30 * 24};

// A list sorts in a quarter of what it takes, and holds in an eighth what it has read. In the rest
// catalogs are open, of some 5 MiB each: of the smallest share three at a time.
constexpr int64_t kListBytesMin = 32 << 20;
constexpr int64_t kListBytesMax = 64 << 20;
int64_t MemoryOfList(const MemoryBudget& memory) {
  return std::min(memory.limit_bytes(),
                  std::clamp(memory.limit_bytes() / 8, kListBytesMin, kListBytesMax));
}
// What a restore takes: for the archives that it reads as much as the command does, and for its
// listings and copies.
int64_t MemoryOfArchives(const MemoryBudget& memory) { return memory.limit_bytes() / 8 * 3; }
int64_t MemoryOfRestore(const MemoryBudget& memory) {
  return std::min(memory.limit_bytes(),
                  MemoryOfArchives(memory) + std::max(kListBytesMin, memory.limit_bytes() / 4));
}

// What a listing of a vault says when it cannot go on.
Error OfVault(const Error& error) {
  if (error.kind != ErrorKind::kCorrupt) return error;
  // Waiting does not help, so it is none of those that are tried again.
  return PreconditionFailed(error.Describe());
}

// null: everything could be read.
boost::json::value MissingOf(const backup::CatalogTroubles& troubles) {
  if (troubles.lines + troubles.orphans == 0) return nullptr;
  return boost::json::value(
      std::to_string(troubles.lines) + " lines of catalogs could not be read, and " +
      std::to_string(troubles.orphans) + " catalogs have no archive: objects may be missing");
}

// Objects in the order of a listing, those below a delimiter as their common prefix.
class Page {
 public:
  Page(std::string prefix, std::string delimiter, int64_t limit)
      : prefix_(std::move(prefix)), delimiter_(std::move(delimiter)), limit_(limit) {}

  // `cursor`: of the page before. kInvalidInput.
  Result<void> Continue(const std::optional<std::string>& cursor) {
    if (!cursor) return Ok();
    Result<std::vector<std::string>> parts = DecodeCursor(*cursor, 2);
    if (!parts) return parts.error();
    if ((*parts)[0] != "k" && (*parts)[0] != "p")
      return FieldError("cursor", "is not of this list");
    after_ = (*parts)[1];
    after_is_prefix_ = (*parts)[0] == "p";
    return Ok();
  }

  // False: the page is full, and there is more.
  bool Add(const ListedObject& object) {
    if (after_ &&
        (object.key <= *after_ || (after_is_prefix_ && object.key.starts_with(*after_)))) {
      return true;
    }
    if (!prefixes_.empty() && last_is_prefix_ && object.key.starts_with(last_)) return true;
    if (std::cmp_equal(objects_.size() + prefixes_.size(), limit_)) {
      more_ = true;
      return false;
    }
    const size_t end =
        delimiter_.empty() ? std::string::npos : object.key.find(delimiter_, prefix_.size());
    last_is_prefix_ = end != std::string::npos;
    if (last_is_prefix_) {
      last_ = object.key.substr(0, end + delimiter_.size());
      prefixes_.emplace_back(last_);
    } else {
      last_ = object.key;
      objects_.emplace_back(boost::json::object{{"key", object.key},
                                                {"size", object.size_bytes},
                                                {"etag", object.etag},
                                                {"stamp", FormatRfc3339(object.last_modified)},
                                                {"version_id", object.version_id}});
    }
    return true;
  }

  // nullopt: that was all.
  [[nodiscard]] std::optional<std::string> Cursor() const {
    if (!more_) return std::nullopt;
    return EncodeCursor({last_is_prefix_ ? "p" : "k", last_});
  }
  void Write(boost::json::object& json) {
    json["next"] = JsonCursor(Cursor());
    json["objects"] = std::move(objects_);
    json["prefixes"] = std::move(prefixes_);
  }

 private:
  std::string prefix_;
  std::string delimiter_;
  int64_t limit_;
  std::optional<std::string> after_;
  bool after_is_prefix_ = false;
  boost::json::array objects_;
  boost::json::array prefixes_;
  std::string last_;
  bool last_is_prefix_ = false;
  bool more_ = false;
};

class Counted {
 public:
  explicit Counted(int& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  int& count_;
};

}  // namespace

Api::Json Api::ListBackups() const {
  boost::json::array list;
  for (const Rule& rule : context_.configuration.rules) {
    for (const Target& target : rule.targets) {
      if (!target.backup) continue;
      const BackupOptions& options = *target.backup;
      list.emplace_back(
          Json{{"rule", rule.id},
               {"target", target.name},
               {"source", rule.source.ToString()},
               {"vault", target.to.ToString()},
               {"keep_seconds", options.keep ? boost::json::value(options.keep->count()) : nullptr},
               {"storage_class", JsonText(options.storage_class)},
               {"lock_mode", JsonText(options.lock_mode)},
               {"enabled", rule.enabled}});
    }
  }
  return {{"backups", std::move(list)}};
}

Result<Api::Backup> Api::RequireBackup(const ApiRequest& request) const {
  Result<const Rule*> rule = RequireRule(request.arguments[0]);
  if (!rule) return rule.error();
  const auto target = std::ranges::find((*rule)->targets, request.arguments[1], &Target::name);
  if (target == (*rule)->targets.end()) {
    return NotFound("rule '" + (*rule)->id + "' has no target '" + request.arguments[1] + "'");
  }
  if (!target->backup) {
    return NotFound("target '" + target->name + "' of rule '" + (*rule)->id + "' is no backup");
  }
  return Backup{.rule = *rule,
                .target = &*target,
                .source = {.store = context_.replication.stores.at(target->to.store),
                           .vault = {.bucket = target->to.bucket, .prefix = target->to.prefix},
                           .source_bucket = (*rule)->source.bucket,
                           .seal_keys = SealKeys(**rule)}};
}

Async<Api::Json> Api::ListBackupObjects(const ApiRequest& request) {
  Result<Backup> backup = RequireBackup(request);
  if (!backup) co_return backup.error();
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  const std::string prefix = query.Text("prefix").value_or("");
  const std::string delimiter = query.Text("delimiter").value_or("");
  Result<std::optional<SystemTime>> at = query.Time("at");
  if (!at) co_return at.error();
  const std::optional<std::string> cursor = query.Text("cursor");
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  Page page(prefix, delimiter, *limit);
  Result<void> continued = page.Continue(cursor);
  if (!continued) co_return continued.error();
  if (vault_listings_ >= kVaultListingsMax) {
    co_return Retryable("several backups are listed right now; try again in a moment");
  }
  Counted counted(vault_listings_);
  backup->source.prefix = prefix;
  const std::string question = EncodeCursor(
      {backup->rule->id, backup->target->name, prefix, delimiter, *at ? FormatRfc3339(**at) : ""});
  Result<std::unique_ptr<OpenVaultList>> opened =
      co_await OpenList(*backup, question, cursor, at->value_or(SystemTime::max()));
  if (!opened) co_return OfVault(opened.error());
  std::unique_ptr<OpenVaultList> list = std::move(*opened);
  Result<void> read = Ok();
  while (list->next && page.Add(*list->next)) {
    Result<std::optional<ListedObject>> next = co_await list->listing->Next();
    if (!next) {
      read = next.error();
      break;
    }
    list->next = std::move(*next);
  }
  const backup::CatalogTroubles troubles = list->troubles;
  const std::optional<std::string> left_at = read ? page.Cursor() : std::nullopt;
  if (left_at && !stopping_) {
    list->cursor = *left_at;
    list->left = context_.runtime.clock.SteadyNow();
    vault_lists_.push_back(std::move(list));
    if (vault_lists_.size() > kOpenListsMax) {
      list = std::move(vault_lists_.front());
      vault_lists_.erase(vault_lists_.begin());
    }
  }
  if (list) co_await list->listing->Close();
  if (!read) co_return OfVault(read.error());
  Json json{{"rule", backup->rule->id},
            {"target", backup->target->name},
            {"at", *at ? JsonTime(**at) : nullptr},
            {"prefix", prefix},
            {"delimiter", delimiter},
            {"incomplete", MissingOf(troubles)}};
  page.Write(json);
  co_return json;
}

// With its first object, or the one that a page has left off at.
Async<std::unique_ptr<Api::OpenVaultList>> Api::OpenList(const Backup& backup, std::string question,
                                                         const std::optional<std::string>& cursor,
                                                         SystemTime at) {
  if (cursor) {
    const auto found = std::ranges::find_if(vault_lists_, [&](const auto& list) {
      return list->question == question && list->cursor == *cursor;
    });
    if (found != vault_lists_.end()) {
      std::unique_ptr<OpenVaultList> list = std::move(*found);
      vault_lists_.erase(found);
      co_return list;
    }
  }
  Runtime& runtime = context_.runtime;
  Result<Reservation> memory = co_await runtime.memory.Reserve(MemoryOfList(runtime.memory));
  if (!memory) co_return memory.error();
  auto list = std::make_unique<OpenVaultList>(runtime, std::move(*memory));
  list->question = std::move(question);
  list->listing = backup::OpenVaultListing(list->memory.runtime(), backup.source, at,
                                           list->troubles, [](const std::string&) {});
  Result<std::optional<ListedObject>> first = co_await list->listing->Next();
  if (!first) {
    co_await list->listing->Close();
    co_return first.error();
  }
  list->next = std::move(*first);
  co_return list;
}

asio::awaitable<void> Api::CloseLists(std::chrono::milliseconds age_min) {
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  while (!vault_lists_.empty() && now - vault_lists_.front()->left >= age_min) {
    std::unique_ptr<OpenVaultList> list = std::move(vault_lists_.front());
    vault_lists_.erase(vault_lists_.begin());
    co_await list->listing->Close();
  }
}

Async<Api::Json> Api::ListBackupVersions(const ApiRequest& request) {
  Result<Backup> backup = RequireBackup(request);
  if (!backup) co_return backup.error();
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<size_t> skip = query.Skip();
  if (!skip) co_return skip.error();
  const std::optional<std::string> key = query.Text("key");
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  if (!key) co_return FieldError("key", "is missing: the whole key of an object");
  if (vault_listings_ >= kVaultListingsMax) {
    co_return Retryable("several backups are listed right now; try again in a moment");
  }
  Counted counted(vault_listings_);
  backup->source.prefix = *key;
  Runtime& runtime = context_.runtime;
  Result<Reservation> memory = co_await runtime.memory.Reserve(MemoryOfList(runtime.memory));
  if (!memory) co_return memory.error();
  const MemoryShare share(runtime, std::move(*memory));
  backup::CatalogTroubles troubles;
  std::unique_ptr<Listing> listing = backup::OpenVaultHistory(share.runtime(), backup->source,
                                                              troubles, [](const std::string&) {});
  boost::json::array versions;
  std::optional<std::string> more;
  size_t seen = 0;
  Result<std::optional<ListedObject>> next = co_await listing->Next();
  // Those of the key come first: all others are longer.
  while (next && *next && (*next)->key == *key) {
    const ListedObject& version = **next;
    if (std::cmp_equal(versions.size(), *limit)) {
      more = EncodeCursor({std::to_string(seen)});
      break;
    }
    if (seen++ >= *skip) {
      versions.emplace_back(
          Json{{"version_id", version.version_id},
               {"stamp", FormatRfc3339(version.last_modified)},
               {"size", version.is_delete_marker ? boost::json::value(nullptr)
                                                 : boost::json::value(version.size_bytes)},
               {"etag", JsonText(version.etag)},
               {"is_latest", version.is_latest},
               {"is_delete_marker", version.is_delete_marker}});
    }
    next = co_await listing->Next();
  }
  co_await listing->Close();
  if (!next) co_return OfVault(next.error());
  if (seen == 0) co_return NotFound("the backup has no object '" + *key + "'");
  co_return Json{{"rule", backup->rule->id},
                 {"target", backup->target->name},
                 {"key", *key},
                 {"versions", std::move(versions)},
                 {"incomplete", MissingOf(troubles)},
                 {"next", JsonCursor(more)}};
}

// Where a restore writes to; `destination` becomes its address, that of the source if it is empty.
Async<TreeTarget> Api::PlaceOfRestore(const Backup& backup, std::string* destination,
                                      const std::string& prefix) {
  Address place{.store = backup.rule->source.store,
                .bucket = backup.rule->source.bucket,
                .prefix = backup::RestoreFolder(prefix)};
  if (!destination->empty()) {
    Result<Address> parsed = ParseAddress(*destination);
    if (!parsed) co_return FieldError("destination", parsed.error().message);
    place = std::move(*parsed);
    if (!place.prefix.empty() && !place.prefix.ends_with('/')) place.prefix += '/';
  }
  if (!context_.configuration.stores.contains(place.store)) {
    co_return FieldError("destination", "'" + place.store + "' is no store of the configuration");
  }
  Address written = place;
  written.prefix += prefix.substr(backup::RestoreFolder(prefix).size());
  Result<void> free = CheckFree("destination", written, Use::kRestore);
  if (!free) co_return free.error();
  *destination = place.ToString();
  Result<Store*> store = context_.store_of(place.store, place.bucket);
  if (!store) co_return FieldError("destination", store.error().Describe());
  Result<void> there = co_await (*store)->HeadBucket(place.bucket);
  if (!there && there.error().Transient()) co_return there.error();
  // Who may write need not be one who may look.
  if (!there && there.error().kind != ErrorKind::kDenied) {
    co_return FieldError("destination", there.error().Describe());
  }
  co_return TreeTarget{.store = **store, .bucket = place.bucket, .prefix = place.prefix};
}

Async<Api::Json> Api::RestoreBackup(const ApiRequest& request) {
  Result<Backup> backup = RequireBackup(request);
  if (!backup) co_return backup.error();
  ApiBody body(request.body);
  Result<std::optional<std::string>> prefix = body.Text("prefix", 1024);
  if (!prefix) co_return prefix.error();
  Result<std::optional<std::string>> key = body.Text("key", 1024);
  if (!key) co_return key.error();
  Result<std::optional<SystemTime>> at = body.Time("at");
  if (!at) co_return at.error();
  Result<std::optional<std::string>> destination = body.Text("destination");
  if (!destination) co_return destination.error();
  Result<std::optional<bool>> overwrite = body.Boolean("overwrite");
  if (!overwrite) co_return overwrite.error();
  Result<std::optional<bool>> dry_run = body.Boolean("dry_run");
  if (!dry_run) co_return dry_run.error();
  Result<void> known = body.Finish();
  if (!known) co_return known.error();
  if (*prefix && *key) co_return FieldError("key", "does not go with `prefix`");
  if (!*prefix && !*key) {
    co_return FieldError("prefix", "is missing: what keys begin with (\"\" is all), or `key`");
  }
  if (*key && (*key)->empty()) co_return FieldError("key", "is empty");
  // Whoever left a field of a form empty has not asked for the live bucket.
  if (*destination && (*destination)->empty()) {
    co_return FieldError("destination", "is empty; leave it out, or give null, for the source");
  }
  backup::RestoreOrder order{.rule = backup->rule->id,
                             .target = backup->target->name,
                             .what = {.prefix = *key ? **key : **prefix,
                                      .at = at->value_or(SystemTime::max()),
                                      .one_key = key->has_value()},
                             .destination = destination->value_or(""),
                             .overwrite = overwrite->value_or(false),
                             .dry_run = dry_run->value_or(false)};
  Result<TreeTarget> place =
      co_await PlaceOfRestore(*backup, &order.destination, order.what.prefix);
  if (!place) co_return place.error();
  if (restoring_) {
    co_return PreconditionFailed((here_.empty() ? "a restore" : "restore " + here_.begin()->first) +
                                 " is under way in this process; wait until it has ended, or stop "
                                 "it");
  }
  restoring_ = true;
  Result<std::unique_ptr<RunJournal>> begun = co_await RunJournal::Begin(
      context_.runtime, context_.state,
      backup::RestoreRun(order, context_.configuration.file, backup->target->to.ToString()));
  if (!begun) {
    restoring_ = false;
    co_return begun.error();
  }
  std::shared_ptr<RunJournal> journal = std::move(*begun);  // shared with the work.
  const RunRecord run = journal->record();
  here_[run.id] = journal.get();
  restores_changed_ = true;
  const bool started =
      background_.Start(run.id, [this, of = *backup, order, to = *place, journal](Event& stop) {
        return CarryRestore(of, order, to, journal, stop);
      });
  if (!started) {
    here_.erase(run.id);
    restoring_ = false;
    Result<void> finished = co_await journal->Finish(RunPhase::kStopped, "the process ended");
    static_cast<void>(finished);
    co_return Retryable("this process ends");
  }
  co_return JsonOfRestore(run);
}

asio::awaitable<void> Api::CarryRestore(Backup backup, backup::RestoreOrder order, TreeTarget place,
                                        std::shared_ptr<RunJournal> journal, Event& stop) {
  Runtime& runtime = context_.runtime;
  const std::string id = journal->record().id;
  // Waits for those that came before. Whoever needs more than the rest waits for the restore.
  Result<Reservation> memory = co_await runtime.memory.Reserve(MemoryOfRestore(runtime.memory));
  if (memory) {
    const int64_t archives = MemoryOfArchives(runtime.memory);
    const MemoryShare share(runtime, std::move(*memory), archives);
    backup::VaultStore vault(share.runtime(), *backup.source.store, backup.source.vault,
                             backup.source.source_bucket,
                             {.seal_keys = SealKeys(*backup.rule), .memory_bytes = archives});
    co_await backup::RunRestore(share.runtime(), context_.state, vault, std::move(order), place,
                                *journal, stop);
  } else {
    Result<void> finished = co_await journal->Finish(RunPhase::kStopped, memory.error().Describe());
    static_cast<void>(finished);
  }
  here_.erase(id);
  restoring_ = false;
  restores_changed_ = true;
  Result<void> pruned =
      co_await Runs(runtime, context_.state)
          .Prune(kFinishedRunsKept, kFinishedRunsAge, std::string(backup::kRestoreCommand));
  static_cast<void>(pruned);  // The next one tries again.
}

Api::Json Api::JsonOfRestore(const RunRecord& run) {
  const std::optional<backup::RestoreOrder> order = backup::OrderOf(run);
  const bool killed = run.phase == RunPhase::kRunning && !here_.contains(run.id) &&
                      !Runs(context_.runtime, context_.state).UnderWay(run);
  const auto here = here_.find(run.id);
  // What is written is some seconds old.
  const RunCounts& counts = here == here_.end() ? run.counts : here->second->counts();
  const bool ended = run.phase != RunPhase::kRunning;
  const bool newest = !order || order->what.at == SystemTime::max();
  return {{"id", run.id},
          {"phase", killed ? std::string_view("killed") : ToString(run.phase)},
          {"reason", JsonText(run.reason)},
          {"rule", order ? JsonText(order->rule) : nullptr},
          {"target", order ? JsonText(order->target) : nullptr},
          {"prefix", order ? boost::json::value(order->what.prefix) : nullptr},
          {"at", newest ? nullptr : JsonTime(order->what.at)},
          {"destination", run.target},
          {"overwrite", order && order->overwrite},
          {"dry_run", order && order->dry_run},
          {"started", FormatRfc3339(run.started)},
          {"ended", ended ? JsonTime(run.written) : nullptr},
          {"listed_all", run.listed_all},
          {"restored", counts.copied},
          {"restored_bytes", counts.bytes},
          {"equal", counts.skipped},
          {"failed", counts.failed}};
}

Async<Api::Json> Api::ListRestores(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<std::string> before = query.Cursor();
  if (!before) co_return before.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  Result<std::vector<RunRecord>> all = co_await Runs(context_.runtime, context_.state).All();
  if (!all) co_return all.error();
  boost::json::array list;
  std::optional<std::string> next;
  std::string last;
  for (const RunRecord& run : *all) {
    if (run.command != backup::kRestoreCommand || (!before->empty() && run.id >= *before)) continue;
    if (std::cmp_equal(list.size(), *limit)) {
      next = EncodeCursor({last});
      break;
    }
    last = run.id;
    list.emplace_back(JsonOfRestore(run));
  }
  co_return Json{{"runs", std::move(list)}, {"next", JsonCursor(next)}};
}

Async<RunRecord> Api::FindRestore(std::string id) {
  Result<RunRecord> run = co_await Runs(context_.runtime, context_.state).Find(id);
  // A part of an id is for people alone.
  if (run && (run->id != id || run->command != backup::kRestoreCommand)) {
    co_return NotFound("there is no restore '" + id + "'");
  }
  co_return run;
}

Async<Api::Json> Api::GetRestore(const ApiRequest& request) {
  Result<RunRecord> run = co_await FindRestore(request.arguments[0]);
  if (!run) co_return run.error();
  co_return JsonOfRestore(*run);
}

Async<Api::Json> Api::ListRestoreFailures(const ApiRequest& request) {
  ApiQuery query(request);
  Result<int64_t> limit = query.Limit();
  if (!limit) co_return limit.error();
  Result<std::string> after = query.Cursor();
  if (!after) co_return after.error();
  Result<void> known = query.Finish();
  if (!known) co_return known.error();
  Result<RunRecord> run = co_await FindRestore(request.arguments[0]);
  if (!run) co_return run.error();
  Result<std::vector<RunFailure>> failures =
      co_await Runs(context_.runtime, context_.state)
          .Failures(run->id, *after, static_cast<int>(*limit));
  if (!failures) co_return failures.error();
  boost::json::array list;
  for (const RunFailure& failure : *failures) {
    list.emplace_back(
        Json{{"name", failure.name}, {"reason", failure.reason}, {"when", JsonTime(failure.at)}});
  }
  std::optional<std::string> next;
  if (std::cmp_equal(failures->size(), *limit)) next = EncodeCursor({failures->back().name});
  co_return Json{{"failures", std::move(list)}, {"next", JsonCursor(next)}};
}

Async<Api::Json> Api::StopRestore(const ApiRequest& request) {
  Result<void> known = ApiBody(request.body).Finish();
  if (!known) co_return known.error();
  Result<RunRecord> run = co_await FindRestore(request.arguments[0]);
  if (!run) co_return run.error();
  if (!background_.Stop(run->id)) {
    const bool lives = Runs(context_.runtime, context_.state).UnderWay(*run);
    co_return PreconditionFailed(lives ? "another process is at work on it; stop that one"
                                       : "the restore has ended");
  }
  co_return JsonOfRestore(*run);
}

}  // namespace longhaul
