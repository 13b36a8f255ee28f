#include "replica/apply.h"

#include <utility>

#include "base/check.h"
#include "net/http_client.h"

namespace longhaul {

namespace {

// Extended while a write goes on; what it must outlive is a request of a holder that died.
constexpr std::chrono::seconds kLeaseLifetime{60};
constexpr std::chrono::seconds kLeaseWait{90};
constexpr int kAttemptsMax = 10;
// Of WithLease: the floor says what may still land.
constexpr bool kNoted = false;
// A DELETE that is not sent within this time of its note is noted anew.
constexpr std::chrono::seconds kSendTime{10};

ApplyOutcome Superseded(std::string reason) {
  return {.state = ApplyState::kSuperseded, .reason = std::move(reason)};
}

ApplyOutcome Reread(std::string reason) {
  return {.state = ApplyState::kReread, .reason = std::move(reason)};
}

Error KeyBusy(std::string why) {
  Error error = Retryable(std::move(why));
  error.code = kKeyBusyCode;
  return error;
}

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

UserMetadata WithoutMark(UserMetadata metadata) {
  metadata.erase(std::string(kMarkName));
  return metadata;
}

}  // namespace

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

// Keeps a locked key to one coroutine of this process until it goes out of scope.
class Applier::KeyGuard {
 public:
  KeyGuard(Applier& applier, std::string key) : keys_(applier.locked_keys_), key_(std::move(key)) {}
  ~KeyGuard() {
    auto node = keys_->extract(key_);
    LH_CHECK(!node.empty());
    if (node.mapped()) node.mapped()->NotifyAll();
  }
  KeyGuard(const KeyGuard&) = delete;
  KeyGuard& operator=(const KeyGuard&) = delete;

 private:
  std::shared_ptr<LockedKeys> keys_;
  std::string key_;
};

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
  if (!policy_.capabilities.tags) co_return true;
  // Not every server says with a HEAD how many there are: the last one would never go.
  Result<Tags> tags = co_await store_.GetTags(policy_.bucket, write.key, "");
  if (tags) co_return *tags == write.tags;
  const ErrorKind kind = tags.error().kind;
  if (tags.error().code == "NoSuchKey") co_return Retryable("it went while it was looked at");
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
  if (!there || write.tags.empty() || !policy_.capabilities.tags) co_return outcome;
  co_await LockKey(write.key);
  KeyGuard guard(*this, write.key);
  co_return co_await SetMissingTags(write, std::move(outcome));
}

Async<ApplyOutcome> Applier::PutWithLock(ReplicaWrite write, ReplicaBody* body) {
  co_await LockKey(write.key);
  KeyGuard guard(*this, write.key);

  bool needs_lease = !policy_.capabilities.create_if_absent;
  if (!needs_lease) {
    Result<ApplyOutcome> outcome = co_await PutLocked(write, body, false, &needs_lease);
    if (!outcome || !needs_lease) co_return outcome;
  }
  bool unknown = false;
  co_return co_await WithLease(write.key, PutLocked(write, body, true, &unknown), unknown);
}

// Does `work` while the lease of `key` is ours. `unknown`, looked at after it: a request without a
// condition was sent whose end nobody knows.
Async<ApplyOutcome> Applier::WithLease(std::string key, Async<ApplyOutcome> work,
                                       const bool& unknown) {
  Lease lease = MakeLease(key);
  Result<void> acquired = co_await lease.Acquire(kLeaseWait);
  if (!acquired) co_return acquired.error();
  Event done;
  TaskGroup keeper(runtime_.executor);
  keeper.Spawn(KeepLease(runtime_.clock, lease, done, kLeaseLifetime));
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

bool Applier::MayStillLand(const Floor& floor) const {
  return floor.create_may_land_until > runtime_.clock.Now();
}

bool Applier::CopyMayStillLand(const Floor& floor) const {
  return floor.copy_may_land_until > runtime_.clock.Now();
}

bool Applier::WriteMayStillLand(const Floor& floor) const {
  return floor.write_may_land_until > runtime_.clock.Now();
}

std::chrono::milliseconds BusyFor(const Error& error) {
  return error.code == kKeyBusyCode ? error.retry_after : std::chrono::milliseconds(0);
}

Error Applier::LandsLater(SystemTime until, std::string_view what) const {
  Error error = KeyBusy(std::string(what) + "; looking again");
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - runtime_.clock.Now());
  error.retry_after = std::max(left, std::chrono::milliseconds(1));
  return error;
}

Error Applier::CreateLandsLater(const Floor& floor) const {
  return LandsLater(floor.create_may_land_until,
                    "a create without an answer may still bring the key back");
}

Error Applier::CopyLandsLater(const Floor& floor) const {
  return LandsLater(floor.copy_may_land_until,
                    "a copy without an answer may still put an older state there");
}

