#include "cost/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace longhaul {

namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;
constexpr double kMib = 1024.0 * 1024;
constexpr int kReferenceLevel = 6;
constexpr int kLevels = 23;

// What levels 0 to 22 make of real files (logs, tables, events, documents, text, pictures,
// programs) as multiples of what level 6 does: bytes, and seconds. Up to level 13 the medians of
// twelve classes of files in frames of 8 MiB, by tuner_bench on an AMD EPYC (bench/RESULTS.md); 14
// and 15 by zstd's own command, joined at 13; above by hand and rather too dear. A first guess,
// from which trials depart.
constexpr std::array<double, kLevels> kPackedCurve = {
    1.910, 1.102, 1.084, 1.093, 1.075, 1.029, 1.000, 0.992, 0.982, 0.984, 0.979, 0.975,
    0.975, 0.974, 0.971, 0.970, 0.960, 0.950, 0.942, 0.938, 0.937, 0.936, 0.935};
constexpr std::array<double, kLevels> kSecondsCurve = {
    0.11, 0.16, 0.22, 0.41, 0.46, 0.85, 1.00, 1.20, 1.32, 1.60, 2.05, 3.37,
    3.76, 8.44, 9.0,  10.3, 17.0, 24.0, 34.0, 50.0, 60.0, 70.0, 80.0};

// How much the curve weighs against what was tried, in MiB of pieces; and what is known beyond
// doubt, the reference level itself.
constexpr double kCurveWeight = 1;
constexpr double kReferenceWeight = 8;
constexpr double kTriedWeightMax = 64;
// What others have tried counts for so much at most, so that what this process sees wins.
constexpr double kOthersBytesMax = 16 * kMib;
// A kind forgets: its data may change, and so may who else uses the processor.
constexpr double kFrameBytesKept = 1 * kGib;
constexpr uint64_t kTrialsHalvedAfter = 4ULL << 30;
// By so much a level may be better than it seems, before anything was tried.
constexpr double kPackedDoubt = 0.03;
constexpr double kSecondsDoubt = 0.10;
// What differs less is a tie, and the level stays.
constexpr double kTie = 0.002;
// Levels are hurried through by this factor at a time.
constexpr double kHurryFactor = 1.5;
constexpr int kHurryMax = 8;
// More of the threads' time than this is taken for all: CPU binds.
constexpr double kBusyShare = 0.85;
constexpr std::chrono::seconds kFreshAgeMax{60};
constexpr int kCalmLooks = 6;
constexpr uint64_t kBitsSampleStep = 257;  // Prime: no record has its length.
constexpr size_t kBitsSamples = 32 << 10;

// "text", "mixed" or "dense": by the entropy of bytes from all over the frame.
std::string_view BitsOf(std::span<const std::byte> raw) {
  const size_t step = std::max<size_t>(kBitsSampleStep, raw.size() / kBitsSamples | 1);
  std::array<uint32_t, 256> counts{};
  uint32_t all = 0;
  // Small frames are looked at whole.
  for (size_t i = 0; i < raw.size(); i += raw.size() < 64 * kBitsSampleStep ? 1 : step) {
    ++counts[static_cast<size_t>(raw[i])];
    ++all;
  }
  double bits = 0;
  for (const uint32_t count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / all;
    bits -= share * std::log2(share);
  }
  return bits < 6 ? "text" : bits < 7.7 ? "mixed" : "dense";
}

double MibOf(int64_t bytes) { return static_cast<double>(bytes) / kMib; }

// Sums that add up to at most so much.
TrialSums Capped(TrialSums sums, double bytes_max) {
  const auto raw = static_cast<double>(sums.raw_bytes);
  if (raw <= bytes_max) return sums;
  auto scale = [&](int64_t& sum) {
    sum = static_cast<int64_t>(static_cast<double>(sum) * (bytes_max / raw));
  };
  for (int64_t* sum : {&sums.raw_bytes, &sums.packed_bytes, &sums.cpu_us,
                       &sums.reference_packed_bytes, &sums.reference_cpu_us}) {
    scale(*sum);
  }
  return sums;
}

// What makes sense: sums come from State, where an add may have come to half of its numbers.
bool IsSound(const TrialSums& sums) {
  if (sums.raw_bytes <= 0 || sums.packed_bytes <= 0 || sums.reference_packed_bytes <= 0 ||
      sums.cpu_us <= 0 || sums.reference_cpu_us <= 0) {
    return false;
  }
  const double packed =
      static_cast<double>(sums.packed_bytes) / static_cast<double>(sums.reference_packed_bytes);
  const double cpu = static_cast<double>(sums.cpu_us) / static_cast<double>(sums.reference_cpu_us);
  return packed > 0.2 && packed < 5 && cpu > 0.005 && cpu < 1000;
}

}  // namespace

