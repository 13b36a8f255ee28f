// The tuner: `compression: auto`. Of each kind of content it learns what each level makes of it,
// and takes the level at which a GiB costs least:
//
//   price of transfer to all stagings × ratio + price of processor time × seconds
//
// A kind is a ContentLabel and how many bits a byte of the frame holds: "csv text", "csv gzip
// dense".
//
// How it learns. What frames of one kind shrink to differs more from frame to frame than from level
// to level, so levels are compared on the same bytes: a piece of a frame is compressed at the
// reference level and at another one, and thrown away. Pieces make up at most kTrialShare of the
// bytes; one is tried only where the best that may come of it is worth more, for as many bytes as
// have been seen of the kind, than the trial costs, and never at a level whose processor time alone
// costs more than the best known total. Where nothing has been tried, a curve that was measured on
// real files stands in, bent by what has been seen of the levels around.
//
// Where CPU binds while a threshold is in danger or events pile up, it takes cheaper levels of
// those that are faster, step by step, and comes back step by step.
//
// Where a price is not known it says which, learns nothing, and keeps the level that the rule
// begins with. Belongs to one shard; nothing here waits, and chance plays no part in it.

#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/frame_levels.h"
#include "base/clock.h"
#include "rules/rule.h"

namespace longhaul {

struct TunerPrices {
  double transfer_gib = 0;  // US dollars; to all stagings of the rule together.
  double kept_gib = 0;      // In all vaults of the rule, for as long as they keep it.
  double cpu_second = 0;
  std::string unknown;  // The name of a price that nobody knows; empty: there is none.
};

// What is taken for a kind, and why, for people.
struct KindLevel {
  std::string kind;
  int level = 0;
  std::string why;
  uint64_t bytes = 0;  // Seen by this process.
};

// The kind of a rule whose tuner lacks a price.
inline constexpr std::string_view kEveryKind = "everything";

// What pieces of a kind became at a level, beside what the same pieces became at the reference
// level. Sums, so that those of many processes can be added.
struct TrialSums {
  int64_t raw_bytes = 0;
  int64_t packed_bytes = 0;
  int64_t cpu_us = 0;
  int64_t reference_packed_bytes = 0;
  int64_t reference_cpu_us = 0;

  TrialSums& operator+=(const TrialSums& other);
  TrialSums& operator-=(const TrialSums& other);
  bool operator==(const TrialSums&) const = default;
};

// Where they belong.
struct TrialPlace {
  std::string rule;
  std::string kind;
  int level = 0;
  int reference_level = 0;
  std::string processor;  // ProcessorName of where it was measured.

  auto operator<=>(const TrialPlace&) const = default;
};
using TrialMap = std::map<TrialPlace, TrialSums>;

class RuleTuner : public FrameLevels {
 public:
  static constexpr double kTrialShare = 0.02;
  static constexpr size_t kTrialBytes = 1 << 20;
  static constexpr size_t kTrialBytesMin = 64 << 10;
  static constexpr size_t kKindsMax = 64;  // Those beyond are told apart by their bits alone.

  // What compressing takes, instead of what was measured: for tests under a virtual clock.
  using CpuModel = std::function<std::chrono::nanoseconds(int level, uint64_t raw_bytes)>;

  // `rule`: with `tuner`; borrowed.
  RuleTuner(const Rule& rule, TunerPrices prices, std::string processor, CpuModel model);

  LevelChoice Choose(const FrameContent& content) override;
  void OnFrame(const LevelChoice& choice, const FrameOutcome& outcome) override;

  // What the memory of the process allows; not below the level that the rule begins with.
  void LimitLevel(int level_max);
  [[nodiscard]] const std::string& unknown_price() const { return prices_.unknown; }
  [[nodiscard]] int level_max() const { return level_max_; }
  // The highest level that it may take, if memory allows.
  [[nodiscard]] int level_wanted() const;
  // Each step takes levels that are faster by half; 0: the cheapest. `why`: for people.
  void SetHurry(int steps, std::string why);
  [[nodiscard]] int hurry() const { return hurry_; }

