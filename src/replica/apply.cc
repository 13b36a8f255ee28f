#include "replica/apply.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"
#include "net/http_client.h"
#include "replica/apply_parts.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

// A lease is extended while a write goes on. What it must outlive is a request of a holder that has
// died, or that cannot reach State any more: when one is sent the lease lasts as long as that.
constexpr std::chrono::seconds kLeaseKept{20};
constexpr std::chrono::seconds kLeaseLifetime = kRequestLifetime + kLeaseKept;
constexpr std::chrono::seconds kLeaseWait = kLeaseLifetime + std::chrono::seconds(10);

ApplyOutcome ForeignConflict() {
  return {.state = ApplyState::kConflict,
          .reason = "the target has an object that is not a replica"};
}

std::string EffectiveStorageClass(const std::string& name) {
  return name == "STANDARD" ? "" : name;
}

bool IsAbove(const Floor& floor, const ReplicaWrite& write) {
  return floor.stamp > write.stamp || (floor.stamp == write.stamp && floor.deleted);
}

// A retention that ends sooner is taken for over: the request takes its time, and clocks differ.
constexpr std::chrono::minutes kRetentionLeftMin{1};

// Whether a write of another state has had no answer, of its bytes or of its tags alone.
bool IsMixed(const std::optional<Floor>& floor, SystemTime stamp) {
  return floor && std::ranges::any_of(floor->pending.all(), [&](const PendingRequest& request) {
           return request.kind == PendingKind::kWrite && request.stamp != stamp;
         });
}

// Servers keep the end of a retention in whole seconds, or in milliseconds.
bool IsLockedAs(const ObjectInfo& there, const ObjectLock& wanted) {
  if (!there.lock || (wanted.legal_hold && !there.lock->legal_hold)) return false;
  if (wanted.mode.empty()) return true;
  return !there.lock->mode.empty() &&
         (there.lock->mode == wanted.mode || there.lock->mode == "COMPLIANCE") &&
         there.lock->until + std::chrono::seconds(1) > wanted.until;
}

UserMetadata WithoutMark(UserMetadata metadata) {
  metadata.erase(std::string(kMarkName));
  return metadata;
}

}  // namespace

Error WithLockRemedy(Error error) {
  std::string lower = error.message;
  for (char& c : lower) c = LowerAscii(c);
  if (error.kind != ErrorKind::kInvalidInput || lower.find("lock") == lower.npos) return error;
  error.message +=
      "; the replica is to be locked as its source is: give the target a bucket with Object Lock, "
      "or take object_lock from the target, and `longhaul rules retry`";
  return error;
}

// (The ETag of a source that encrypts may only look like an MD5: then what is written twice is
// written twice.)
bool Applier::SaysOtherBytes(const ObjectInfo& there, const ReplicaWrite& write) {
  return IsPlainMd5Etag(there.etag) && !there.etag_opaque && IsPlainMd5Etag(write.source_etag) &&
         there.etag != write.source_etag;
}

Applier::Applier(Runtime& runtime, Store& store, State& state, Floors& floors, ApplyPolicy policy,
                 std::shared_ptr<LockedKeys> locked_keys)
    : runtime_(runtime),
      store_(store),
      state_(state),
      floors_(floors),
      policy_(std::move(policy)),
      locked_keys_(locked_keys ? std::move(locked_keys) : std::make_shared<LockedKeys>()) {}

asio::awaitable<void> Applier::LockKey(std::string key) {
  while (true) {
    auto [entry, inserted] = locked_keys_->try_emplace(key);
    if (inserted) co_return;
    if (!entry->second) entry->second = std::make_unique<WaitList>();
    co_await entry->second->Wait();
  }
}

Lease Applier::MakeLease(const std::string& key) {
  return Lease(state_, runtime_.clock,
               "key/" + store_.description() + "/" + policy_.bucket + "/" + key, policy_.owner,
               kLeaseLifetime);
}

