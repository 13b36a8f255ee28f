#include "transfer/tree/sync_trees.h"

#include <memory>
#include <utility>
#include <vector>

#include "transfer/local/local_folder.h"
#include "transfer/object/copy_plan.h"
#include "transfer/object/object_tags.h"
#include "transfer/object/upload_records.h"
#include "transfer/tree/carry_object.h"
#include "transfer/tree/object_tree.h"
#include "transfer/tree/remove_collected.h"
#include "transfer/tree/same_bytes.h"
#include "transfer/tree/store_wide.h"
#include "transfer/tree/sync_run.h"
#include "transfer/tree/unlisted_folders.h"

namespace longhaul {

namespace {

// While nothing has worked yet: one small object at a time, so that a store that refuses is asked
// once; of large ones a few, or the first would hold up all others for its whole length.
constexpr int kUnproven = 1;
constexpr int kUnprovenLarge = 4;
constexpr size_t kAskedMax = 1000;  // Removals that are asked of together.

// One end of the merge: the listing and the object that is next in it.
struct Side {
  Listing* listing = nullptr;  // Null: there is nothing at this end.
  const std::string& prefix;
  bool ordered = false;                 // Its keys have to be in order.
  UnlistedFolders* unlisted = nullptr;  // Null: what may not be read ends the listing.
  std::optional<ListedObject> object{};
  std::string last_key{};

  [[nodiscard]] std::string_view name() const {
    return std::string_view(object->key).substr(prefix.size());
  }
  // What a listing says is not believed: a key in the wrong place would make another one look as if
  // it were not there, and be removed.
  Async<void> Advance() {
    if (object) last_key = std::move(object->key);
    object.reset();
    if (listing == nullptr) co_return Ok();
    object.emplace();
    if (!listing->TakeReady(*object)) {
      Result<std::optional<ListedObject>> next = co_await listing->Next();
      if (unlisted != nullptr) unlisted->Look();
      if (!next) co_return next.error();
      object = std::move(*next);
    }
    if (!object) co_return Ok();
    if (!object->key.starts_with(prefix)) {
      co_return Corrupt("a listing of '" + prefix + "' names '" + object->key + "'");
    }
    if (ordered && !last_key.empty() && object->key <= last_key) {
      co_return Corrupt("a listing is not in order: '" + object->key + "' after '" + last_key +
                        "'");
    }
    co_return Ok();
  }
};

class Sync {
 public:
  Sync(Runtime runtime, TreeSource source, TreeTarget target, SyncOptions options,
       SyncObserver& observer, SyncTotals& totals)
      : runtime_(runtime),
        source_(std::move(source)),
        target_(std::move(target)),
        options_(std::move(options)),
        observer_(observer),
        totals_(totals),
        target_can_(target_.store.capabilities()),
        run_(observer, totals, FailureWatch(options_.in_flight, options_.target_denied)),
        group_(runtime.executor),
        removals_(runtime.pool) {
    if (options_.failed_before) run_.watch.Worked();
    if (options_.leave_out_unreadable) {
      unlisted_.emplace(source_.store, source_.bucket, source_.prefix, options_.filter);
    }
  }

  Async<void> Run(Listing& source_listing, Listing* target_listing) {
    const bool ordered = target_listing != nullptr;
    Side source{.listing = &source_listing,
                .prefix = source_.prefix,
                .ordered = ordered,
                .unlisted = unlisted_ ? &*unlisted_ : nullptr};
    Side target{.listing = target_listing, .prefix = target_.prefix, .ordered = ordered};
    if (ordered) co_await FindNotEnded();
    Result<void> merged = co_await Merge(source, target);
    // Where a store has refused as a whole, names behind were not looked at.
    if (merged && !run_.whole) observer_.OnListedAll();
    Result<void> joined = co_await group_.Join();
    if (run_.whole) co_return *run_.whole;
    if (!merged) co_return merged.error();  // And nothing is removed.
    if (!joined) co_return joined.error();
    if (limit_) co_return *limit_;
    if (run_.cancelled) co_return Cancelled("stopped on request");  // After all was listed.
    if (options_.remove) co_return co_await RemoveExtra();
    co_return Ok();
  }

 private:
  [[nodiscard]] bool stopped() const {
    return options_.copy.stop != nullptr && options_.copy.stop->is_set();
  }

