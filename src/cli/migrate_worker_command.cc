#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/migrate_run.h"
#include "cli/output.h"
#include "events/webhook.h"
#include "migration/event_intake.h"
#include "migration/triggers.h"
#include "migration/worker.h"
#include "server/management_server.h"
#include "server/readiness.h"

namespace longhaul {

namespace {

class MigrateWorkerCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "migrate worker",
        .summary = "work on migration runs until stopped",
        .description =
            "Takes tasks of all runs in the queue and the state of the configuration and "
            "carries them out; start as many as there is room for, on every machine that "
            "shares both. The finder role compares sources and targets and makes tasks, the "
            "worker role copies. Killing any of them at any moment loses nothing: what it had "
            "in its hands is taken over after a minute.\n\n"
            "With --listen it also takes events of stores (POST /v1/events) for migrations of the "
            "configuration with `events: true`: each object that one names is compared, and "
            "carried where it differs.\n\n"
            "SIGTERM hands back what is in flight, within --grace. With --until-done it ends "
            "when the runs that it names, or else all that there are, have finished or are "
            "stopped.",
        .examples = {{"Work until stopped", "longhaul migrate worker --config longhaul.yaml"},
                     {"Only copy, 256 objects at once",
                      "longhaul migrate worker --roles worker --transfers 256 --config "
                      "longhaul.yaml"},
                     {"Work until a run has finished",
                      "longhaul migrate worker nightly --until-done --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Arguments("RUN", "With --until-done: the runs to wait for. Default: all.", 0, runs_)
        .completes = Completes::kNothing;
    flags.Text({.name = "roles",
                .help = "The roles of this process, separated by commas: finder, worker. "
                        "Default: both.",
                .value_name = "ROLES",
                .offers = "finder worker finder,worker",
                .of_environment = false},
               roles_);
    flags.Switch(
        {.name = "until-done", .help = "End when nothing is left to be done.", .alias = "once"},
        until_done_);
    flags.Integer({.name = "transfers",
                   .help = "Objects in flight at once. Default: 64.",
                   .value_name = "N",
                   .alias = "numworkers"},
                  1, 4096, in_flight_);
    flags.Integer({.name = "finders",
                   .help = "Prefixes compared side by side. Default: 4.",
                   .value_name = "N"},
                  1, 256, finds_);
    flags.Duration({.name = "lease",
                    .help = "After so long without a sign of life others take over what a worker "
                            "has in its hands. Default: 1m.",
                    .value_name = "DURATION"},
                   lease_);
    flags.Switch({.name = "listen",
                  .help = "Listen at `listen` of the configuration: POST /v1/events for migrations "
                          "with `events: true`, health and metrics. One worker does.",
                  .of_environment = false},
                 listen_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireConfiguration(context);
    if (!configuration) co_return configuration.error();
    if (!runs_.empty() && !until_done_) {
      co_return InvalidInput("a RUN is named for --until-done; a worker works on all of them");
    }
    if (listen_ && until_done_) {
      co_return InvalidInput("--listen is for a worker that stays: without --until-done");
    }
    if (listen_ && !(*configuration)->listen) {
      co_return InvalidInput("--listen: " + (*configuration)->file +
                             " has no `listen: ADDRESS:PORT`");
    }
    if (lease_ < std::chrono::seconds(3)) co_return InvalidInput("--lease: at least 3s");
    migration::WorkerOptions options{.name = WorkerName(context),
                                     .finds = false,
                                     .works = false,
                                     .in_flight = static_cast<int>(in_flight_),
                                     .finds_max = static_cast<int>(finds_),
                                     .visibility = lease_};
    Result<void> roles = ParseRoles(&options);
    if (!roles) co_return roles.error();
    context.troubles().UseLog();
    Runtime& runtime = context.runtime();
    MigrationStores stores(context, **configuration);
    Result<Backends> backends = co_await OpenMigrationBackends(context, **configuration);
    if (!backends) co_return backends.error();
    if (until_done_) {
      Result<std::vector<std::string>> wanted = co_await Wanted(context, *backends->state);
      if (!wanted) co_return wanted.error();
      if (wanted->empty()) co_return ExitCode::kDone;
      options.until_done = std::move(*wanted);
    }
    const std::vector<std::string> waits_for = options.until_done;
    const std::string name = options.name;
    runtime.log.Info("working", {{"worker", options.name}, {"roles", roles_}});
    migration::Worker worker(
        runtime, *backends->queue, *backends->state,
        [&stores](const migration::Run& run) { return stores.Open(run); }, std::move(options));
    Result<std::vector<Migration>> listed = ListedMigrations(context, **configuration);
    if (!listed) co_return listed.error();
    // One that ends by itself starts nothing.
    if (until_done_) listed->clear();
    const auto request = [&stores](const Migration& wanted) { return RequestOf(stores, wanted); };
    migration::EventIntake intake(runtime, *backends->queue, *backends->state, *listed, request,
                                  name);
    migration::Triggers triggers(runtime, *backends->queue, *backends->state, std::move(*listed),
                                 request, name);
    Readiness readiness;
    EventWebhook webhook(runtime, **configuration, intake, (*configuration)->token);
    std::optional<ManagementServer> server;
    if (listen_) {
      server.emplace(runtime,
                     ManagementServerOptions{.listen = *(*configuration)->listen,
                                             .token = (*configuration)->token},
                     intake.empty() ? nullptr : &webhook, readiness);
      Result<void> listening = co_await server->Start();
      if (!listening) co_return listening.error();
      runtime.log.Info("listening", {{"address", server->address()}});
    }
    TaskGroup starting(runtime.executor);
    if (!triggers.empty()) starting.Spawn(Start(triggers, context.stop()));
    co_await worker.Run(context.stop());
    Result<void> joined = co_await starting.Join();
    static_cast<void>(joined);
    // What it has taken beyond what it was asked for is free for others at once.
    joined = co_await backends->queue->Close();
    static_cast<void>(joined);
    if (server) {
      joined = co_await server->Stop(std::chrono::seconds(1));
      static_cast<void>(joined);
    }
    if (context.stop().is_set()) co_return ExitCode::kInterrupted;  // The context knows by which.
    co_return co_await Judge(context, *backends->state, waits_for);
  }

 private:
  static Result<migration::StartRequest> RequestOf(MigrationStores& stores,
                                                   const Migration& wanted) {
    Result<migration::Run> run = stores.RunOf(wanted);
    if (!run) return run.error();
    return migration::StartRequest{
        .migration = wanted, .source_place = run->source_place, .target_place = run->target_place};
  }
  static Async<void> Start(migration::Triggers& triggers, Event& stop) {
    co_await triggers.Run(stop);
    co_return Ok();
  }

  Result<void> ParseRoles(migration::WorkerOptions* options) const {
    std::string_view left = roles_;
    while (true) {
      const size_t comma = left.find(',');
      const std::string_view role = left.substr(0, comma);
      if (role == "finder") {
        options->finds = true;
      } else if (role == "worker") {
        options->works = true;
      } else {
        return InvalidInput("--roles: '" + std::string(role) + "' is none: finder, worker or both");
      }
      if (comma == std::string_view::npos) return Ok();
      left.remove_prefix(comma + 1);
    }
  }

  Async<std::vector<std::string>> Wanted(RunContext& context, State& state) {
    std::vector<std::string> wanted;
    if (runs_.empty()) {
      migration::RunBook book(context.runtime(), state);
      Result<std::vector<migration::Run>> all = co_await book.All();
      if (!all) co_return all.error();
      for (const migration::Run& run : *all) wanted.push_back(run.id);
    }
    for (const std::string& id : runs_) {
      Result<migration::Run> run = co_await RequireMigrationRun(context, state, id);
      if (!run) co_return run.error();
      wanted.push_back(id);
    }
    co_return wanted;
  }

  static Async<ExitCode> Judge(RunContext& context, State& state, std::vector<std::string> runs) {
    ExitCode code = ExitCode::kDone;
    Runtime& runtime = context.runtime();
    for (const std::string& id : runs) {
      migration::RunBook book(runtime, state);
      Result<std::optional<migration::Run>> run = co_await book.Find(id);
      if (!run) co_return run.error();
      if (!*run) continue;
      Result<migration::RunStatus> status =
          co_await migration::ReadStatus(state, runtime.clock, std::move(**run));
      if (!status) co_return status.error();
      if (status->failed > 0 || !status->finds.empty()) code = ExitCode::kSomeFailed;
      context.output().Note(StatusMessage("summary", *status, runtime.clock.Now()));
    }
    co_return code;
  }

  std::vector<std::string> runs_;
  std::string roles_ = "finder,worker";
  bool until_done_ = false;
  bool listen_ = false;
  int64_t in_flight_ = 64;
  int64_t finds_ = 4;
  std::chrono::milliseconds lease_ = std::chrono::minutes(1);
};

}  // namespace

std::unique_ptr<Command> MakeMigrateWorkerCommand() {
  return std::make_unique<MigrateWorkerCommand>();
}

}  // namespace longhaul