Mark Applier::MarkOf(const ReplicaWrite& write) const {
  return {.site = policy_.site,
          .stamp = write.stamp,
          .source_etag = write.source_etag,
          .sites_passed = write.sites_passed};
}

KeptMark Applier::KeptMarkOf(const ReplicaWrite& write, std::string target_etag) const {
  return {.target_etag = std::move(target_etag),
          .fingerprint = FingerprintOf(write.size_bytes, write.metadata),
          .mark = MarkOf(write)};
}

std::optional<ObjectLock> Applier::LockOf(const ReplicaWrite& write) const {
  if (!policy_.object_lock || !write.lock) return std::nullopt;
  ObjectLock lock = *write.lock;
  // S3 takes no end that is past, and what is past protects nothing.
  if (lock.until <= runtime_.clock.Now() + kRetentionLeftMin) lock.mode.clear();
  if (lock.mode.empty()) lock.until = {};
  if (lock.mode.empty() && !lock.legal_hold) return std::nullopt;
  return lock;
}

PutRequest Applier::MakeRequest(const ReplicaWrite& write, bool* mark_kept_apart) const {
  PutRequest request{.bucket = policy_.bucket,
                     .key = write.key,
                     .headers = write.headers,
                     .metadata = WithoutMark(write.metadata),
                     .tags = write.tags,
                     .sse = policy_.sse,
                     .kms_key = policy_.kms_key,
                     .bucket_key = policy_.bucket_key,
                     .acl = policy_.acl,
                     .bucket_owner = policy_.bucket_owner,
                     .lock = LockOf(write),
                     .at_most_once = true};
  if (policy_.capabilities.storage_classes) {
    request.storage_class = EffectiveStorageClass(
        policy_.storage_class.empty() ? write.storage_class : policy_.storage_class);
  }
  std::optional<std::string> mark = FormatMark(MarkOf(write), policy_.bucket, write.key);
  *mark_kept_apart = !mark || MetadataSizeBytes(request.metadata) +
                                      MetadataSizeBytes({{std::string(kMarkName), *mark}}) >
                                  kUserMetadataBytesMax;
  if (!*mark_kept_apart) request.metadata[std::string(kMarkName)] = *mark;
  return request;
}

Async<std::optional<Applier::Existing>> Applier::Look(const std::string& key,
                                                      const std::optional<Floor>& floor) {
  Result<ObjectInfo> head = co_await store_.Head({.bucket = policy_.bucket, .key = key});
  if (!head) {
    if (head.error().kind != ErrorKind::kNotFound || head.error().code == "NoSuchBucket") {
      co_return head.error();
    }
    co_return std::nullopt;
  }
  Existing existing{.info = std::move(*head), .own = std::nullopt, .kept = std::nullopt};
  existing.own = FindMark(existing.info.metadata, policy_.bucket, key);
  if (!existing.own && floor) {
    if (const KeptMark* kept = floor->FindMarkOf(existing.info)) existing.kept = *kept;
  }
  co_return std::optional<Existing>(std::move(existing));
}

