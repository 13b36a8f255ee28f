#include "cache/run_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

#include "transfer/runs/row.h"

namespace longhaul::cache {

namespace {

constexpr char kSequences[] = "cache/sequences";
constexpr char kPlaces[] = "caches";
constexpr int kRowsPerScan = 500;
constexpr std::array kPhases = {RunPhase::kRunning, RunPhase::kStopped, RunPhase::kFailed,
                                RunPhase::kDone};

constexpr std::array<std::string_view, 5> kKinds = {"fill", "serve", "sweep", "evict", "watch"};
// What was read of another run's row counts for so long, as long as it says that it lives.
constexpr std::chrono::seconds kRunRowAge{1};

std::string KeyOf(int64_t number) { return fmt::format("{:020}", number); }

// "1192093 bytes into fast": numbers of a row are texts here, as in its other lists.
std::vector<std::string> TextsOf(const RunCost::Items& items) {
  std::vector<std::string> texts;
  for (const auto& [item, pico] : items) texts.push_back(PicoText(pico) + " " + item);
  return texts;
}

RunCost::Items ItemsOf(const std::vector<std::string>& texts) {
  RunCost::Items items;
  for (const std::string& text : texts) {
    const size_t space = std::min(text.find(' '), text.size());
    items[text.substr(std::min(space + 1, text.size()))] = ParsePicoText(text.substr(0, space));
  }
  return items;
}

}  // namespace

Pico RunCost::SumOf(const Items& items) {
  Pico sum = 0;
  for (const auto& [item, pico] : items) sum += pico;
  return sum;
}

std::string_view ToString(RunKind kind) { return kKinds[static_cast<size_t>(kind)]; }

std::string EncodeRun(const Run& run) {
  std::vector<std::string> waits_for;
  for (int64_t number : run.waits_for) waits_for.push_back(std::to_string(number));
  std::vector<std::string> keys;
  std::vector<std::string> reasons;
  for (const Run::Failure& failure : run.failures) {
    keys.push_back(failure.key);
    reasons.push_back(failure.reason);
  }
  std::vector<std::string> unfinished;
  std::vector<std::string> not_listed;
  std::vector<std::string> numbers;
  for (const Run::OfPrefix& of : run.unfinished) {
    unfinished.push_back(of.prefix);
    not_listed.push_back(of.not_listed);
    numbers.push_back(fmt::format("{} {}", of.failed, of.waiting));
  }
  Row row;
  row.Set("kind", std::string(ToString(run.kind)))
      .Set("session", run.session)
      .Set("owner", ProcessText(run.owner))
      .Set("lease_until", run.lease_until)
      .Set("phase", std::string(ToString(run.phase)))
      .Set("source", run.source)
      .Set("source_name", run.source_name)
      .Set("target_prefix", run.target_prefix)
      .Set("prefixes", run.prefixes)
      .Set("ttl", static_cast<int64_t>(run.ttl.count()))
      .Set("force", run.force)
      .Set("started", run.started)
      .Set("hits", run.counts.hits)
      .Set("copied", run.counts.copied)
      .Set("bytes", run.counts.bytes)
      .Set("gone", run.counts.gone)
      .Set("failed", run.counts.failed)
      .Set("inherited", run.counts.inherited)
      .Set("waiting", run.counts.waiting)
      .Set("removed", run.counts.removed)
      .Set("waits_for", std::move(waits_for))
      .Set("failed_keys", std::move(keys))
      .Set("failed_reasons", std::move(reasons))
      .Set("unfinished", std::move(unfinished))
      .Set("unfinished_not_listed", std::move(not_listed))
      .Set("unfinished_numbers", std::move(numbers))
      .Set("reason", run.reason);
  if (run.ended) row.Set("ended", *run.ended);
  if (run.cost) {
    row.Set("cost_counted", true)
        .Set("cost_items", TextsOf(run.cost->items))
        .Set("cost_unknown", run.cost->unknown)
        .Set("cost_batch", TextsOf(run.cost->batch));
    if (run.cost->storage) row.Set("cost_storage", PicoText(*run.cost->storage));
  }
  return row.Encode();
}

Result<Run> DecodeRun(const StateRow& row) {
  Result<Row> fields = Row::Decode(row.value);
  if (!fields) return fields.error();
  Run run{.session = fields->Text("session"),
          .owner = ParseProcess(fields->Text("owner")),
          .lease_until = fields->Time("lease_until").value_or(SystemTime{}),
          .source = fields->Text("source"),
          .source_name = fields->Text("source_name"),
          .target_prefix = fields->Text("target_prefix"),
          .prefixes = fields->Texts("prefixes"),
          .ttl = std::chrono::seconds(fields->Number("ttl")),
          .force = fields->Flag("force"),
          .started = fields->Time("started").value_or(SystemTime{}),
          .ended = fields->Time("ended"),
          .counts = {.hits = fields->Number("hits"),
                     .copied = fields->Number("copied"),
                     .bytes = fields->Number("bytes"),
                     .gone = fields->Number("gone"),
                     .failed = fields->Number("failed"),
                     .inherited = fields->Number("inherited"),
                     .waiting = fields->Number("waiting"),
                     .removed = fields->Number("removed")},
          .reason = fields->Text("reason"),
          .revision = row.revision};
  std::from_chars(row.key.data(), row.key.data() + row.key.size(), run.number);
  for (const std::string& text : fields->Texts("waits_for")) {
    int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    run.waits_for.push_back(number);
  }
  const std::vector<std::string>& keys = fields->Texts("failed_keys");
  const std::vector<std::string>& reasons = fields->Texts("failed_reasons");
  for (size_t i = 0; i < keys.size() && i < reasons.size(); ++i) {
    run.failures.push_back({.key = keys[i], .reason = reasons[i]});
  }
  const std::vector<std::string>& unfinished = fields->Texts("unfinished");
  const std::vector<std::string>& not_listed = fields->Texts("unfinished_not_listed");
  const std::vector<std::string>& numbers = fields->Texts("unfinished_numbers");
  for (size_t i = 0; i < std::min({unfinished.size(), not_listed.size(), numbers.size()}); ++i) {
    Run::OfPrefix of{.prefix = unfinished[i], .not_listed = not_listed[i]};
    const std::string& text = numbers[i];
    const size_t space = std::min(text.find(' '), text.size());
    std::from_chars(text.data(), text.data() + space, of.failed);
    std::from_chars(text.data() + std::min(space + 1, text.size()), text.data() + text.size(),
                    of.waiting);
    run.unfinished.push_back(std::move(of));
  }
  if (fields->Flag("cost_counted")) {
    run.cost = RunCost{.items = ItemsOf(fields->Texts("cost_items")),
                       .unknown = fields->Texts("cost_unknown"),
                       .batch = ItemsOf(fields->Texts("cost_batch"))};
    if (const std::string& storage = fields->Text("cost_storage"); !storage.empty()) {
      run.cost->storage = ParsePicoText(storage);
    }
  }
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (fields->Text("kind") == kKinds[i]) run.kind = static_cast<RunKind>(i);
  }
  for (RunPhase phase : kPhases) {
    if (fields->Text("phase") != ToString(phase)) continue;
    run.phase = phase;
    return run;
  }
  return Corrupt("State holds a fill in the phase '" + fields->Text("phase") + "'");
}

