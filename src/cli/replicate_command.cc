#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "aws/aws_settings.h"
#include "backup/drill_note.h"
#include "base/processor.h"
#include "base/version.h"
#include "cli/alarm_watch.h"
#include "cli/backends.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/counted_store.h"
#include "cli/folder_watches.h"
#include "cli/queue_intakes.h"
#include "cli/replication_ledger.h"
#include "cli/replication_observer.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "cli/telemetry.h"
#include "cost/prices.h"
#include "cost/tuner_prices.h"
#include "events/webhook.h"
#include "observe/tracer.h"
#include "replication/make_context.h"
#include "replication/replicator.h"
#include "rules/iam_policy.h"
#include "rules/telemetry.h"
#include "rules/tracing.h"
#include "server/management_server.h"

namespace longhaul {

namespace {

// In continuous mode a store that is away must be told soon; the roles go on trying by themselves.
constexpr std::chrono::seconds kContinuousTimeout{30};

class ReplicateCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "replicate",
        .summary = "replicate buckets by the rules of a configuration",
        .description =
            "Replicates the sources of all rules to their targets: objects are read, packed into "
            "compressed archives, carried through the staging bucket near the target, and written "
            "there with their headers, metadata, tags and storage class.\n\n"
            "Without --once it runs until it is stopped: it compares source and target at the "
            "start, then follows events (POST /v1/events where the configuration has `listen`) and "
            "lists the source again as the rule's intake says. Stores that fail are tried again "
            "for "
            "ever; /readyz tells the reason. With --once it brings every target up to date with "
            "what the source holds now, and ends.\n\n"
            "The source role packs archives near the source, the target role applies them near the "
            "target; --roles runs one of them alone. Killing any process at any moment loses "
            "nothing: start it again.",
        .examples = {{"Bring every target up to date, once",
                      "longhaul replicate --config longhaul.yaml --once"},
                     {"The same, with a line of JSON for each object",
                      "longhaul replicate --config longhaul.yaml --once --report report.jsonl"},
                     {"Replicate until stopped", "longhaul replicate --config longhaul.yaml"},
                     {"Only pack, near the source",
                      "longhaul replicate --config longhaul.yaml --roles source"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kDeleteGuard, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Parsed({.name = "roles",
                  .help = "The roles of this process, separated by commas: source, target. "
                          "Default: both.",
                  .value_name = "ROLES",
                  .offers = "source target source,target"},
                 [this](std::string_view text) { return ParseRoles(text); });
    flags.Switch({.name = "once", .help = "End when every target is up to date."}, once_);
    flags.Text({.name = "report",
                .help = "Write a line of JSON for each object to this file, and a summary as the "
                        "last line.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               report_);
    flags.Duration({.name = "timeout",
                    .help = "With --once: give up when nothing goes forward for this long. "
                            "Default: 5m.",
                    .value_name = "DURATION",
                    .of_environment = false},
                   timeout_);
    flags.Number({.name = "price-per-gib",
                  .help = "US dollars for a GiB between the regions, for the money saved. "
                          "Default: 0.02.",
                  .value_name = "DOLLARS"},
                 price_per_gib_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    const Configuration* configuration = context.configuration();
    if (configuration == nullptr) {
      co_return InvalidInput("replicate needs a configuration: --config FILE");
    }
    if (configuration->rules.empty()) {
      co_return InvalidInput(configuration->file + ": rules: there is none: add one");
    }
    ReplicatorOptions options{.source = source_, .target = target_, .timeout = timeout_};

    if (!once_) context.troubles().UseLog();
    Runtime& runtime = context.runtime();
    // Destroyed in the reverse order: what borrows goes before what is borrowed.
    Readiness readiness;
    ReplicationObserver observer(runtime.clock, runtime.metrics, context.output(), readiness,
                                 context.flags().json);
    observer.Expect(configuration->rules);
    StoreRegions regions;
    for (const auto& [name, settings] : configuration->stores) {
      regions[name] = RegionOfStore(context, settings);
    }
    const Environment environment = [&](std::string_view name) {
      return context.console().Environment(std::string(name));
    };
    Result<PriceList> own = LoadPriceList(configuration->file, environment);
    if (!own) co_return own.error();
    const Prices prices(std::move(*own));
    auto tuner = std::make_unique<Tuner>(runtime.pool.threads(), ProcessorName());
    for (const Rule& rule : configuration->rules) {
      if (rule.enabled) tuner->Add(rule, TunerPricesOf(rule, regions, prices));
    }
    Result<Telemetry> telemetry = LoadTelemetry(configuration->file, environment);
    if (!telemetry) co_return telemetry.error();
    Result<Tracing> tracing = LoadTracing(configuration->file, environment);
    if (!tracing) co_return tracing.error();
    Result<std::optional<Alarms>> alarms = LoadAlarms(configuration->file, environment);
    if (!alarms) co_return alarms.error();
    TelemetryReporter reporter({.runtime = runtime,
                                .configuration = *configuration,
                                .telemetry = *telemetry,
                                .regions = regions,
                                .prices = prices,
                                .source = options.source,
                                .cpu_seconds = ProcessCpuSeconds,
                                .output = context.output()},
                               observer);
    Observer& told_by_ledger = telemetry->emf ? static_cast<Observer&>(reporter) : observer;
    ReplicationLedger ledger(runtime, *configuration, std::move(regions), options.source,
                             told_by_ledger);
    StoreConnections connections;
    std::map<std::string, std::unique_ptr<Store>> stores;
    std::map<std::string, Store*> store_pointers;
    const std::chrono::milliseconds deadline =
        once_ ? timeout_ : std::chrono::milliseconds(kContinuousTimeout);
    for (const auto& [name, settings] : configuration->stores) {
      Result<std::unique_ptr<Store>> store =
          OpenConfiguredStore(context, settings, deadline, true, {}, ledger.MeterOf(name),
                              BucketKind::kGeneral, &connections[name]);
      if (!store) co_return store.error().In("store " + name);
      store_pointers[name] = store->get();
      stores[name] = std::move(*store);
    }
    Result<Backends> backends = co_await OpenBackends(
        runtime, *configuration, kEventsQueue, TellingClock(context.troubles(), ledger.aws_hook()),
        QueueUseOf(*configuration, options.source));
    if (!backends) co_return backends.error();

    if (!report_.empty()) {
      Result<void> opened = observer.OpenReport(report_);
      if (!opened) co_return opened.error();
    }
    Result<std::unique_ptr<ReplicationContext>> replication =
        MakeReplicationContext(runtime, *configuration, store_pointers, *backends->queue,
                               *backends->state, ledger, ReplicationLimits{});
    if (!replication) co_return replication.error();
    (*replication)->tuner = std::move(tuner);
    const EnvironmentReader reader = [&context](const std::string& name) {
      return context.console().Environment(name);
    };
    const HttpClientOptions web = WebOptionsOf(reader);
    std::unique_ptr<Tracer> tracer;
    if (!tracing->otlp.empty()) {
      tracer = std::make_unique<Tracer>(
          runtime,
          TracerOptionsOf(std::move(*tracing), *configuration, (*replication)->owner, web));
      (*replication)->tracer = tracer.get();
    }
    Result<std::unique_ptr<Replicator>> replicator = Replicator::Make(**replication, options);
    if (!replicator) co_return replicator.error();
    // Late objects are told of while the roles run, and once more at the end.
    std::unique_ptr<NotificationWebhook> webhook;
    Event told;
    TaskGroup telling(runtime.executor);
    telling.Spawn(ledger.Run(*backends->state, told));
    telling.Spawn(backup::PublishDrills(runtime, *configuration, *backends->state, told));
    if (telemetry->emf) {
      telling.Spawn(reporter.Run(*backends->queue, *backends->state, (*replication)->owner, told));
    }
    if (tracer) telling.Spawn(tracer->Run(told));
    if (!configuration->notify.empty()) {
      webhook = std::make_unique<NotificationWebhook>(runtime, configuration->notify,
                                                      configuration->site, web);
      observer.set_webhook(webhook.get());
      telling.Spawn(Tell(*webhook, told));
    }
    std::unique_ptr<AlarmWatch> watch;
    if (*alarms && !once_) {
      Result<std::vector<std::unique_ptr<AlarmChannel>>> channels =
          MakeAlarmChannels(runtime, **alarms, reader);
      if (!channels) co_return channels.error();
      watch = std::make_unique<AlarmWatch>(AlarmWatch::Parts{.runtime = runtime,
                                                             .configuration = *configuration,
                                                             .queue = *backends->queue,
                                                             .state = *backends->state,
                                                             .prices = prices,
                                                             .owner = (*replication)->owner,
                                                             .cpu_seconds = ProcessCpuSeconds,
                                                             .channels = std::move(*channels)},
                                           std::move(**alarms));
      // Begins no message after the signal: one may take all of the grace.
      telling.Spawn(watch->Run(context.stop()));
    }
    Result<ExitCode> code = ExitCode::kDone;
    if (once_) {
      code = co_await RunOnce(context, **replicator, observer);
    } else {
      code = co_await RunContinuous(context, *configuration, options, *backends->queue, readiness,
                                    **replicator, observer, ledger, **replication, connections,
                                    *backends->state);
    }
    told.Set();
    context.stop().Set();  // Where it ends by itself nobody has said so.
    // Beside what is still told: messages are handed back however long that takes.
    telling.Spawn(backends->queue->Close());
    Result<void> joined = co_await telling.Join();
    static_cast<void>(joined);
    observer.set_webhook(nullptr);
    if (summary_) summary_();
    co_return code;
  }

 private:
  static TracerOptions TracerOptionsOf(Tracing tracing, const Configuration& configuration,
                                       const std::string& owner, HttpClientOptions web) {
    return {.url = std::move(tracing.otlp),
            .sample = tracing.sample,
            .headers = std::move(tracing.headers),
            .resource = {{"service.name", "longhaul"},
                         {"service.version", std::string(kVersion)},
                         {"service.instance.id", owner},
                         {"longhaul.site", configuration.site}},
            .http = std::move(web)};
  }

  static Async<void> Tell(NotificationWebhook& webhook, Event& stop) {
    co_await webhook.Run(stop);
    co_return Ok();
  }

  Result<void> ParseRoles(std::string_view left) {
    source_ = target_ = false;
    while (true) {
      const size_t comma = left.find(',');
      const std::string_view role = left.substr(0, comma);
      if (role == "source") {
        source_ = true;
      } else if (role == "target") {
        target_ = true;
      } else {
        return InvalidInput("'" + std::string(role) + "' is none: source, target or both");
      }
      if (comma == std::string_view::npos) return Ok();
      left.remove_prefix(comma + 1);
    }
  }

  Async<ExitCode> RunOnce(RunContext& context, Replicator& replicator,
                          ReplicationObserver& observer) {
    Runtime& runtime = context.runtime();
    Progress progress(context.output(), runtime.clock, "replicated", price_per_gib_);
    observer.set_progress(&progress);
    observer.TellEachFailureOnce();
    TaskGroup watch(runtime.executor);
    watch.Spawn(progress.Watch());
    OnceResult result = co_await replicator.RunOnce(context.stop());
    progress.Finish();
    Result<void> watched = co_await watch.Join();
    static_cast<void>(watched);
    observer.set_progress(nullptr);

    const ReplicationObserver::Counts& counts = observer.counts();
    Result<void> reported = observer.CloseReport(progress.seconds(), price_per_gib_);
    // What failed because the run was stopped needs no words.
    if (result.store_error && !result.stopped) {
      context.output().Problem("replicate", *result.store_error);
    }
    for (const std::string& what : result.paused) {
      context.output().Problem(
          Message("paused")
              .With("what", what)
              .Says(what + " is paused and was left as it is; see `longhaul rules resume`"));
    }
    // Printed last: figures (`metrics: emf`) are written once more before the end.
    summary_ = [this, &output = context.output(), counts, result, seconds = progress.seconds()] {
      PrintSummary(output, counts, result, seconds);
    };
    if (result.stopped) co_return ExitCode::kInterrupted;
    if (result.store_error) co_return ExitCodeOf(*result.store_error);
    if (!reported) co_return reported.error();
    if (counts.parked + counts.conflicts > 0 ||
        result.parked_archives + result.corrupt_archives > 0 || !result.paused.empty()) {
      co_return ExitCode::kSomeFailed;
    }
    co_return result.deletes_guarded ? ExitCode::kDeleteGuard : ExitCode::kDone;
  }

  void PrintSummary(Output& output, const ReplicationObserver::Counts& counts,
                    const OnceResult& result, double seconds) const {
    const Savings savings = counts.savings(price_per_gib_);
    std::vector<std::pair<std::string, std::string>> rows{
        {"applied", Counted(counts.applied, "object") + ", " + FormatBytes(counts.applied_bytes)}};
    auto add = [&](const char* name, uint64_t count) {
      if (count > 0) rows.emplace_back(name, FormatCount(count));
    };
    add("equal already", counts.equal);
    add("superseded", counts.superseded);
    add("parked", counts.parked);
    add("conflicts", counts.conflicts);
    add("archives parked", static_cast<uint64_t>(result.parked_archives));
    if (!result.paused.empty()) {
      rows.emplace_back("paused",
                        Counted(result.paused.size(), "rule or target", "rules or targets"));
    }
    if (result.deletes_guarded) rows.emplace_back("deletes", "held back by the delete guard");
    if (savings.sent_bytes > 0) {
      rows.emplace_back("sent", FormatBytes(savings.sent_bytes) + " for " +
                                    FormatBytes(savings.plain_bytes) + ", " + savings.Ratio());
      rows.emplace_back("saved", savings.Describe());
    }
    rows.emplace_back("time", FormatSeconds(seconds));
    output.Print(Message("summary")
                     .With("applied", counts.applied)
                     .With("applied_bytes", counts.applied_bytes)
                     .With("equal", counts.equal)
                     .With("superseded", counts.superseded)
                     .With("parked", counts.parked)
                     .With("conflicts", counts.conflicts)
                     .With("raw_bytes", counts.carried.objects)
                     .With("sent_bytes", counts.carried.sent)
                     .With("saved_bytes", savings.bytes())
                     .With("saved_money", savings.money())
                     .With("seconds", seconds)
                     .With("cpu_seconds", ProcessCpuSeconds())
                     .Says(RenderTable(rows)));
  }

  static Async<void> Serve(Api& api, Event& stop) {
    co_await api.Run(stop);
    co_return Ok();
  }

  static Async<Queue*> OpenMigrations(RunContext& context, const Configuration& configuration,
                                      Backends& opened) {
    if (!opened.queue) {
      Result<Backends> backends =
          co_await OpenBackends(context.runtime(), configuration, "migrations",
                                TellingClock(context.troubles()), QueueUse::kSends);
      if (!backends) co_return backends.error();
      if (!opened.queue) opened = std::move(*backends);  // Another one was faster.
    }
    co_return opened.queue.get();
  }

  // What the API asks of stores beside what rules ask: directory buckets are spoken to otherwise,
  // and a fill of a cache is counted.
  struct ApiStores {
    ReplicationLedger& ledger;
    StoreConnections& connections;
    std::map<std::string, std::unique_ptr<Store>> directories;
  };
  static Result<Store*> StoreFor(RunContext& context, const ReplicationContext& replication,
                                 ApiStores& stores, const std::string& name,
                                 const std::string& bucket) {
    const auto settings = context.configuration()->stores.find(name);
    if (settings == context.configuration()->stores.end()) {
      return InvalidInput("the configuration has no store '" + name + "'");
    }
    if (KindOf(bucket) != BucketKind::kDirectory) return replication.stores.at(name);
    std::unique_ptr<Store>& store = stores.directories[name];
    if (store == nullptr) {
      Result<std::unique_ptr<Store>> made =
          OpenConfiguredStore(context, settings->second, kContinuousTimeout, true, {}, nullptr,
                              BucketKind::kDirectory, &stores.connections[name]);
      if (!made) return made.error();
      store = std::move(*made);
    }
    return store.get();
  }

  // All that is handed in is borrowed.
  static Result<std::unique_ptr<Api>> MakeApi(
      RunContext& context, const Configuration& configuration, const ReplicatorOptions& options,
      Queue& queue, State& state, const Readiness& readiness, const ReplicationObserver& observer,
      ReplicationContext& replication, Backends& migrations, ApiStores& stores) {
    Runtime& runtime = context.runtime();
    Console& console = context.console();
    const Environment environment = [&console](std::string_view name) {
      return console.Environment(std::string(name));
    };
    Result<ApiSettings> settings = LoadApiSettings(configuration.file, environment);
    if (!settings) return settings.error();
    Result<std::vector<Migration>> listed = LoadMigrations(configuration.file, environment);
    if (!listed) return listed.error();
    Result<PriceList> prices = LoadPriceList(configuration.file, environment);
    if (!prices) return prices.error();
    return std::make_unique<Api>(ApiContext{
        .runtime = runtime,
        .configuration = configuration,
        .replication = replication,
        .queue = queue,
        .state = state,
        .readiness = readiness,
        .failures = observer.failures(),
        .source = options.source,
        .target = options.target,
        .settings = std::move(*settings),
        .migrations = std::move(*listed),
        .prices = std::move(*prices),
        .migrations_queue =
            [&context, &configuration, &migrations] {
              return OpenMigrations(context, configuration, migrations);
            },
        .store_of =
            [&context, &replication, &stores](const std::string& name, const std::string& bucket) {
              return StoreFor(context, replication, stores, name, bucket);
            },
        .open_counted =
            [&context, &stores](const std::string& name, const std::string& bucket) {
              // What a fill costs is a part of what this process does, too.
              const bool directory = KindOf(bucket) == BucketKind::kDirectory;
              return OpenStoreCounted(context, name, bucket, kContinuousTimeout, stores.connections,
                                      directory ? nullptr : stores.ledger.MeterOf(name));
            },
        .place_of =
            [&context](const StoreSettings& store) { return PlaceOfNamed(context, store); }});
  }

  Async<ExitCode> RunContinuous(RunContext& context, const Configuration& configuration,
                                const ReplicatorOptions& options, Queue& queue,
                                Readiness& readiness, Replicator& replicator,
                                ReplicationObserver& observer, ReplicationLedger& ledger,
                                ReplicationContext& replication, StoreConnections& connections,
                                State& state) {
    Runtime& runtime = context.runtime();
    QueueIntakes intakes(runtime, configuration, queue, state, replication.observer,
                         TellingClock(context.troubles(), ledger.aws_hook()));
    if (options.source) {
      Result<void> opened = co_await intakes.Open();
      if (!opened) co_return opened.error();
    }
    std::unique_ptr<EventWebhook> webhook;
    Backends migrations;  // Opened when somebody asks for a run.
    ApiStores stores{.ledger = ledger, .connections = connections, .directories = {}};
    std::unique_ptr<Api> api;
    std::unique_ptr<ManagementServer> server;
    Event served;  // The API has nothing more to do.
    TaskGroup serving(runtime.executor);
    const bool takes_events = options.source && TakesWebhooks(configuration);
    if (configuration.listen && !ServesApi(configuration, options.source)) {
      // Else a process that starts first would keep the one out that events are sent to.
      runtime.log.Info("not listening: the port belongs to the process with the source role");
    } else if (configuration.listen) {
      if (takes_events) {
        webhook =
            std::make_unique<EventWebhook>(runtime, configuration, queue, configuration.token);
      }
      Result<std::unique_ptr<Api>> made =
          MakeApi(context, configuration, options, queue, state, readiness, observer, replication,
                  migrations, stores);
      if (!made) co_return made.error();
      api = std::move(*made);
      server = std::make_unique<ManagementServer>(
          runtime,
          ManagementServerOptions{.listen = *configuration.listen,
                                  .token = configuration.token,
                                  .required = takes_events},
          webhook.get(), readiness, api.get());
      Result<void> started = co_await server->Start();
      if (!started) co_return started.error();
      if (!server->address().empty()) serving.Spawn(Serve(*api, served));
    }
    const SteadyTime started_at = runtime.clock.SteadyNow();
    runtime.log.Info("replicating",
                     {{"rules", configuration.rules.size()}, {"site", configuration.site}});
    FolderWatches watches(runtime, queue);
    if (options.source) {
      watches.Start(configuration,
                    [&replicator](const std::string& rule) { replicator.CompareSoon(rule); });
    }
    intakes.Start(context.stop());
    co_await replicator.RunContinuous(context.stop());
    co_await watches.Stop();
    co_await intakes.Join();
    served.Set();
    Result<void> joined = co_await serving.Join();
    static_cast<void>(joined);
    if (server) {
      Result<void> stopped = co_await server->Stop(std::chrono::seconds(1));
      static_cast<void>(stopped);
    }
    const std::chrono::duration<double> ran = runtime.clock.SteadyNow() - started_at;
    Result<void> reported = observer.CloseReport(ran.count(), price_per_gib_);
    if (!reported) co_return reported.error();
    co_return ExitCode::kInterrupted;  // By the signal: the context knows which.
  }

  std::function<void()> summary_;  // Of --once.
  bool source_ = true;
  bool target_ = true;
  bool once_ = false;
  std::string report_;
  std::chrono::milliseconds timeout_{300'000};
  double price_per_gib_ = 0.02;
};

}  // namespace

std::unique_ptr<Command> MakeReplicateCommand() { return std::make_unique<ReplicateCommand>(); }

}  // namespace longhaul
