// Floors: rows in State that remember a stamp where no object at the target can.
//
// A floor is raised before a delete (then it is a *tombstone*) and before a write that replaces an
// object; every write reads the floor of its key before and after. A write below the floor is too
// old. A floor also holds the marks of replicas that have none of their own: of one that was there
// before us and was *adopted*, or of one whose metadata leaves no room.
//
// A floor never sinks. Its row lives for 15 days, a day longer than the oldest archive that may
// still be applied; rows that hold marks stay, until
// their object is deleted.

#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "replica/mark.h"
#include "replica/pending_requests.h"
#include "state/state.h"

namespace longhaul {

inline constexpr std::chrono::hours kArchiveAgeMax{14 * 24};
inline constexpr std::chrono::hours kFloorLifetime{15 * 24};
// How long after it was begun, or after its answer was given up, a request may take effect,
// whatever became of whoever sent it. A request that stalls is given up after a minute.
inline constexpr std::chrono::seconds kRequestLifetime{120};
// Some 20 reads at 5,000 writes a second; little beside the 20 ms that a write to S3 takes.
inline constexpr std::chrono::milliseconds kFloorsGatherTime{2};
inline constexpr size_t kFloorsGatherMax = 64;

// A mark that is kept here instead of in the metadata of its object. It is written before the
// object, when nobody knows the object's ETag yet, and again after it.
struct KeptMark {
  std::string target_etag;  // Empty: the write may have happened or not.
  std::string fingerprint;  // FingerprintOf its object.
  Mark mark;

  bool operator==(const KeptMark&) const = default;
};

inline constexpr size_t kKeptMarksMax = 8;

struct Floor {
  SystemTime stamp{};
  bool deleted = false;     // A tombstone.
  PendingRequests pending;  // What may still land on the key, whatever stands there now.
  std::vector<KeptMark> kept_marks;

  // The mark of the object that HEAD describes as `info`. One whose write is not known to have
  // happened (`target_etag` empty) says only that the object may be a replica, of this or any other
  // such write. Null: none; valid until the floor changes.
  [[nodiscard]] const KeptMark* FindMarkOf(const ObjectInfo& info) const;

  bool operator==(const Floor&) const = default;
};

// What can be known of an object before it is written: 16 hex digits over size and metadata.
std::string FingerprintOf(uint64_t size_bytes, const UserMetadata& metadata);

std::string EncodeFloor(const Floor& floor);
// kCorrupt: not a floor; the message holds the row's text.
Result<Floor> DecodeFloor(std::string_view text);

// The floors of one target of one rule. Borrowed: State and Clock. Belongs to one shard.
class Floors {
 public:
  // `target_name`: stable and unique per rule and target (rules/rule.h).
  Floors(State& state, Clock& clock, std::string target_name);
  ~Floors();

  // The floor of `key`, read from State after this was called: it sees every Raise that returned OK
  // before. One alone is read at once. While others are being read, or where the caller knows
  // itself `among_many`, those that come within kFloorsGatherTime are read together: each write
  // reads twice, and a round trip to State, be it to a thread, costs more than a row.
  Async<std::optional<Floor>> Get(std::string key, bool among_many = false);

  // Lifts the floor of `key` to at least `floor.stamp`. OK: the floor that is there now, which is
  // either `floor`, with the kept marks of the row before added to its own (at most kKeptMarksMax;
  // those of `floor` first, then the newest), or one with a newer stamp, or one of the same stamp
  // that says otherwise: compare. Durable when it returns. What `floor` has pending is added to
  // what is; a floor with a copy is not put over one whose own copy may still land: that one is
  // returned.
  Async<Floor> Raise(std::string key, Floor floor);

  // These change what the floor of `key` says may still land, or make one that is below everything.
  // OK: the floor that is there then.
  //
  // `request` got no answer.
  Async<Floor> Note(std::string key, PendingRequest request);
  // `request`, as it was given to Raise or Note, is over.
  Async<Floor> End(std::string key, PendingRequest request);

 private:
  struct Round;
  Async<std::optional<Floor>> GetAlone(std::string key);
  Async<int64_t> Write(const std::string& key, const Floor& floor, Expected expected);
  // Changes the floor of `key`, or a new one that is below everything, until that has succeeded, or
  // `change` says that there is nothing to change. `what`: for errors.
  Async<Floor> Change(std::string key, std::string what, std::function<bool(Floor&)> change);

  State& state_;
  Clock& clock_;
  std::string partition_;
  int reading_ = 0;          // Reads of Get under way.
  std::list<Round> rounds_;  // The last one may still be open: see Get.
};

}  // namespace longhaul