// Bytes by ETag (the replica's own, or the source's that its mark remembers), and all that belongs
// to them.
Async<bool> Applier::SameContent(const ReplicaWrite& write, const Existing& existing) {
  const ObjectInfo& info = existing.info;
  bool same_bytes =
      info.size_bytes == write.size_bytes && !write.source_etag.empty() &&
      !SaysOtherBytes(info, write) &&
      (info.etag == write.source_etag ||
       (existing.mark() != nullptr && existing.mark()->source_etag == write.source_etag));
  SystemHeaders headers = write.headers;
  // Servers make up a type for an object that came without one.
  if (headers.content_type.empty()) headers.content_type = info.headers.content_type;
  if (!same_bytes || info.headers != headers ||
      WithoutMark(info.metadata) != WithoutMark(write.metadata)) {
    co_return false;
  }
  if (policy_.capabilities.storage_classes) {
    const std::string& wanted =
        policy_.storage_class.empty() ? write.storage_class : policy_.storage_class;
    if (EffectiveStorageClass(info.storage_class) != EffectiveStorageClass(wanted)) co_return false;
  }
  if (std::optional<ObjectLock> lock = LockOf(write); lock && !IsLockedAs(info, *lock)) {
    co_return false;
  }
  if (!policy_.capabilities.tags) co_return true;
  // Not every server says with a HEAD how many there are: the last one would never go.
  Result<Tags> tags = co_await store_.GetTags(policy_.bucket, write.key, "");
  if (tags) co_return *tags == write.tags;
  const ErrorKind kind = tags.error().kind;
  if (IsGone(tags.error())) co_return Retryable("it went while it was looked at");
  // Whoever may not ask, or asks a store without tags, has nothing but what the HEAD says.
  const bool refused = kind == ErrorKind::kDenied || kind == ErrorKind::kInvalidInput;
  if (refused && write.tags.empty() && info.tag_count == 0) co_return true;
  co_return tags.error();
}

Async<std::optional<ApplyOutcome>> Applier::Settle(const ReplicaWrite& write,
                                                   const Existing& existing) {
  Floor floor{.stamp = write.stamp};
  const bool adopt = !existing.own;
  if (adopt) floor.kept_marks = {KeptMarkOf(write, existing.info.etag)};
  Result<Floor> raised = co_await floors_.Raise(write.key, floor);
  if (!raised) co_return raised.error();
  if (raised->stamp > write.stamp || raised->deleted) co_return std::nullopt;  // Decide anew.
  // Whoever writes from now on sees the floor; who wrote just before must be seen here.
  Result<std::optional<Existing>> again = co_await Look(write.key, *raised);
  if (!again) co_return again.error();
  if (!*again || (*again)->info.etag != existing.info.etag ||
      (*again)->info.metadata != existing.info.metadata) {
    co_return std::nullopt;
  }
  co_return ApplyOutcome{
      .state = ApplyState::kEqual,
      .reason = adopt ? "adopted: it was there already" : "it was there already"};
}

Async<ApplyOutcome> Applier::Put(ReplicaWrite write, ReplicaBody& body) {
  return PutWithLock(std::move(write), &body);
}

Async<ApplyOutcome> Applier::EnsureTags(ReplicaWrite write, ApplyOutcome outcome) {
  const bool there = outcome.state == ApplyState::kApplied || outcome.state == ApplyState::kEqual;
  if (!there || !policy_.capabilities.tags) co_return outcome;
  if (write.tags.empty()) {
    Result<std::optional<Floor>> floor = co_await floors_.Get(write.key);
    if (!floor) co_return floor.error();
    if (!IsMixed(*floor, write.stamp)) co_return outcome;
  }
  co_await LockKey(write.key);
  KeyGuard guard(*this, write.key);
  co_return co_await SetMissingTags(write, std::move(outcome));
}

Async<ApplyOutcome> Applier::PutWithLock(ReplicaWrite write, ReplicaBody* body) {
  co_await LockKey(write.key);
  KeyGuard guard(*this, write.key);

  bool needs_lease = !policy_.capabilities.create_if_absent;
  if (!needs_lease) {
    Result<ApplyOutcome> outcome = co_await PutLocked(write, body, nullptr, &needs_lease);
    if (!outcome || !needs_lease) co_return outcome;
  }
  bool unknown = false;
  Lease lease = MakeLease(write.key);
  co_return co_await WithLease(lease, PutLocked(write, body, &lease, &unknown), unknown);
}

