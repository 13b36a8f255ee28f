#include "transfer/runs/run_journal.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "state/fields.h"

namespace longhaul {

namespace {

constexpr char kRuns[] = "runs";
constexpr std::chrono::seconds kWriteInterval{5};
constexpr std::chrono::seconds kLease{30};
constexpr size_t kChangesMax = 1000;  // So many failures are written before it is time.
constexpr int kRowsPerScan = 500;
constexpr int kWithoutRowMax = 4;  // Names that are too long for a row and stay open all the same.
// Of the list of open names in a row, far below what a row may hold.
constexpr size_t kOpenBytesMax = 48 << 10;

bool HasRow(std::string_view name) { return !name.empty() && name.size() <= kStateKeySizeMaxBytes; }

std::string FailuresOf(std::string_view id) { return "run-failed/" + std::string(id); }

std::string Joined(const std::vector<std::string>& texts) {
  Fields fields;
  for (size_t i = 0; i < texts.size(); ++i) fields.Set(std::to_string(i), texts[i]);
  return fields.Write();
}

std::vector<std::string> Parted(const std::string& text) {
  std::vector<std::string> texts;
  Result<Fields> fields = Fields::Read(text);
  if (!fields) return texts;
  for (size_t i = 0; fields->Has(std::to_string(i)); ++i) {
    texts.push_back(fields->Get(std::to_string(i)));
  }
  return texts;
}

std::optional<RunPhase> PhaseOf(std::string_view text) {
  for (RunPhase phase :
       {RunPhase::kRunning, RunPhase::kStopped, RunPhase::kFailed, RunPhase::kDone}) {
    if (text == ToString(phase)) return phase;
  }
  return std::nullopt;
}

Result<RunRecord> Decode(const StateRow& row) {
  Result<Fields> fields = Fields::Read(row.value);
  if (!fields) return fields.error();
  std::optional<RunPhase> phase = PhaseOf(fields->Get("phase"));
  if (!phase) return Corrupt("a row of State that is no run");
  return RunRecord{.id = row.key,
                   .command = fields->Get("command"),
                   .arguments = Parted(fields->Get("arguments")),
                   .whole_words = fields->GetNumber("whole_words") != 0,
                   .folder = fields->Get("folder"),
                   .source = fields->Get("source"),
                   .target = fields->Get("target"),
                   .source_place = fields->Get("source_place"),
                   .target_place = fields->Get("target_place"),
                   .listing = fields->Get("listing"),
                   .at = fields->GetTime("at"),
                   .phase = *phase,
                   .reason = fields->Get("reason"),
                   .started = fields->GetTime("started"),
                   .written = fields->GetTime("written"),
                   .owner = ParseProcess(fields->Get("owner")),
                   .session = fields->Get("session"),
                   .lease_until = fields->GetTime("lease_until"),
                   .listed_all = fields->GetNumber("listed_all") != 0,
                   .upto = fields->Get("upto"),
                   .open = Parted(fields->Get("open")),
                   .counts = {.copied = fields->GetNumber("copied"),
                              .bytes = fields->GetNumber("bytes"),
                              .skipped = fields->GetNumber("skipped"),
                              .removed = fields->GetNumber("removed"),
                              .failed = fields->GetNumber("failed")},
                   .revision = row.revision};
}

Error AtWork(const RunRecord& run) {
  return PreconditionFailed("run " + run.id + " is under way in process " +
                            std::to_string(run.owner.pid) + " of " +
                            run.owner.host.substr(0, run.owner.host.find('/')));
}

}  // namespace

std::string_view ToString(RunPhase phase) {
  switch (phase) {
    case RunPhase::kRunning:
      return "running";
    case RunPhase::kStopped:
      return "stopped";
    case RunPhase::kFailed:
      return "failed";
    case RunPhase::kDone:
      return "done";
  }
  return "done";
}

// ---- all runs

Async<std::vector<RunRecord>> Runs::All() {
  std::vector<RunRecord> runs;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state_.Scan(kRuns, after, kRowsPerScan);
    if (!rows) co_return rows.error().In("list runs");
    if (rows->empty()) break;
    for (const StateRow& row : *rows) {
      after = row.key;
      Result<RunRecord> run = Decode(row);
      if (run) runs.push_back(std::move(*run));
    }
  }
  std::ranges::reverse(runs);  // ULIDs are in order of time.
  co_return runs;
}

