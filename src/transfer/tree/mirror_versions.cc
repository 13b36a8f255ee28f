#include "transfer/tree/mirror_versions.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transfer/object/relay.h"
#include "transfer/tree/store_wide.h"
#include "transfer/tree/sync_run.h"
#include "transfer/tree/version_history.h"

namespace longhaul {

namespace {

// Of all keys at work; about 200 bytes each.
constexpr size_t kVersionsAtOnce = 2 * kKeyVersionsMax;

// One end of the merge: the history of one key after the other.
class Histories {
 public:
  Histories(Listing& listing, const std::string& prefix) : listing_(listing), prefix_(prefix) {}

  // Reads the next key's. False: there is none.
  Async<bool> Next() {
    key_.clear();
    versions_.clear();
    too_many_ = false;
    if (!ahead_ && !began_) {
      Result<void> first = co_await ReadAhead();
      if (!first) co_return first.error();
    }
    began_ = true;
    if (!ahead_) co_return false;
    key_ = ahead_->key;
    if (!last_key_.empty() && key_ <= last_key_) {
      co_return Corrupt("a listing is not in order: '" + key_ + "' after '" + last_key_ + "'");
    }
    while (ahead_ && ahead_->key == key_) {
      too_many_ = too_many_ || versions_.size() == kKeyVersionsMax;
      if (!too_many_) versions_.push_back(std::move(*ahead_));
      Result<void> next = co_await ReadAhead();
      if (!next) co_return next.error();
    }
    last_key_ = key_;
    std::ranges::reverse(versions_);  // The newest is listed first.
    co_return true;
  }

  [[nodiscard]] std::string_view name() const {
    return std::string_view(key_).substr(prefix_.size());
  }
  // Empty: its history can be relied on.
  [[nodiscard]] std::string Flaw() const {
    if (too_many_) return "it has more than " + std::to_string(kKeyVersionsMax) + " versions";
    for (const ListedObject& version : versions_) {
      if (version.is_latest != (&version == &versions_.back())) {
        return "the listing of its versions is not in order: version " + version.version_id +
               (version.is_latest ? " is" : " is not") + " the latest";
      }
    }
    return "";
  }
  std::vector<ListedObject>& versions() { return versions_; }

 private:
  Async<void> ReadAhead() {
    ahead_.reset();
    Result<std::optional<ListedObject>> next = co_await listing_.Next();
    if (!next) co_return next.error();
    ahead_ = std::move(*next);
    if (ahead_ && !ahead_->key.starts_with(prefix_)) {
      co_return Corrupt("a listing of '" + prefix_ + "' names '" + ahead_->key + "'");
    }
    co_return Ok();
  }

  Listing& listing_;
  const std::string& prefix_;
  bool began_ = false;
  std::optional<ListedObject> ahead_;
  std::string key_;
  std::string last_key_;
  bool too_many_ = false;
  std::vector<ListedObject> versions_;  // Oldest first.
};

// What a key has at the target as its newest: what the next write has to find there.
struct Newest {
  std::string etag;  // Empty: a delete marker, or nothing.
  bool deleted = false;
};

class Mirror {
 public:
  Mirror(Runtime runtime, TreeSource source, TreeTarget target, SyncOptions options,
         SyncObserver& observer, SyncTotals& totals)
      : runtime_(runtime),
        source_(std::move(source)),
        target_(std::move(target)),
        options_(std::move(options)),
        observer_(observer),
        totals_(totals),
        can_(target_.store.capabilities()),
        if_match_(can_.replace_if_match),
        if_absent_after_delete_(can_.create_if_absent),
        delete_if_match_(can_.delete_if_match),
        run_(observer, totals, FailureWatch(options_.in_flight, options_.target_denied)),
        group_(runtime.executor) {
    // An upload that somebody left is put right by a copy onto itself, which would be one version
    // more.
    options_.copy.uploads = nullptr;
    options_.copy.listed_only = true;
    if (options_.failed_before) run_.watch.Worked();
  }

  Async<void> Run(Listing& source_listing, Listing& target_listing) {
    Histories source(source_listing, source_.prefix);
    Histories target(target_listing, target_.prefix);
    Result<void> merged = co_await Merge(source, target);
    // Names behind were not looked at where a store has refused as a whole, or a limit was reached.
    if (merged && !run_.whole && !limit_) observer_.OnListedAll();
    Result<void> joined = co_await group_.Join();
    if (run_.whole) co_return *run_.whole;
    if (limit_) co_return *limit_;
    if (!merged) co_return merged;
    if (run_.cancelled) co_return Cancelled("stopped on request");
    co_return joined;
  }