bool IsAlive(const Run& run, SystemTime now) {
  return run.phase == RunPhase::kRunning && LifeOf(run.owner) != ProcessLife::kGone &&
         run.lease_until > now;
}

Async<Run> RunBook::Begin(Run run) {
  Result<int64_t> number = co_await state_.Add(kSequences, place_.Text(), 1);
  if (!number) co_return number.error();
  run.number = *number;
  run.revision = 0;
  co_return co_await Save(std::move(run));
}

Async<Run> RunBook::Save(Run run) {
  Result<int64_t> revision = co_await state_.Write(
      place_.Runs(),
      {.key = KeyOf(run.number),
       .value = EncodeRun(run),
       .expected = run.revision == 0 ? Expected::Absent() : Expected::Revision(run.revision)});
  if (!revision) co_return revision.error();
  run.revision = *revision;
  co_return run;
}

Async<Run> RunBook::Find(int64_t number) {
  Result<std::optional<StateRow>> row = co_await state_.Get(place_.Runs(), KeyOf(number));
  if (!row) co_return row.error();
  if (!*row) {
    co_return NotFound(fmt::format("there is no run {} of the cache {}", number, place_.bucket));
  }
  co_return DecodeRun(**row);
}

Async<std::vector<Run>> RunBook::FindMany(std::vector<int64_t> numbers) {
  std::vector<std::string> keys;
  keys.reserve(numbers.size());
  for (int64_t number : numbers) keys.push_back(KeyOf(number));
  Result<std::vector<std::optional<StateRow>>> rows =
      co_await state_.GetMany(place_.Runs(), std::move(keys));
  if (!rows) co_return rows.error();
  std::vector<Run> runs;
  for (const std::optional<StateRow>& row : *rows) {
    if (!row) continue;
    Result<Run> run = DecodeRun(*row);
    if (!run) co_return run.error();
    runs.push_back(std::move(*run));
  }
  co_return runs;
}