Async<RunRecord> Runs::Find(std::string id) {
  Result<std::vector<RunRecord>> runs = co_await All();
  if (!runs) co_return runs.error();
  if (runs->empty()) co_return NotFound("there are no runs; `longhaul sync` makes one");
  if (id == "last") co_return std::move(runs->front());
  std::optional<RunRecord> found;
  for (RunRecord& run : *runs) {
    if (id.empty() || !run.id.starts_with(id)) continue;
    if (found) co_return InvalidInput("'" + id + "' is the beginning of more than one run");
    found = std::move(run);
  }
  if (!found) co_return NotFound("there is no run '" + id + "'; see `longhaul runs ls`");
  co_return std::move(*found);
}

Async<std::vector<RunFailure>> Runs::Failures(std::string id, std::string after, int count_max) {
  Result<std::vector<StateRow>> rows = co_await state_.Scan(FailuresOf(id), after, count_max);
  if (!rows) co_return rows.error().In("list failures");
  std::vector<RunFailure> failures;
  for (const StateRow& row : *rows) {
    Result<Fields> fields = Fields::Read(row.value);
    if (!fields) continue;
    failures.push_back(
        {.name = row.key, .reason = fields->Get("reason"), .at = fields->GetTime("at")});
  }
  co_return failures;
}

bool Runs::UnderWay(const RunRecord& run) const {
  if (run.phase != RunPhase::kRunning) return false;
  switch (LifeOf(run.owner)) {
    case ProcessLife::kLives:
      return true;
    case ProcessLife::kGone:
      return false;
    case ProcessLife::kUnknown:
      break;
  }
  return runtime_.clock.Now() < run.lease_until;
}

Async<void> Runs::Forget(RunRecord run) {
  if (UnderWay(run)) co_return AtWork(run);
  StateWrite removal{.key = run.id, .expected = Expected::Revision(run.revision)};
  Result<int64_t> removed = co_await state_.Write(kRuns, std::move(removal));
  if (!removed) co_return removed.error().In("forget run " + run.id);
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state_.Scan(FailuresOf(run.id), "", kRowsPerScan);
    if (!rows) co_return rows.error();
    if (rows->empty()) co_return Ok();
    std::vector<StateWrite> removals;
    for (const StateRow& row : *rows) removals.push_back({.key = row.key});
    Result<std::vector<Result<int64_t>>> gone =
        co_await state_.WriteMany(FailuresOf(run.id), std::move(removals));
    if (!gone) co_return gone.error();
  }
}

Async<void> Runs::Prune(size_t keep, std::chrono::hours age, std::string command) {
  Result<std::vector<RunRecord>> runs = co_await All();
  if (!runs) co_return runs.error();
  const SystemTime oldest = runtime_.clock.Now() - age;
  for (size_t i = 0; i < runs->size(); ++i) {
    RunRecord& run = (*runs)[i];
    const bool old = run.written < oldest;
    const bool ends = run.phase == RunPhase::kDone
                          ? i >= keep || old
                          : run.phase != RunPhase::kRunning && run.command == command && old;
    if (!ends) continue;
    Result<void> forgotten = co_await Forget(std::move(run));
    if (!forgotten && forgotten.error().kind != ErrorKind::kPrecondition) co_return forgotten;
  }
  co_return Ok();
}

// ---- one run

RunJournal::RunJournal(Runtime runtime, State& state, RunRecord run)
    : runtime_(runtime), state_(state), record_(std::move(run)), writer_(runtime.executor) {}

RunJournal::~RunJournal() { LH_CHECK(finished_ || writer_.running() == 0); }