 private:
  [[nodiscard]] bool stopped() const {
    return options_.copy.stop != nullptr && options_.copy.stop->is_set();
  }

  Async<void> Merge(Histories& source, Histories& target) {
    Result<bool> at_source = co_await source.Next();
    if (!at_source) co_return at_source.error();
    Result<bool> at_target = co_await target.Next();
    if (!at_target) co_return at_target.error();
    while (*at_source || *at_target) {
      if (run_.whole || limit_) co_return Ok();
      if (stopped()) co_return Cancelled("stopped on request");
      const int order = !*at_source ? 1 : !*at_target ? -1 : source.name().compare(target.name());
      if (order > 0) {
        OnlyAtTarget(target);
      } else {
        co_await Begin(source, order == 0 ? &target : nullptr);
      }
      if (order <= 0) {
        at_source = co_await source.Next();
        if (!at_source) co_return at_source.error();
      }
      if (order >= 0) {
        at_target = co_await target.Next();
        if (!at_target) co_return at_target.error();
      }
    }
    co_return Ok();
  }

  void OnlyAtTarget(Histories& target) {
    const ListedObject& newest = target.versions().back();
    SyncStep step{.name = target.name(),
                  .target = &newest,
                  .decision = {SyncVerdict::kSkip, reason::kOnlyAtTarget}};
    if (!options_.filter.Matches(step.name, newest)) {
      ++totals_.excluded;
      step.decision.reason = reason::kExcluded;
      return observer_.OnExcluded(step);
    }
    totals_.target_objects += target.versions().size();
    ++totals_.extra;
    observer_.OnExtra(step);
  }

  asio::awaitable<void> Begin(Histories& source, Histories* target) {
    const ListedObject newest = source.versions().back();
    SyncStep step{.name = source.name(),
                  .source = &newest,
                  .target = target != nullptr ? &target->versions().back() : nullptr,
                  .decision = {SyncVerdict::kSkip, reason::kExcluded}};
    if (!options_.filter.Matches(step.name, newest)) {
      ++totals_.excluded;
      observer_.OnExcluded(step);
      co_return;
    }
    // The marker of the source's own prefix has no key at the root of a bucket.
    const bool no_key = step.name.empty() && target_.prefix.empty();
    if (no_key && std::ranges::all_of(source.versions(), [](const ListedObject& version) {
          return version.size_bytes == 0;
        })) {
      totals_.skipped += source.versions().size();
      step.decision.reason = reason::kFolderMarker;
      observer_.OnSkipped(step);
      observer_.OnEnded(step);
      co_return;
    }
    totals_.source_objects += source.versions().size();
    if (options_.lands_in_source && options_.lands_in_source(step.name)) {
      run_.Failed(step, LandsInSourceError());
      co_return;
    }
    std::string flaw = source.Flaw();
    if (flaw.empty() && target != nullptr) flaw = target->Flaw();
    if (!flaw.empty()) {
      run_.Failed(step, InvalidInput(flaw + "; none was copied"));
      co_return;
    }
    std::vector<TargetVersion> there;
    if (target != nullptr) {
      totals_.target_objects += target->versions().size();
      for (ListedObject& version : target->versions()) {
        there.push_back({.listed = std::move(version), .origin = std::nullopt});
      }
    }
    const size_t count = source.versions().size() + there.size();
    if (at_work_ + count > kVersionsAtOnce) co_await group_.WaitBelow(1);
    co_await group_.WaitBelow(run_.watch.proven() || looked_ ? options_.in_flight : 1);
    if (run_.whole || limit_) co_return;
    at_work_ += count;
    observer_.OnLooking(step);
    group_.Spawn(
        MirrorKey(std::string(source.name()), std::move(source.versions()), std::move(there)));
  }

  // One failed key does not stop the others.
  Async<void> MirrorKey(std::string name, std::vector<ListedObject> versions,
                        std::vector<TargetVersion> there) {
    const size_t count = versions.size() + there.size();
    Result<size_t> from = co_await FirstMissing(name, versions, there);
    if (!from) {
      run_.Failed({.name = name, .source = &versions.back()}, from.error());
    } else {
      for (size_t i = 0; i < *from; ++i) {
        ++totals_.skipped;
        observer_.OnSkipped({.name = name,
                             .source = &versions[i],
                             .decision = {SyncVerdict::kSkip, reason::kSame}});
      }
      Newest newest;
      if (!there.empty()) {
        newest.deleted = there.back().listed.is_delete_marker;
        if (!newest.deleted) newest.etag = there.back().listed.etag;
      }
      bool whole = true;
      for (size_t i = *from; whole && i < versions.size(); ++i) {
        whole = co_await WriteOne(name, versions, i, newest);
      }
      if (whole) observer_.OnEnded({.name = name, .source = &versions.back()});
    }
    at_work_ -= count;
    co_return Ok();
  }