  Async<void> Merge(Side& source, Side& target) {
    Result<void> first = co_await source.Advance();
    if (!first) co_return first;
    Result<void> second = co_await target.Advance();
    if (!second) co_return second;
    TellUnlisted(source);
    while (source.object || target.object) {
      if (run_.whole) co_return Ok();
      if (limit_) co_return *limit_;
      if (stopped()) co_return Cancelled("stopped on request");
      const int order = !source.object   ? 1
                        : !target.object ? -1
                                         : source.name().compare(target.name());
      if (order > 0) {
        Result<void> done = co_await OnlyAtTarget(target);
        if (!done) co_return done;
      } else {
        Result<void> done = co_await AtSource(source, order == 0 ? &target : nullptr);
        if (!done) co_return done;
      }
      if (order <= 0) {
        Result<void> next = co_await source.Advance();
        if (!next) co_return next;
        TellUnlisted(source);
      }
      if (order >= 0) {
        Result<void> next = co_await target.Advance();
        if (!next) co_return next;
      }
    }
    co_return Ok();
  }

  // Copies in parts that were completed and not seen to afterwards: by size and time they are the
  // same, and their tags may be missing (transfer/object/object_tags.h). Whoever copies them again
  // finds them by their rows and sends nothing.
  asio::awaitable<void> FindNotEnded() {
    UploadRecords* uploads = options_.copy.uploads;
    // What is there is not to be touched, or would take the place of what was set aside for it.
    const bool stays = options_.compare.ignore_existing || options_.compare.immutable;
    if (uploads == nullptr || stays || options_.backup) co_return;
    Result<std::vector<UploadRecord>> records = co_await uploads->All(std::nullopt);
    if (!records) {
      runtime_.log.Debug("uploads that did not end are not looked for", {records.error()});
      co_return;
    }
    for (UploadRecord& record : *records) {
      const bool ours = record.store == target_.store.description() &&
                        record.upload.bucket == target_.bucket && !record.completes_as.empty();
      if (!ours || uploads->InUse(record)) continue;
      std::string key = record.upload.key;
      not_ended_.insert_or_assign(std::move(key), std::move(record));
    }
  }

  [[nodiscard]] bool HasNotEnded(const SyncStep& step) const {
    if (step.target == nullptr) return false;
    auto found = not_ended_.find(step.target->key);
    return found != not_ended_.end() && found->second.completes_as == step.target->etag &&
           found->second.source_etag == step.source->etag &&
           found->second.source_size_bytes == step.target->size_bytes;
  }

  // In order of names: whoever remembers how far the run was goes on behind the last one.
  void TellUnlisted(const Side& source) {
    if (!unlisted_) return;
    std::map<std::string, Error>& untold = unlisted_->untold();
    while (!untold.empty() && (!source.object || untold.begin()->first < source.name())) {
      const auto& [name, error] = *untold.begin();
      ++totals_.failed;
      ++totals_.unlisted;
      const ListedObject folder{.key = source_.prefix + name};
      observer_.OnFailed({.name = name, .source = &folder}, error);
      untold.erase(untold.begin());
    }
  }

  Async<void> OnlyAtTarget(Side& target) {
    if (options_.source_alone) co_return Ok();
    const SyncStep step{.name = target.name(),
                        .target = &*target.object,
                        .decision = {SyncVerdict::kSkip, reason::kOnlyAtTarget}};
    if (!options_.filter.Matches(step.name, *target.object)) {
      if (options_.remove && options_.remove_excluded) {
        CountTarget();
        co_return co_await NoteRemoval(step);
      }
      Excluded(step);
      co_return Ok();
    }
    CountTarget();
    // The source may have it, too.
    if (unlisted_ && unlisted_->Hides(step.name)) co_return Ok();
    ++totals_.extra;
    observer_.OnExtra(step);
    if (options_.remove) co_return co_await NoteRemoval(step);
    co_return Ok();
  }

  Async<void> NoteRemoval(const SyncStep& step) {
    if (options_.is_hidden && options_.is_hidden(std::string(step.name))) {
      run_.Failed(step, PreconditionFailed(
                            "not removed: at the source it lies behind a link to a folder, and "
                            "such links are not followed"));
      co_return Ok();
    }
    if (!options_.may_remove) {
      co_return co_await AddRemoval(*step.target, step.source != nullptr);
    }
    asked_.push_back(*step.target);
    if (asked_.size() < kAskedMax) co_return Ok();
    co_return co_await AskOfRemovals();
  }