Async<std::unique_ptr<RunJournal>> RunJournal::Begin(Runtime runtime, State& state, RunRecord run) {
  run.started = runtime.clock.Now();
  run.id = NewUlid(run.started, runtime.random);
  run.phase = RunPhase::kRunning;
  run.owner = ThisProcess();
  run.session = run.id;
  run.revision = 0;
  std::unique_ptr<RunJournal> journal(new RunJournal(runtime, state, std::move(run)));
  Result<void> written = co_await journal->WriteRow();
  if (!written) {
    journal->finished_ = true;
    co_return written.error();
  }
  journal->writer_.Spawn(journal->KeepWriting());
  co_return journal;
}

Async<std::unique_ptr<RunJournal>> RunJournal::Resume(Runtime runtime, State& state,
                                                      RunRecord run) {
  if (run.phase == RunPhase::kRunning) {
    ProcessLife life = LifeOf(run.owner);
    if (life == ProcessLife::kLives) co_return AtWork(run);
    if (life == ProcessLife::kUnknown && runtime.clock.Now() < run.lease_until) {
      runtime.log.Info("waiting for the lease of another machine", {{"run", run.id}});
      co_await runtime.clock.Sleep(run.lease_until - runtime.clock.Now());
    }
  }
  run.owner = ThisProcess();
  run.session = NewUlid(runtime.clock.Now(), runtime.random);
  run.phase = RunPhase::kRunning;
  run.reason.clear();
  std::unique_ptr<RunJournal> journal(new RunJournal(runtime, state, std::move(run)));
  RunRecord& record = journal->record_;
  journal->open_.insert(record.open.begin(), record.open.end());
  journal->last_ = record.upto;
  const RunRecord before = record;
  // Only if nobody has written it since it was read: a process that lives renews it.
  Result<void> written = co_await journal->WriteRow();
  if (!written) {
    journal->finished_ = true;
    if (written.error().kind == ErrorKind::kPrecondition) co_return AtWork(before);
    co_return written.error();
  }
  journal->writer_.Spawn(journal->KeepWriting());
  co_return journal;
}

void RunJournal::Passed(std::string_view name) {
  // What is done again may lie behind names that nobody has looked at: a failure is written before
  // the row that has passed it.
  if (redoing_) return;
  if (name > last_) last_.assign(name);
}

void RunJournal::Started(std::string_view name) {
  open_.emplace(name);
  Passed(name);
}

void RunJournal::Done(std::string_view name) {
  auto found = open_.find(name);
  if (found != open_.end()) open_.erase(found);
  const bool has_row = redoing_ && HasRow(name);
  if (!make_durable_) {
    if (has_row) NoteRedone({std::string(name)});
    return;
  }
  if (has_row) written_.redone.emplace_back(name);
  Hold(name);
}

void RunJournal::Hold(std::string_view name) {
  if (!make_durable_) return;
  if (!written_.least || name < *written_.least) written_.least = std::string(name);
}

void RunJournal::NoteRedone(std::vector<std::string> names) {
  for (std::string& name : names) changes_.push_back({.name = std::move(name), .failure = {}});
}

void RunJournal::set_make_durable(std::function<Async<void>()> make_durable) {
  const bool first = !make_durable_;
  make_durable_ = std::move(make_durable);
  if (first) writer_.Spawn(KeepMakingDurable());
}

// Beside the rows, which keep the lease: a disk may take minutes.
Async<void> RunJournal::KeepMakingDurable() {
  while (!co_await closing_.WaitFor(runtime_.clock, kWriteInterval)) {
    Result<void> durable = co_await MakeDurable();
    if (!durable) break;
  }
  co_return Ok();
}

Async<void> RunJournal::MakeDurable() {
  if (!written_.least || not_durable_) co_return Ok();
  syncing_ = std::exchange(written_, {});
  Result<void> durable = co_await make_durable_();
  Held done = std::exchange(syncing_, {});
  if (durable) {
    NoteRedone(std::move(done.redone));
    co_return Ok();
  }
  runtime_.log.Failure("what was written could not be made durable", {durable.error()});
  not_durable_ = durable.error();
  if (!written_.least || *done.least < *written_.least) written_.least = std::move(done.least);
  std::ranges::move(done.redone, std::back_inserter(written_.redone));
  co_return durable;
}