  Async<size_t> FirstMissing(const std::string& name, const std::vector<ListedObject>& versions,
                             std::vector<TargetVersion>& there) {
    while (true) {
      Result<HistoryPlan> plan = PlanHistory(versions, there);
      if (!plan) co_return plan.error();
      if (!plan->ask) co_return plan->from;
      if (stopped()) co_return Cancelled("stopped on request");
      TargetVersion& asked = there[*plan->ask];
      Result<ObjectInfo> info =
          co_await target_.store.Head({.bucket = target_.bucket,
                                       .key = target_.prefix + name,
                                       .version_id = asked.listed.version_id});
      if (!info) co_return info.error();
      looked_ = true;
      asked.origin = OriginOf(info->metadata);
    }
  }

  // False: the key ends here.
  asio::awaitable<bool> WriteOne(const std::string& name, const std::vector<ListedObject>& versions,
                                 size_t at, Newest& newest) {
    const ListedObject& version = versions[at];
    SyncStep step{.name = name,
                  .source = &version,
                  .decision = {SyncVerdict::kCopy, version.is_delete_marker ? reason::kDeleteMarker
                                                                            : reason::kNewVersion}};
    if (run_.whole || limit_) co_return false;
    if (stopped()) {
      run_.cancelled = true;  // The rest of the key is still to be done.
      co_return false;
    }
    if (Result<void> chosen = Choose(step); !chosen) {
      limit_ = chosen.error();
      co_return false;
    }
    if (options_.dry_run) co_return true;
    Result<void> done = version.is_delete_marker ? co_await WriteMarker(step, newest)
                                                 : co_await WriteVersion(step, newest);
    if (done) {
      run_.watch.Worked();
      co_return true;
    }
    Error error = done.error();
    if (const size_t left = versions.size() - at - 1; left > 0) {
      error.message += "; " + std::to_string(left) + " newer of this key wait for it";
    }
    run_.Failed(step, error);
    co_return false;
  }

  Result<void> Choose(const SyncStep& step) {
    auto at_limit = [](const char* what) {
      Error error = Cancelled(what);
      error.code = kLimitCode;
      return error;
    };
    if (options_.until && runtime_.clock.SteadyNow() >= *options_.until) {
      return at_limit("--max-duration is over");
    }
    if (step.source->size_bytes > options_.bytes_max - totals_.chosen_bytes) {
      return at_limit("--max-transfer is reached");
    }
    ++totals_.chosen;
    totals_.chosen_bytes += step.source->size_bytes;
    observer_.OnChosen(step);
    return Ok();
  }

  Async<void> WriteVersion(SyncStep step, Newest& newest) {
    const ListedObject& version = *step.source;
    CopyOptions copy = options_.copy;
    copy.metadata = OriginMetadata(version);
    if (newest.etag.empty()) {
      copy.if_absent = newest.deleted ? if_absent_after_delete_ : can_.create_if_absent;
    } else if (if_match_) {
      copy.if_match = newest.etag;
    }
    Result<CopyOutcome> outcome = co_await CopyVersion(version, copy);
    const bool conditional = copy.if_absent || !copy.if_match.empty();
    if (!outcome && MayBeThere(outcome.error())) {
      switch (co_await LookAtTarget(step.name, version, newest)) {
        case There::kWritten:
          outcome = CopyOutcome{.size_bytes = version.size_bytes,
                                .source_etag = version.etag,
                                .put = {.etag = newest.etag}};
          break;
        case There::kAsBefore:
          if (!conditional || outcome.error().Transient()) break;
          // The server does not know the condition, or not here: Ceph refuses each If-Match in a
          // bucket that keeps versions, versitygw takes a delete marker for an object.
          if (!copy.if_match.empty()) if_match_ = false;
          if (newest.deleted) if_absent_after_delete_ = false;
          copy.if_absent = false;
          copy.if_match.clear();
          outcome = co_await CopyVersion(version, copy);
          break;
        case There::kOther:
          co_return WrittenMeanwhile();
        case There::kUnknown:
          break;
      }
    }
    if (!outcome) co_return outcome.error();
    newest = {.etag = outcome->put.etag};
    ++totals_.copied;
    totals_.bytes += outcome->size_bytes;
    if (outcome->verified == Verified::kNot) ++totals_.not_verified;
    observer_.OnCopied(step, *outcome);
    co_return Ok();
  }