  Async<void> AddRemoval(const ListedObject& there, bool at_source = false) {
    removals_.Add({.key = there.key,
                   .etag = there.etag,
                   .size_bytes = there.size_bytes,
                   .at_source = at_source});
    if (removals_.full()) co_return co_await removals_.Spill();
    co_return Ok();
  }

  // Which of those that were noted may go.
  Async<void> AskOfRemovals() {
    std::vector<Result<void>> answers(asked_.size(), Ok());
    TaskGroup asking(runtime_.executor);
    for (size_t i = 0; i < asked_.size(); ++i) {
      co_await asking.WaitBelow(options_.in_flight);
      asking.Spawn(AskOf(asked_[i], answers[i]));
    }
    Result<void> joined = co_await asking.Join();
    if (!joined) co_return joined;
    for (size_t i = 0; i < asked_.size(); ++i) {
      if (answers[i]) {
        Result<void> added = co_await AddRemoval(asked_[i]);
        if (!added) co_return added;
        continue;
      }
      const std::string name = asked_[i].key.substr(target_.prefix.size());
      run_.Failed({.name = name,
                   .target = &asked_[i],
                   .decision = {SyncVerdict::kSkip, reason::kOnlyAtTarget}},
                  answers[i].error());
    }
    asked_.clear();
    co_return Ok();
  }

  Async<void> AskOf(const ListedObject& there, Result<void>& answer) {
    answer = co_await options_.may_remove(there.key.substr(target_.prefix.size()), there);
    co_return Ok();
  }

  void CountTarget() {
    ++totals_.target_objects;
    ++target_seen_;
  }

  void Excluded(SyncStep step) {
    ++totals_.excluded;
    step.decision = {SyncVerdict::kSkip, reason::kExcluded};
    observer_.OnExcluded(step);
  }

  Async<void> AtSource(Side& source, Side* target) {
    SyncStep step{.name = source.name(),
                  .source = &*source.object,
                  .target = target != nullptr ? &*target->object : nullptr};
    if (!options_.filter.Matches(step.name, *source.object)) {
      if (target != nullptr && options_.remove && options_.remove_excluded) {
        CountTarget();
        co_return co_await NoteRemoval(step);
      }
      Excluded(step);
      co_return Ok();
    }
    if (IsFolderMarker(step)) {
      ++totals_.skipped;
      step.decision = {SyncVerdict::kSkip, reason::kFolderMarker};
      observer_.OnSkipped(step);
      co_return Ok();
    }
    ++totals_.source_objects;
    ++source_seen_;
    if (target != nullptr) CountTarget();
    if (options_.lands_in_source && options_.lands_in_source(step.name)) {
      run_.Failed(step, LandsInSourceError());
      co_return Ok();
    }
    step.decision = Decide(*source.object, step.target, options_.compare);
    const bool may_be_same =
        step.decision.verdict == SyncVerdict::kSkip || step.decision.verdict == SyncVerdict::kLook;
    if (may_be_same && HasNotEnded(step)) {
      step.decision = {.verdict = SyncVerdict::kCopy, .reason = reason::kNotEnded};
    }
    // What has been copied with if_absent was not there.
    if (options_.target_unknown && (options_.dry_run || !options_.copy.if_absent)) {
      step.decision.reason = reason::kNotCompared;
    }
    switch (step.decision.verdict) {
      case SyncVerdict::kSkip:
        ++totals_.skipped;
        observer_.OnSkipped(step);
        co_return Ok();
      case SyncVerdict::kRefused:
        run_.Failed(step, ImmutableError());
        co_return Ok();
      case SyncVerdict::kLook:
        co_await Room(0);
        observer_.OnLooking(step);
        group_.Spawn(Look(*source.object, *target->object));
        co_return Ok();
      case SyncVerdict::kCopy:
        break;
    }
    Result<void> chosen = Choose(step);
    if (!chosen || options_.dry_run) co_return chosen;
    co_await Room(source.object->size_bytes);
    if (run_.whole) co_return Ok();
    std::optional<ListedObject> there;
    if (target != nullptr) there = *target->object;
    group_.Spawn(Copy(*source.object, std::move(there), step.decision));
    co_return Ok();
  }