Async<std::vector<Run>> RunBook::All() {
  std::vector<Run> runs;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state_.Scan(place_.Runs(), after, kRowsPerScan);
    if (!rows) co_return rows.error();
    for (const StateRow& row : *rows) {
      if (Result<Run> run = DecodeRun(row)) runs.push_back(std::move(*run));
    }
    if (rows->size() < kRowsPerScan) co_return runs;
    after = rows->back().key;
  }
}

Async<void> RunBook::Prune(std::chrono::hours age) {
  Result<std::vector<Run>> runs = co_await All();
  if (!runs) co_return runs.error();
  std::vector<StateWrite> writes;
  for (const Run& run : *runs) {
    // There may be one of these each minute.
    const auto kept = run.kind == RunKind::kSweep ? std::min(age, std::chrono::hours(24)) : age;
    if (!run.ended || runtime_.clock.Now() - *run.ended < kept) continue;
    writes.push_back({.key = KeyOf(run.number), .expected = Expected::Revision(run.revision)});
    if (writes.size() == kRowsPerScan) break;  // The next run removes more.
  }
  if (writes.empty()) co_return Ok();
  Result<std::vector<Result<int64_t>>> removed =
      co_await state_.WriteMany(place_.Runs(), std::move(writes));
  if (!removed) co_return removed.error();
  co_return Ok();
}

Async<std::vector<Place>> AllPlaces(State& state) {
  std::vector<Place> places;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state.Scan(kPlaces, after, kRowsPerScan);
    if (!rows) co_return rows.error();
    for (const StateRow& row : *rows) {
      Result<Row> fields = Row::Decode(row.value);
      if (!fields) co_return fields.error();
      places.push_back({.store = fields->Text("store"), .bucket = fields->Text("bucket")});
    }
    if (rows->size() < kRowsPerScan) co_return places;
    after = rows->back().key;
  }
}

Async<bool> IsKnownPlace(State& state, Place place) {
  Result<std::optional<StateRow>> row = co_await state.Get(kPlaces, place.Text());
  if (!row) co_return row.error();
  co_return row->has_value();
}

namespace {

// Writes the row of a place, with what `change` makes of it.
Async<void> ChangePlace(State& state, Place place, std::function<void(Row&)> change) {
  while (true) {
    Result<std::optional<StateRow>> read = co_await state.Get(kPlaces, place.Text());
    if (!read) co_return read.error();
    Row row;
    if (*read) {
      Result<Row> fields = Row::Decode((*read)->value);
      if (!fields) co_return fields.error();
      row = std::move(*fields);
    }
    row.Set("store", place.store).Set("bucket", place.bucket);
    change(row);
    std::string value = row.Encode();
    if (*read && (*read)->value == value) co_return Ok();
    Result<int64_t> written = co_await state.Write(
        kPlaces, {.key = place.Text(),
                  .value = std::move(value),
                  .expected = *read ? Expected::Revision((*read)->revision) : Expected::Absent()});
    if (written) co_return Ok();
    if (written.error().kind != ErrorKind::kPrecondition) co_return written.error();
  }
}

}  // namespace

Async<void> NotePlace(State& state, Place place) {
  co_return co_await ChangePlace(state, std::move(place), [](Row&) {});
}

Async<uint64_t> BudgetOf(State& state, Place place) {
  Result<std::optional<StateRow>> row = co_await state.Get(kPlaces, place.Text());
  if (!row) co_return row.error();
  if (!*row) co_return uint64_t{0};
  Result<Row> fields = Row::Decode((*row)->value);
  if (!fields) co_return fields.error();
  co_return static_cast<uint64_t>(fields->Number("budget"));
}

Async<void> SetBudget(State& state, Place place, uint64_t budget_bytes) {
  co_return co_await ChangePlace(state, std::move(place),
                                 [budget_bytes](Row& row) { row.Set("budget", budget_bytes); });
}

Async<void> RunLives::Learn(std::vector<int64_t> numbers) {
  const SteadyTime now = runtime_.clock.SteadyNow();
  std::ranges::sort(numbers);
  const auto doubled = std::ranges::unique(numbers);
  numbers.erase(doubled.begin(), doubled.end());
  std::erase_if(numbers, [&](int64_t number) {
    auto found = others_.find(number);
    return found != others_.end() && now - found->second.read < kRunRowAge;
  });
  if (numbers.empty()) co_return Ok();
  Result<std::vector<Run>> runs = co_await book_.FindMany(numbers);
  if (!runs) co_return runs.error();
  for (int64_t number : numbers) others_[number] = {.read = now};
  for (const Run& run : *runs) {
    others_[run.number] = {
        .read = now, .session = run.session, .lives = IsAlive(run, runtime_.clock.Now())};
  }
  co_return Ok();
}

bool RunLives::Lives(const Entry& claim) const {
  auto found = others_.find(claim.run);
  return found != others_.end() && found->second.lives && found->second.session == claim.session;
}

}  // namespace longhaul::cache