TrialSums& TrialSums::operator+=(const TrialSums& other) {
  raw_bytes += other.raw_bytes;
  packed_bytes += other.packed_bytes;
  cpu_us += other.cpu_us;
  reference_packed_bytes += other.reference_packed_bytes;
  reference_cpu_us += other.reference_cpu_us;
  return *this;
}

TrialSums& TrialSums::operator-=(const TrialSums& other) {
  raw_bytes -= other.raw_bytes;
  packed_bytes -= other.packed_bytes;
  cpu_us -= other.cpu_us;
  reference_packed_bytes -= other.reference_packed_bytes;
  reference_cpu_us -= other.reference_cpu_us;
  return *this;
}

RuleTuner::RuleTuner(const Rule& rule, TunerPrices prices, std::string processor, CpuModel model)
    : rule_(rule),
      prices_(std::move(prices)),
      processor_(std::move(processor)),
      model_(std::move(model)),
      level_max_(rule.compression_level),
      reference_level_(rule.compression_level == 0 ? kReferenceLevel : rule.compression_level) {}

void RuleTuner::LimitLevel(int level_max) {
  level_max_ = std::max(rule_.compression_level, std::min(level_max, rule_.tuner->level_max));
}

int RuleTuner::level_wanted() const {
  return prices_.unknown.empty() ? rule_.tuner->level_max : rule_.compression_level;
}

void RuleTuner::SetHurry(int steps, std::string why) {
  hurry_ = std::clamp(steps, 0, kHurryMax);
  hurry_why_ = hurry_ == 0 ? std::string() : std::move(why);
}

RuleTuner::Kind& RuleTuner::FindKind(const std::string& name) {
  const auto [kind, added] = kinds_.try_emplace(name);
  if (added) kind->second.level = rule_.compression_level;
  return kind->second;
}

RuleTuner::Estimate RuleTuner::RelativeOf(const Kind& kind, int level) const {
  const auto at = static_cast<size_t>(level);
  const auto reference = static_cast<size_t>(reference_level_);
  if (at == reference) return {.packed = 1, .seconds = 1};
  const double distance = level - reference_level_;
  // The reference level is where the curve is right.
  double weight = kCurveWeight + kReferenceWeight / (1 + 4 * distance * distance);
  double packed = 0;
  double seconds = 0;
  for (const auto& [tried, curve] : kind.curves) {
    TrialSums sums = Capped(curve.others, kOthersBytesMax);
    sums += curve.own;
    if (!IsSound(sums)) continue;
    const double steps = level - tried;
    const double near = std::min(MibOf(sums.raw_bytes), kTriedWeightMax) / (1 + 4 * steps * steps);
    const auto tried_at = static_cast<size_t>(tried);
    weight += near;
    packed += near * std::log(static_cast<double>(sums.packed_bytes) /
                              static_cast<double>(sums.reference_packed_bytes) /
                              (kPackedCurve[tried_at] / kPackedCurve[reference]));
    seconds += near * std::log(static_cast<double>(sums.cpu_us) /
                               static_cast<double>(sums.reference_cpu_us) /
                               (kSecondsCurve[tried_at] / kSecondsCurve[reference]));
  }
  return {.packed = kPackedCurve[at] / kPackedCurve[reference] * std::exp(packed / weight),
          .seconds = kSecondsCurve[at] / kSecondsCurve[reference] * std::exp(seconds / weight)};
}

RuleTuner::Estimate RuleTuner::ReferenceOf(const Kind& kind, std::string_view name) const {
  // Before anything is known, as if a MiB had been seen of something usual.
  const bool dense = name.ends_with("dense");
  const double guess_packed = dense ? 1.0 : name.ends_with("mixed") ? 0.5 : 0.25;
  const double guess_seconds = dense ? 2 : 16;
  const double unknown = kMib / 16;
  const double raw = unknown + kind.raw + kind.others_raw;
  return {.packed = (unknown * guess_packed + kind.packed + kind.others_packed) / raw,
          .seconds = (unknown / kGib * guess_seconds + kind.cpu_seconds + kind.others_cpu_seconds) /
                     raw * kGib};
}

double RuleTuner::Dollars(const Estimate& reference, const Estimate& relative) const {
  return (prices_.transfer_gib + prices_.kept_gib) * reference.packed * relative.packed +
         prices_.cpu_second * reference.seconds * relative.seconds;
}

