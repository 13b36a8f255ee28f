// Applier: how a key at a target gets newer and never older.
//
// Late, doubled and reordered readings come in; what is written is never older than what is there.
// The order of two states of a key is that of their stamps alone. Where the target's store cannot
// write conditionally, a lease in State and a check after the write stand in. Whatever this cannot
// decide (two readings with one stamp, a lost race that cannot be undone) ends as kReread: the
// source reads the key anew, and that reading has a later stamp.
//
// Killed between any two steps, the same reading applied again ends in the same state.

#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/runtime.h"
#include "replica/floor.h"
#include "replica/lease.h"
#include "replica/mark.h"
#include "storage/store.h"

namespace longhaul {

// How a write treats what it finds when its stamp is no reading's but comes from another system,
// and nothing is known of the headers and metadata of its object. It replaces only what is known to
// be older, whatever the policy would allow, and never what has the same bytes.
struct Caution {
  // Not even that: what stands there stays.
  bool creates_only = false;
  // When the source's object was written of which an object without a mark is a copy, as its tags
  // say; nullopt: they do not. Null: nobody knows.
  std::function<std::optional<SystemTime>(const Tags&)> age_of_unmarked;
};

// The code of a kRetryable error that is of one key alone, at a store that answers: another request
// for it may land yet (for as long as `retry_after` says), or it changes all the time.
inline constexpr std::string_view kKeyBusyCode = "KeyBusy";
// How long another request for the key may land yet; 0: the error is another one.
std::chrono::milliseconds BusyFor(const Error& error);

// What a key should be at the target, as its source was at `stamp`.
struct ReplicaWrite {
  std::string key;  // At the target.
  SystemTime stamp{};
  std::string source_etag;
  std::vector<std::string> sites_passed;
  uint64_t size_bytes = 0;
  SystemHeaders headers;
  UserMetadata metadata;  // The user's; a mark in it is dropped.
  Tags tags;
  std::string storage_class;
  std::optional<ObjectLock> lock{};  // Of the source object; for a policy with `object_lock`.
  std::optional<Caution> caution{};
};

// The bytes of a ReplicaWrite; written once per call, or twice where an answer was lost, and
// possibly again in a later one.
class ReplicaBody {
 public:
  virtual ~ReplicaBody() = default;
  // Writes the object as `request` says, in one PUT or in parts; conditions hold for the whole.
  // Errors as Store::Put and Store::CompleteMultipart.
  virtual Async<PutResult> Write(Store& store, PutRequest request) = 0;
};

enum class ApplyState {
  kApplied,
  kEqual,       // The target was like this already.
  kSuperseded,  // The target is newer.
  kConflict,    // Something that is not a replica stands there, and was kept.
  kReread,      // The source must read this key anew.
};

struct ApplyOutcome {
  ApplyState state = ApplyState::kApplied;
  std::string reason;  // For a person; empty for kApplied.
};

struct ApplyPolicy {
  std::string bucket;
  std::string site;
  // Of State: where the sites are remembered that have written to this target for its rule. Empty:
  // there is none but `site`.
  std::string sites_partition;
  std::string storage_class;  // Empty: as at the source.
  std::string sse;            // These five as in PutRequest.
  std::string kms_key;
  std::optional<bool> bucket_key{};
  std::string acl;
  std::string bucket_owner;
  bool object_lock = false;  // Replicas are locked as their source objects are.
  bool versioned = false;    // The bucket keeps versions: foreign objects may be overwritten.
  bool overwrite_conflicts = false;  // on_conflict: overwrite
  bool deletes = false;              // Else Remove refuses: here, where no caller can forget it.
  Capabilities capabilities;         // Probed.
  std::string owner;                 // Of leases: unique per process.
};

// An error of a write with a lock, with what to do where it is that the bucket locks nothing.
Error WithLockRemedy(Error error);

// Belongs to one shard; many keys may be applied at once, one key one after the other. Borrowed:
// everything by reference.
class Applier {
 public:
  // The keys under way, each with those who wait for it, if any does.
  using LockedKeys = std::unordered_map<std::string, std::unique_ptr<WaitList>>;