  // Room for one more at work.
  asio::awaitable<void> Room(uint64_t size_bytes) {
    co_await group_.WaitBelow(run_.watch.proven()            ? options_.in_flight
                              : size_bytes > kBufferBytesMax ? kUnprovenLarge
                                                             : kUnproven);
  }

  // It is to be copied, unless a limit ends the run here.
  Result<void> Choose(const SyncStep& step) {
    if (options_.until && runtime_.clock.SteadyNow() >= *options_.until) {
      return AtLimit("--max-duration is over");
    }
    if (step.source->size_bytes > options_.bytes_max - totals_.chosen_bytes) {
      return AtLimit("--max-transfer is reached");
    }
    ++totals_.chosen;
    totals_.chosen_bytes += step.source->size_bytes;
    observer_.OnChosen(step);
    return Ok();
  }

  static Error AtLimit(const char* what) {
    Error error = Cancelled(what);
    error.code = kLimitCode;
    return error;
  }

  // Whether the bytes are the same; copies when they are not.
  Async<void> Look(ListedObject object, ListedObject there) {
    const std::string name = object.key.substr(source_.prefix.size());
    SyncStep step{.name = name, .source = &object, .target = &there};
    Result<SameBytes> same = SameBytes::kSame;
    const bool by_etag =
        !object.etag.empty() && object.etag == there.etag && !IsLocalEtag(object.etag);
    if (!by_etag) {
      same = co_await LookAtBytes(
          runtime_,
          {.store = source_.store,
           .bucket = source_.bucket,
           .key = object.key,
           .version_id = object.version_id},
          {.store = target_.store, .bucket = target_.bucket, .key = there.key}, options_.download);
    }
    // By their times they are the same, and nothing more can be told.
    const bool timed = !options_.compare.checksum && !HasNoTime(object) && !HasNoTime(there);
    bool by_time = timed && same && *same == SameBytes::kUnknown;
    const bool denied =
        !same && same.error().kind == ErrorKind::kDenied && !IsStoreWide(same.error());
    const bool gone = !same && same.error().kind == ErrorKind::kNotFound;
    if (!options_.compare.checksum && (denied || gone)) {
      // Who copies need not be allowed to read the target; and what has gone since it was listed
      // would not have been missed without this look.
      same = SameBytes::kUnknown;
      by_time = timed || gone;
    } else if (options_.descriptions && denied) {
      same = SameBytes::kUnknown;  // Of a copy that goes on: it replaces what it cannot tell.
    }
    bool described_alike = true;
    if (same && *same == SameBytes::kSame && options_.descriptions && !IsLocalEtag(there.etag)) {
      Result<bool> alike = co_await DescribedAlike(object, there, by_etag ? &same : nullptr);
      if (!alike) same = alike.error();
      described_alike = alike && *alike;
    }
    if (!same) {
      run_.Failed(step, same.error());
      co_return Ok();
    }
    run_.watch.Worked();
    step.decision = by_time ? Decision{.verdict = SyncVerdict::kSkip, .reason = reason::kSame}
                            : DecideByBytes(*same != SameBytes::kUnknown, *same == SameBytes::kSame,
                                            options_.compare);
    if (!described_alike) step.decision = DecideByDescription(options_.compare);
    if (step.decision.verdict == SyncVerdict::kSkip) {
      ++totals_.skipped;
      observer_.OnSkipped(step);
    } else if (step.decision.verdict == SyncVerdict::kRefused) {
      run_.Failed(step, ImmutableError());
    } else if (!limit_) {
      Result<void> chosen = Choose(step);
      if (!chosen) limit_ = chosen.error();
      if (chosen && !options_.dry_run) {
        co_return co_await Copy(std::move(object), std::move(there), step.decision);
      }
    }
    co_return Ok();
  }

