// Parked: what could not be carried and waits for a person, as rows in State.
//
// A key that cannot be read is parked at the source, for all targets of its rule; one that a target
// cannot hold, or refuses, is parked there, and its archive stays in staging. The row of a key goes
// when the key has been carried past the place where it was parked: has become durable in staging,
// or has been settled at the target. A retry asks for that and leaves the row alone; the roles
// retry from time to time, since what is denied today may be allowed tomorrow.
//
//   parked/<rule>                   by source key: at the source
//   parked/<rule>/<target>          by source key: at that target
//   parked-archive/<rule>/<target>  by ULID: archives that are refused as a whole

#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

// How often the target role tries what is parked there and lies in staging: whoever is to mend it
// takes minutes, and each try costs its requests.
inline constexpr std::chrono::minutes kParkedRetry{10};
// What no archive holds is read anew after ten minutes, and from then on whenever as much time has
// gone by as it had been parked for when it was tried last; once a day at least.
inline constexpr std::chrono::hours kParkedRetryLast{24};

struct ParkedKey {
  std::string key;      // At the source; empty: the whole of `archive`.
  std::string target;   // Empty: at the source.
  std::string archive;  // Its ULID; empty at the source.
  std::string op;       // "put", "delete", "attributes" or "archive".
  std::string store;    // Of the source; empty: by a version that did not write it, as `bucket`.
  std::string bucket;
  std::string reason;
  SystemTime when{};                  // Parked last; the epoch: not known.
  SystemTime since{};                 // Parked first, of what has been parked again and again.
  std::string plan;                   // Of the transfer of a giant that it was parked in.
  std::set<std::string> carried;      // Targets that it has been carried to since.
  std::optional<SystemTime> retried;  // Somebody has asked for it since.
  int64_t revision = 0;               // Of the row it was read from; 0: none.
};

// Whether nobody tries it but the source: a key that no archive in staging holds.
bool ReadAnewBySource(const ParkedKey& parked);
// Whether it was parked while the rule read what it reads now (of_source.h).
bool IsOfSource(const ParkedKey& parked, const Rule& rule);
// When the source tries it again by itself.
SystemTime NextReading(const ParkedKey& parked);

// Writes a row. With a revision: only in the place of that one (kPrecondition).
Async<void> WriteParked(State& state, const std::string& rule, ParkedKey parked);
// Removes the row it was read from. kPrecondition: it has been written since.
Async<void> ForgetParked(State& state, const std::string& rule, const ParkedKey& parked);
// What is parked at the source (`target` empty) or at a target, in the order of keys: those after
// `after`, at most `count_max`; archives that are refused as a whole are not among them.
Async<std::vector<ParkedKey>> ScanParked(State& state, std::string rule, std::string target,
                                         std::string after, int count_max);
// How many those are, at most `count_max`.
Async<uint64_t> CountParkedKeys(State& state, std::string rule, std::string target, int count_max);
// The same of archives that are refused as a whole.
Async<uint64_t> CountParkedArchives(State& state, std::string rule, std::string target,
                                    int count_max);
Async<std::optional<ParkedKey>> FindParked(State& state, std::string rule, std::string target,
                                           std::string key);
// Archives that are refused as a whole at a target.
Async<std::vector<ParkedKey>> ScanParkedArchives(State& state, std::string rule, std::string target,
                                                 std::string after, int count_max);

// What is parked at one place (the source of a rule, or one of its targets), for the role that
// works there: it looks at each key that it settles, so this keeps the keys in memory. Belongs to
// one shard. Borrowed: State and Clock.
class ParkedPlace {
 public:
  // How old the keys in memory may be where there are many of them; a few are read every time. A
  // row that another process has written since goes when its key is settled again.
  static constexpr std::chrono::seconds kLoadedFor{10};
  static constexpr size_t kKeysMax = 100'000;  // Above it every settled key costs a write.

  ParkedPlace(State& state, Clock& clock, const Rule& rule, std::string target)
      : state_(state),
        clock_(clock),
        rule_(rule.id),
        store_(rule.source.store),
        bucket_(rule.source.bucket),
        target_(std::move(target)) {}

  // Reads the rows, unless they are many and that was done a moment ago. Call it before each
  // archive that is worked on, not while idle. Several may run at a time.
  Async<void> Load();
  // `when` and `since` are set here.
  Async<void> Park(ParkedKey parked);
  // Whether the key has a row, as far as is known.
  [[nodiscard]] bool MayHold(const std::string& key) const {
    return overflow_ || keys_.contains(key);
  }
  // The key has been carried past this place, or is not to be carried, as it was when it was read.
  // `begun`: when that reading began, or something before it. A row that was written later says of
  // a later state, and stays.
  Async<void> Settled(std::string key, SystemTime begun = SystemTime::max());
  // The same where only `targets` have it, of `all` that are to: the row goes with the last one.
  // Of a row that was parked in transfer `plan` it does not count when.
  Async<void> SettledFor(std::string key, SystemTime begun, std::vector<std::string> targets,
                         std::vector<std::string> all, std::string plan = "");
  // At a target: an archive that was begun at `begun` has been applied, or what that archive holds
  // was parked.
  Async<void> SettledBy(std::string key, std::string archive, SystemTime begun);
  // The same of those of these keys whose row names that archive: it goes, and they are read anew.
  Async<void> SettledWith(std::string archive, std::vector<std::string> keys);
  // The archive is refused no more.
  Async<void> ArchiveSettled(std::string archive);

 private:
  Async<void> ReadRows();
  Async<void> Forget(std::optional<ParkedKey> row, std::string key);

  State& state_;
  Clock& clock_;
  std::string rule_;
  std::string store_;
  std::string bucket_;
  std::string target_;
  std::optional<SteadyTime> loaded_;
  bool overflow_ = false;
  std::set<std::string> keys_;
  std::set<std::string> archives_;
  int loading_ = 0;  // Loads under way.
  // Parked since the first of these began: it may have read before that.
  std::set<std::string> keys_meanwhile_;
  std::set<std::string> archives_meanwhile_;
};

}  // namespace longhaul