void RunJournal::Skipped(std::string_view name) {
  if (redoing_ || open_.contains(name)) {
    Done(name);
  } else {
    Passed(name);
    Hold(name);  // A process that was killed may have written it a moment ago.
  }
}

void RunJournal::Failed(std::string_view name, std::string_view reason) {
  Passed(name);
  NoteFailure(name, reason);
}

void RunJournal::NotThere(std::string_view name, std::string_view reason) {
  // What is done again has its row already.
  if (!redoing_ && not_there_ >= kNotThereRowsMax) return LookAgainFrom(name);
  ++not_there_;
  NoteFailure(name, reason);
}

void RunJournal::NoteFailure(std::string_view name, std::string_view reason) {
  // It stays open until its own row is written: whoever takes the run over finds it in either.
  open_.emplace(name);
  if (!HasRow(name)) {
    if (name.empty() || ++without_row_ <= kWithoutRowMax) return;
    open_.erase(open_.find(name));
    LookAgainFrom(name);
    return;
  }
  changes_.push_back(
      {.name = std::string(name),
       .failure = RunFailure{
           .name = std::string(name), .reason = std::string(reason), .at = runtime_.clock.Now()}});
}

void RunJournal::LookAgainFrom(std::string_view name) {
  if (!again_from_ || name < *again_from_) again_from_ = std::string(name);
}

Async<void> RunJournal::KeepWriting() {
  while (!co_await closing_.WaitFor(runtime_.clock, kWriteInterval)) {
    Result<void> written = co_await Checkpoint();
    if (written || lost_.is_set()) continue;
    runtime_.log.Warning("the journal of the run could not be written", {written.error()});
    if (runtime_.clock.Now() > record_.lease_until) lost_.Set();
  }
  co_return Ok();
}

Async<void> RunJournal::Checkpoint() {
  if (lost_.is_set()) co_return AtWork(record_);
  while (writing_) co_await row_written_.Wait();
  writing_ = true;
  // Failures first: the row says that all up to a name is done but for these.
  Result<void> written = co_await WriteFailures();
  if (written) written = co_await WriteRow();
  writing_ = false;
  row_written_.NotifyAll();
  co_return written;
}

Async<void> RunJournal::WriteFailures() {
  while (!changes_.empty()) {
    const size_t count = std::min(changes_.size(), kChangesMax);
    std::vector<FailureChange> batch(changes_.begin(),
                                     changes_.begin() + static_cast<ptrdiff_t>(count));
    std::vector<StateWrite> writes;
    for (const FailureChange& change : batch) {
      StateWrite write{.key = change.name};
      if (change.failure) {
        Fields fields;
        fields.Set("reason", change.failure->reason.substr(0, 4096));
        fields.SetTime("at", change.failure->at);
        write.value = fields.Write();
      }
      writes.push_back(std::move(write));
    }
    Result<std::vector<Result<int64_t>>> written =
        co_await state_.WriteMany(FailuresOf(record_.id), std::move(writes));
    if (!written) co_return written.error().In("write failures");
    // One that is refused for what it is stays open, and must not keep the others and the row.
    for (const Result<int64_t>& one : *written) {
      if (!one && one.error().kind != ErrorKind::kInvalidInput) {
        co_return one.error().In("write failures");
      }
    }
    for (size_t i = 0; i < count; ++i) {
      auto open = open_.find(batch[i].name);
      if (batch[i].failure && (*written)[i] && open != open_.end()) open_.erase(open);
    }
    changes_.erase(changes_.begin(), changes_.begin() + static_cast<ptrdiff_t>(count));
  }
  co_return Ok();
}

