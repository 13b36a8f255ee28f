#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/transfer_ends.h"
#include "migration/start.h"

namespace longhaul {

namespace {

class MigrateStartCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "migrate start",
            .summary = "start a migration run, or start it again",
            .description =
                "Has SOURCE and TARGET compared and what is missing carried, by all workers that "
                "share the queue and the state of the configuration (`longhaul migrate worker`). "
                "The run lives there: it goes on after every worker has been killed, and this "
                "command ends as soon as it is durable. With --wait this process works on it too, "
                "and ends when it has finished.\n\n"
                "Starting a run again compares anew and adds what is missing, also while it is "
                "under way; what it has not begun to compare is not asked for twice. Nothing is "
                "ever deleted at the target. A run that was started with SOURCE and TARGET is "
                "started again by them or by its id.\n\n"
                "Addresses are of stores of the configuration, NAME:bucket/prefix, because every "
                "worker must find them.",
            .examples = {{"Move a bucket and wait for it, in one process",
                          "longhaul migrate start east:logs west:logs-copy --wait --config "
                          "longhaul.yaml"},
                         {"Start a migration of the configuration for other workers",
                          "longhaul migrate start nightly --config longhaul.yaml"},
                         {"Only some prefixes, compared side by side",
                          "longhaul migrate start east:logs/ west:logs/ --prefix-list days.txt "
                          "--config longhaul.yaml"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Switch(
        {.name = "wait", .help = "Work on it in this process, and end when it has finished."},
        wait_);
    flags.Integer({.name = "transfers",
                   .help = "With --wait: objects in flight at once. Default: 64.",
                   .value_name = "N",
                   .alias = "numworkers"},
                  1, 4096, in_flight_);
    run_.Declare(flags);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    Result<Backends> backends = co_await OpenMigrationBackends(context, **configuration);
    if (!backends) co_return backends.error();
    Result<Migration> wanted = run_.Resolve(context, **configuration);
    if (!wanted && wanted.error().code == kNoMigration) {
      wanted = co_await FindAgain(context, *backends->state, wanted.error());
    }
    if (!wanted) co_return wanted.error();
    Result<std::vector<std::string>> prefixes = run_.Prefixes();
    if (!prefixes) co_return prefixes.error();
    MigrationStores stores(context, **configuration);
    migration::StartRequest request{.migration = *wanted, .prefixes = std::move(*prefixes)};
    Result<migration::Run> sides = stores.RunOf(*wanted);
    if (!sides) co_return sides.error();
    request.source_place = sides->source_place;
    request.target_place = sides->target_place;
    Result<migration::Ends> ends = stores.Open(*sides);
    if (!ends) co_return ends.error();
    // What is wrong with a bucket as a whole is told here, not by each object.
    Result<void> checked = co_await CheckEnds(context.runtime(), *sides, *ends);
    if (!checked) co_return checked.error();
    checked = CheckTakesClass(*ends->target, sides->target.bucket, wanted->options.storage_class,
                              "storage class");
    if (!checked) co_return checked.error();
    checked = co_await WarnOfPrefixes(context.output(), *wanted, *ends, !request.prefixes.empty());
    if (!checked) co_return checked.error();

    Result<migration::Run> run = co_await migration::StartRun(context.runtime(), *backends->queue,
                                                              *backends->state, std::move(request));
    if (!run) co_return run.error();
    Message started("started");
    started.With("run", run->id).With("starts", run->starts);
    context.output().Note(
        started.Says("run " + run->id + (run->starts > 1 ? " started again" : " started") +
                     (wait_ ? "" : "; see `longhaul migrate status " + run->id + " --watch`")));
    if (!wait_) co_return ExitCode::kDone;
    co_return co_await Wait(context, *backends, stores, run->id);
  }

 private:
  // A run that was started with SOURCE and TARGET, by its id. `unknown`: where there is none
  // either.
  Async<Migration> FindAgain(RunContext& context, State& state, Error unknown) const {
    migration::RunBook book(context.runtime(), state);
    Result<std::optional<migration::Run>> run = co_await book.Find(run_.what);
    if (!run) co_return run.error();
    if (!*run) {
      unknown.code.clear();
      co_return unknown;
    }
    co_return Migration{.id = (*run)->id,
                        .source = (*run)->source,
                        .target = (*run)->target,
                        .options = (*run)->options};
  }

  Async<ExitCode> Wait(RunContext& context, Backends& backends, MigrationStores& stores,
                       std::string id) {
    Runtime& runtime = context.runtime();
    migration::Worker worker(runtime, *backends.queue, *backends.state,
                             [&stores](const migration::Run& run) { return stores.Open(run); },
                             {.name = WorkerName(context),
                              .until_done = {id},
                              .in_flight = static_cast<int>(in_flight_)});
    Progress progress(context.output(), runtime.clock, "copied", 0);
    TaskGroup watch(runtime.executor);
    Event ended;
    watch.Spawn(progress.Watch());
    watch.Spawn(Follow(context, *backends.state, id, worker, progress, ended));
    co_await worker.Run(context.stop());
    Result<void> closed = co_await backends.queue->Close();
    static_cast<void>(closed);
    ended.Set();
    progress.Finish();
    Result<void> watched = co_await watch.Join();
    if (!watched) co_return watched.error();
    if (context.stop().is_set()) co_return ExitCode::kInterrupted;

    Result<migration::Run> run = co_await RequireMigrationRun(context, *backends.state, id);
    if (!run) co_return run.error();
    Result<migration::RunStatus> status =
        co_await migration::ReadStatus(*backends.state, runtime.clock, std::move(*run));
    if (!status) co_return status.error();
    for (const migration::FindRow& find : status->finds) {
      if (!find.failure.empty()) {
        context.output().Problem(Message("not_listed")
                                     .With("prefix", find.prefix)
                                     .With("reason", find.failure)
                                     .Says("not listed: " + find.failure));
      }
    }
    for (const std::string& prefix : status->nothing_below) {
      context.output().Problem(Message("nothing_below")
                                   .With("prefix", prefix)
                                   .Says("there is nothing below '" + Printable(prefix) + "'"));
    }
    context.output().Note(StatusMessage("summary", *status, runtime.clock.Now()));
    if (!status->run.finished) {
      context.output().Problem(Message("not_finished")
                                   .With("run", id)
                                   .Says("run " + id + " has not finished: somebody " +
                                         (status->run.stopped ? "stopped it; `longhaul migrate "
                                                                "start " +
                                                                    id + "` goes on"
                                                              : "started it again")));
    }
    co_return status->all_carried() ? ExitCode::kDone : ExitCode::kSomeFailed;
  }

  // What the line on the terminal says.
  static Async<void> Follow(RunContext& context, State& state, std::string id,
                            const migration::Worker& worker, Progress& progress, Event& ended) {
    Runtime& runtime = context.runtime();
    migration::RunBook book(runtime, state);
    SteadyTime looked{};
    // All that is known of a long run takes a while to read.
    const auto pause = [&] {
      return std::max<std::chrono::nanoseconds>(std::chrono::seconds(1),
                                                10 * (runtime.clock.SteadyNow() - looked));
    };
    do {
      looked = runtime.clock.SteadyNow();
      Result<std::optional<migration::Run>> run = co_await book.Find(id);
      if (!run || !*run) continue;
      Result<migration::RunStatus> status =
          co_await migration::ReadStatus(state, runtime.clock, std::move(**run));
      if (!status) continue;
      auto meter = worker.meters().find(id);
      int64_t objects = status->done.copied;
      int64_t bytes = status->done.bytes;
      if (meter != worker.meters().end()) {
        objects = std::max(objects, meter->second.objects);
        bytes = std::max(bytes, meter->second.bytes);
      }
      ProgressTotals& totals = progress.totals;
      totals.objects_done = static_cast<uint64_t>(objects);
      totals.bytes_done = static_cast<uint64_t>(bytes);
      totals.objects_total = static_cast<uint64_t>(
          std::max(objects, status->done.copied + status->pending + status->running));
      totals.bytes_total = static_cast<uint64_t>(
          std::max(bytes, status->done.bytes + status->pending_bytes + status->running_bytes));
      totals.total_is_final = status->all_listed;
      totals.objects_failed = static_cast<uint64_t>(status->failed);
    } while (!co_await ended.WaitFor(runtime.clock, pause()));
    co_return Ok();
  }

  MigrateFlags run_;
  bool wait_ = false;
  int64_t in_flight_ = 64;
};

}  // namespace

std::unique_ptr<Command> MakeMigrateStartCommand() {
  return std::make_unique<MigrateStartCommand>();
}

}  // namespace longhaul