Error Applier::WriteLandsLater(const Floor& floor) const {
  return LandsLater(floor.write_may_land_until,
                    "a write without an answer may still put an older state there");
}

Error Applier::DeleteLandsLater(const Floor& floor) const {
  return LandsLater(floor.delete_may_land_until,
                    "a delete without an answer may still remove what is there");
}

std::optional<Error> Applier::Unsettled(const Floor& floor, SystemTime stamp) const {
  if (CopyMayStillLand(floor)) return CopyLandsLater(floor);
  // What it would write itself may come twice.
  if (WriteMayStillLand(floor) && floor.write_stamp != stamp) return WriteLandsLater(floor);
  if (floor.delete_may_land_until > runtime_.clock.Now()) return DeleteLandsLater(floor);
  return std::nullopt;
}

SystemTime Applier::DeletesNoted(const std::optional<Floor>& floor) const {
  if (!floor) return SystemTime();
  const SystemTime until = floor->delete_may_land_until;
  return until > runtime_.clock.Now() ? SystemTime::max() : until;  // It may land at any time.
}

Async<bool> Applier::IsThereToStay(const ReplicaWrite& write, SystemTime deletes_noted) {
  Result<std::optional<Floor>> floor = co_await floors_.Get(write.key);
  if (!floor) co_return floor.error();
  if (*floor) {
    if (std::optional<Error> unsettled = Unsettled(**floor, write.stamp))
      co_return std::move(*unsettled);
  }
  co_return DeletesNoted(*floor) == deletes_noted;
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
  // Ours, perhaps: then it must be noticed when it has landed.
  if (!*there && MayStillLand(floor)) co_return CreateLandsLater(floor);
  if (CopyMayStillLand(floor)) co_return CopyLandsLater(floor);
  if (WriteMayStillLand(floor)) co_return WriteLandsLater(floor);
  co_return Superseded(floor.deleted ? "deleted later" : "a newer state is recorded");
}

PutRequest Applier::RequestFor(const ReplicaWrite& write) const {
  bool mark_kept_apart = false;
  return MakeRequest(write, &mark_kept_apart);
}

Async<std::optional<ApplyOutcome>> Applier::Decided(const ReplicaWrite& write) {
  Result<std::optional<Floor>> floor = co_await floors_.Get(write.key);
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
Async<ApplyOutcome> Applier::PutLocked(const ReplicaWrite& write, ReplicaBody* body, bool leased,
                                       bool* flag) {
  *flag = false;
  const Capabilities& can = policy_.capabilities;
  bool create_first = body != nullptr && !leased && new_share_ >= 0.5;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    Result<std::optional<Floor>> floor = co_await floors_.Get(write.key);
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
      // A copy may have left the old ones there; what came with its bytes began without any.
      const bool may_lack_tags = can.tags && (body == nullptr || !write.tags.empty());
      if (verdict->applied_before && may_lack_tags) {
        co_return co_await SetMissingTags(write, std::move(*verdict->outcome));
      }
      if (verdict->outcome) co_return std::move(*verdict->outcome);
      if (verdict->changed) continue;
      if (!leased && !can.replace_if_match) {
        *flag = true;
        co_return ApplyOutcome{};
      }
      if (can.replace_if_match) request.condition.if_match = existing->info.etag;
    } else if (can.create_if_absent) {
      request.condition.if_absent = true;
    } else {
      LH_CHECK(leased);
    }

    SystemTime copy_until{};
    if (body == nullptr) {
      if (!existing || !HoldsBytesOf(write, *existing)) {
        co_return Reread("the target does not hold the bytes");
      }
      // One copy of a key at a time: nobody could tell afterwards which of them are over.
      if (*floor && CopyMayStillLand(**floor)) co_return CopyLandsLater(**floor);
      copy_until = CopyMayLandUntil(write);
    }

    // The floor before the object. Of what replaces: a slower writer of an older state that had
    // seen this same ETag would otherwise not notice that it came too late (A, then B, then A
    // again). With a lease alone: whoever lost it would not. And a mark that is kept here must be
    // here when the object is there, or the object would not be known as ours.
    if (existing || leased || mark_kept_apart) {
      Floor raise{.stamp = write.stamp, .copy_may_land_until = copy_until};
      if (mark_kept_apart) {
        raise.kept_marks.push_back(KeptMarkOf(write, ""));
        if (existing && existing->kept) raise.kept_marks.push_back(*existing->kept);
      }
      Result<Floor> raised = co_await floors_.Raise(write.key, std::move(raise));
      if (!raised) co_return raised.error();
      if (raised->stamp > write.stamp || raised->deleted) continue;
      if (body == nullptr && raised->copy_may_land_until != copy_until) {
        co_return CopyLandsLater(*raised);
      }
    }

    const bool creates = !existing;
    Result<PutResult> put;
    if (body != nullptr) {
      put = co_await body->Write(store_, std::move(request));
    } else {
      put = co_await CopyOntoItself(write, std::move(request), existing->info.etag, copy_until);
    }
    if (put) {
      if (creates) new_share_ = new_share_ * 0.9 + 0.1;
      co_return co_await AfterWrite(write, *put, creates, deletes_noted, mark_kept_apart, leased);
    }
    const bool may_have_happened = MayHaveHappened(put.error());
    if (leased && may_have_happened) *flag = true;  // Also when it cannot be noted.
    if (may_have_happened && body != nullptr) {
      // A create may land when the key has been deleted since, what replaces when the same bytes
      // have come back with another state: no condition stops it then.
      const SystemTime until = runtime_.clock.Now() + kRequestLifetime;
      Result<Floor> noted =
          creates && !leased ? co_await floors_.NoteUncertainCreate(write.key, until)
                             : co_await floors_.NoteUncertainWrite(write.key, write.stamp, until);
      if (!noted) co_return noted.error();
    }
    // Not as expected, or nobody knows: look, and decide anew. Our own mark tells a success.
    const bool unknown = put.error().kind == ErrorKind::kRetryable && attempt == 0;
    // S3 answers If-Match on a key that is gone with 404 NoSuchKey, others with 412.
    const bool gone = put.error().kind == ErrorKind::kNotFound && put.error().code == "NoSuchKey";
    const bool refused =
        put.error().kind == ErrorKind::kInvalidInput || put.error().kind == ErrorKind::kDenied;
    if (body == nullptr && refused) {
      co_return Reread("the target's store does not copy it onto itself: " +
                       put.error().Describe());
    }
    if (put.error().kind != ErrorKind::kPrecondition && !gone && !unknown) co_return put.error();
    create_first = false;
  }
  co_return KeyBusy("the key changes faster than it can be written: " + write.key);
}