  // `locked_keys`: of all appliers of this process that write to one bucket, so that they do not
  // write one key at once (a lease keeps off other processes alone). Without: none but this one.
  Applier(Runtime& runtime, Store& store, State& state, Floors& floors, ApplyPolicy policy,
          std::shared_ptr<LockedKeys> locked_keys = nullptr);

  // Errors are those of the store and of State; the key can be tried again.
  Async<ApplyOutcome> Put(ReplicaWrite write, ReplicaBody& body);
  // The same for a write whose bytes the target holds already: the replica is copied onto itself
  // by its store, with everything of `write` but its bytes. kReread: it does not hold them (any
  // more), or its store will not do that; the source must send them.
  Async<ApplyOutcome> PutAttributes(ReplicaWrite write);
  // What Put would say of this write without writing anything: set when there is nothing to be
  // written (the target has it, or is newer), or the source must read the key anew. For a write
  // that takes many steps; Put decides at its end.
  Async<std::optional<ApplyOutcome>> Decided(const ReplicaWrite& write);
  // `outcome` of this write, once the object has its tags: not every store takes them with an
  // upload. kReread: another state has come meanwhile. Put and PutAttributes need no such call, but
  // for a body that completes what another process began.
  Async<ApplyOutcome> EnsureTags(ReplicaWrite write, ApplyOutcome outcome);
  // What Put would ask of the store, without conditions.
  [[nodiscard]] PutRequest RequestFor(const ReplicaWrite& write) const;
  // Removes the replica at `key` if the source had nothing there at `stamp`. In a bucket that keeps
  // versions that makes a delete marker. kConflict: it is not ours (IsOurs), or no replica.
  // kInvalidInput: the policy allows no deletes.
  Async<ApplyOutcome> Remove(std::string key, SystemTime stamp);

  // apply_sites.cc. To be called once, before anything is written: whoever has this State knows
  // from then on that the replicas of our site are its own.
  Async<void> RememberSite();
  // Whether a replica with this mark was written for this rule with this State, under any site.
  Async<bool> IsOurs(Mark mark);

  [[nodiscard]] const ApplyPolicy& policy() const { return policy_; }

 private:
  // What was found at the target.
  struct Existing {
    // It may be what one of several writes left that began and whose end nobody knows: ours to
    // replace or to remove, and no state to rely on.
    [[nodiscard]] bool uncertain() const { return kept && kept->target_etag.empty(); }
    // Its mark, if it is a replica of a known state.
    [[nodiscard]] const Mark* mark() const {
      if (own) return &*own;
      return kept && !uncertain() ? &kept->mark : nullptr;
    }

    ObjectInfo info;
    std::optional<Mark> own;       // In its metadata.
    std::optional<KeptMark> kept;  // In State.
  };
  class KeyGuard;
  struct Verdict {
    std::optional<ApplyOutcome> outcome{};  // Set: nothing is to be written.
    bool changed = false;                   // Not what was looked at any more: look again.
    bool applied_before = false;            // This very reading was; its tags may be missing.
  };

  [[nodiscard]] bool IsForeign(const Existing& existing) const;
  // What the replica is to be locked with by now.
  [[nodiscard]] std::optional<ObjectLock> LockOf(const ReplicaWrite& write) const;
  // apply_pending.cc. kKeyBusyCode, and until when: `retry_after`; nullopt: none of `kinds` may
  // still land, but for writes of the stamp `own`.
  [[nodiscard]] std::optional<Error> LandsLater(const Floor& floor,
                                                std::initializer_list<PendingKind> kinds,
                                                std::optional<SystemTime> own = {}) const;
  // Why what `stamp` says may not stay; nullopt: it does.
  [[nodiscard]] std::optional<Error> Unsettled(const Floor& floor, SystemTime stamp) const;
  // Of the floor that was read before a look or a write: tells afterwards whether a DELETE may have
  // landed between.
  [[nodiscard]] SystemTime DeletesNoted(const std::optional<Floor>& floor) const;
  // Whether what was seen at its key, after a floor with `deletes_noted`, is there to stay; false:
  // it may be gone again. kRetryable: nobody can tell yet.
  Async<bool> IsThereToStay(const ReplicaWrite& write, SystemTime deletes_noted);
  // Of a floor that is above `write`.
  Async<ApplyOutcome> BelowFloor(const ReplicaWrite& write, const Floor& floor);

