#include <list>
#include <map>
#include <memory>
#include <utility>

#include "cache/fill.h"
#include "cache/fill_bill.h"
#include "cache/follow.h"
#include "cache/sweep.h"
#include "cache/timetable.h"
#include "cli/backends.h"
#include "cli/cache_common.h"
#include "cli/command.h"
#include "cli/counted_store.h"
#include "cli/pricing.h"
#include "events/webhook.h"
#include "rules/configuration.h"
#include "server/management_server.h"
#include "server/readiness.h"
#include "transfer/object/upload_records.h"

namespace longhaul {

namespace {

constexpr std::chrono::seconds kLookEvery{5};
constexpr std::chrono::seconds kStoreTimeout{30};

class CacheWorkerCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "cache worker",
            .summary = "fill, follow and sweep the caches of a configuration until stopped",
            .description =
                "Works by `caches:` of the configuration: fills each cache when its schedule says "
                "so, and removes copies whose time to live has ended within a minute. With "
                "--listen it also takes events of the sources (POST /v1/events): a copy whose "
                "source has changed is removed, or copied anew, as `events` of the cache says.\n\n"
                "Any number of processes may do so; each time is kept by one of them, and one at a "
                "time sweeps a cache.",
            .examples = {{"Until stopped", "longhaul cache worker --config longhaul.yaml"},
                         {"With events", "longhaul cache worker --listen --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable,
                           ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Switch({.name = "listen",
                  .help = "Listen at `listen` of the configuration: POST /v1/events, health and "
                          "metrics. One process does.",
                  .of_environment = false},
                 listen_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    const Configuration* configuration = context.configuration();
    if (configuration == nullptr) {
      co_return InvalidInput("cache worker needs a configuration: --config FILE");
    }
    Result<std::vector<CacheSettings>> caches =
        LoadCaches(configuration->file, [&context](std::string_view name) {
          return context.console().Environment(std::string(name));
        });
    if (!caches) co_return caches.error();
    if (caches->empty()) {
      co_return InvalidInput(configuration->file + ": caches: there is none: add one");
    }
    if (listen_ && !configuration->listen) {
      co_return InvalidInput("--listen: " + configuration->file + " has no `listen: ADDRESS:PORT`");
    }
    context.troubles().UseLog();
    Runtime& runtime = context.runtime();
    // This command outlives the loop to which timers of its stores belong.
    const std::unique_ptr<CacheWorkerCommand, void (*)(CacheWorkerCommand*)> close(
        this, [](CacheWorkerCommand* command) {
          command->stores_.clear();
          command->connections_.clear();
        });
    Result<std::unique_ptr<State>> state =
        co_await OpenState(runtime, configuration->state, TellingClock(context.troubles()));
    if (!state) co_return state.error().In("state");
    cache::Timetable timetable(runtime, **state);
    cache::Follower follower(runtime);
    for (const CacheSettings& settings : *caches) {
      Result<void> opened = co_await Open(context, **state, settings);
      if (!opened) co_return opened.error().In("cache " + settings.id);
      Result<void> timed = timetable.Add(settings);
      if (!timed) co_return timed.error();
    }
    Result<void> followed = Ok();
    std::list<cache::KeyFiller> begun;
    for (const CacheSettings& settings : *caches) {
      if (!listen_ || settings.events == CacheEvents::kIgnore || !followed) continue;
      begun.emplace_back(runtime, **state, StoreOf(settings.source), StoreOf(settings.to),
                         PlaceOf(settings),
                         cache::KeyFillerOptions{
                             .source_bucket = settings.source.bucket,
                             .source_name = settings.source.store + ":" + settings.source.bucket,
                             .target_prefix = settings.to.prefix,
                             .ttl = std::chrono::floor<std::chrono::seconds>(settings.ttl),
                             .kind = cache::RunKind::kWatch,
                             .stop = &context.stop()});
      followed = co_await begun.back().Begin();
      if (followed) {
        follower.Add(settings, begun.back());
      } else {
        begun.pop_back();
      }
    }
    Result<ExitCode> code = ExitCode::kInterrupted;  // The context knows by which signal.
    if (followed) {
      followed = co_await Work(context, **state, *configuration, *caches, timetable, follower);
    }
    for (cache::KeyFiller& filler : begun) {
      Result<void> ended = co_await filler.End();
      if (followed) followed = ended;
    }
    if (!followed) co_return followed.error();
    co_return code;
  }

 private:
  using StoreMap = std::map<std::pair<std::string, BucketKind>, std::unique_ptr<Store>>;

  [[nodiscard]] Store& StoreOf(const Address& address) const {
    return *stores_.at({address.store, KindOf(address.bucket)});
  }

  cache::Place PlaceOf(const CacheSettings& settings) const {
    return {.store = StoreOf(settings.to).description(), .bucket = settings.to.bucket};
  }

  Async<void> Open(RunContext& context, State& state, const CacheSettings& settings) {
    for (const Address& address : {settings.source, settings.to}) {
      std::unique_ptr<Store>& store = stores_[{address.store, KindOf(address.bucket)}];
      if (store) continue;
      Result<std::unique_ptr<Store>> made = OpenConfiguredStore(
          context, context.configuration()->stores.at(address.store), kStoreTimeout, true, {},
          nullptr, KindOf(address.bucket), &connections_[address.store]);
      if (!made) co_return made.error();
      store = std::move(*made);
    }
    const cache::Place place = PlaceOf(settings);
    // A bucket that holds what nobody knows of is not taken by a line of a file.
    Result<bool> known = co_await cache::IsKnownPlace(state, place);
    if (!known) co_return known.error();
    if (!*known) {
      Result<ListPage> page =
          co_await StoreOf(settings.to).List({.bucket = place.bucket, .count_max = 1});
      if (!page) co_return page.error();
      if (!page->objects.empty()) {
        co_return InvalidInput("the bucket " + place.bucket +
                               " holds objects that no fill is known to have put there: give an "
                               "empty one, or fill it once by `cache fill --take-bucket`");
      }
    }
    Result<void> noted = co_await cache::NotePlace(state, place);
    if (!noted) co_return noted.error();
    if (!settings.budget_bytes) co_return Ok();
    co_return co_await cache::SetBudget(state, place, *settings.budget_bytes);
  }

  Async<void> Work(RunContext& context, State& state, const Configuration& configuration,
                   const std::vector<CacheSettings>& caches, cache::Timetable& timetable,
                   cache::Follower& follower) {
    Runtime& runtime = context.runtime();
    Readiness readiness;
    EventWebhook webhook(runtime, configuration, follower, configuration.token);
    std::optional<ManagementServer> server;
    if (listen_) {
      server.emplace(
          runtime,
          ManagementServerOptions{.listen = *configuration.listen, .token = configuration.token},
          follower.empty() ? nullptr : &webhook, readiness);
      Result<void> listening = co_await server->Start();
      if (!listening) co_return listening.error();
      runtime.log.Info("listening", {{"address", server->address()}});
    }
    runtime.log.Info("working", {{"caches", caches.size()}});
    TaskGroup work(runtime.executor);
    std::vector<cache::Place> swept;
    for (const CacheSettings& settings : caches) {
      cache::Place place = PlaceOf(settings);
      if (std::ranges::find(swept, place) != swept.end()) continue;
      work.Spawn(KeepSweeping(context, state, StoreOf(settings.to), place));
      swept.push_back(std::move(place));
    }
    while (!co_await context.stop().WaitFor(runtime.clock, kLookEvery)) {
      Result<std::vector<const CacheSettings*>> due = co_await timetable.Due();
      if (!due) {
        runtime.log.Warning("schedules cannot be looked at", {due.error()});
        continue;
      }
      for (const CacheSettings* settings : *due) work.Spawn(Fill(context, state, *settings));
    }
    if (server) {
      Result<void> stopped = co_await server->Stop(std::chrono::seconds(1));
      static_cast<void>(stopped);
    }
    co_return co_await work.Join();
  }

  static Async<void> KeepSweeping(RunContext& context, State& state, Store& store,
                                  cache::Place place) {
    co_await cache::KeepSweeping(context.runtime(), state, store, std::move(place), context.stop());
    co_return Ok();
  }

  // What goes wrong is logged: the next time comes.
  Async<void> Fill(RunContext& context, State& state, const CacheSettings& settings) {
    Runtime& runtime = context.runtime();
    UploadRecords uploads(runtime, state, ThisProcess(), "", settings.to.prefix);
    Result<Prices> prices = ReadPrices(context);
    cache::FillStores stores([&](const std::string& name, const std::string& bucket) {
      return OpenStoreCounted(context, name, bucket, kStoreTimeout, connections_);
    });
    Result<void> opened = stores.OpenSource(settings.source);
    if (opened) opened = stores.OpenTarget(settings.to);
    if (!prices) opened = prices.error();
    if (!opened) {
      runtime.log.Failure("a cache was not filled", {{"cache", settings.id}, opened.error()});
      co_return Ok();
    }
    const cache::FillBill bill = stores.BillAt(std::move(*prices));
    Result<cache::FillResult> filled =
        co_await cache::Fill(runtime, state,
                             {.source = stores.source(),
                              .source_bucket = settings.source.bucket,
                              .prefixes = {settings.source.prefix},
                              .target = stores.target(),
                              .bucket = settings.to.bucket,
                              .target_prefix = settings.to.prefix,
                              .ttl = std::chrono::floor<std::chrono::seconds>(settings.ttl),
                              .wait = true,
                              .source_name = settings.source.store + ":" + settings.source.bucket},
                             {.uploads = &uploads, .stop = &context.stop(), .bill = &bill});
    if (!filled) {
      if (filled.error().kind != ErrorKind::kCancelled) {
        runtime.log.Failure("a cache was not filled", {{"cache", settings.id}, filled.error()});
      }
      co_return Ok();
    }
    const cache::FillCounts& counts = filled->run.counts;
    runtime.log.Info("a cache was filled", {{"cache", settings.id},
                                            {"run", filled->run.number},
                                            {"hits", counts.hits},
                                            {"copied", counts.copied},
                                            {"failed", counts.failed}});
    co_return Ok();
  }

  bool listen_ = false;
  StoreConnections connections_;  // Of all stores of a name, those of single fills, too.
  StoreMap stores_;
};

}  // namespace

std::unique_ptr<Command> MakeCacheWorkerCommand() { return std::make_unique<CacheWorkerCommand>(); }

}  // namespace longhaul