// Does `work` while `lease` is ours. `unknown`, looked at after it: a request without a
// condition was sent whose end nobody knows.
Async<ApplyOutcome> Applier::WithLease(Lease& lease, Async<ApplyOutcome> work,
                                       const bool& unknown) {
  Result<void> acquired = co_await lease.Acquire(kLeaseWait);
  if (!acquired) co_return acquired.error();
  Event done;
  TaskGroup keeper(runtime_.executor);
  keeper.Spawn(KeepLease(runtime_.clock, lease, done, kLeaseKept));
  Result<ApplyOutcome> outcome = co_await std::move(work);
  done.Set();
  Result<void> kept = co_await keeper.Join();
  static_cast<void>(kept);  // Lost or not: asked below.
  if (unknown) {
    // It may still happen: nobody else may write before the lease, begun anew, has run out.
    kept = co_await lease.Extend();
    static_cast<void>(kept);
    co_return outcome;
  }
  if (outcome && outcome->state == ApplyState::kApplied && !(co_await lease.CheckStillHeld())) {
    co_return Reread("the lease ran out while it was written");
  }
  co_await lease.Release();
  co_return outcome;
}

Async<void> Applier::CoverRequest(Lease* lease) {
  if (lease == nullptr) co_return Ok();
  Result<void> lasts = co_await lease->LastFor(kRequestLifetime);
  if (!lasts) co_return KeyBusy("a request would outlive its lease: " + lasts.error().Describe());
  co_return Ok();
}

// Not a replica, and nothing that may be lost.
bool Applier::IsForeign(const Existing& existing) const {
  return existing.mark() == nullptr && !existing.uncertain() && !policy_.versioned &&
         !policy_.overwrite_conflicts;
}

Async<ApplyOutcome> Applier::BelowFloor(const ReplicaWrite& write, const Floor& floor) {
  // An earlier try may have written this very reading too late, and been killed before it could
  // undo that or say so; or what is recorded as newer has been deleted by a slower one.
  Result<std::optional<Existing>> there = co_await Look(write.key, floor);
  if (!there) co_return there.error();
  const Mark* mark = *there ? (*there)->mark() : nullptr;
  const bool ours =
      *there && ((mark != nullptr && mark->stamp == write.stamp) || (*there)->uncertain());
  const bool gone = !*there && !floor.deleted;
  if (ours || gone) co_return Reread("an earlier try was cut short");
  // Whoever noted the delete hears of what came after it, too.
  if (floor.stamp == write.stamp && write.caution) co_return Superseded("deleted in that second");
  if (floor.stamp == write.stamp) co_return Reread("a delete has the same stamp");
  std::optional<Error> lands = LandsLater(floor, {PendingKind::kCopy, PendingKind::kWrite});
  // Ours, perhaps: then it must be noticed when it has landed.
  if (!*there && !lands) lands = LandsLater(floor, {PendingKind::kCreate});
  if (lands) co_return std::move(*lands);
  co_return Superseded(floor.deleted ? "deleted later" : "a newer state is recorded");
}

PutRequest Applier::RequestFor(const ReplicaWrite& write) const {
  bool mark_kept_apart = false;
  return MakeRequest(write, &mark_kept_apart);
}

Async<std::optional<ApplyOutcome>> Applier::Decided(const ReplicaWrite& write) {
  Result<std::optional<Floor>> floor = co_await floors_.Get(write.key, AmongMany());
  if (!floor) co_return floor.error();
  if (*floor && IsAbove(**floor, write)) {
    Result<ApplyOutcome> below = co_await BelowFloor(write, **floor);
    if (!below) co_return below.error();
    co_return std::optional<ApplyOutcome>(std::move(*below));
  }
  const SystemTime deletes_noted = DeletesNoted(*floor);
  Result<std::optional<Existing>> existing = co_await Look(write.key, *floor);
  if (!existing) co_return existing.error();
  if (!*existing) co_return std::nullopt;
  Result<Verdict> verdict = co_await Judge(write, **existing);
  if (!verdict) co_return verdict.error();
  if (verdict->outcome && verdict->outcome->state != ApplyState::kConflict) {
    Result<bool> stays = co_await IsThereToStay(write, deletes_noted);
    if (!stays) co_return stays.error();
    if (!*stays) co_return Retryable("a delete was under way: " + write.key);
  }
  co_return std::move(verdict->outcome);
}