  // Headers, user metadata and tags. `same`, if given, was found by ETags as they were listed, and
  // is found anew where the objects themselves have others: who lists a backup has its catalog's.
  Async<bool> DescribedAlike(ListedObject object, ListedObject there, Result<SameBytes>* same) {
    Result<ObjectInfo> one = co_await source_.store.Head(
        {.bucket = source_.bucket, .key = object.key, .version_id = object.version_id});
    if (!one) co_return one.error();
    Result<ObjectInfo> two = co_await target_.store.Head(
        {.bucket = target_.bucket, .key = there.key, .version_id = there.version_id});
    if (!two) co_return two.error();
    if (same != nullptr && one->etag != two->etag) {
      *same = co_await CompareBytes(runtime_,
                                    {.store = source_.store,
                                     .bucket = source_.bucket,
                                     .key = object.key,
                                     .version_id = object.version_id},
                                    *one,
                                    {.store = target_.store,
                                     .bucket = target_.bucket,
                                     .key = there.key,
                                     .version_id = there.version_id},
                                    *two, options_.download);
      if (!*same) co_return same->error();
    }
    FoundTags wanted;
    FoundTags have;
    // Where one of them has some the other one's HEAD may still not tell of its own.
    const bool both_can = source_.store.capabilities().tags && target_can_.tags;
    if (both_can && (one->tag_count > 0 || two->tag_count > 0)) {
      Result<FoundTags> found = co_await FindTags(source_.store, source_.bucket, object.key,
                                                  object.version_id, one->tag_count);
      if (!found) co_return found.error();
      wanted = std::move(*found);
      found = co_await FindTags(target_.store, target_.bucket, there.key, there.version_id,
                                two->tag_count);
      if (!found) co_return found.error();
      have = std::move(*found);
    }
    co_return HashFull(0, "", *one, wanted.tags) == HashFull(0, "", *two, have.tags);
  }

  // "photos/" without bytes, which consoles make to show a folder, where the target has real ones,
  // or has no name for it: that of the source's own prefix at the root of a bucket.
  [[nodiscard]] bool IsFolderMarker(const SyncStep& step) const {
    if (step.source->size_bytes > 0) return false;
    const bool no_key = step.name.empty() && target_.prefix.empty();
    return no_key ||
           (!target_can_.key_trailing_slash && (step.name.empty() || step.name.ends_with('/')));
  }

  // What has come to the target since it was listed: whether it is this object.
  Async<bool> HasCome(ListedObject object) {
    std::string key = target_.prefix + object.key.substr(source_.prefix.size());
    Result<ObjectInfo> there = co_await target_.store.Head({.bucket = target_.bucket, .key = key});
    if (!there) co_return there.error();
    if (there->size_bytes != object.size_bytes) co_return false;
    Result<SameBytes> same = co_await LookAtBytes(
        runtime_,
        {.store = source_.store,
         .bucket = source_.bucket,
         .key = object.key,
         .version_id = object.version_id},
        {.store = target_.store, .bucket = target_.bucket, .key = key}, options_.download);
    if (!same) co_return same.error();
    co_return *same == SameBytes::kSame;
  }

  static Error ImmutableError() {
    return PreconditionFailed("it differs from the target, and --immutable forbids to replace it");
  }

  Async<void> Copy(ListedObject object, std::optional<ListedObject> there, Decision decision) {
    const std::string name = object.key.substr(source_.prefix.size());
    const SyncStep step{
        .name = name, .source = &object, .target = there ? &*there : nullptr, .decision = decision};
    CopyOptions copy = options_.copy;
    // A race must not replace what is to be left alone.
    const bool immutable = options_.compare.immutable;
    copy.if_absent = copy.if_absent || options_.compare.ignore_existing || immutable;
    const bool if_absent = copy.if_absent;
    CarryOptions carry{.copy = std::move(copy), .backup = options_.backup, .move = options_.move};
    // Where a server does not heed such a condition, for objects in parts as well, a look just
    // before stands in for it.
    const bool looks =
        if_absent && !(target_can_.create_if_absent && target_can_.complete_if_absent &&
                       target_can_.conditions_proven &&
                       (&source_.store != &target_.store || target_can_.copy_conditions));
    const std::optional<ListedObject> in_place_of = looks ? std::nullopt : there;
    // With a backup only what is set aside there may be replaced.
    const bool as_listed = options_.target_listed_before || options_.backup.has_value();
    Result<CopyOutcome> outcome =
        looks || (as_listed && !if_absent)
            ? co_await CarryInPlaceOf(runtime_, source_, target_, object, in_place_of,
                                      std::move(carry), "it was listed")
            : co_await CarryObject(runtime_, source_, target_, object, there, std::move(carry));
    if (outcome) {
      run_.watch.Worked();
      ++totals_.copied;
      totals_.bytes += outcome->size_bytes;
      if (outcome->verified == Verified::kNot && !IsLocalEtag(outcome->source_etag)) {
        ++totals_.not_verified;
      }
      observer_.OnCopied(step, *outcome);
    } else if (if_absent && IsThereAlready(outcome.error())) {
      run_.watch.Worked();
      if (options_.exists_fails) {
        run_.Failed(step, PreconditionFailed("something is at the target already"));
        co_return Ok();
      }
      SyncStep skipped = step;
      skipped.decision = {SyncVerdict::kSkip, reason::kExists};
      if (immutable) {
        Result<bool> same = co_await HasCome(object);
        if (!same || !*same) {
          run_.Failed(step, same ? ImmutableError() : same.error());
          co_return Ok();
        }
        skipped.decision.reason = reason::kSameBytes;
      }
      ++totals_.skipped;
      observer_.OnSkipped(skipped);
    } else {
      run_.Failed(step, co_await OfTheTargetItself(outcome.error()));
    }
    co_return Ok();  // One failed object does not stop the others.
  }