  Async<ApplyOutcome> WithLease(Lease& lease, Async<ApplyOutcome> work, const bool& unknown);
  // Before a request that only `lease` guards (null: it has a condition): kRetryable where the
  // lease might end before the request has landed for good.
  Async<void> CoverRequest(Lease* lease);
  // `body` is null where the target has the bytes.
  Async<ApplyOutcome> PutWithLock(ReplicaWrite write, ReplicaBody* body);
  Async<ApplyOutcome> PutLocked(const ReplicaWrite& write, ReplicaBody* body, Lease* lease,
                                bool* flag);
  // Both ETags are MD5s and differ.
  static bool SaysOtherBytes(const ObjectInfo& there, const ReplicaWrite& write);
  // apply_attributes.cc. `noted`: the copy, as the floor has it.
  [[nodiscard]] bool HoldsBytesOf(const ReplicaWrite& write, const Existing& existing) const;
  [[nodiscard]] SystemTime CopyMayLandUntil(const ReplicaWrite& write) const;
  Async<PutResult> CopyOntoItself(const ReplicaWrite& write, PutRequest request, std::string etag,
                                  PendingRequest noted);
  // apply_tags.cc. `outcome`, once what `write` has made has its tags.
  Async<ApplyOutcome> SetMissingTags(const ReplicaWrite& write, ApplyOutcome outcome);
  Async<void> PutTagsOnce(const ReplicaWrite& write, SystemTime noted, bool* may_land);
  // apply_remove.cc.
  Async<ApplyOutcome> RemoveLocked(const std::string& key, SystemTime stamp, Lease* lease);
  // The same below the tombstone. kPrecondition: it is not what was looked at any more.
  Async<ApplyOutcome> RemoveOld(const std::string& key, const Floor& tombstone, SystemTime begun,
                                Lease* lease, bool* may_land);
  Async<std::optional<Existing>> Look(const std::string& key, const std::optional<Floor>& floor);
  Async<Verdict> Judge(const ReplicaWrite& write, const Existing& existing);
  Async<Verdict> JudgeWithCaution(const ReplicaWrite& write, const Existing& existing);
  Async<bool> SameContent(const ReplicaWrite& write, const Existing& existing);
  // Remembers `write.stamp`, and the mark if there is none, without writing the object; kEqual if
  // `existing` is still there then.
  Async<std::optional<ApplyOutcome>> Settle(const ReplicaWrite& write, const Existing& existing);
  Async<ApplyOutcome> AfterWrite(const ReplicaWrite& write, const PutResult& put, bool created,
                                 SystemTime deletes_noted, bool mark_kept_apart, Lease* lease);
  Async<ApplyOutcome> UndoCreate(const ReplicaWrite& write, SystemTime deleted_at, Lease* lease);
  Async<ApplyOutcome> UndoLocked(const ReplicaWrite& write, SystemTime deleted_at, Lease* lease);
  Async<void> SendDelete(const std::string& key, std::string etag, Lease* lease, bool* may_land);
  PutRequest MakeRequest(const ReplicaWrite& write, bool* mark_kept_apart) const;
  Mark MarkOf(const ReplicaWrite& write) const;
  KeptMark KeptMarkOf(const ReplicaWrite& write, std::string target_etag) const;
  asio::awaitable<void> LockKey(std::string key);
  Lease MakeLease(const std::string& key);
  // Whether so many keys are being written that reads of floors had better wait for each other.
  [[nodiscard]] bool AmongMany() const { return locked_keys_->size() >= kManyKeys; }

  static constexpr size_t kManyKeys = 16;

  Runtime& runtime_;
  Store& store_;
  State& state_;
  Floors& floors_;
  ApplyPolicy policy_;
  // Share of recent writes that found nothing at their key; above one half the next one tries to
  // create before it looks (one request instead of two).
  double new_share_ = 1;
  // shared with the guards as well: a coroutine that is destroyed rather than finished may outlive
  // its applier.
  std::shared_ptr<LockedKeys> locked_keys_;
};

}  // namespace longhaul
