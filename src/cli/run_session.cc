#include "cli/run_session.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "cli/resume_words.h"

namespace longhaul {

namespace {

constexpr size_t kFinishedRunsKept = 200;
constexpr std::chrono::hours kFinishedRunsAge{30 * 24};
constexpr int kFailuresPerScan = 1000;

// What is done of a run lies where its addresses led to then: the rest of it, from or to elsewhere,
// would be half a copy of each of two places.
Result<void> CheckPlace(const RunRecord& run, const std::string& address, const std::string& was,
                        const std::string& is) {
  if (was.empty() || was == is) return Ok();
  return InvalidInput("run " + run.id + " was begun when '" + address + "' was at " + was +
                      ", and now it is at " + is +
                      ": have it mean that place again (endpoint, configuration, links) and "
                      "resume, or begin a new run, which leaves alone what is there already");
}

// Names of a list that has changed may lie before those that are done, and nobody would look at
// them again.
Result<void> CheckListing(const RunRecord& run, const std::string& is) {
  if (run.listing == is) return Ok();
  const std::string kept =
      "--resume and --retry-failed go on with a run as it was begun: run " + run.id + " ";
  if (run.listing.empty()) {
    return InvalidInput(kept + "had neither --at nor --versions nor a listing in a file");
  }
  if (is.empty()) {
    return InvalidInput(kept +
                        "had --at, --versions or a listing in a file, which has to be given again");
  }
  return InvalidInput(kept +
                      "had another listing or another --at. The file has changed since, or it is "
                      "another one, and what has been done tells nothing of its names: begin a new "
                      "run; a sync leaves alone what is there already");
}

// As one would type it without an environment: what a run leaves alone may be told by that alone.
std::vector<std::string> WordsOf(const CommonFlags& flags, bool to_folder) {
  std::vector<std::string> words = {flags.command};
  GivenWords given = flags.given;
  // Which folders do not use, and which as words they refuse.
  std::erase_if(given.options, [to_folder](const GivenWords::Option& option) {
    return to_folder && option.of_environment &&
           (option.name == "sse" || option.name == "kms-key-id" || option.name == "acl");
  });
  std::ranges::move(given.Words(), std::back_inserter(words));
  return words;
}

std::string ShellWord(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
  if (text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// What goes on with a run, typed where this command was.
std::string ResumeCommand(const CommonFlags& flags, const std::string& id) {
  std::string words = "longhaul runs resume " + id;
  const GivenWords::Option* where = flags.given.Find("state");
  if (where == nullptr || where->value.empty()) where = flags.given.Find("config");
  if (where != nullptr) words += " --" + where->name + " " + ShellWord(where->value);
  return Printable(words);
}

// Says that nobody can go on with what begins, and why.
void TellNotResumable(RunContext& context, const std::string& reason) {
  context.output().Note(Message("not_resumable")
                            .With("reason", reason)
                            .Says("this run cannot be resumed: " + reason));
}

}  // namespace

void RunFlags::Declare(FlagSet& flags) {
  flags.Section("RESUME");
  flags.Text({.name = "resume",
              .help = "Go on with a run that stopped: its id, the beginning of it, or 'last'. What "
                      "it did is not looked at again. See `longhaul runs ls`.",
              .value_name = "RUN"},
             resume);
  flags.Text({.name = "retry-failed",
              .help = "Do what failed in a run again, and nothing else.",
              .value_name = "RUN"},
             retry_failed);
  state.Declare(flags);
}

Async<std::unique_ptr<RunSession>> RunSession::Open(RunContext& context, const RunFlags& flags,
                                                    What what) {
  std::unique_ptr<RunSession> session(new RunSession(context));
  if (!what.no_journal.empty()) TellNotResumable(context, what.no_journal);
  const Runtime& runtime = context.runtime();
  if (!flags.resume.empty() && !flags.retry_failed.empty()) {
    co_return InvalidInput("--resume tries what failed as well: leave --retry-failed out");
  }
  const std::string again = flags.resume.empty() ? flags.retry_failed : flags.resume;
  if (!again.empty() && !what.journal) {
    co_return InvalidInput("--resume and --retry-failed go on with a run as it was begun: " +
                           what.no_journal);
  }
  std::optional<DatabasePlace> place = LocalStatePlace(context, flags.state);
  if (!place) {
    if (again.empty()) co_return session;
    co_return InvalidInput("nothing says where runs are kept: give --state FILE");
  }
  session->state_ = std::make_unique<LocalState>(runtime, *place, TellingClock(context.troubles()));
  session->failed_only_ = !flags.retry_failed.empty();
  if (!again.empty()) {
    Result<void> taken = co_await session->TakeOver(again, what);
    if (!taken) co_return taken.error();
  } else if (what.journal) {
    std::error_code ignored;
    RunRecord run{.command = what.command,
                  .arguments = WordsOf(context.flags(), what.target_place.starts_with("folder ")),
                  .whole_words = true,
                  .folder = std::filesystem::current_path(ignored).string(),
                  .source = what.source,
                  .target = what.target,
                  .source_place = what.source_place,
                  .target_place = what.target_place,
                  .listing = what.listing,
                  .at = what.at};
    Result<std::unique_ptr<RunJournal>> begun =
        co_await RunJournal::Begin(runtime, *session->state_, std::move(run));
    if (begun) {
      session->journal_ = std::move(*begun);
      Result<void> pruned =
          co_await Runs(runtime, *session->state_).Prune(kFinishedRunsKept, kFinishedRunsAge);
      static_cast<void>(pruned);  // The next run tries again.
    } else {
      runtime.log.Warning("this run cannot be resumed", {begun.error()});
      session->state_.reset();
      co_return session;
    }
  }
  if (session->journal_ != nullptr && context.output().json()) {
    context.output().Note(Message("run").With("run", session->journal_->record().id));
  }
  session->uploads_ = std::make_unique<UploadRecords>(
      runtime, *session->state_, ThisProcess(),
      session->journal_ != nullptr ? session->journal_->record().id : "", what.below);
  co_return session;
}

Async<void> RunSession::TakeOver(std::string id, const What& what) {
  Result<RunRecord> run = co_await Runs(context_.runtime(), *state_).Find(std::move(id));
  if (!run) co_return run.error();
  if (run->command != what.command || run->source != what.source || run->target != what.target) {
    co_return InvalidInput("run " + run->id + " is '" + run->command + " " + run->source + " " +
                           run->target + "'; `" + ResumeCommand(context_.flags(), run->id) +
                           "` goes on with it");
  }
  Result<void> same = CheckPlace(*run, run->source, run->source_place, what.source_place);
  if (same) same = CheckPlace(*run, run->target, run->target_place, what.target_place);
  if (same) same = CheckListing(*run, what.listing);
  if (same) same = CheckSameChoice(*run, context_.flags().given, failed_only_);
  if (!same) co_return same.error();
  if (run->phase == RunPhase::kDone) {
    co_return InvalidInput("run " + run->id + " is done; there is nothing to go on with");
  }
  Result<std::unique_ptr<RunJournal>> taken =
      co_await RunJournal::Resume(context_.runtime(), *state_, *run);
  if (!taken) co_return taken.error();
  journal_ = std::move(*taken);
  found_ = std::move(*run);
  co_return Ok();
}

Async<std::vector<std::string>> RunSession::NamesToRedo() {
  std::vector<std::string> names;
  if (!found_) co_return names;
  if (!failed_only_) names = found_->open;
  Runs runs(context_.runtime(), *state_);
  std::string after;
  while (true) {
    Result<std::vector<RunFailure>> failures =
        co_await runs.Failures(found_->id, after, kFailuresPerScan);
    if (!failures) co_return failures.error();
    if (failures->empty()) break;
    after = failures->back().name;
    for (RunFailure& failure : *failures) names.push_back(std::move(failure.name));
  }
  std::ranges::sort(names);
  const auto doubled = std::ranges::unique(names);
  names.erase(doubled.begin(), doubled.end());
  co_return names;
}

std::optional<std::string> RunSession::GoesOnAfter() const {
  if (!found_) return "";
  if (failed_only_ || found_->listed_all) return std::nullopt;
  return found_->upto;
}

asio::awaitable<void> RunSession::Close(ExitCode code, const std::optional<Error>& error) {
  if (journal_ == nullptr) co_return;
  RunPhase phase = RunPhase::kDone;
  // Of what failed alone, what was in flight is still to be done.
  const bool more = failed_only_ && (!found_->listed_all || !found_->open.empty());
  if (error || more) {
    phase = RunPhase::kStopped;
  } else if (code != ExitCode::kDone) {
    phase = RunPhase::kFailed;
  } else if (journal_->has_open()) {
    phase = RunPhase::kStopped;  // Whatever was left out, the run is to be gone on with.
  }
  const std::string id = journal_->record().id;
  std::string reason;
  if (error) reason = context_.stopped_by() ? "stopped by a signal" : error->message;
  Result<void> finished = co_await journal_->Finish(phase, std::move(reason));
  if (!finished) {
    context_.runtime().log.Warning("the journal of the run could not be written",
                                   {finished.error()});
    co_return;
  }
  const RunRecord& run = journal_->record();
  const RunCounts& counts = run.counts;
  // What was refused before its first object is no run that anybody goes on with.
  if (phase == RunPhase::kStopped && !found_ && run.upto.empty() && run.open.empty() &&
      counts.copied + counts.skipped + counts.failed == 0) {
    Result<void> forgotten = co_await Runs(context_.runtime(), *state_).Forget(run);
    static_cast<void>(forgotten);
    co_return;
  }
  if (phase == RunPhase::kDone || context_.output().json()) co_return;  // The summary comes last.
  const std::string again = ResumeCommand(context_.flags(), id);
  std::string show = again;
  show.replace(show.find("resume"), 6, "show");
  context_.output().Note(Message("run").Says(phase == RunPhase::kStopped
                                                 ? "go on with: " + again
                                                 : "what failed: " + show + "; again: " + again));
}

}  // namespace longhaul