  // Whether a write with this error may have been refused for what is there, or for a condition
  // that the server does not know, or have had an effect although its answer was lost.
  static bool MayBeThere(const Error& error) {
    return error.Transient() || error.code == "NotImplemented" ||
           (error.kind == ErrorKind::kPrecondition && !IsSourceChanged(error));
  }

  static Error WrittenMeanwhile() {
    return PreconditionFailed("somebody else has written it at the target meanwhile");
  }

  Async<CopyOutcome> CopyVersion(const ListedObject& version, CopyOptions copy) {
    const std::string name = version.key.substr(source_.prefix.size());
    return CopyObject(
        runtime_,
        {.store = source_.store,
         .bucket = source_.bucket,
         .key = version.key,
         .version_id = version.version_id,
         .listed = CopySource::Listed{.size_bytes = version.size_bytes, .etag = version.etag}},
        {.store = target_.store, .bucket = target_.bucket, .key = target_.prefix + name},
        std::move(copy));
  }

  enum class There { kWritten, kAsBefore, kOther, kUnknown };

  // What the key is at the target now: the copy of `version` (then `newest` is that), what it was
  // before, or something else.
  asio::awaitable<There> LookAtTarget(std::string_view name, const ListedObject& version,
                                      Newest& newest) {
    Result<ObjectInfo> now = co_await target_.store.Head(
        {.bucket = target_.bucket, .key = target_.prefix + std::string(name)});
    if (!now && now.error().kind != ErrorKind::kNotFound) co_return There::kUnknown;
    const std::string etag = now ? now->etag : "";
    if (now && now->size_bytes == version.size_bytes) {
      const VersionOrigin origin = OriginOf(now->metadata);
      if (origin.Names(version) && origin.time == version.last_modified) {
        newest = {.etag = etag};
        co_return There::kWritten;
      }
    }
    co_return etag == newest.etag ? There::kAsBefore : There::kOther;
  }

  Async<void> WriteMarker(SyncStep step, Newest& newest) {
    RemoveRequest request{.bucket = target_.bucket, .key = target_.prefix + std::string(step.name)};
    if (delete_if_match_) request.if_match = newest.etag;
    Result<void> removed = co_await target_.store.Remove(request);
    if (!removed && !request.if_match.empty() && !removed.error().Transient() &&
        MayBeThere(removed.error())) {
      const There there = co_await LookAtTarget(step.name, *step.source, newest);
      if (there == There::kOther) co_return WrittenMeanwhile();
      if (there == There::kAsBefore) {
        delete_if_match_ = false;
        request.if_match.clear();
        removed = co_await target_.store.Remove(request);
      }
    }
    if (!removed) co_return removed;
    newest = {.deleted = true};
    ++totals_.removed;
    ListedObject marker = *step.source;
    marker.version_id.clear();  // The target's own is not told.
    step.target = &marker;
    observer_.OnRemoved(step);
    co_return Ok();
  }

  Runtime runtime_;
  TreeSource source_;
  TreeTarget target_;
  SyncOptions options_;
  SyncObserver& observer_;
  SyncTotals& totals_;
  Capabilities can_;
  // What the target's server heeds, as far as it has been seen.
  bool if_match_;
  bool if_absent_after_delete_;
  bool delete_if_match_;
  SyncRun run_;
  TaskGroup group_;
  size_t at_work_ = 0;   // Versions of all keys.
  bool looked_ = false;  // The target has answered for an object.
  std::optional<Error> limit_;
};

}  // namespace

Async<void> CheckKeepsVersions(TreeSource source, TreeTarget target) {
  if (!source.store.capabilities().versions) {
    co_return InvalidInput(source.store.description() +
                           " has no listing of versions: --versions needs one of the source");
  }
  if (!target.store.capabilities().versions) {
    co_return InvalidInput(target.store.description() +
                           " keeps no versions: --versions needs a target that does");
  }
  Result<bool> kept = co_await target.store.GetVersioning(target.bucket);
  if (!kept) co_return kept.error().In("ask whether '" + target.bucket + "' keeps versions");
  if (!*kept) {
    co_return InvalidInput("the bucket '" + target.bucket +
                           "' keeps no versions: turn its versioning on for --versions");
  }
  co_return Ok();
}

Async<void> MirrorVersions(Runtime runtime, TreeSource source, TreeTarget target,
                           Listing& source_listing, Listing& target_listing, SyncOptions options,
                           SyncObserver& observer, SyncTotals& totals) {
  Mirror mirror(runtime, std::move(source), std::move(target), std::move(options), observer,
                totals);
  co_return co_await mirror.Run(source_listing, target_listing);
}

}  // namespace longhaul
