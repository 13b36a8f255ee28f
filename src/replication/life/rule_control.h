// Control: what people ask of rules that run, as rows of State that every process reads.
//
//   partition "rules"
//   <rule>/pause              the whole rule: nothing is packed, nothing applied
//   <rule>/pause/<target>     one target: its archives stay in staging
//   <rule>/retry              what is parked is to be tried now
//   <rule>/backfill           source and targets are to be compared now
//
// One scan of the partition serves all rules. A pause with an end has that as its row's expiry, so
// it ends by itself also where no process runs.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "state/state.h"

namespace longhaul {

struct Pause {
  SystemTime since{};
  std::optional<SystemTime> until;

  bool operator==(const Pause&) const = default;
};

// An object of the source's store that lists what is there (transfer/listing/listing_source.h).
struct ListedBy {
  std::string bucket;
  std::string key;

  bool operator==(const ListedBy&) const = default;
};

// A comparison that somebody asks for.
struct BackfillRequest {
  SystemTime asked{};
  std::string prefix;               // Of keys at the source; empty: all of the rule.
  std::optional<ListedBy> listing;  // In place of asking; what it lacks is not deleted.
  int64_t revision = 0;

  bool operator==(const BackfillRequest&) const = default;
};

// `target` is empty for the whole rule.
Async<void> WritePause(State& state, std::string rule, std::string target, Pause pause);
// OK also where there was none.
Async<void> RemovePause(State& state, std::string rule, std::string target);
Async<void> AskForRetry(State& state, std::string rule, SystemTime now);
// A request that nobody has fulfilled yet is widened, so that what it asks for is compared as well:
// to what both prefixes begin with, and to a listing of the source where they do not name the same.
// kPrecondition: others ask all the time.
Async<void> AskForBackfill(State& state, std::string rule, BackfillRequest request);
// The request has been fulfilled; one that was made since stays.
Async<void> RemoveBackfill(State& state, std::string rule, int64_t revision);

// The rows as they were read last. Belongs to one shard. Borrowed: State and Clock.
class RuleControl {
 public:
  // How soon a role follows what is asked.
  static constexpr std::chrono::seconds kInterval{2};

  RuleControl(State& state, Clock& clock) : state_(state), clock_(clock) {}

  // Reads the rows. True: something is asked for, or paused, that was not before, or the reverse.
  // An error leaves what was known.
  Async<bool> Refresh();

  // False until the rows have been read once; then nobody knows what is paused.
  [[nodiscard]] bool known() const { return known_; }
  // The pause of a rule; of a target alone; of either.
  [[nodiscard]] std::optional<Pause> PauseOf(const std::string& rule) const;
  [[nodiscard]] std::optional<Pause> OwnPauseOf(const std::string& rule,
                                                const std::string& target) const;
  [[nodiscard]] std::optional<Pause> PauseOf(const std::string& rule,
                                             const std::string& target) const;
  // Whether a role leaves alone what belongs to a rule, or to a target of it: paused, or unknown.
  [[nodiscard]] bool Holds(const std::string& rule) const { return !known_ || PauseOf(rule); }
  [[nodiscard]] bool Holds(const std::string& rule, const std::string& target) const {
    return !known_ || PauseOf(rule, target);
  }
  // Changes when somebody asks to try what is parked; 0: nobody has.
  [[nodiscard]] int64_t RetryRevision(const std::string& rule) const;
  [[nodiscard]] std::optional<BackfillRequest> BackfillOf(const std::string& rule) const;

 private:
  struct Rows {
    std::map<std::pair<std::string, std::string>, Pause> pauses;  // By rule and target.
    std::map<std::string, int64_t> retries;
    std::map<std::string, BackfillRequest> backfills;

    bool operator==(const Rows&) const = default;
  };
  // Without pauses that have ended by the clock.
  [[nodiscard]] std::optional<Pause> Running(const std::string& rule,
                                             const std::string& target) const;

  State& state_;
  Clock& clock_;
  bool known_ = false;
  Rows rows_;
};

}  // namespace longhaul
