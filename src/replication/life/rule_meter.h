// RuleMeter: what a process measures of its rules, and publishes in State for whoever asks.
//
//   partition "status", key <rule>/<process>   what the process sees now; expires soon after its
//   end partition "totals", key <rule>             sums over all processes, since the rule began
//
// Lag is the time from the event (or from when a comparison found the key, where no event told) to
// the receipt of the archive that carried it. The process that packed an archive knows those times
// and waits for its receipts; what was packed by a process that has ended has no lag.
//
// Publishing costs one write of "status" for all rules together every 20 s, or every 5 s while
// something happens, and then one read and write of "totals" for each rule that has worked.

#pragma once

#include <boost/json/fwd.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/runtime.h"
#include "cost/tuner.h"
#include "replication/life/lag_histogram.h"
#include "replication/life/outcome.h"
#include "replication/life/threshold_watch.h"
#include "state/state.h"

namespace longhaul {

inline constexpr std::chrono::seconds kStatusInterval{5};
inline constexpr std::chrono::seconds kStatusBeat{20};
inline constexpr std::chrono::seconds kStatusLifetime{60};

// A key that waits, and since when.
struct OldestKey {
  SystemTime heard{};
  std::string key;  // Empty: not known.
  bool operator==(const OldestKey&) const = default;
};
// The older one of two.
std::optional<OldestKey> Older(std::optional<OldestKey> a, std::optional<OldestKey> b);

// Why a target is left alone, and since when (target_breaker.h).
struct OpenTarget {
  SystemTime since{};
  std::string reason;
  bool operator==(const OpenTarget&) const = default;
};

struct TargetTotals {
  uint64_t applied = 0;
  uint64_t applied_bytes = 0;
  uint64_t equal = 0;
  uint64_t superseded = 0;
  uint64_t conflicts = 0;
  uint64_t parked = 0;  // Times that a key was parked, not those that are parked now.
  uint64_t missed = 0;  // The rule's threshold; and of these, arrived after it.
  uint64_t reached_after = 0;
  bool answered = false;  // A receipt of it has been taken.
  // Of the hour that `hour` counts from the epoch, and of the one before.
  int64_t hour = 0;
  LagHistogram lag;
  LagHistogram lag_before;

  void Add(const TargetTotals& other);
  // Whether it has ever told of an object or an archive. (Older rows lack `answered`.)
  [[nodiscard]] bool HasAnswered() const {
    return answered ||
           applied + equal + superseded + conflicts + lag.count() + lag_before.count() > 0;
  }
  // What of it is of the last one to two hours.
  [[nodiscard]] LagHistogram RecentLag(SystemTime now) const;
};

struct RuleTotals {
  std::optional<SystemTime> since;
  uint64_t archives = 0;
  uint64_t object_bytes = 0;  // As in ArchiveBytes.
  uint64_t plain_bytes = 0;
  uint64_t sent_bytes = 0;
  uint64_t failures = 0;  // Tries of the source that failed and were, or are, made again.
  uint64_t parked = 0;    // At the source.
  std::map<std::string, TargetTotals> targets;
  int64_t revision = 0;  // Of the row it was read from, where a scan of all has read it.

  void Add(const RuleTotals& other);
};

// What one process sees of a target now.
struct TargetNow {
  double objects_per_second = 0;  // Applied, over the last minute.
  double bytes_per_second = 0;
  uint64_t archives_waiting = 0;  // Packed by this process, or seen in staging by the target role.
  std::optional<OldestKey> oldest;
  std::optional<OpenTarget> open;
};

struct RuleNow {
  std::string process;
  std::string host;  // Of whoever looks for it, with its pid; empty: an older longhaul.
  int64_t pid = 0;
  std::string version;
  SystemTime beat{};
  SystemTime started{};
  bool source = false;  // Roles.
  bool target = false;
  uint64_t keys_pending = 0;   // Received and not packed.
  uint64_t bytes_pending = 0;  // Of these, as hints tell their sizes.
  std::optional<OldestKey> oldest;
  std::map<std::string, TargetNow> targets;
  // What keeps it from its work, by the part that fails: "target west", "listing", "source".
  std::map<std::string, std::string> troubles;
  // Keys that only a target has, and that the delete guard held back at the last comparison.
  uint64_t deletes_held = 0;
  std::vector<KindLevel> levels;  // Of the kinds of which most was packed; of a tuner.
  int64_t revision = 0;           // As of RuleTotals.
};

std::string EncodeTotals(const RuleTotals& totals);
RuleTotals DecodeTotals(std::string_view text);
std::string EncodeNow(const RuleNow& now);
RuleNow DecodeNow(std::string_view text);

// Sums over all processes; empty when the rule has never worked.
Async<RuleTotals> ReadTotals(State& state, std::string rule);
// The processes that run the rule.
Async<std::vector<RuleNow>> ReadNow(State& state, std::string rule);

class RuleMeter : public Observer {
 public:
  // What the source role holds of a rule.
  struct SourceSight {
    uint64_t keys_pending = 0;  // And bytes, as in RuleNow.
    uint64_t bytes_pending = 0;
    std::optional<OldestKey> oldest;
    std::optional<SystemTime> oldest_fresh;  // Of the keys that wait and are of no backlog.
    std::map<std::string, OpenTarget> open;  // By target.
    std::vector<KindLevel> levels;           // As in RuleNow.
  };
  using AskSource = std::function<SourceSight(const std::string& rule)>;

