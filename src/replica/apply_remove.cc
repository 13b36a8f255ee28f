// Deletes: of a replica whose source is gone, and of one that was written after its key had been
// deleted.

#include <utility>

#include "net/http_client.h"
#include "replica/apply.h"
#include "replica/apply_parts.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

// Of WithLease: the floor says what may still land.
constexpr bool kNoted = false;
// A DELETE that is not sent within this time of its note is noted anew.
constexpr std::chrono::seconds kRemoveSendTime{10};

}  // namespace

// Of what was created after a delete of `deleted_at` had begun.
Async<ApplyOutcome> Applier::UndoCreate(const ReplicaWrite& write, SystemTime deleted_at,
                                        Lease* lease) {
  if (lease != nullptr || policy_.capabilities.delete_if_match) {
    co_return co_await UndoLocked(write, deleted_at, lease);
  }
  Lease own = MakeLease(write.key);
  co_return co_await WithLease(own, UndoLocked(write, deleted_at, &own), kNoted);
}

Async<ApplyOutcome> Applier::UndoLocked(const ReplicaWrite& write, SystemTime deleted_at,
                                        Lease* lease) {
  const PendingRequest request{.kind = PendingKind::kDelete,
                               .until = runtime_.clock.Now() + kRequestLifetime};
  Result<Floor> raised = co_await floors_.Raise(
      write.key, {.stamp = deleted_at, .deleted = true, .pending = {request}, .kept_marks = {}});
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
    if (ours) removed = co_await SendDelete(write.key, (*existing)->info.etag, lease, &may_land);
  }
  if (may_land) co_return removed.error();
  Result<Floor> ended = co_await floors_.End(write.key, request);
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
Async<void> Applier::SendDelete(const std::string& key, std::string etag, Lease* lease,
                                bool* may_land) {
  RemoveRequest request{.bucket = policy_.bucket,
                        .key = key,
                        .bucket_owner = policy_.bucket_owner,
                        .at_most_once = true};
  if (lease == nullptr) request.if_match = std::move(etag);
  Result<void> covered = co_await CoverRequest(lease);
  if (!covered) co_return covered.error();
  Result<void> removed = co_await store_.Remove(std::move(request));
  if (removed) co_return Ok();
  Error error = removed.error();
  if (IsGone(error)) error.kind = ErrorKind::kPrecondition;
  *may_land = MayHaveHappened(error);
  if (*may_land) {
    const PendingRequest lost{.kind = PendingKind::kDelete,
                              .until = runtime_.clock.Now() + kRequestLifetime};
    Result<Floor> noted = co_await floors_.Note(key, lost);
    if (!noted) co_return noted.error();
  }
  co_return error;
}

Async<ApplyOutcome> Applier::Remove(std::string key, SystemTime stamp) {
  if (!policy_.deletes) co_return InvalidInput("the rule does not allow deletes");
  co_await LockKey(key);
  KeyGuard guard(*this, key);
  if (policy_.capabilities.delete_if_match) co_return co_await RemoveLocked(key, stamp, nullptr);
  Lease lease = MakeLease(key);
  co_return co_await WithLease(lease, RemoveLocked(key, stamp, &lease), kNoted);
}

Async<ApplyOutcome> Applier::RemoveLocked(const std::string& key, SystemTime stamp, Lease* lease) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    // The tombstone first: from here on no older write can bring the key back. It says as well that
    // a DELETE is on its way, so that who writes the key meanwhile does not take that for settled.
    const SystemTime begun = runtime_.clock.Now();
    const PendingRequest request{.kind = PendingKind::kDelete, .until = begun + kRequestLifetime};
    Result<Floor> raised = co_await floors_.Raise(
        key, {.stamp = stamp, .deleted = true, .pending = {request}, .kept_marks = {}});
    if (!raised) co_return raised.error();
    if (raised->stamp > stamp) {
      if (!raised->deleted) {
        // An earlier try of this delete may have removed what is newer, and been killed.
        Result<std::optional<Existing>> there = co_await Look(key, *raised);
        if (!there) co_return there.error();
        if (!*there) co_return Reread("what is recorded as newer is not there");
        // Or it may do so yet: whoever comes then must find it.
        std::optional<Error> lands = LandsLater(*raised, {PendingKind::kDelete});
        if (lands) co_return std::move(*lands);
      }
      co_return Superseded("a newer state is recorded");
    }
    if (!raised->deleted) co_return Reread("a write has the same stamp");

    bool may_land = false;
    Result<ApplyOutcome> outcome = co_await RemoveOld(key, *raised, begun, lease, &may_land);
    if (may_land) co_return outcome;
    Result<Floor> floor = co_await floors_.End(key, request);
    if (!floor) co_return floor.error();
    if (!outcome && outcome.error().kind == ErrorKind::kPrecondition) continue;
    if (!outcome || outcome->state != ApplyState::kApplied) co_return outcome;
    if (floor->stamp > stamp) co_return Reread("written while it was deleted");
    std::optional<Error> lands =
        LandsLater(*floor, {PendingKind::kCreate, PendingKind::kCopy, PendingKind::kWrite});
    if (lands) co_return std::move(*lands);
    co_return outcome;
  }
  co_return KeyBusy("the key changes faster than it can be deleted: " + key);
}

Async<ApplyOutcome> Applier::RemoveOld(const std::string& key, const Floor& tombstone,
                                       SystemTime begun, Lease* lease, bool* may_land) {
  Result<std::optional<Existing>> existing = co_await Look(key, tombstone);
  if (!existing) co_return existing.error();
  if (!*existing) co_return ApplyOutcome{};
  const Mark* mark = (*existing)->mark();
  if (mark == nullptr && !(*existing)->uncertain()) {
    co_return ApplyOutcome{.state = ApplyState::kConflict,
                           .reason = "the target has an object that is not a replica"};
  }
  if (mark != nullptr) {
    Result<bool> ours = co_await IsOurs(*mark);
    if (!ours) co_return ours.error();
    if (!*ours) {
      co_return ApplyOutcome{
          .state = ApplyState::kConflict,
          .reason = "the target has a replica of another installation, site " + mark->site};
    }
  }
  if (mark != nullptr && mark->stamp > tombstone.stamp)
    co_return Superseded("the replica is newer");
  if (mark != nullptr && mark->stamp == tombstone.stamp) {
    co_return Reread("a write has the same stamp");
  }

  if (runtime_.clock.Now() > begun + kRemoveSendTime) {
    co_return Error{.kind = ErrorKind::kPrecondition, .message = "the look took too long"};
  }
  Result<void> removed = co_await SendDelete(key, (*existing)->info.etag, lease, may_land);
  if (!removed) co_return removed.error();
  co_return ApplyOutcome{};
}

}  // namespace longhaul