double RuleTuner::CostOf(const std::string& kind, int level) const {
  const auto found = kinds_.find(kind);
  const Kind none;
  const Kind& known = found == kinds_.end() ? none : found->second;
  return Dollars(ReferenceOf(known, kind), RelativeOf(known, level));
}

int RuleTuner::BestLevel(const Kind& kind, const Estimate& reference) const {
  const int min = rule_.tuner->level_min;
  std::array<double, kLevels> dollars{};
  std::array<double, kLevels> seconds{};
  int best = std::clamp(kind.level, min, level_max_);
  for (int level = min; level <= level_max_; ++level) {
    const Estimate relative = RelativeOf(kind, level);
    dollars[static_cast<size_t>(level)] = Dollars(reference, relative);
    seconds[static_cast<size_t>(level)] = relative.seconds;
  }
  auto cost = [&](int level) { return dollars[static_cast<size_t>(level)]; };
  auto time = [&](int level) { return seconds[static_cast<size_t>(level)]; };
  int cheapest = best;
  for (int level = min; level <= level_max_; ++level) {
    if (cost(level) < cost(cheapest)) cheapest = level;
  }
  if (cost(cheapest) < cost(best) * (1 - kTie)) best = cheapest;
  if (hurry_ == 0) return best;
  // Of the levels that are fast enough the cheapest; where none is, the fastest.
  const double allowed = time(cheapest) / std::pow(kHurryFactor, hurry_);
  int fastest = min;
  std::optional<int> chosen;
  for (int level = min; level <= level_max_; ++level) {
    if (time(level) < time(fastest)) fastest = level;
    if (time(level) > allowed) continue;
    if (!chosen || cost(level) < cost(*chosen)) chosen = level;
  }
  return chosen.value_or(fastest);
}

std::optional<LevelChoice::Trial> RuleTuner::PlanTrial(const Kind& kind, const Estimate& reference,
                                                       int best, size_t raw_bytes) {
  const size_t piece = std::min(raw_bytes, kTrialBytes);
  if (piece < kTrialBytesMin || hurry_ > 0) return std::nullopt;
  const uint64_t after = trial_bytes_ + 2 * piece;
  if (static_cast<double>(after) > kTrialShare * static_cast<double>(seen_bytes_)) {
    return std::nullopt;
  }
  const double piece_gib = static_cast<double>(piece) / kGib;
  const double seen_gib = static_cast<double>(kind.seen) / kGib;
  const double best_dollars = Dollars(reference, RelativeOf(kind, best));
  double most = 0;
  int chosen = 0;
  for (int level = rule_.tuner->level_min; level <= level_max_; ++level) {
    if (level == reference_level_) continue;
    const Estimate relative = RelativeOf(kind, level);
    const double cpu_dollars = prices_.cpu_second * reference.seconds * relative.seconds;
    if (cpu_dollars > best_dollars) continue;
    double tried = 0;
    if (const auto curve = kind.curves.find(level); curve != kind.curves.end()) {
      tried = MibOf(curve->second.own.raw_bytes) +
              MibOf(Capped(curve->second.others, kOthersBytesMax).raw_bytes);
    }
    // What it would cost if it were as much better than it seems as it can be.
    const double doubt = 1 / (1 + tried);
    const double hoped =
        Dollars(reference, {.packed = relative.packed * (1 - kPackedDoubt * doubt),
                            .seconds = relative.seconds * (1 - kSecondsDoubt * doubt)});
    const double gain = (best_dollars - hoped) * seen_gib;
    const double price = piece_gib * (cpu_dollars + prices_.cpu_second * reference.seconds);
    if (gain > price && gain > most) {
      most = gain;
      chosen = level;
    }
  }
  if (chosen == 0) return std::nullopt;
  trial_bytes_ = after;
  return LevelChoice::Trial{.level = chosen,
                            .reference_level = reference_level_,
                            .offset_bytes = (raw_bytes - piece) / 2,
                            .size_bytes = piece};
}