  // What is wrong with the folder that all goes to every name in it meets: a link that leads to
  // itself, a file in its place, a name that its file system does not take.
  asio::awaitable<Error> OfTheTargetItself(Error error) {
    const bool may_be = error.code == "FileNotPossible" || error.code == "NoSuchKey";
    if (!may_be || !IsPlainFolder(target_can_)) co_return error;
    std::string folder = target_.bucket;
    if (!folder.empty() && !folder.ends_with('/')) folder += '/';
    folder += target_.prefix;
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    // Whoever could write the object would have made it.
    Result<void> made = co_await target_.store.CreateBucket(folder);
    if (made || made.error().kind == ErrorKind::kDenied || made.error().Transient()) {
      co_return error;
    }
    co_return Error{.kind = ErrorKind::kInvalidInput,
                    .message = made.error().message,
                    .code = std::string(kFolderNotPossible)};
  }

  Async<void> RemoveExtra() {
    Result<void> asked = co_await AskOfRemovals();
    if (!asked) co_return asked;
    if (removals_.count() == 0) co_return Ok();
    // Of a listing that is not whole nobody knows what it lacks.
    if (totals_.unlisted > 0) {
      totals_.removals_withheld = true;
      co_return Ok();
    }
    if (totals_.failed > 0 && !options_.remove_despite_failures) {
      totals_.removals_withheld = true;
      co_return Ok();
    }
    Result<void> allowed = CheckRemovals({.removals = removals_.count(),
                                          .target_objects = target_seen_,
                                          .source_objects = source_seen_},
                                         options_.guard);
    if (!allowed) co_return allowed;
    co_return co_await RemoveCollected(runtime_, target_, removals_,
                                       {.dry_run = options_.dry_run,
                                        .in_flight = options_.in_flight,
                                        .as_listed = options_.target_listed_before,
                                        .backup = options_.backup,
                                        .copy = options_.copy},
                                       run_);
  }

  Runtime runtime_;
  TreeSource source_;
  TreeTarget target_;
  SyncOptions options_;
  SyncObserver& observer_;
  SyncTotals& totals_;
  Capabilities target_can_;
  SyncRun run_;
  TaskGroup group_;
  std::optional<UnlistedFolders> unlisted_;
  Removals removals_;
  std::vector<ListedObject> asked_;                // To be removed, if they may.
  std::map<std::string, UploadRecord> not_ended_;  // By the key at the target.
  // By this comparison: the totals are also of what was done again before it.
  uint64_t target_seen_ = 0;
  uint64_t source_seen_ = 0;
  std::optional<Error> limit_;  // A limit that ended the run while something was looked at.
};

}  // namespace

Async<void> SyncTrees(Runtime runtime, TreeSource source, TreeTarget target,
                      Listing& source_listing, Listing* target_listing, SyncOptions options,
                      SyncObserver& observer, SyncTotals& totals) {
  Sync sync(runtime, std::move(source), std::move(target), std::move(options), observer, totals);
  co_return co_await sync.Run(source_listing, target_listing);
}

}  // namespace longhaul