  // Of the kinds of which most has been seen.
  [[nodiscard]] std::vector<KindLevel> Levels(size_t kinds_max) const;
  // What a GiB of a kind costs at a level, as far as is known.
  [[nodiscard]] double CostOf(const std::string& kind, int level) const;
  // Time that compressing has taken, in all threads.
  [[nodiscard]] std::chrono::nanoseconds busy() const { return busy_; }
  [[nodiscard]] uint64_t trial_bytes() const { return trial_bytes_; }

  // What has been tried since the last call.
  TrialMap TakeNew() { return std::exchange(new_, {}); }
  // What others have tried, all of it, in place of what was told before.
  void SetOthers(const TrialMap& others);

 private:
  struct Curve {
    TrialSums own;
    TrialSums others;
  };
  struct Kind {
    std::map<int, Curve> curves;  // By level; none of the reference level.
    // Frames of this process, as they would have been at the reference level.
    double raw = 0;
    double packed = 0;
    double cpu_seconds = 0;
    // The same of pieces that others have tried, on a processor like this one.
    double others_raw = 0;
    double others_packed = 0;
    double others_cpu_seconds = 0;
    uint64_t seen = 0;
    uint64_t seen_at_decay = 0;
    int level = 0;  // Taken last.
  };
  struct Estimate {
    double packed = 1;   // Of 1.
    double seconds = 0;  // For a GiB.
  };

  Kind& FindKind(const std::string& name);
  // At a level, as a multiple of what it is at the reference level.
  [[nodiscard]] Estimate RelativeOf(const Kind& kind, int level) const;
  [[nodiscard]] Estimate ReferenceOf(const Kind& kind, std::string_view name) const;
  [[nodiscard]] double Dollars(const Estimate& reference, const Estimate& relative) const;
  int BestLevel(const Kind& kind, const Estimate& reference) const;
  std::optional<LevelChoice::Trial> PlanTrial(const Kind& kind, const Estimate& reference, int best,
                                              size_t raw_bytes);

  const Rule& rule_;
  TunerPrices prices_;
  std::string processor_;
  CpuModel model_;
  int level_max_;
  int reference_level_;
  int hurry_ = 0;
  std::string hurry_why_;
  std::map<std::string, Kind> kinds_;
  uint64_t seen_bytes_ = 0;
  uint64_t trial_bytes_ = 0;
  std::chrono::nanoseconds busy_{0};
  TrialMap new_;
  TrialMap own_;  // All that this process has tried.
};

// How a rule is doing, for Tuner::Look.
struct TunerSight {
  std::optional<SystemTime> oldest;        // When the key that waits longest was heard of.
  std::optional<SystemTime> oldest_fresh;  // The same, of keys that an event told of.
};

// The tuners of a process.
class Tuner {
 public:
  // `threads`: that compress.
  Tuner(int threads, std::string processor, RuleTuner::CpuModel model = nullptr)
      : threads_(threads), processor_(std::move(processor)), model_(std::move(model)) {}

  // Rules without `tuner` have none. `rule` is borrowed.
  void Add(const Rule& rule, TunerPrices prices);
  // nullptr: the rule has a level of its own.
  [[nodiscard]] RuleTuner* Of(const std::string& rule_id) const;
  [[nodiscard]] bool empty() const { return rules_.empty(); }
  [[nodiscard]] const std::string& processor() const { return processor_; }
  [[nodiscard]] const std::map<std::string, std::unique_ptr<RuleTuner>>& rules() const {
    return rules_;
  }

  // Every few seconds: whether some rule has to hurry, or need not any more.
  void Look(SystemTime now, SteadyTime steady_now,
            const std::function<TunerSight(const std::string& rule_id)>& sight);

 private:
  struct Pace {
    const Rule* rule = nullptr;
    std::chrono::microseconds age{0};  // Of the oldest fresh key, at the last look.
    int calm = 0;                      // Looks without danger, in a row.
  };

  int threads_;
  std::string processor_;
  RuleTuner::CpuModel model_;
  std::map<std::string, std::unique_ptr<RuleTuner>> rules_;
  std::map<std::string, Pace> paces_;
  std::optional<SteadyTime> looked_;
  std::chrono::nanoseconds busy_{0};
};

}  // namespace longhaul