LevelChoice RuleTuner::Choose(const FrameContent& content) {
  LevelChoice choice;
  choice.level = rule_.compression_level;
  if (!prices_.unknown.empty()) return choice;
  const std::string bits(BitsOf(content.raw));
  choice.kind = content.label.empty() ? bits : std::string(content.label) + " " + bits;
  if (kinds_.size() >= kKindsMax && !kinds_.contains(choice.kind)) choice.kind = "other " + bits;
  Kind& kind = FindKind(choice.kind);
  kind.seen += content.raw.size();
  seen_bytes_ += content.raw.size();
  if (kind.seen - kind.seen_at_decay >= kTrialsHalvedAfter) {
    kind.seen_at_decay = kind.seen;
    for (auto& [level, curve] : kind.curves) {
      curve.own = Capped(curve.own, static_cast<double>(curve.own.raw_bytes) / 2);
    }
  }
  const Estimate reference = ReferenceOf(kind, choice.kind);
  const int best = BestLevel(kind, reference);
  kind.level = best;
  choice.level = best;
  // Not before a frame has shown what the kind is like.
  if (kind.raw > 0) choice.trial = PlanTrial(kind, reference, best, content.raw.size());
  return choice;
}

void RuleTuner::OnFrame(const LevelChoice& choice, const FrameOutcome& outcome) {
  auto cpu_of = [&](int level, uint64_t raw, const Compressed& done) {
    return model_ ? model_(level, raw) : done.cpu;
  };
  const std::chrono::nanoseconds cpu = cpu_of(choice.level, outcome.raw_bytes, outcome.frame);
  busy_ += model_ ? cpu : outcome.frame.passed + outcome.trial.passed + outcome.reference.passed;
  if (choice.kind.empty()) return;
  Kind& kind = FindKind(choice.kind);
  auto seconds = [](std::chrono::nanoseconds time) {
    return std::chrono::duration<double>(time).count();
  };
  if (choice.trial) {
    const uint64_t raw = choice.trial->size_bytes;
    auto microseconds = [](std::chrono::nanoseconds time) {
      return std::max<int64_t>(1, time.count() / 1000);
    };
    const std::chrono::nanoseconds trial = cpu_of(choice.trial->level, raw, outcome.trial);
    const std::chrono::nanoseconds reference =
        cpu_of(choice.trial->reference_level, raw, outcome.reference);
    if (model_) busy_ += trial + reference;
    const TrialSums sums{
        .raw_bytes = static_cast<int64_t>(raw),
        .packed_bytes = static_cast<int64_t>(outcome.trial.packed_bytes),
        .cpu_us = microseconds(trial),
        .reference_packed_bytes = static_cast<int64_t>(outcome.reference.packed_bytes),
        .reference_cpu_us = microseconds(reference)};
    kind.curves[choice.trial->level].own += sums;
    const TrialPlace place{.rule = rule_.id,
                           .kind = choice.kind,
                           .level = choice.trial->level,
                           .reference_level = choice.trial->reference_level,
                           .processor = processor_};
    new_[place] += sums;
    own_[place] += sums;
  }
  const Estimate relative = RelativeOf(kind, choice.level);
  kind.raw += static_cast<double>(outcome.raw_bytes);
  kind.packed += static_cast<double>(outcome.frame.packed_bytes) / relative.packed;
  kind.cpu_seconds += seconds(cpu) / relative.seconds;
  if (kind.raw > kFrameBytesKept) {
    for (double* sum : {&kind.raw, &kind.packed, &kind.cpu_seconds}) *sum /= 2;
  }
}

void RuleTuner::SetOthers(const TrialMap& others) {
  if (!prices_.unknown.empty()) return;
  for (auto& [name, kind] : kinds_) {
    for (auto& [level, curve] : kind.curves) curve.others = {};
    kind.others_raw = kind.others_packed = kind.others_cpu_seconds = 0;
  }
  // How long what takes a second there takes here: by all that was tried on both.
  std::map<std::string, std::pair<double, double>> speeds;  // By processor: seconds here, there.
  TrialMap here = own_;
  for (const auto& [place, sums] : others) {
    if (place.rule == rule_.id && place.processor == processor_) here[place] += sums;
  }
  for (const auto& [place, sums] : others) {
    if (place.rule != rule_.id || place.processor == processor_ || !IsSound(sums)) continue;
    TrialPlace same = place;
    same.processor = processor_;
    const auto found = here.find(same);
    if (found == here.end() || !IsSound(found->second)) continue;
    const double share =
        static_cast<double>(sums.raw_bytes) / static_cast<double>(found->second.raw_bytes);
    auto& [seconds_here, seconds_there] = speeds[place.processor];
    seconds_here +=
        static_cast<double>(found->second.cpu_us + found->second.reference_cpu_us) * share;
    seconds_there += static_cast<double>(sums.cpu_us + sums.reference_cpu_us);
  }
  for (const auto& [place, sums] : others) {
    const bool usable = place.rule == rule_.id && place.reference_level == reference_level_ &&
                        place.level >= 1 && place.level < kLevels &&
                        place.level != reference_level_ && IsSound(sums);
    if (!usable || (kinds_.size() >= kKindsMax && !kinds_.contains(place.kind))) continue;
    Kind& kind = FindKind(place.kind);
    kind.curves[place.level].others += sums;
    double speed = 1;
    if (const auto found = speeds.find(place.processor); found != speeds.end()) {
      speed = found->second.first / found->second.second;
    }
    kind.others_raw += static_cast<double>(sums.raw_bytes);
    kind.others_packed += static_cast<double>(sums.reference_packed_bytes);
    kind.others_cpu_seconds += static_cast<double>(sums.reference_cpu_us) * 1e-6 * speed;
  }
  for (auto& [name, kind] : kinds_) {
    if (kind.others_raw <= kOthersBytesMax) continue;
    const double share = kOthersBytesMax / kind.others_raw;
    for (double* sum : {&kind.others_raw, &kind.others_packed, &kind.others_cpu_seconds}) {
      *sum *= share;
    }
  }
}

