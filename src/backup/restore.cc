#include "backup/restore.h"

#include <filesystem>
#include <utility>

#include "base/units.h"
#include "storage/makes_durable.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/upload_records.h"
#include "transfer/runs/watch_for_loss.h"
#include "transfer/tree/journal_observer.h"
#include "transfer/tree/named_objects.h"

namespace longhaul::backup {

namespace {

// Objects at once, of a restore beside other work.
constexpr int kInFlight = 16;

// A listing that ends behind its first object when that has this very key: someone who names an
// object does not ask for others whose keys go on.
class OneOrAll : public Listing {
 public:
  OneOrAll(std::unique_ptr<Listing> listing, std::string key, bool one_key)
      : listing_(std::move(listing)), key_(std::move(key)), one_key_(one_key) {}

  Async<std::optional<ListedObject>> Next() override {
    if (found_) co_return std::nullopt;
    Result<std::optional<ListedObject>> next = co_await listing_->Next();
    if (!next || !*next) co_return next;
    const bool same = (*next)->key == key_;
    // In order of keys, the one that is meant comes first.
    if (one_key_ && !same) co_return std::nullopt;
    found_ = same && (one_key_ || !key_.ends_with('/'));
    co_return next;
  }
  asio::awaitable<void> Close() override { co_await listing_->Close(); }

 private:
  std::unique_ptr<Listing> listing_;
  std::string key_;
  bool one_key_;
  bool found_ = false;
};

Async<void> Carry(Runtime runtime, BackupStore& vault, RestoreWhat what, TreeTarget target,
                  CatalogTroubles& troubles, std::function<void(const std::string& text)> told,
                  SyncOptions options, SyncObserver& observer, SyncTotals& totals) {
  std::unique_ptr<Listing> listing = OpenRestored(vault, what, troubles, std::move(told));
  std::unique_ptr<Listing> there = OpenRestoreTarget(runtime, what, target);
  // Keys are those of the source; the vault asks for no bucket.
  const TreeSource source{
      .store = vault, .bucket = target.bucket, .prefix = RestoreFolder(what.prefix)};
  Result<void> done = co_await SyncTrees(runtime, source, target, *listing, there.get(),
                                         std::move(options), observer, totals);
  co_await listing->Close();
  co_await there->Close();
  co_return done;
}

// A restore that writes: its journal and its tally.
class Written : public JournalObserver {
 public:
  explicit Written(RunJournal& journal) : JournalObserver(journal) {}
  void OnChosen(const SyncStep& step) override {
    tally.OnChosen(step);
    JournalObserver::OnChosen(step);
  }
  void OnSkipped(const SyncStep& step) override {
    tally.OnSkipped(step);
    JournalObserver::OnSkipped(step);
  }
  RestoreTally tally;
};

// One that only counts: no name is ever under way.
class Counting : public SyncObserver {
 public:
  explicit Counting(RunJournal& journal) : journal_(journal) {}
  void OnChosen(const SyncStep& step) override {
    tally.OnChosen(step);
    ++journal_.counts().copied;
    journal_.counts().bytes += step.source == nullptr ? 0 : step.source->size_bytes;
    journal_.Passed(step.name);
  }
  void OnSkipped(const SyncStep& step) override {
    ++journal_.counts().skipped;
    journal_.Passed(step.name);
  }
  void OnFailed(const SyncStep& step, const Error& error) override {
    ++journal_.counts().failed;
    journal_.Failed(step.name, error.Describe());
  }
  void OnListedAll() override { journal_.ListedAll(); }
  RestoreTally tally;