Async<ApplyOutcome> Applier::AfterWrite(const ReplicaWrite& write, const PutResult& put,
                                        bool created, SystemTime deletes_noted,
                                        bool mark_kept_apart, bool leased) {
  if (mark_kept_apart) {
    Floor floor{.stamp = write.stamp, .kept_marks = {KeptMarkOf(write, put.etag)}};
    Result<Floor> raised = co_await floors_.Raise(write.key, std::move(floor));
    if (!raised) co_return raised.error();
  }
  Result<std::optional<Floor>> floor = co_await floors_.Get(write.key);
  if (!floor) co_return floor.error();
  if (*floor && IsAbove(**floor, write)) {
    if (created && (*floor)->deleted && (*floor)->stamp > write.stamp) {
      co_return co_await UndoCreate(write, (*floor)->stamp, leased);
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

// Of what was created after a delete of `deleted_at` had begun.
Async<ApplyOutcome> Applier::UndoCreate(const ReplicaWrite& write, SystemTime deleted_at,
                                        bool leased) {
  if (leased || policy_.capabilities.delete_if_match) {
    co_return co_await UndoLocked(write, deleted_at, leased);
  }
  co_return co_await WithLease(write.key, UndoLocked(write, deleted_at, true), kNoted);
}

Async<ApplyOutcome> Applier::UndoLocked(const ReplicaWrite& write, SystemTime deleted_at,
                                        bool leased) {
  const SystemTime until = runtime_.clock.Now() + kRequestLifetime;
  Result<Floor> raised = co_await floors_.Raise(
      write.key, {.stamp = deleted_at, .deleted = true, .delete_may_land_until = until});
  if (!raised) co_return raised.error();
  if (raised->stamp != deleted_at || !raised->deleted) {
    co_return Retryable("it changes while it is written: " + write.key);
  }
  bool may_land = false;
  Result<void> removed = Ok();
  Result<std::optional<Existing>> existing = co_await Look(write.key, *raised);
  if (!existing) {
    removed = existing.error();
  } else if (*existing) {
    const Mark* mark = (*existing)->mark();
    const bool ours = mark != nullptr ? mark->stamp == write.stamp : (*existing)->uncertain();
    if (ours) removed = co_await SendDelete(write.key, (*existing)->info.etag, leased, &may_land);
  }
  if (may_land) co_return removed.error();
  Result<Floor> ended = co_await floors_.EndDelete(write.key, until);
  if (!ended) co_return ended.error();
  if (!removed && removed.error().kind == ErrorKind::kPrecondition) {
    co_return Retryable("it changes while it is written: " + write.key);
  }
  if (!removed) co_return removed.error();
  if (ended->stamp > deleted_at) co_return Reread("written while a create was undone");
  co_return Superseded("deleted while it was written");
}

// A DELETE that the floor of its key knows of. `may_land`: later than now, and the floor says so.
// kPrecondition: it is not what was looked at any more.
Async<void> Applier::SendDelete(const std::string& key, std::string etag, bool leased,
                                bool* may_land) {
  RemoveRequest request{.bucket = policy_.bucket,
                        .key = key,
                        .bucket_owner = policy_.bucket_owner,
                        .at_most_once = true};
  if (!leased) request.if_match = std::move(etag);
  Result<void> removed = co_await store_.Remove(std::move(request));
  if (removed) co_return Ok();
  Error error = removed.error();
  if (error.code == "NoSuchKey") error.kind = ErrorKind::kPrecondition;
  *may_land = MayHaveHappened(error);
  if (*may_land) {
    const SystemTime until = runtime_.clock.Now() + kRequestLifetime;
    Result<Floor> noted = co_await floors_.NoteUncertainDelete(key, until);
    if (!noted) co_return noted.error();
  }
  co_return error;
}

Async<ApplyOutcome> Applier::Remove(std::string key, SystemTime stamp) {
  if (!policy_.deletes) co_return InvalidInput("the rule does not allow deletes");
  co_await LockKey(key);
  KeyGuard guard(*this, key);
  if (policy_.capabilities.delete_if_match) co_return co_await RemoveLocked(key, stamp, false);
  co_return co_await WithLease(key, RemoveLocked(key, stamp, true), kNoted);
}

Async<ApplyOutcome> Applier::RemoveLocked(const std::string& key, SystemTime stamp, bool leased) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    // The tombstone first: from here on no older write can bring the key back. It says as well that
    // a DELETE is on its way, so that who writes the key meanwhile does not take that for settled.
    const SystemTime begun = runtime_.clock.Now();
    const SystemTime until = begun + kRequestLifetime;
    Result<Floor> raised = co_await floors_.Raise(
        key, {.stamp = stamp, .deleted = true, .delete_may_land_until = until});
    if (!raised) co_return raised.error();
    if (raised->stamp > stamp) {
      if (!raised->deleted) {
        // An earlier try of this delete may have removed what is newer, and been killed.
        Result<std::optional<Existing>> there = co_await Look(key, *raised);
        if (!there) co_return there.error();
        if (!*there) co_return Reread("what is recorded as newer is not there");
        // Or it may do so yet: whoever comes then must find it.
        if (raised->delete_may_land_until > runtime_.clock.Now()) {
          co_return DeleteLandsLater(*raised);
        }
      }
      co_return Superseded("a newer state is recorded");
    }
    if (!raised->deleted) co_return Reread("a write has the same stamp");

    bool may_land = false;
    Result<ApplyOutcome> outcome = co_await RemoveOld(key, *raised, begun, leased, &may_land);
    if (may_land) co_return outcome;
    Result<Floor> floor = co_await floors_.EndDelete(key, until);
    if (!floor) co_return floor.error();
    if (!outcome && outcome.error().kind == ErrorKind::kPrecondition) continue;
    if (!outcome || outcome->state != ApplyState::kApplied) co_return outcome;
    if (floor->stamp > stamp) co_return Reread("written while it was deleted");
    if (MayStillLand(*floor)) co_return CreateLandsLater(*floor);
    if (CopyMayStillLand(*floor)) co_return CopyLandsLater(*floor);
    if (WriteMayStillLand(*floor)) co_return WriteLandsLater(*floor);
    co_return outcome;
  }
  co_return KeyBusy("the key changes faster than it can be deleted: " + key);
}

Async<ApplyOutcome> Applier::RemoveOld(const std::string& key, const Floor& tombstone,
                                       SystemTime begun, bool leased, bool* may_land) {
  Result<std::optional<Existing>> existing = co_await Look(key, tombstone);
  if (!existing) co_return existing.error();
  if (!*existing) co_return ApplyOutcome{};
  const Mark* mark = (*existing)->mark();
  if (mark == nullptr && !(*existing)->uncertain()) {
    co_return ApplyOutcome{.state = ApplyState::kConflict,
                           .reason = "the target has an object that is not a replica"};
  }
  if (mark != nullptr && mark->stamp > tombstone.stamp)
    co_return Superseded("the replica is newer");
  if (mark != nullptr && mark->stamp == tombstone.stamp) {
    co_return Reread("a write has the same stamp");
  }

  if (runtime_.clock.Now() > begun + kSendTime) {
    co_return Error{.kind = ErrorKind::kPrecondition, .message = "the look took too long"};
  }
  Result<void> removed = co_await SendDelete(key, (*existing)->info.etag, leased, may_land);
  if (!removed) co_return removed.error();
  co_return ApplyOutcome{};
}

}  // namespace longhaul