std::vector<KindLevel> RuleTuner::Levels(size_t kinds_max) const {
  if (!prices_.unknown.empty()) {
    return {{.kind = std::string(kEveryKind),
             .level = rule_.compression_level,
             .why = "nobody knows the price of " + prices_.unknown,
             .bytes = seen_bytes_}};
  }
  std::vector<KindLevel> levels;
  for (const auto& [name, kind] : kinds_) {
    if (kind.seen == 0) continue;
    const Estimate reference = ReferenceOf(kind, name);
    const Estimate relative = RelativeOf(kind, kind.level);
    const double packed = reference.packed * relative.packed;
    std::string why = fmt::format(
        "a GiB costs ${:.5f}: ${:.5f} of transfer, {}${:.5f} of processor time",
        Dollars(reference, relative), prices_.transfer_gib * packed,
        prices_.kept_gib > 0 ? fmt::format("${:.5f} to keep it, ", prices_.kept_gib * packed) : "",
        prices_.cpu_second * reference.seconds * relative.seconds);
    if (hurry_ > 0) {
      why = "the fastest that is needed, as " + hurry_why_ + "; " + why;
    } else {
      why = "the cheapest; " + why;
    }
    levels.push_back(
        {.kind = name, .level = kind.level, .why = std::move(why), .bytes = kind.seen});
  }
  std::ranges::sort(levels, [](const KindLevel& a, const KindLevel& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.kind < b.kind;
  });
  if (levels.size() > kinds_max) levels.resize(kinds_max);
  return levels;
}

void Tuner::Add(const Rule& rule, TunerPrices prices) {
  if (!rule.tuner) return;
  rules_[rule.id] = std::make_unique<RuleTuner>(rule, std::move(prices), processor_, model_);
  paces_[rule.id].rule = &rule;
}

RuleTuner* Tuner::Of(const std::string& rule_id) const {
  const auto found = rules_.find(rule_id);
  return found == rules_.end() ? nullptr : found->second.get();
}

void Tuner::Look(SystemTime now, SteadyTime steady_now,
                 const std::function<TunerSight(const std::string& rule_id)>& sight) {
  std::chrono::nanoseconds busy{0};
  for (const auto& [id, tuner] : rules_) busy += tuner->busy();
  const auto passed = looked_ ? steady_now - *looked_ : std::chrono::nanoseconds(0);
  const bool cpu_binds =
      looked_ && passed.count() > 0 &&
      std::chrono::duration<double>(busy - busy_).count() >=
          kBusyShare * std::max(threads_, 1) * std::chrono::duration<double>(passed).count();
  busy_ = busy;
  looked_ = steady_now;
  for (auto& [id, pace] : paces_) {
    const TunerSight seen = sight(id);
    RuleTuner& tuner = *rules_.at(id);
    std::string danger;
    const auto age = seen.oldest_fresh ? now - *seen.oldest_fresh : std::chrono::microseconds(0);
    if (pace.rule->threshold) {
      if (seen.oldest && now - *seen.oldest >= *pace.rule->threshold / 2) {
        danger = "the threshold is in danger";
      }
    } else if (age >= kFreshAgeMax && age > pace.age) {
      danger = "events pile up";
    }
    pace.age = age;
    if (!danger.empty()) {
      pace.calm = 0;
      if (cpu_binds) tuner.SetHurry(tuner.hurry() + 1, danger);
    } else if (tuner.hurry() > 0 && ++pace.calm >= kCalmLooks) {
      pace.calm = 0;
      tuner.SetHurry(tuner.hurry() - 1, "a backlog has just been worked off");
    }
  }
}

}  // namespace longhaul
