// RunJournal: what a run over many names has done, in State, so that it can go on after a kill.
//
// Names come in byte order. A run's row says: all up to one name are done, but for those that were
// in flight; and each that failed has a row of its own with the reason. The row is written every
// few seconds, not for every object. What was done after the last write is found again by
// comparing, as any run does; nothing is called done before it is durable at the target, because
// Done is called after the copy and the row is written after Done. Where a copy is not durable when
// it returns, in a plain folder, the names are held until the folder has been made durable.
//
// A run has one owner at a time: its row is a lease, renewed with every write, and a write fails
// once another process has taken the run over. A process of this machine that is gone holds
// nothing.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"
#include "base/runtime.h"
#include "state/state.h"

namespace longhaul {

enum class RunPhase {
  kRunning,  // Or killed: its owner tells.
  kStopped,  // By a signal or an error of a store as a whole: to be resumed.
  kFailed,   // All was tried, and some objects failed.
  kDone,
};
std::string_view ToString(RunPhase phase);

struct RunCounts {
  uint64_t copied = 0;
  uint64_t bytes = 0;
  uint64_t skipped = 0;
  uint64_t removed = 0;
  uint64_t failed = 0;  // Names that have failed and not worked since.
};

struct RunRecord {
  std::string id;                      // ULID
  std::string command;                 // "sync", "cp"
  std::vector<std::string> arguments;  // Behind the command, for `runs resume`.
  // Options that the environment gave are among them; false: they are as typed, of a run of before.
  bool whole_words = false;
  std::string folder;  // Where it was begun: paths in arguments are relative to it.
  std::string source;  // Addresses, for people and for comparing.
  std::string target;
  // What they meant when it was begun, because addresses come to mean other places; empty: not
  // known, of a run of before.
  std::string source_place;
  std::string target_place;
  // What tells the list of its names, where that is not what the source has now: a file by its
  // digest, the time of --at as it was typed, all versions. Another one's names are not those that
  // are done.
  std::string listing{};
  SystemTime at{};  // The time of --at, counted from when it was begun.
  RunPhase phase = RunPhase::kRunning;
  std::string reason;  // Why it stopped.
  SystemTime started{};
  SystemTime written{};
  ProcessName owner;
  std::string session;  // ULID of what its owner began when it took it.
  SystemTime lease_until{};
  bool listed_all = false;
  std::string upto;               // All names up to this one are done, but for
  std::vector<std::string> open;  // these, and those that failed.
  RunCounts counts;
  int64_t revision = 0;
};

struct RunFailure {
  std::string name;
  std::string reason;
  SystemTime at{};
};

// Errors are those of State, unless said.
class Runs {
 public:
  Runs(Runtime runtime, State& state) : runtime_(runtime), state_(state) {}

  // Newest first. Rows that cannot be read are left out.
  Async<std::vector<RunRecord>> All();
  // `id`: whole, the beginning of exactly one, or "last". kNotFound.
  Async<RunRecord> Find(std::string id);
  // Names greater than `after`, in order.
  Async<std::vector<RunFailure>> Failures(std::string id, std::string after, int count_max);
  // Removes all rows of it. kPrecondition: it is under way.
  Async<void> Forget(RunRecord run);
  // Forgets finished runs beyond the newest `keep` and those older than `age`; of `command` also
  // those older than it that have failed or were stopped.
  Async<void> Prune(size_t keep, std::chrono::hours age, std::string command = {});

  // Whether it is under way in a process that lives, as far as can be told.
  [[nodiscard]] bool UnderWay(const RunRecord& run) const;

 private:
  Runtime runtime_;
  State& state_;
};

// Belongs to one shard. Must be finished before it is destroyed.
class RunJournal {
 public:
  // Begins a new run; id, phase and times of `run` are made here.
  static Async<std::unique_ptr<RunJournal>> Begin(Runtime runtime, State& state, RunRecord run);
  // Takes a run over, waiting for the lease of a process on another machine to run out. `run`: as
  // found. kPrecondition: another process is at work on it.
  static Async<std::unique_ptr<RunJournal>> Resume(Runtime runtime, State& state, RunRecord run);
  ~RunJournal();

