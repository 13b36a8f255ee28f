#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "migration/object_state.h"

namespace longhaul {

namespace {

class MigrateStatusCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "migrate status",
            .summary = "show how far migration runs are",
            .description =
                "What has been listed, copied, is running, waits, has failed or was gone when it "
                "was its turn; how fast it goes and how long it will take. Counts are of what was "
                "asked for since the run last had nothing to do. A run is 'waiting' while nobody "
                "works on it.\n\n"
                "With --objects each object that is not done is named: pending, running, failed "
                "with the reason and the number of tries, or gone. --state names those in one "
                "state, also those that are done: of these the state keeps no list, so both sides "
                "are listed, and done is what a finder has gone past, what is in no task and has "
                "not failed, and what the target has by the comparison of the run.\n\n"
                "--object tells of one: its state, tries and last error, and while somebody "
                "carries it, who, and how fast that worker is with all that it carries. For one "
                "that nothing is left to do of both sides are asked. Where that does not make it "
                "done it is 'unknown', and what is known is said: never done. 'not_listed' is what "
                "no finder has come to, 'left_out' what the run does not mean.",
            .examples = {{"All runs", "longhaul migrate status --config longhaul.yaml"},
                         {"Watch one until it has finished",
                          "longhaul migrate status nightly --watch --config longhaul.yaml"},
                         {"What has failed, and why",
                          "longhaul migrate status nightly --state failed --config "
                          "longhaul.yaml"},
                         {"What has become of one object",
                          "longhaul migrate status nightly --object 2026/11/x.csv --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable,
                           ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("RUN", "The name of a run. Default: all of them.", run_).completes =
        Completes::kNothing;
    flags.Switch(
        {.name = "watch", .help = "Show it again and again, until it has finished or is stopped."},
        watch_);
    flags.Duration({.name = "interval",
                    .help = "With --watch: how often. Default: 2s.",
                    .value_name = "DURATION"},
                   interval_);
    flags.Text({.name = "object",
                .help = "What has become of one: its name, as --objects has it, which is what "
                        "follows the prefix of the source in its key.",
                .value_name = "NAME",
                .of_environment = false},
               object_);
    flags.Switch({.name = "objects", .help = "Name each object that is not done."}, objects_);
    flags.Choice({.name = "state",
                  .help = "Name each object in this state; 'any' are all but the done ones. "
                          "Default: any.",
                  .value_name = "STATE",
                  .of_environment = false},
                 {"any", "pending", "running", "done", "failed", "gone"}, state_);
    flags.Integer({.name = "limit",
                   .help = "Of objects: at most so many. Default: 1000; 0: all.",
                   .value_name = "N"},
                  0, INT64_MAX, limit_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    const auto typed = [&context](std::string_view name) {
      const GivenWords::Option* given = context.flags().given.Find(name);
      return given != nullptr && !given->of_environment;
    };
    objects_ = objects_ || typed("state");
    if (!objects_ && typed("limit")) {
      co_return InvalidInput("--limit goes with --objects and --state");
    }
    if (!run_ && (watch_ || objects_ || object_)) {
      co_return InvalidInput("--watch, --objects, --state and --object are for one RUN: name it");
    }
    if (watch_ && (objects_ || object_)) {
      co_return InvalidInput("--watch shows no --objects, --state and --object");
    }
    if (objects_ && object_) {
      co_return InvalidInput("--object is of one: without --objects and --state");
    }
    Result<Backends> backends = co_await OpenMigrationBackends(context, **configuration);
    if (!backends) co_return backends.error();
    if (!run_) co_return co_await ShowAll(context, *backends->state);
    if (object_) co_return co_await ShowObject(context, **configuration, *backends->state);
    if (state_ == "done") {
      co_return co_await ShowDone(context, **configuration, *backends->state);
    }
    if (objects_) co_return co_await ShowObjects(context, *backends->state);
    size_t lines = 0;
    while (true) {
      Result<migration::Run> run = co_await RequireMigrationRun(context, *backends->state, *run_);
      if (!run) co_return run.error();
      const bool over = run->finished || run->stopped;
      Result<void> shown = co_await Show(context, *backends->state, std::move(*run), &lines);
      if (!shown) co_return shown.error();
      if (!watch_ || over || !context.output().open()) co_return ExitCode::kDone;
      if (co_await context.stop().WaitFor(context.runtime().clock, interval_)) {
        co_return ExitCode::kInterrupted;
      }
    }
  }

 private:
  Async<void> Show(RunContext& context, State& state, migration::Run run, size_t* lines) {
    Clock& clock = context.runtime().clock;
    Result<migration::RunStatus> status =
        co_await migration::ReadStatus(state, clock, std::move(run));
    if (!status) co_return status.error();
    Message message = StatusMessage("run", *status, clock.Now());
    Output& output = context.output();
    const bool redraw = watch_ && !output.json() && context.console().output_is_terminal();
    // Up to where the block before began, and away with it.
    if (redraw && *lines > 0) output.Raw("\x1b[" + std::to_string(*lines) + "A\x1b[J");
    *lines = static_cast<size_t>(std::ranges::count(message.text(), '\n')) + 1;
    output.Print(message);
    co_return Ok();
  }

  Async<ExitCode> ShowAll(RunContext& context, State& state) {
    migration::RunBook book(context.runtime(), state);
    Result<std::vector<migration::Run>> all = co_await book.All();
    if (!all) co_return all.error();
    size_t lines = 0;
    for (migration::Run& run : *all) {
      Result<void> shown = co_await Show(context, state, std::move(run), &lines);
      if (!shown) co_return shown.error();
    }
    context.output().Note(Message("summary")
                              .With("runs", all->size())
                              .Says(all->empty() ? "there is no run; see `longhaul migrate start "
                                                   "--help`"
                                                 : Counted(all->size(), "run")));
    co_return ExitCode::kDone;
  }

  Async<ExitCode> ShowObject(RunContext& context, const Configuration& configuration,
                             State& state) {
    Result<migration::Run> run = co_await RequireMigrationRun(context, state, *run_);
    if (!run) co_return run.error();
    MigrationStores stores(context, configuration);
    Result<migration::Ends> ends = stores.Open(*run);
    Result<migration::OneObject> read = co_await migration::ReadObject(
        context.runtime(), state, *run, ends ? std::optional(*ends) : std::nullopt,
        ends ? std::string() : ends.error().message, *object_);
    if (!read) co_return read.error();
    const migration::OneObject& object = *read;
    std::vector<std::pair<std::string, std::string>> rows = {
        {"state", std::string(ToString(object.state))}};
    if (object.size_bytes > 0) rows.emplace_back("size", FormatBytes(object.size_bytes));
    rows.emplace_back("tries that failed", std::to_string(object.tries));
    if (!object.reason.empty()) {
      rows.emplace_back(object.tries > 0 ? "last error" : "reason", Printable(object.reason));
    }
    if (!object.worker.empty()) rows.emplace_back("worker", Printable(object.worker));
    if (object.ranges > 0) {
      rows.emplace_back("ranges left", std::to_string(object.ranges_left) + " of " +
                                           std::to_string(object.ranges));
    }
    if (object.state == migration::OneObject::State::kRunning) {
      rows.emplace_back("speed of its workers",
                        SpeedText(object.objects_per_second, object.bytes_per_second));
    }
    context.output().Print(Message("object")
                               .With("run", run->id)
                               .With("name", object.name)
                               .With("state", ToString(object.state))
                               .With("size", object.size_bytes)
                               .With("tries", object.tries)
                               .With("reason", object.reason)
                               .With("worker", object.worker)
                               .With("ranges", object.ranges)
                               .With("ranges_left", object.ranges_left)
                               .With("objects_per_second", object.objects_per_second)
                               .With("bytes_per_second", object.bytes_per_second)
                               .Says(Printable(object.name) + "\n" + RenderTable(rows)));
    co_return ExitCode::kDone;
  }

  Async<ExitCode> ShowDone(RunContext& context, const Configuration& configuration, State& state) {
    Result<migration::Run> run = co_await RequireMigrationRun(context, state, *run_);
    if (!run) co_return run.error();
    MigrationStores stores(context, configuration);
    Result<migration::Ends> ends = stores.Open(*run);
    if (!ends) co_return ends.error();
    Output& output = context.output();
    int64_t told = 0;
    bool more = false;
    Result<void> read = co_await migration::ReadDone(
        context.runtime(), state, *run, *ends, [&](const std::string& name, uint64_t size_bytes) {
          if (context.stop().is_set()) return false;
          if (limit_ > 0 && told == limit_) {
            more = true;
            return false;
          }
          ++told;
          output.Print(
              Message("object")
                  .With("name", name)
                  .With("state", "done")
                  .With("size", size_bytes)
                  .Says("done  " + Printable(name) + " (" + FormatBytes(size_bytes) + ")"));
          return output.open();
        });
    if (!read) co_return read.error();
    if (context.stop().is_set()) co_return ExitCode::kInterrupted;
    SummarizeObjects(output, told, more);
    co_return ExitCode::kDone;
  }

  static void SummarizeObjects(Output& output, int64_t told, bool more) {
    output.Note(Message("summary")
                    .With("objects", told)
                    .With("more", more)
                    .Says(Counted(static_cast<uint64_t>(told), "object") +
                          (more ? "; there are more: see --limit" : "")));
  }

  Async<ExitCode> ShowObjects(RunContext& context, State& state) {
    Result<migration::Run> run = co_await RequireMigrationRun(context, state, *run_);
    if (!run) co_return run.error();
    Output& output = context.output();
    int64_t told = 0;
    bool more = false;
    Result<void> read = co_await migration::ReadObjects(
        state, context.runtime().clock, run->id, [&](const migration::ObjectStatus& object) {
          const std::string_view state_text = ToString(object.state);
          if (state_ != "any" && state_ != state_text) return true;
          if (limit_ > 0 && told == limit_) {
            more = true;
            return false;
          }
          ++told;
          std::string text = std::string(state_text) + "  " + Printable(object.object.name) + " (" +
                             FormatBytes(object.object.size_bytes) + ")";
          if (object.object.tries > 0) {
            text += ", " + Counted(static_cast<uint64_t>(object.object.tries), "try", "tries");
          }
          if (!object.reason.empty() && object.object.tries > 0) text += ": " + object.reason;
          output.Print(Message("object")
                           .With("name", object.object.name)
                           .With("state", state_text)
                           .With("size", object.object.size_bytes)
                           .With("tries", object.object.tries)
                           .With("reason", object.reason)
                           .Says(text));
          return output.open();
        });
    if (!read) co_return read.error();
    SummarizeObjects(output, told, more);
    co_return ExitCode::kDone;
  }

  std::optional<std::string> run_;
  std::optional<std::string> object_;
  bool watch_ = false;
  std::chrono::milliseconds interval_ = std::chrono::seconds(2);
  bool objects_ = false;
  std::string state_ = "any";
  int64_t limit_ = 1000;
};

}  // namespace

std::unique_ptr<Command> MakeMigrateStatusCommand() {
  return std::make_unique<MigrateStatusCommand>();
}

}  // namespace longhaul
