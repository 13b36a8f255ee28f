#include "cost/tuner_share.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

namespace longhaul {

namespace {

constexpr char kPartition[] = "tuner";
constexpr int kScanRows = 500;
constexpr int kTriesMax = 3;

constexpr std::pair<std::string_view, int64_t TrialSums::*> kNumbers[] = {
    {"raw", &TrialSums::raw_bytes},
    {"packed", &TrialSums::packed_bytes},
    {"cpu_us", &TrialSums::cpu_us},
    {"reference_packed", &TrialSums::reference_packed_bytes},
    {"reference_cpu_us", &TrialSums::reference_cpu_us},
};

std::string KeyOf(const TrialPlace& place, std::string_view what) {
  return place.rule + "/" + place.kind + "/" + std::to_string(place.reference_level) + "/" +
         std::to_string(place.level) + "/" + place.processor + "/" + std::string(what);
}

template <class T>
std::optional<T> NumberIn(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Takes the text up to the next "/", and it, off.
std::string_view Word(std::string_view& text) {
  const size_t slash = text.find('/');
  const std::string_view word = text.substr(0, slash);
  text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
  return word;
}

// Rows that make no sense are left out.
void AddRow(const StateRow& row, TrialMap& trials) {
  std::string_view key = row.key;
  TrialPlace place;
  place.rule = Word(key);
  place.kind = Word(key);
  const std::optional<int> reference = NumberIn<int>(Word(key));
  const std::optional<int> level = NumberIn<int>(Word(key));
  place.processor = Word(key);
  const std::string_view what = Word(key);
  const std::optional<int64_t> value = NumberIn<int64_t>(row.value);
  if (!reference || !level || !value || *value < 0 || !key.empty()) return;
  place.reference_level = *reference;
  place.level = *level;
  for (const auto& [name, number] : kNumbers) {
    if (what == name) trials[place].*number = *value;
  }
}

}  // namespace

Async<TrialMap> ReadTrials(State& state, std::string rule) {
  TrialMap trials;
  const std::string prefix = rule + "/";
  std::string after = prefix;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state.Scan(kPartition, after, kScanRows);
    if (!rows) co_return rows.error().In("read what levels were tried for rule " + rule);
    for (const StateRow& row : *rows) {
      if (!row.key.starts_with(prefix)) co_return trials;
      AddRow(row, trials);
    }
    if (rows->size() < kScanRows) co_return trials;
    after = rows->back().key;
  }
}

Async<SystemTime> TunerShare::EndOf(std::string key) {
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const SystemTime end = clock_.Now() + kKept;
    Result<int64_t> made = co_await state_.Write(
        kPartition, {.key = key, .value = "0", .expected = Expected::Absent(), .expires = end});
    if (made) co_return end;
    if (made.error().kind != ErrorKind::kPrecondition) co_return made.error();
    // Somebody else was first.
    Result<std::optional<StateRow>> row = co_await state_.Get(kPartition, key);
    if (!row) co_return row.error();
    if (*row) co_return (*row)->expires.value_or(SystemTime::max());
  }
  co_return Retryable("a row that is there is not");
}

void TunerShare::ForgetEnded() {
  static_assert(std::size(kNumbers) == kNumbersOfPlace);
  const SystemTime now = clock_.Now();
  for (auto& [place, shared] : shared_) {
    for (size_t i = 0; i < kNumbersOfPlace; ++i) {
      std::optional<SystemTime>& end = shared.ends[i];
      if (!end || *end > now) continue;
      end.reset();
      shared.sums.*kNumbers[i].second = 0;
    }
  }
}

Async<void> TunerShare::Publish() {
  for (const auto& [id, tuner] : tuner_.rules()) {
    for (const auto& [place, sums] : tuner->TakeNew()) pending_[place] += sums;
  }
  ForgetEnded();
  std::vector<TrialPlace> places;
  for (const auto& [place, sums] : pending_) places.push_back(place);
  for (const TrialPlace& place : places) {
    Shared& shared = shared_[place];
    for (size_t i = 0; i < kNumbersOfPlace; ++i) {
      if (shared.ends[i]) continue;
      // Only so has the row an end.
      Result<SystemTime> end = co_await EndOf(KeyOf(place, kNumbers[i].first));
      if (!end) co_return end.error().In("share what levels were tried");
      shared.ends[i] = *end;
    }
    // An add to a row that is gone makes one without an end.
    const SystemTime soon = clock_.Now() + kPublishInterval;
    if (std::ranges::any_of(shared.ends, [&](const auto& end) { return !end || *end <= soon; })) {
      continue;
    }
    const auto found = pending_.find(place);
    if (found == pending_.end()) continue;
    const TrialSums sums = found->second;
    pending_.erase(found);
    for (size_t i = 0; i < kNumbersOfPlace; ++i) {
      const auto& [what, number] = kNumbers[i];
      Result<int64_t> sum = co_await state_.Add(kPartition, KeyOf(place, what), sums.*number);
      if (!sum) co_return sum.error().In("share what levels were tried");
      shared.sums.*number += sums.*number;
    }
  }
  co_return Ok();
}

Async<void> TunerShare::Read() {
  for (const auto& [id, tuner] : tuner_.rules()) {
    Result<TrialMap> all = co_await ReadTrials(state_, id);
    if (!all) co_return all.error();
    ForgetEnded();
    for (const auto& [place, shared] : shared_) {
      const auto found = all->find(place);
      if (found != all->end()) found->second -= shared.sums;
    }
    tuner->SetOthers(*all);
  }
  co_return Ok();
}

}  // namespace longhaul