  // As it was last written.
  [[nodiscard]] const RunRecord& record() const { return record_; }

  // The names of a run in their order, each either passed or skipped (nothing is to be done) or
  // started; a started one is then done, skipped or failed, or nothing of that when the run stops.
  void Passed(std::string_view name);
  void Started(std::string_view name);
  // What the name stands for is at the target; and durable, unless `make_durable` is set.
  void Done(std::string_view name);
  // Makes durable what has been written to the target. Call it before the first name. It is called
  // every few seconds, and before a run ends as failed; until it has returned, whoever takes the
  // run over looks at the names that were done meanwhile again. (Nobody takes over a run that is
  // done: what that has written since lasts as what any program writes.) It is called no more once
  // it has failed: an operating system tells of what it could not write once, and then calls it
  // written.
  void set_make_durable(std::function<Async<void>()> make_durable);
  // What it failed with: some of what was written is not there. The run is not done then.
  [[nodiscard]] const std::optional<Error>& not_durable() const { return not_durable_; }
  void Skipped(std::string_view name);
  void Failed(std::string_view name, std::string_view reason);
  // The same of a name that a list has and the source has not. It is told out of order, before
  // names that have not been looked at. Behind so many there are no more rows of them: from the
  // first that has none on, all is looked at again.
  static constexpr uint64_t kNotThereRowsMax = 100'000;
  void NotThere(std::string_view name, std::string_view reason);
  // While a resumed run does again what is `open` in its record, and what has failed: names come
  // out of order, and those that work now have not failed any more.
  void set_redoing(bool redoing) { redoing_ = redoing; }
  void ListedAll() { record_.listed_all = true; }
  RunCounts& counts() { return record_.counts; }
  // Whether a name is still to be done, or has failed without a row that says so.
  [[nodiscard]] bool has_open() const { return !open_.empty() || again_from_ || not_durable_; }

  // Set when another process has taken the run over, or State could not be written for so long that
  // one may have. The run should stop.
  [[nodiscard]] Event& lost() { return lost_; }

  // Writes what there is now.
  Async<void> Checkpoint();
  // The last write; the lease is given up. Names still in flight stay open.
  Async<void> Finish(RunPhase phase, std::string reason);

 private:
  RunJournal(Runtime runtime, State& state, RunRecord run);
  Async<void> KeepWriting();
  Async<void> KeepMakingDurable();
  Async<void> MakeDurable();
  void Hold(std::string_view name);
  void NoteRedone(std::vector<std::string> names);
  void NoteFailure(std::string_view name, std::string_view reason);
  void LookAgainFrom(std::string_view name);
  Async<void> WriteFailures();
  Async<void> WriteRow();
  StateWrite RowToWrite();

  Runtime runtime_;
  State& state_;
  RunRecord record_;
  // In flight, to be done again, or failed without a row that says so yet.
  std::set<std::string, std::less<>> open_;
  // Names that are done and not durable yet.
  struct Held {
    std::optional<std::string> least;
    std::vector<std::string> redone;  // Those that are done again have rows that say they failed.
  };
  std::function<Async<void>()> make_durable_;
  Held written_;
  Held syncing_;  // Are being made durable.
  std::optional<Error> not_durable_;
  std::string last_;  // The greatest name passed or started.
  // The least name that is to be done again and is neither in `open_` nor in a row: from it on all
  // is looked at again.
  std::optional<std::string> again_from_;
  uint64_t not_there_ = 0;
  int without_row_ = 0;  // Names in `open_` that no row can have.
  struct FailureChange {
    std::string name;
    std::optional<RunFailure> failure;  // None: it has worked.
  };
  std::deque<FailureChange> changes_;
  bool redoing_ = false;
  Event closing_;
  Event lost_;
  TaskGroup writer_;
  bool writing_ = false;
  WaitList row_written_;
  bool finished_ = false;
};

}  // namespace longhaul
