#include "migration/run.h"

#include <charconv>
#include <utility>

#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

constexpr char kRuns[] = "migrations";
constexpr char kForgotten[] = "migrations forgotten";
// SQS keeps a message for 14 days.
constexpr std::chrono::days kForgottenLife{15};
constexpr int kRunRowsPerScan = 500;
constexpr int kAttemptsMax = 100;  // To write a row while others write it.

Result<void> ReadFilter(const Row& row, ObjectFilter& filter) {
  for (const std::string& text : row.Texts("filter")) {
    Result<void> added = filter.AddText(text);
    if (!added) return added;
  }
  for (const auto& [name, bound] :
       {std::pair("size_min", &filter.size_bytes_min), {"size_max", &filter.size_bytes_max}}) {
    const std::string& text = row.Text(name);
    if (text.empty()) continue;
    uint64_t bytes = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
    if (error != std::errc() || end != text.data() + text.size()) {
      return InvalidInput("'" + text + "' is no size");
    }
    *bound = bytes;
  }
  filter.modified_after = row.Time("modified_after");
  filter.modified_before = row.Time("modified_before");
  return Ok();
}

Error BeingForgotten(const std::string& id) {
  Error error =
      Retryable("run " + id + " is being forgotten: wait, or repeat `longhaul migrate stop " + id +
                " --forget` if that broke off");
  error.code = std::string(kBeingForgotten);
  return error;
}

}  // namespace

std::string Run::TargetKey(std::string_view source_key) const {
  return target.prefix + std::string(source_key.substr(source.prefix.size()));
}

std::string RowsOf(const std::string& run_id) { return "migration/" + run_id; }
std::string BodiesOf(const std::string& run_id) { return "migration/" + run_id + "/bodies"; }

bool HasPlacesOf(const Run& run, const Run& other) {
  return run.source_place == other.source_place && run.target_place == other.target_place &&
         run.source.store == other.source.store && run.target.store == other.target.store;
}

std::string EncodeRun(const Run& run) {
  const MigrationOptions& options = run.options;
  Row row;
  row.Set("source", run.source.ToString())
      .Set("target", run.target.ToString())
      .Set("source_place", run.source_place)
      .Set("target_place", run.target_place)
      .Set("filter", options.filter.Texts())
      .Set("size_only", options.compare.size_only)
      .Set("checksum", options.compare.checksum)
      .Set("update", options.compare.update)
      .Set("events", options.events)
      .Set("window_us", static_cast<int64_t>(options.compare.window.count()))
      .Set("storage_class", options.storage_class)
      .Set("kms_key", options.kms_key)
      .Set("tries_max", options.tries_max)
      .Set("timeout_ms", static_cast<int64_t>(options.timeout.count()))
      .Set("batch_count", options.batch_count)
      .Set("batch_bytes", options.batch_bytes)
      .Set("giant_bytes", options.giant_bytes)
      .Set("range_bytes", options.range_bytes)
      .Set("part_bytes", options.part_bytes)
      .Set("created", run.created)
      .Set("started", run.started)
      .Set("started_by", run.started_by)
      .Set("starts", run.starts)
      .Set("stopped", run.stopped)
      .Set("unsent", run.unsent);
  if (run.forgetting) row.Set("forgetting", true);
  if (run.finished) row.Set("finished", *run.finished);
  // 0 would be a bound: these are there or not.
  const ObjectFilter& filter = options.filter;
  if (filter.size_bytes_min) row.Set("size_min", std::to_string(*filter.size_bytes_min));
  if (filter.size_bytes_max) row.Set("size_max", std::to_string(*filter.size_bytes_max));
  if (filter.modified_after) row.Set("modified_after", *filter.modified_after);
  if (filter.modified_before) row.Set("modified_before", *filter.modified_before);
  return row.Encode();
}

