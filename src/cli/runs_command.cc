#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "backup/restore.h"
#include "cli/command.h"
#include "cli/local_state.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/resume_words.h"
#include "cli/run_commands.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "transfer/object/upload_records.h"
#include "transfer/runs/run_journal.h"

namespace longhaul {

namespace {

constexpr int kFailuresShownPerScan = 1000;
constexpr std::string_view kRunHelp = "The run's id, the beginning of it, or 'last'.";

// The State with the runs, for as long as the command.
Result<std::unique_ptr<State>> StateOf(RunContext& context, const StateFlag& flag) {
  std::optional<DatabasePlace> place = LocalStatePlace(context, flag);
  if (!place) return InvalidInput("nothing says where runs are kept: give --state FILE");
  return std::unique_ptr<State>(
      std::make_unique<LocalState>(context.runtime(), *place, TellingClock(context.troubles())));
}

// "running", or "killed" when nobody is at work on it.
std::string_view PhaseText(const Runs& runs, const RunRecord& run) {
  if (run.phase == RunPhase::kRunning && !runs.UnderWay(run)) return "killed";
  return ToString(run.phase);
}

// Its counts are of what would be done then.
bool IsDryRun(const RunRecord& run) {
  const std::optional<backup::RestoreOrder> order = backup::OrderOf(run);
  return order && order->dry_run;
}

Message Described(std::string_view event, const Runs& runs, const RunRecord& run) {
  Message message(event);
  message.With("run", run.id)
      .With("phase", PhaseText(runs, run))
      .With("command", run.command)
      .With("source", run.source)
      .With("target", run.target)
      .With("started", FormatRfc3339(run.started))
      .With("written", FormatRfc3339(run.written))
      .With("copied", run.counts.copied)
      .With("bytes", run.counts.bytes)
      .With("skipped", run.counts.skipped)
      .With("removed", run.counts.removed)
      .With("failed", run.counts.failed);
  if (!run.reason.empty()) message.With("reason", run.reason);
  if (IsDryRun(run)) message.With("dry_run", true);
  return message;
}

class RunsListCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "runs ls",
        .summary = "list runs of sync, cp, mv and restores, newest first",
        .description =
            "Lists the runs that this machine's state file knows, with what they did. A run "
            "is running, killed (its process is gone), stopped (by a signal or by a store that "
            "refused), failed (all was tried, some objects failed) or done. Those that are "
            "done are forgotten after 30 days, or when 200 newer ones are there.",
        .examples = {{"All runs", "longhaul runs ls"}, {"For a script", "longhaul runs ls --json"}},
        .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override { state_.Declare(flags); }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<std::unique_ptr<State>> state = StateOf(context, state_);
    if (!state) co_return state.error();
    Runs runs(context.runtime(), **state);
    Result<std::vector<RunRecord>> all = co_await runs.All();
    if (!all) co_return all.error();
    for (const RunRecord& run : *all) {
      context.output().Print(
          Described("run", runs, run)
              .Says(fmt::format(
                  "{}  {:<8} {}  {} {} {}: {}{}", run.id, PhaseText(runs, run),
                  FormatRfc3339(std::chrono::floor<std::chrono::seconds>(run.started)), run.command,
                  Printable(run.source), Printable(run.target),
                  Counted(run.counts.copied, "object") +
                      (IsDryRun(run) ? " would be copied (a dry run)" : " copied"),
                  run.counts.failed > 0 ? ", " + FormatCount(run.counts.failed) + " failed" : "")));
    }
    context.output().Print(
        Message("summary").With("runs", all->size()).Says(all->empty() ? "no runs" : ""));
    co_return ExitCode::kDone;
  }

 private:
  StateFlag state_;
};

class RunsShowCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "runs show",
            .summary = "show what a run did, and what failed in it",
            .description =
                "Shows how far a run came, each object that failed and why, and the uploads of it "
                "that did not end and wait at the target to be gone on with.",
            .examples = {{"The last run", "longhaul runs show last"},
                         {"What failed, for a script", "longhaul runs show last --json"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    flags.Argument("RUN", kRunHelp, run_).completes = Completes::kNothing;
    state_.Declare(flags);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<std::unique_ptr<State>> state = StateOf(context, state_);
    if (!state) co_return state.error();
    Runs runs(context.runtime(), **state);
    Result<RunRecord> run = co_await runs.Find(run_);
    if (!run) co_return run.error();
    Output& output = context.output();
    std::string words = "longhaul";
    for (const std::string& argument : run->arguments) words += " " + argument;
    std::vector<std::pair<std::string, std::string>> rows = {
        {"run", run->id},
        {"phase", std::string(PhaseText(runs, *run)) +
                      (run->reason.empty() ? "" : ": " + Printable(run->reason))},
        {"command", Printable(words)},
        {"in", Printable(run->folder)},
        {"started", FormatRfc3339(std::chrono::floor<std::chrono::seconds>(run->started))},
        {"last written", FormatRfc3339(std::chrono::floor<std::chrono::seconds>(run->written))},
        {IsDryRun(*run) ? "would copy" : "copied",
         Counted(run->counts.copied, "object") + ", " + FormatBytes(run->counts.bytes) +
             (IsDryRun(*run) ? " (a dry run: nothing was written)" : "")},
        {"left alone", FormatCount(run->counts.skipped)}};
    if (run->at != SystemTime{}) rows.emplace_back("source as of", FormatRfc3339(run->at));
    if (run->counts.removed > 0) rows.emplace_back("removed", FormatCount(run->counts.removed));
    if (run->phase != RunPhase::kDone) {
      rows.emplace_back("done up to", run->listed_all ? "the end" : Printable(run->upto));
    }
    for (const std::string& name : run->open) rows.emplace_back("not ended", Printable(name));
    Message shown = Described("run", runs, *run);
    shown.With("done_up_to", run->upto).With("open", run->open);
    if (run->at != SystemTime{}) shown.With("at", FormatRfc3339(run->at));
    output.Print(shown.Says(RenderTable(rows)));
    uint64_t failed = 0;
    std::string after;
    while (output.open()) {
      Result<std::vector<RunFailure>> failures =
          co_await runs.Failures(run->id, after, kFailuresShownPerScan);
      if (!failures) co_return failures.error();
      if (failures->empty()) break;
      after = failures->back().name;
      failed += failures->size();
      for (const RunFailure& failure : *failures) {
        output.Print(
            Message("failed")
                .With("name", failure.name)
                .With("reason", failure.reason)
                .With("when", FormatRfc3339(failure.at))
                .Says("failed: " + Printable(failure.name) + ": " + Printable(failure.reason)));
      }
    }
    UploadRecords uploads(context.runtime(), **state, ThisProcess(), "", "");
    Result<std::vector<UploadRecord>> open = co_await uploads.All(run->id);
    if (!open) co_return open.error();
    for (const UploadRecord& upload : *open) {
      output.Print(Message("upload")
                       .With("store", upload.store)
                       .With("bucket", upload.upload.bucket)
                       .With("key", upload.upload.key)
                       .With("upload_id", upload.upload.upload_id)
                       .Says("upload not ended: " + Printable(upload.upload.bucket) + "/" +
                             Printable(upload.upload.key)));
    }
    output.Print(Message("summary").With("failed", failed).With("uploads", open->size()));
    co_return ExitCode::kDone;
  }

 private:
  std::string run_;
  StateFlag state_;
};

// An option that the run did not have would make it another one.
std::vector<char*> EnvironmentWithout(const std::vector<std::string>& names) {
  std::vector<char*> kept;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string name(text.substr(0, text.find('=')));
    if (std::ranges::find(names, name) == names.end()) kept.push_back(*variable);
  }
  kept.push_back(nullptr);
  return kept;
}

class RunsResumeCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "runs resume",
            .summary = "go on with a run that was killed, stopped or had failures",
            .description =
                "Starts the command of the run once more, in the folder where it was started and "
                "with its own options, and --resume. Options that it had from the environment "
                "(LONGHAUL_...) are its own, too; those that the environment has now are not. Only "
                "common options that are typed here replace the run's. First comes what was in "
                "flight or failed, "
                "then what is behind the last name that the journal calls done. Parts of large "
                "objects that lie at the target are not sent again. Keys and addresses of "
                "stores come from the environment of now. Where that, or the configuration, has an "
                "address "
                "mean another place than it did (another endpoint, another root), the run is "
                "refused: what is left of it would come from or go to elsewhere. So is a run by a "
                "listing in a file (--source-listing, --files-from, ...) that has changed since; "
                "one with --at goes on with the time that this meant when it was begun.",
            .examples = {{"The last run", "longhaul runs resume last"},
                         {"For a script", "longhaul runs resume last --json"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kLimit, ExitCode::kDeleteGuard,
                           ExitCode::kInterrupted, ExitCode::kTerminated}};
  }
  void Declare(FlagSet& flags) override {
    flags.Argument("RUN", kRunHelp, run_).completes = Completes::kNothing;
    state_.Declare(flags);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    std::optional<DatabasePlace> place = LocalStatePlace(context, state_);
    Result<std::unique_ptr<State>> state = StateOf(context, state_);
    if (!state) co_return state.error();
    Runs runs(context.runtime(), **state);
    Result<RunRecord> run = co_await runs.Find(run_);
    if (!run) co_return run.error();
    if (runs.UnderWay(*run)) {
      co_return PreconditionFailed("run " + run->id + " is under way in process " +
                                   std::to_string(run->owner.pid));
    }
    Result<ResumeWords> again = WordsToResume(*run, context.flags().given, *place);
    if (!again) co_return again.error();
    state->reset();
    if (!run->folder.empty() && ::chdir(run->folder.c_str()) != 0) {
      co_return NotFound(run->folder + ", where the run was started: " + std::strerror(errno));
    }
    std::string program = "longhaul";
    std::vector<char*> arguments = {program.data()};
    for (std::string& word : again->words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::vector<char*> environment = EnvironmentWithout(again->not_inherited);
    ::execve("/proc/self/exe", arguments.data(), environment.data());
    co_return InvalidInput(std::string("cannot start longhaul once more: ") + std::strerror(errno));
  }

 private:
  std::string run_;
  StateFlag state_;
};

class RunsForgetCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "runs forget",
            .summary = "forget runs, and abort the uploads that they left",
            .description =
                "Removes what is known of runs that are not under way. Uploads of theirs that did "
                "not end are aborted at the target, so that nobody pays for parts that no one will "
                "go on with; objects stay as they are. The stores are those that --endpoint-url, "
                "--profile and --config describe now; uploads of other stores are named and "
                "stay.",
            .examples = {{"One run", "longhaul runs forget last"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    flags.Arguments("RUN", kRunHelp, 1, runs_).completes = Completes::kNothing;
    state_.Declare(flags);
    store_flags_.Declare(flags, true);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<std::unique_ptr<State>> state = StateOf(context, state_);
    if (!state) co_return state.error();
    StoreOpener opener(context, store_flags_, true);
    Runs runs(context.runtime(), **state);
    UploadRecords records(context.runtime(), **state, ThisProcess(), "", "");
    uint64_t left = 0;
    for (const std::string& id : runs_) {
      Result<RunRecord> run = co_await runs.Find(id);
      if (!run) co_return run.error();
      if (runs.UnderWay(*run)) {
        co_return PreconditionFailed("run " + run->id + " is under way: stop it first");
      }
      Result<uint64_t> aborted = co_await AbortUploads(context, opener, records, *run, left);
      if (!aborted) co_return aborted.error();
      const std::string name = run->id;
      Result<void> forgotten = co_await runs.Forget(std::move(*run));
      if (!forgotten) co_return forgotten.error();
      context.output().Note(
          Message("forgotten")
              .With("run", name)
              .With("uploads_aborted", *aborted)
              .Says("forgot run " + name +
                    (*aborted > 0 ? ", aborted " + Counted(*aborted, "upload") : "")));
    }
    co_return left > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  Async<uint64_t> AbortUploads(RunContext& context, StoreOpener& opener, UploadRecords& records,
                               const RunRecord& run, uint64_t& left) {
    Result<std::vector<UploadRecord>> uploads = co_await records.All(run.id);
    if (!uploads) co_return uploads.error();
    if (uploads->empty()) co_return 0;
    Result<OpenedAddress> target = opener.Open(run.target, StoreEnd::kTarget);
    if (!target) co_return target.error();
    uint64_t aborted = 0;
    for (const UploadRecord& upload : *uploads) {
      const std::string place = Printable(upload.upload.bucket + "/" + upload.upload.key);
      if (target->store->description() != upload.store) {
        ++left;
        context.output().Problem(place, InvalidInput("an upload of " + upload.store +
                                                     ", which is not the store of now; it stays"));
        continue;
      }
      if (!upload.upload.upload_id.empty()) {
        Result<void> done = co_await target->store->AbortMultipart(upload.upload);
        // What somebody else has aborted is gone as well.
        const bool gone = !done && done.error().kind == ErrorKind::kNotFound;
        if (!done && !gone) {
          ++left;
          context.output().Problem(place, done.error());
          continue;
        }
        if (!gone) ++aborted;
      }
      Result<void> forgotten = co_await records.Forget(upload);
      if (!forgotten) co_return forgotten.error();
    }
    co_return aborted;
  }

  std::vector<std::string> runs_;
  StateFlag state_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeRunsListCommand() { return std::make_unique<RunsListCommand>(); }
std::unique_ptr<Command> MakeRunsShowCommand() { return std::make_unique<RunsShowCommand>(); }
std::unique_ptr<Command> MakeRunsResumeCommand() { return std::make_unique<RunsResumeCommand>(); }
std::unique_ptr<Command> MakeRunsForgetCommand() { return std::make_unique<RunsForgetCommand>(); }

}  // namespace longhaul