// What there is to say of a write where `existing` stands.
Async<Applier::Verdict> Applier::Judge(const ReplicaWrite& write, const Existing& existing) {
  auto say = [](ApplyOutcome outcome) { return Verdict{.outcome = std::move(outcome)}; };
  if (write.caution) co_return co_await JudgeWithCaution(write, existing);
  const Mark* mark = existing.mark();
  if (mark != nullptr && mark->stamp > write.stamp) {
    co_return say(Superseded("the replica is newer"));
  }
  if (mark != nullptr && mark->stamp == write.stamp) {
    // By ETag alone: what a server drops of the headers must not make this look like another
    // reading for ever. Metadata that changed within the second has an event, and a reading, of its
    // own.
    if (mark->source_etag != write.source_etag) {
      co_return say(Reread("another reading has the same stamp"));
    }
    if (!SaysOtherBytes(existing.info, write)) {
      co_return Verdict{
          .outcome = ApplyOutcome{.state = ApplyState::kEqual, .reason = "applied before"},
          .applied_before = true};
    }
    // Ours, and damaged when it was stored: a write that failed for that, or whose writer died
    // before he had looked. It is written again.
  }
  Result<bool> same = co_await SameContent(write, existing);
  if (!same) co_return same.error();
  if (*same) {
    Result<std::optional<ApplyOutcome>> settled = co_await Settle(write, existing);
    if (!settled) co_return settled.error();
    const bool changed = !settled->has_value();
    co_return Verdict{.outcome = std::move(*settled), .changed = changed};
  }
  if (IsForeign(existing)) co_return say(ForeignConflict());
  co_return Verdict{};
}

// (See Caution.) Nothing is adopted: its age is not known well enough to be remembered.
Async<Applier::Verdict> Applier::JudgeWithCaution(const ReplicaWrite& write,
                                                  const Existing& existing) {
  auto say = [](ApplyOutcome outcome) { return Verdict{.outcome = std::move(outcome)}; };
  if (existing.uncertain()) co_return Retryable("what stands there is being written");
  const Mark* mark = existing.mark();
  if (mark != nullptr && write.stamp < mark->stamp) {
    co_return say(Superseded("the replica is newer"));
  }
  const ObjectInfo& info = existing.info;
  const bool same_etag = (info.etag == write.source_etag && !info.etag_opaque) ||
                         (mark != nullptr && mark->source_etag == write.source_etag);
  if (info.size_bytes == write.size_bytes && same_etag && !SaysOtherBytes(info, write)) {
    co_return Verdict{
        .outcome = ApplyOutcome{.state = ApplyState::kEqual, .reason = "it was there already"},
        .applied_before = mark != nullptr && mark->stamp == write.stamp};
  }
  if (mark != nullptr && mark->stamp == write.stamp) {
    co_return say(Reread("another state has the same stamp"));
  }
  if (write.caution->creates_only) {
    co_return say({.state = ApplyState::kConflict,
                   .reason = "the target has another object, and which of them is older is not "
                             "known for sure"});
  }
  if (mark != nullptr) co_return Verdict{};
  std::optional<SystemTime> age;
  if (write.caution->age_of_unmarked && policy_.capabilities.tags) {
    Result<Tags> tags = co_await store_.GetTags(policy_.bucket, write.key, "");
    if (!tags) co_return tags.error();
    age = write.caution->age_of_unmarked(*tags);
  }
  if (!age) {
    co_return say({.state = ApplyState::kConflict,
                   .reason = "the target has an object of unknown age that is not a replica"});
  }
  if (*age >= write.stamp) co_return say(Superseded("what the target has is not older"));
  co_return Verdict{};
}