Result<Run> DecodeRun(const StateRow& state) {
  Result<Row> row = Row::Decode(state.value);
  if (!row) return row.error();
  Result<Address> source = ParseAddress(row->Text("source"));
  Result<Address> target = ParseAddress(row->Text("target"));
  if (!source || !target) return Corrupt("the row of run " + state.key + " names no addresses");
  Run run{.id = state.key,
          .source = std::move(*source),
          .target = std::move(*target),
          .source_place = row->Text("source_place"),
          .target_place = row->Text("target_place"),
          .started_by = row->Text("started_by"),
          .starts = row->Number("starts"),
          .stopped = row->Flag("stopped"),
          .unsent = row->Flag("unsent"),
          .forgetting = row->Flag("forgetting"),
          .finished = row->Time("finished"),
          .revision = state.revision};
  run.created = row->Time("created").value_or(SystemTime{});
  run.started = row->Time("started").value_or(SystemTime{});
  MigrationOptions& options = run.options;
  Result<void> filter = ReadFilter(*row, options.filter);
  if (!filter) return Corrupt("the row of run " + state.key + ": " + filter.error().message);
  options.compare.size_only = row->Flag("size_only");
  options.compare.checksum = row->Flag("checksum");
  options.events = row->Flag("events");
  options.compare.update = row->Flag("update");
  options.compare.window = std::chrono::microseconds(row->Number("window_us"));
  options.storage_class = row->Text("storage_class");
  options.kms_key = row->Text("kms_key");
  options.tries_max = static_cast<int>(row->Number("tries_max"));
  options.timeout = std::chrono::milliseconds(row->Number("timeout_ms"));
  options.batch_count = static_cast<int>(row->Number("batch_count"));
  options.batch_bytes = static_cast<uint64_t>(row->Number("batch_bytes"));
  options.giant_bytes = static_cast<uint64_t>(row->Number("giant_bytes"));
  options.range_bytes = static_cast<uint64_t>(row->Number("range_bytes"));
  options.part_bytes = static_cast<uint64_t>(row->Number("part_bytes"));
  return run;
}

Async<std::optional<Run>> RunBook::Find(std::string id) {
  Result<std::optional<StateRow>> row = co_await state_.Get(kRuns, std::move(id));
  if (!row) co_return row.error().In("look for a run");
  if (!*row) co_return std::nullopt;
  Result<Run> run = DecodeRun(**row);
  if (!run) co_return run.error();
  co_return std::optional<Run>(std::move(*run));
}

Async<std::vector<Run>> RunBook::All() {
  std::vector<Run> runs;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> page = co_await state_.Scan(kRuns, after, kRunRowsPerScan);
    if (!page) co_return page.error().In("look for runs");
    if (page->empty()) co_return runs;
    for (const StateRow& row : *page) {
      after = row.key;
      Result<Run> run = DecodeRun(row);
      if (run) {
        runs.push_back(std::move(*run));
      } else {
        runtime_.log.Failure("a run cannot be read", {{"run", row.key}, run.error()});
      }
    }
  }
}

Async<int64_t> RunBook::Save(Run run) {
  StateWrite write{
      .key = run.id,
      .value = EncodeRun(run),
      .expected = run.revision == 0 ? Expected::Absent() : Expected::Revision(run.revision)};
  Result<int64_t> written = co_await state_.Write(kRuns, std::move(write));
  if (!written) co_return written.error().In("write run " + run.id);
  co_return *written;
}

Async<std::optional<Run>> RunBook::Change(std::string id, std::function<bool(Run&)> change) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    Result<std::optional<Run>> run = co_await Find(id);
    if (!run || !*run) co_return run;
    if ((*run)->forgetting) co_return BeingForgotten(id);
    if (!change(**run)) co_return std::nullopt;
    Result<int64_t> written = co_await Save(**run);
    if (written) {
      (*run)->revision = *written;
      co_return run;
    }
    if (written.error().kind != ErrorKind::kPrecondition) co_return written.error();
  }
  co_return Retryable("the row of run " + id + " changes faster than it can be written");
}