 private:
  RunJournal& journal_;
};

struct Ended {
  RunPhase phase = RunPhase::kDone;
  std::string reason;
};

std::string Objects(uint64_t count) {
  return std::to_string(count) + (count == 1 ? " object" : " objects");
}

// What came of a restore that was carried to its end.
Ended Judge(const RestoreOrder& order, const SyncTotals& totals, const RestoreTally& tally,
            const CatalogTroubles& troubles) {
  if (totals.failed > 0) {
    return {.phase = RunPhase::kFailed,
            .reason = Objects(totals.failed) + " could not be restored"};
  }
  const std::string& prefix = order.what.prefix;
  // All that an empty backup has is nothing.
  if (totals.source_objects == 0 && !(prefix.empty() && order.what.at == SystemTime::max())) {
    return {.phase = RunPhase::kFailed,
            .reason = "the backup has nothing" +
                      (prefix.empty() ? std::string() : " of '" + prefix + "'") +
                      (order.what.at == SystemTime::max() ? "" : " at that time")};
  }
  if (tally.appeared > 0) {
    return {.phase = RunPhase::kFailed,
            .reason = Objects(tally.appeared) +
                      " appeared at the destination meanwhile, and stayed as found"};
  }
  if (troubles.lines + troubles.orphans > 0) {
    return {.phase = RunPhase::kFailed,
            .reason = std::to_string(troubles.lines) + " lines of catalogs could not be read, " +
                      std::to_string(troubles.orphans) +
                      " catalogs have no archive: objects may be missing"};
  }
  if (order.dry_run && tally.replaced > 0) {
    return {.reason = Objects(tally.replaced) + " at the destination would be replaced"};
  }
  return {};
}

Async<Ended> Restore(Runtime runtime, State& state, BackupStore& vault, RestoreOrder order,
                     TreeTarget place, RunJournal& journal, Event& stop) {
  UploadRecords uploads(runtime, state, ThisProcess(), journal.record().id, place.prefix);
  SyncOptions options;
  SetRestoreOptions(options);
  options.in_flight = kInFlight;
  options.dry_run = order.dry_run;
  options.copy.stop = &stop;
  options.copy.uploads = &uploads;
  if (!order.overwrite && !order.dry_run) {
    Result<uint64_t> differing =
        co_await CountDiffering(runtime, vault, order.what, place, options);
    if (!differing) co_return differing.error();
    if (*differing > 0) {
      co_return WouldReplace(*differing, order.destination,
                             "restore to another place, or have them replaced (overwrite)");
    }
  }
  options.copy.if_absent = !order.overwrite;
  CatalogTroubles troubles;
  SyncTotals totals;
  const auto told = [&runtime](const std::string& text) {
    runtime.log.Warning("skipped in a vault", {{"what", text}});
  };
  if (order.dry_run) {
    Counting counting(journal);
    Result<void> done = co_await Carry(runtime, vault, order.what, place, troubles, told, options,
                                       counting, totals);
    if (!done) co_return done.error();
    co_return Judge(order, totals, counting.tally, troubles);
  }
  if (IsPlainFolder(place.store.capabilities())) {
    journal.set_make_durable(
        [&store = place.store, bucket = place.bucket] { return MakeAllDurable(store, bucket); });
  }
  Written written(journal);
  Result<void> done =
      co_await Carry(runtime, vault, order.what, place, troubles, told, options, written, totals);
  if (!done) co_return done.error();
  co_return Judge(order, totals, written.tally, troubles);
}

}  // namespace

std::string RestoreFolder(std::string_view prefix) {
  return std::string(prefix.substr(0, prefix.rfind('/') + 1));
}

std::unique_ptr<Listing> OpenRestored(BackupStore& vault, RestoreWhat what,
                                      CatalogTroubles& troubles,
                                      std::function<void(const std::string& text)> told) {
  return std::make_unique<OneOrAll>(vault.OpenAt(what.prefix, what.at, troubles, std::move(told)),
                                    what.prefix, what.one_key);
}

std::unique_ptr<Listing> OpenRestoreTarget(const Runtime& runtime, const RestoreWhat& what,
                                           const TreeTarget& target) {
  const std::string rest = what.prefix.substr(RestoreFolder(what.prefix).size());
  if (what.one_key) {
    return OpenNamedObjects(runtime, target.store, target.bucket, target.prefix, {rest});
  }
  return OpenListing(runtime, target.store, target.bucket, target.prefix + rest);
}

void SetRestoreOptions(SyncOptions& options) {
  options.copy.source_proves_bytes = true;
  // What is there is compared in all that belongs to it: times tell nothing of a state of old.
  options.compare.checksum = true;
  options.download = true;
  options.descriptions = true;
}

Async<uint64_t> CountDiffering(Runtime runtime, BackupStore& vault, RestoreWhat what,
                               TreeTarget target, SyncOptions options) {
  std::unique_ptr<Listing> there = OpenRestoreTarget(runtime, what, target);
  Result<std::optional<ListedObject>> any = co_await there->Next();
  co_await there->Close();
  if (!any) co_return any.error().In("list " + target.bucket + "/" + target.prefix);
  if (!*any) co_return 0;
  options.dry_run = true;
  options.copy.if_absent = false;
  options.bytes_max = UINT64_MAX;
  options.until.reset();
  CatalogTroubles troubles;  // The restore itself tells of them.
  RestoreTally tally;
  SyncTotals totals;
  Result<void> compared = co_await Carry(runtime, vault, std::move(what), target, troubles, {},
                                         std::move(options), tally, totals);
  if (!compared) co_return compared.error();
  co_return tally.replaced;
}

Error WouldReplace(uint64_t differing, std::string_view target, std::string_view remedy) {
  return PreconditionFailed(Objects(differing) + " at '" + std::string(target) +
                            "' would be replaced and " + (differing == 1 ? "differs" : "differ") +
                            ": " + std::string(remedy));
}

RunRecord RestoreRun(const RestoreOrder& order, const std::string& config_file,
                     const std::string& vault) {
  std::vector<std::string> words = {"backup", "restore",  "--config", config_file,
                                    "--rule", order.rule, "--target", order.target};
  if (order.what.at != SystemTime::max()) {
    words.insert(words.end(), {"--at", FormatRfc3339(order.what.at)});
  }
  if (order.what.one_key) words.emplace_back("--exact");
  if (order.overwrite) words.emplace_back("--overwrite");
  if (order.dry_run) words.emplace_back("--dry-run");
  words.insert(words.end(), {"--", order.what.prefix, order.destination});
  std::error_code ignored;
  return {.command = std::string(kRestoreCommand),
          .arguments = std::move(words),
          .whole_words = true,
          .folder = std::filesystem::current_path(ignored).string(),
          .source = vault + " " + order.what.prefix,
          .target = order.destination};
}

std::optional<RestoreOrder> OrderOf(const RunRecord& run) {
  if (run.command != kRestoreCommand || run.arguments.size() < 5) return std::nullopt;
  RestoreOrder order;
  const std::vector<std::string>& words = run.arguments;
  const size_t end = words.size() - 3;
  if (words[end] != "--") return std::nullopt;
  for (size_t i = 2; i < end; ++i) {
    const std::string& word = words[i];
    if (word == "--exact") {
      order.what.one_key = true;
    } else if (word == "--overwrite") {
      order.overwrite = true;
    } else if (word == "--dry-run") {
      order.dry_run = true;
    } else if (i + 1 == end) {
      return std::nullopt;
    } else if (word == "--rule") {
      order.rule = words[++i];
    } else if (word == "--target") {
      order.target = words[++i];
    } else if (word == "--at") {
      Result<SystemTime> at = ParseRfc3339(words[++i]);
      if (!at) return std::nullopt;
      order.what.at = *at;
    } else if (word == "--config") {
      ++i;
    } else {
      return std::nullopt;
    }
  }
  order.what.prefix = words[end + 1];
  order.destination = words[end + 2];
  return order;
}

asio::awaitable<void> RunRestore(Runtime runtime, State& state, BackupStore& vault,
                                 RestoreOrder order, TreeTarget place, RunJournal& journal,
                                 Event& stop) {
  Event over;
  TaskGroup watch(runtime.executor);
  watch.Spawn(WatchForLoss(runtime, journal, stop, over));
  Result<Ended> ended = co_await Restore(runtime, state, vault, order, place, journal, stop);
  over.Set();
  Result<void> watched = co_await watch.Join();
  static_cast<void>(watched);
  Ended told =
      ended ? *ended
            : Ended{.phase = RunPhase::kStopped,
                    .reason = stop.is_set() ? "stopped on request" : ended.error().Describe()};
  Result<void> finished = co_await journal.Finish(told.phase, std::move(told.reason));
  if (!finished) {
    runtime.log.Warning("the journal of a restore could not be written", {finished.error()});
  }
}

}  // namespace longhaul::backup