// Without a lease this uses conditional writes and gives up, setting `flag`, where the store has
// none of the kind that is needed. With a lease, `flag` says that the end of a write is unknown.
Async<ApplyOutcome> Applier::PutLocked(const ReplicaWrite& write, ReplicaBody* body, Lease* lease,
                                       bool* flag) {
  *flag = false;
  const Capabilities& can = policy_.capabilities;
  bool create_first = body != nullptr && lease == nullptr && new_share_ >= 0.5;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    Result<std::optional<Floor>> floor = co_await floors_.Get(write.key, AmongMany());
    if (!floor) co_return floor.error();
    if (*floor && IsAbove(**floor, write)) co_return co_await BelowFloor(write, **floor);
    const SystemTime deletes_noted = DeletesNoted(*floor);

    bool mark_kept_apart = false;
    PutRequest request = MakeRequest(write, &mark_kept_apart);
    std::optional<Existing> existing;
    if (!create_first) {
      Result<std::optional<Existing>> looked = co_await Look(write.key, *floor);
      if (!looked) co_return looked.error();
      existing = std::move(*looked);
    }

    if (existing) {
      new_share_ *= 0.9;
      Result<Verdict> verdict = co_await Judge(write, *existing);
      if (!verdict) co_return verdict.error();
      if (verdict->outcome && verdict->outcome->state != ApplyState::kConflict) {
        Result<bool> stays = co_await IsThereToStay(write, deletes_noted);
        if (!stays) co_return stays.error();
        if (!*stays) continue;
      }
      // A copy may have left the old ones there, and those of another state may have come late;
      // what came with its bytes began without any.
      const bool may_have_others = body == nullptr || IsMixed(*floor, write.stamp);
      const bool may_lack_tags = can.tags && (may_have_others || !write.tags.empty());
      if (verdict->applied_before && may_lack_tags) {
        co_return co_await SetMissingTags(write, std::move(*verdict->outcome));
      }
      if (verdict->outcome) co_return std::move(*verdict->outcome);
      if (verdict->changed) continue;
      if (lease == nullptr && !can.replace_if_match) {
        *flag = true;
        co_return ApplyOutcome{};
      }
      if (can.replace_if_match) request.condition.if_match = existing->info.etag;
    } else if (can.create_if_absent) {
      request.condition.if_absent = true;
    } else {
      LH_CHECK(lease != nullptr);
    }

    PendingRequest copy{.kind = PendingKind::kCopy};
    if (body == nullptr) {
      if (!existing || !HoldsBytesOf(write, *existing)) {
        co_return Reread("the target does not hold the bytes");
      }
      // One copy of a key at a time: nobody could tell afterwards which of them are over.
      if (*floor) {
        std::optional<Error> lands = LandsLater(**floor, {PendingKind::kCopy});
        if (lands) co_return std::move(*lands);
      }
      copy.until = CopyMayLandUntil(write);
    }

    // The floor before the object. Of what replaces: a slower writer of an older state that had
    // seen this same ETag would otherwise not notice that it came too late (A, then B, then A
    // again). With a lease alone: whoever lost it would not. And a mark that is kept here must be
    // here when the object is there, or the object would not be known as ours.
    if (existing || lease != nullptr || mark_kept_apart) {
      Floor raise{.stamp = write.stamp};
      if (body == nullptr) raise.pending = {copy};
      if (mark_kept_apart) {
        raise.kept_marks.push_back(KeptMarkOf(write, ""));
        if (existing && existing->kept) raise.kept_marks.push_back(*existing->kept);
      }
      Result<Floor> raised = co_await floors_.Raise(write.key, std::move(raise));
      if (!raised) co_return raised.error();
      if (raised->stamp > write.stamp || raised->deleted) continue;
      if (body == nullptr && !raised->pending.Has(copy)) {
        co_return LandsLater(*raised, {PendingKind::kCopy}).value_or(KeyBusy("another copy of it"));
      }
    }

    const bool creates = !existing;
    Result<void> covered = co_await CoverRequest(lease);
    if (!covered) co_return covered.error();
    Result<PutResult> put;
    if (body != nullptr) {
      put = co_await body->Write(store_, std::move(request));
    } else {
      put = co_await CopyOntoItself(write, std::move(request), existing->info.etag, copy);
    }
    if (put) {
      if (creates) new_share_ = new_share_ * 0.9 + 0.1;
      co_return co_await AfterWrite(write, *put, creates, deletes_noted, mark_kept_apart, lease);
    }
    const bool may_have_happened = MayHaveHappened(put.error());
    if (lease != nullptr && may_have_happened) *flag = true;  // Also when it cannot be noted.
    if (may_have_happened && body != nullptr) {
      // A create may land when the key has been deleted since, what replaces when the same bytes
      // have come back with another state: no condition stops it then.
      PendingRequest lost{.kind = PendingKind::kWrite,
                          .until = runtime_.clock.Now() + kRequestLifetime,
                          .stamp = write.stamp};
      if (creates && lease == nullptr) lost = {.kind = PendingKind::kCreate, .until = lost.until};
      Result<Floor> noted = co_await floors_.Note(write.key, lost);
      if (!noted) co_return noted.error();
    }
    // Not as expected, or nobody knows: look, and decide anew. Our own mark tells a success.
    const bool unknown = put.error().kind == ErrorKind::kRetryable && attempt == 0;
    // S3 answers If-Match on a key that is gone with 404 NoSuchKey, others with 412.
    const bool gone = IsGone(put.error());
    const bool refused =
        put.error().kind == ErrorKind::kInvalidInput || put.error().kind == ErrorKind::kDenied;
    if (body == nullptr && refused) {
      co_return Reread("the target's store does not copy it onto itself: " +
                       put.error().Describe());
    }
    if (put.error().kind != ErrorKind::kPrecondition && !gone && !unknown) {
      co_return LockOf(write) ? WithLockRemedy(put.error()) : put.error();
    }
    create_first = false;
  }
  co_return KeyBusy("the key changes faster than it can be written: " + write.key);
}

