#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"

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
                "With --objects each object that is not copied is named: pending, running, failed "
                "with the reason and the number of tries, or gone. All others that were listed are "
                "done.",
            .examples = {{"All runs", "longhaul migrate status --config longhaul.yaml"},
                         {"Watch one until it has finished",
                          "longhaul migrate status nightly --watch --config longhaul.yaml"},
                         {"What has failed, and why",
                          "longhaul migrate status nightly --objects --state failed --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kInterrupted, ExitCode::kTerminated}};
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
    flags.Switch({.name = "objects", .help = "Name each object that is not copied."}, objects_);
    flags.Choice({.name = "state",
                  .help = "With --objects: only those in this state. Default: any.",
                  .value_name = "STATE",
                  .of_environment = false},
                 {"any", "pending", "running", "failed", "gone"}, state_);
    flags.Integer({.name = "limit",
                   .help = "With --objects: at most so many. Default: 1000; 0: all.",
                   .value_name = "N"},
                  0, INT64_MAX, limit_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    if (!run_ && (watch_ || objects_)) {
      co_return InvalidInput("--watch and --objects are for one RUN: name it");
    }
    if (watch_ && objects_) co_return InvalidInput("--watch shows no --objects");
    Result<Backends> backends = co_await OpenMigrationBackends(context, **configuration);
    if (!backends) co_return backends.error();
    if (!run_) co_return co_await ShowAll(context, *backends->state);
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
    output.Note(Message("summary")
                    .With("objects", told)
                    .With("more", more)
                    .Says(Counted(static_cast<uint64_t>(told), "object") +
                          (more ? "; there are more: see --limit" : "")));
    co_return ExitCode::kDone;
  }

  std::optional<std::string> run_;
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