  // Tells `observer` all that it hears. Everything is borrowed.
  RuleMeter(Runtime& runtime, State& state, Observer& observer, std::string process)
      : runtime_(runtime),
        state_(state),
        observer_(observer),
        process_(std::move(process)),
        thresholds_(runtime, *this) {}

  // Which rules this process runs, and as what. Before anything is published.
  void Runs(std::vector<std::string> rules, bool source, bool target, AskSource ask);

  [[nodiscard]] ThresholdWatch& thresholds() { return thresholds_; }

  // An archive is durable in the staging of `targets`. `heard`: when each of its keys was heard of.
  void OnStaged(const std::string& rule, const std::string& archive,
                const std::vector<std::string>& targets, const ArchiveBytes& bytes,
                const std::vector<LateKey>& heard);
  // A target has written its receipt at `written`. It may be there before OnStaged: an archive is
  // visible in one staging while it is still on its way to another.
  void OnReceipt(const std::string& archive, const std::string& target, SystemTime written);
  // A receipt of the target has been taken, of whatever process's archive.
  void OnAnswer(const std::string& rule, const std::string& target);
  // The archive has gone from every staging: whoever's receipt was not seen has written it, as far
  // as this process has seen one of him.
  void OnArchiveGone(const std::string& archive);
  // It was damaged: nobody waits for its receipts.
  void OnArchiveDropped(const std::string& archive);
  // Archives that this process has put into staging and whose receipts are waited for.
  [[nodiscard]] std::vector<std::string> ArchivesWaiting() const;
  // What the target role found in staging without a receipt of this target.
  void OnStagingSeen(const std::string& rule, const std::string& target, uint64_t waiting,
                     std::optional<SystemTime> oldest);

  // A comparison with this target has held so many deletes back, or none. Of several targets the
  // one with the most is told of: they mostly lack the same keys.
  void OnDeletesHeld(const std::string& rule, const std::string& target, uint64_t keys);

  // Writes what has changed, if it is time. `last`: all of it, and this process ends.
  Async<void> Publish(bool last);

  void OnOutcome(const Outcome& outcome) override;
  void OnFound(uint64_t objects, uint64_t size_bytes) override;
  void OnRetry(std::string_view rule, std::string_view key, const Error& error) override;
  void OnReadiness(std::string_view part, const std::optional<Error>& error) override;
  void OnArchiveStaged(const ArchiveBytes& bytes) override;
  void OnArchiveApplied(const ArchiveApplied& applied) override;
  void OnThreshold(const ThresholdEvent& event) override;
  void OnStagingFreed(const StagingFreed& freed) override;

 private:
  struct Sample {
    SteadyTime time;
    uint64_t objects;
    uint64_t bytes;
  };
  struct TargetSight {
    uint64_t applied = 0;  // Since this process began.
    uint64_t applied_bytes = 0;
    std::deque<Sample> samples;
    uint64_t staging_waiting = 0;
    std::optional<SystemTime> staging_oldest;
  };
  struct Sight {
    [[nodiscard]] uint64_t MostDeletesHeld() const;

    RuleTotals unpublished;
    bool worked = false;                           // Since the last Publish.
    bool changed = false;                          // What it sees, since then.
    std::map<std::string, std::string> troubles;   // As in RuleNow.
    std::map<std::string, uint64_t> deletes_held;  // By target, where there are any.
    std::map<std::string, TargetSight> targets;
    std::set<std::string> answering;  // Targets of which a receipt was taken here.
    std::set<std::string> shown;      // Targets whose archives there is a metric of.
  };
  // An archive whose receipts are waited for.
  struct UnderWay {
    std::string rule;
    bool staged = false;  // Not carried to its targets directly.
    std::vector<std::string> targets;
    OldestKey oldest;
    std::vector<std::pair<SystemTime, uint32_t>> heard;  // Times and how many of each.
  };

  void Received(UnderWay& archive, const std::string& target, SystemTime when);
  void NoteEarly(const std::string& archive, const std::string& target, SystemTime written);
  RuleNow Look(const std::string& rule, Sight& sight);
  void Show(const std::string& rule, const RuleNow& now, Sight& sight);
  Async<void> PublishTotals(std::string rule, Sight& sight);

  Runtime& runtime_;
  State& state_;
  Observer& observer_;
  std::string process_;
  bool source_ = false;
  bool target_ = false;
  AskSource ask_;
  SystemTime started_{};
  std::optional<SteadyTime> looked_;
  std::optional<SteadyTime> beaten_;
  std::map<std::string, Sight> rules_;
  std::map<std::string, UnderWay> under_way_;  // By archive.
  size_t heard_count_ = 0;                     // In all of them.
  // Receipts of archives that are not, or not yet, under way here: by archive and target.
  std::map<std::string, std::map<std::string, SystemTime>> early_;
  ThresholdWatch thresholds_;
};

}  // namespace longhaul