Async<ApplyOutcome> Applier::AfterWrite(const ReplicaWrite& write, const PutResult& put,
                                        bool created, SystemTime deletes_noted,
                                        bool mark_kept_apart, Lease* lease) {
  if (mark_kept_apart) {
    Floor floor{.stamp = write.stamp, .kept_marks = {KeptMarkOf(write, put.etag)}};
    Result<Floor> raised = co_await floors_.Raise(write.key, std::move(floor));
    if (!raised) co_return raised.error();
  }
  Result<std::optional<Floor>> floor = co_await floors_.Get(write.key, AmongMany());
  if (!floor) co_return floor.error();
  if (*floor && IsAbove(**floor, write)) {
    if (created && (*floor)->deleted && (*floor)->stamp > write.stamp) {
      co_return co_await UndoCreate(write, (*floor)->stamp, lease);
    }
    co_return Reread("a newer state was recorded while it was written");
  }
  if (*floor) {
    if (std::optional<Error> unsettled = Unsettled(**floor, write.stamp))
      co_return std::move(*unsettled);
  }
  if (DeletesNoted(*floor) != deletes_noted) {
    // An older delete has come and gone, which was on its way to the same bytes, perhaps.
    Result<std::optional<Existing>> there = co_await Look(write.key, *floor);
    if (!there) co_return there.error();
    const Mark* mark = *there ? (*there)->mark() : nullptr;
    if (mark == nullptr || mark->stamp != write.stamp) {
      co_return Retryable("a delete was under way: " + write.key);
    }
  }
  co_return ApplyOutcome{};
}

}  // namespace longhaul