StateWrite RunJournal::RowToWrite() {
  RunRecord& run = record_;
  std::string upto = last_;
  std::vector<std::string> open(open_.begin(), open_.end());
  bool listed_all = run.listed_all;
  for (const auto* from : {&again_from_, &written_.least, &syncing_.least}) {
    if (!*from) continue;
    listed_all = false;
    upto = std::min(upto, **from);
    const auto place = std::ranges::lower_bound(open, **from);
    if (place == open.end() || *place != **from) open.insert(place, **from);
  }
  std::string joined = Joined(open);
  // Where the list is too long: from its first name on, all is looked at again.
  if (joined.size() > kOpenBytesMax) {
    listed_all = false;
    upto = std::min(upto, open.front());
    open.resize(1);
    joined = Joined(open);
  }
  run.upto = upto;
  run.open = std::move(open);
  Fields fields;
  fields.Set("command", run.command);
  fields.Set("arguments", Joined(run.arguments));
  if (run.whole_words) fields.SetNumber("whole_words", 1);
  fields.Set("folder", run.folder);
  fields.Set("source", run.source);
  fields.Set("target", run.target);
  fields.Set("source_place", run.source_place);
  fields.Set("target_place", run.target_place);
  if (!run.listing.empty()) fields.Set("listing", run.listing);
  if (run.at != SystemTime{}) fields.SetTime("at", run.at);
  fields.Set("phase", std::string(ToString(run.phase)));
  fields.Set("reason", run.reason);
  fields.SetTime("started", run.started);
  fields.SetTime("written", run.written);
  fields.Set("owner", ProcessText(run.owner));
  fields.Set("session", run.session);
  fields.SetTime("lease_until", run.lease_until);
  fields.SetNumber("listed_all", listed_all ? 1 : 0);
  fields.Set("upto", upto);
  fields.Set("open", joined);
  fields.SetNumber("copied", run.counts.copied);
  fields.SetNumber("bytes", run.counts.bytes);
  fields.SetNumber("skipped", run.counts.skipped);
  fields.SetNumber("removed", run.counts.removed);
  fields.SetNumber("failed", run.counts.failed);
  return {.key = run.id,
          .value = fields.Write(),
          .expected = run.revision == 0 ? Expected::Absent() : Expected::Revision(run.revision)};
}

Async<void> RunJournal::WriteRow() {
  record_.written = runtime_.clock.Now();
  const SystemTime lease_until = record_.written + kLease;
  const SystemTime lease_before = std::exchange(record_.lease_until, lease_until);
  StateWrite row = RowToWrite();
  const std::string value = *row.value;
  Result<int64_t> written = co_await state_.Write(kRuns, std::move(row));
  if (!written && written.error().kind == ErrorKind::kPrecondition) {
    // An answer to our own write may have been lost.
    Result<std::optional<StateRow>> there = co_await state_.Get(kRuns, record_.id);
    if (!there) co_return there.error();
    Result<RunRecord> other = *there ? Decode(**there) : Result<RunRecord>(NotFound("forgotten"));
    if (other && other->session == record_.session && record_.revision != 0) {
      record_.revision = (*there)->revision;
      StateWrite again = RowToWrite();
      written = co_await state_.Write(kRuns, std::move(again));
    }
    if (!written && written.error().kind == ErrorKind::kPrecondition) lost_.Set();
  }
  if (!written) {
    record_.lease_until = lease_before;
    co_return written.error().In("write the journal of run " + record_.id);
  }
  record_.revision = *written;
  co_return Ok();
}

Async<void> RunJournal::Finish(RunPhase phase, std::string reason) {
  closing_.Set();
  Result<void> joined = co_await writer_.Join();
  static_cast<void>(joined);
  finished_ = true;
  if (lost_.is_set()) co_return AtWork(record_);
  if (phase == RunPhase::kFailed) {
    Result<void> durable = co_await MakeDurable();
    static_cast<void>(durable);  // Below.
  }
  if (not_durable_) {
    phase = RunPhase::kStopped;
    reason = not_durable_->Describe();
  } else if (phase != RunPhase::kStopped) {
    written_.least.reset();
    NoteRedone(std::move(written_.redone));
  }
  record_.phase = phase;
  record_.reason = std::move(reason);
  co_return co_await Checkpoint();
}

}  // namespace longhaul
