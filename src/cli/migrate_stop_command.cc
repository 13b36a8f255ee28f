#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "migration/giant.h"
#include "migration/start.h"

namespace longhaul {

namespace {

class MigrateStopCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "migrate stop",
        .summary = "hold a migration run until it is started again",
        .description =
            "All workers hand back what they have of it within a few seconds. What has been "
            "copied stays, and `longhaul migrate start` goes on from there. With --forget all "
            "that is remembered of the run goes, also of one that has finished, and what events "
            "have named and nobody has carried; nothing at the source or the target does. If "
            "that breaks off, repeat it: until then the run takes no start and no event.",
        .examples = {{"Hold a run", "longhaul migrate stop nightly --config longhaul.yaml"},
                     {"Forget one that has finished",
                      "longhaul migrate stop nightly --forget --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    DeclareMigrationRun(flags, run_);
    flags.Switch({.name = "forget", .help = "Remove the run and all that is known of it."},
                 forget_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    Result<Backends> backends = co_await OpenMigrationBackends(context, **configuration);
    if (!backends) co_return backends.error();
    Result<migration::Run> run = co_await RequireMigrationRun(context, *backends->state, run_);
    if (!run) co_return run.error();
    run = co_await migration::StopRun(context.runtime(), *backends->state, run_);
    if (!run) co_return run.error();
    if (forget_) {
      Result<void> forgotten =
          co_await Forget(context, **configuration, *backends->queue, *backends->state);
      if (!forgotten) co_return forgotten.error();
    }
    context.output().Print(Message(forget_ ? "forgotten" : "stopped")
                               .With("run", run_)
                               .Says("run " + run_ + (forget_ ? " is forgotten" : " is stopped")));
    co_return ExitCode::kDone;
  }

 private:
  // After the workers have handed back what they have of it.
  Async<void> Forget(RunContext& context, const Configuration& configuration, Queue& queue,
                     State& state) {
    Runtime& runtime = context.runtime();
    migration::RunBook book(runtime, state);
    while (true) {
      Result<std::optional<migration::Run>> run = co_await book.Find(run_);
      if (!run) co_return run.error();
      if (!*run) co_return Ok();
      Result<migration::RunStatus> status =
          co_await migration::ReadStatus(state, runtime.clock, std::move(**run));
      if (!status) co_return status.error();
      if (status->tasks_running == 0) {
        Result<void> dropped =
            co_await DropUploads(context, configuration, queue, state, status->run);
        if (!dropped) co_return dropped.error();
        break;
      }
      if (co_await context.stop().WaitFor(runtime.clock, std::chrono::seconds(1))) {
        co_return Cancelled("stopped on request");
      }
    }
    co_return co_await book.Forget(run_);
  }

  // Of giants that were under way.
  Async<void> DropUploads(RunContext& context, const Configuration& configuration, Queue& queue,
                          State& state, migration::Run run) {
    Runtime& runtime = context.runtime();
    MigrationStores stores(context, configuration);
    Result<migration::Ends> ends = stores.Open(run);
    if (!ends) co_return ends.error();
    const std::string name = WorkerName(context);
    migration::TaskBoard board(runtime, queue, state, name);
    migration::GiantCarrier giants(runtime, state, board, run, *ends, name,
                                   {.slots = std::make_shared<Semaphore>(1)});
    co_return co_await giants.DropAll(run);
  }

  std::string run_;
  bool forget_ = false;
};

class MigrateRetryCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "migrate retry",
            .summary = "try again what has failed of a migration run",
            .description =
                "Objects that were given up, with all their tries before them, and prefixes that "
                "could not be listed. `longhaul migrate status RUN --objects --state failed` names "
                "them with their reasons.",
            .examples = {{"Try again", "longhaul migrate retry nightly --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override { DeclareMigrationRun(flags, run_); }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    Result<Backends> backends = co_await OpenMigrationBackends(context, **configuration);
    if (!backends) co_return backends.error();
    Result<migration::Run> run = co_await RequireMigrationRun(context, *backends->state, run_);
    if (!run) co_return run.error();
    Result<migration::Retried> retried =
        co_await migration::RetryRun(context.runtime(), *backends->queue, *backends->state, run_);
    if (!retried) co_return retried.error();
    std::string text = "run " + run_ + ": ";
    if (retried->objects + retried->prefixes == 0) {
      text += "nothing has failed";
    } else {
      text += Counted(static_cast<uint64_t>(retried->objects), "object");
      if (retried->prefixes > 0) {
        text += " and " + Counted(static_cast<uint64_t>(retried->prefixes), "prefix", "prefixes");
      }
      text += " to be tried again";
    }
    context.output().Print(Message("retried")
                               .With("run", run_)
                               .With("objects", retried->objects)
                               .With("prefixes", retried->prefixes)
                               .Says(text));
    co_return ExitCode::kDone;
  }

 private:
  std::string run_;
};

}  // namespace

std::unique_ptr<Command> MakeMigrateStopCommand() { return std::make_unique<MigrateStopCommand>(); }
std::unique_ptr<Command> MakeMigrateRetryCommand() {
  return std::make_unique<MigrateRetryCommand>();
}

}  // namespace longhaul