Async<bool> RunBook::FinishIfDone(Run run) {
  if (run.finished) co_return true;
  Result<std::vector<StateRow>> left = co_await state_.Scan(RowsOf(run.id), "todo/", 1);
  if (!left) co_return left.error().In("look for tasks");
  if (!left->empty() && left->front().key.starts_with("todo/")) co_return false;
  const std::string id = run.id;
  run.finished = runtime_.clock.Now();
  // Started again since it was read: then there is something to do.
  Result<int64_t> written = co_await Save(std::move(run));
  if (written) {
    runtime_.log.Info("run finished", {{"run", id}});
    co_return true;
  }
  if (written.error().kind == ErrorKind::kPrecondition) co_return false;
  co_return written.error();
}

Async<std::optional<Run>> RunBook::BeginToForget(const std::string& id) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    Result<std::optional<Run>> run = co_await Find(id);
    if (!run || !*run || (*run)->forgetting) co_return run;
    if (!(*run)->stopped && !(*run)->finished) {
      co_return PreconditionFailed("run " + id + " was started meanwhile");
    }
    (*run)->stopped = true;
    (*run)->forgetting = true;
    Result<int64_t> written = co_await Save(**run);
    if (written) co_return run;
    if (written.error().kind != ErrorKind::kPrecondition) co_return written.error();
  }
  co_return Retryable("the row of run " + id + " changes faster than it can be written");
}

Async<void> RunBook::Forget(std::string id) {
  Result<std::optional<Run>> run = co_await BeginToForget(id);
  if (!run) co_return run.error();
  if (!*run) co_return Ok();
  for (const std::string& partition : {RowsOf(id), BodiesOf(id)}) {
    while (true) {
      Result<std::vector<StateRow>> page = co_await state_.Scan(partition, "", kRunRowsPerScan);
      if (!page) co_return page.error().In("forget run " + id);
      if (page->empty()) break;
      std::vector<StateWrite> removals;
      for (StateRow& row : *page) removals.push_back({.key = std::move(row.key)});
      Result<std::vector<Result<int64_t>>> removed =
          co_await state_.WriteMany(partition, std::move(removals));
      if (!removed) co_return removed.error().In("forget run " + id);
      for (const Result<int64_t>& row : *removed) {
        if (!row) co_return row.error().In("forget run " + id);
      }
    }
  }
  // First: a message of a run that nobody knows is none that may be dropped.
  const SystemTime until = runtime_.clock.Now() + kForgottenLife;
  StateWrite forgotten{.key = id, .value = "1", .expires = until};
  Result<int64_t> noted = co_await state_.Write(kForgotten, std::move(forgotten));
  if (!noted) co_return noted.error().In("forget run " + id);
  StateWrite trigger{.key = id};
  Result<int64_t> removed = co_await state_.Write(kTriggerRows, std::move(trigger));
  if (!removed) co_return removed.error().In("forget run " + id);
  // Last: until then it can be begun again. Somebody else may have forgotten it by now, and a third
  // one have started another.
  const SystemTime created = (*run)->created;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    run = co_await Find(id);
    if (!run) co_return run.error();
    if (!*run) co_return Ok();
    if (!(*run)->forgetting || (*run)->created != created) break;
    StateWrite removal{.key = id, .expected = Expected::Revision((*run)->revision)};
    removed = co_await state_.Write(kRuns, std::move(removal));
    if (removed) co_return Ok();
    if (removed.error().kind != ErrorKind::kPrecondition) {
      co_return removed.error().In("forget run " + id);
    }
  }
  co_return PreconditionFailed("run " + id + " was started meanwhile");
}

Async<bool> RunBook::WasForgotten(std::string id) {
  Result<std::optional<StateRow>> row = co_await state_.Get(kForgotten, std::move(id));
  if (!row) co_return row.error().In("look for a forgotten run");
  co_return row->has_value();
}

}  // namespace longhaul::migration
