#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/units.h"
#include "cache/counted_bytes.h"
#include "cli/cache_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

constexpr size_t kRunsShown = 20;

std::string TextOf(const cache::Run& run, std::string_view phase) {
  const std::string started = FormatRfc3339(std::chrono::floor<std::chrono::seconds>(run.started));
  if (run.kind == cache::RunKind::kSweep || run.kind == cache::RunKind::kEvict) {
    return fmt::format("{:>6}  {:<8} {}  {}: {} removed", run.number, phase, started,
                       cache::ToString(run.kind),
                       Counted(static_cast<uint64_t>(run.counts.removed), "copy", "copies"));
  }
  std::string text = fmt::format(
      "{:>6}  {:<8} {}  {}{}: {}, {} copied", run.number, phase, started,
      run.kind == cache::RunKind::kFill ? "" : std::string(cache::ToString(run.kind)) + " ",
      Printable(run.source_name), Counted(static_cast<uint64_t>(run.counts.hits), "hit"),
      FormatCount(static_cast<uint64_t>(run.counts.copied)));
  if (run.counts.failed > 0) {
    text += ", " + FormatCount(static_cast<uint64_t>(run.counts.failed)) + " failed";
  }
  if (run.force) text += ", forced";
  if (!run.waits_for.empty()) {
    text += fmt::format(", waits for {} keys of run {}", run.counts.waiting,
                        fmt::join(run.waits_for, ", "));
  }
  std::string prefixes;
  for (const std::string& prefix : run.prefixes) {
    prefixes += prefixes.empty() ? "" : ", ";
    prefixes += prefix.empty() ? "the whole bucket" : Printable(prefix);
  }
  return text + "\n        " + prefixes;
}

class CacheStatusCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "cache status",
            .summary = "show the runs of a cache, and who waits for whom",
            .description =
                "Shows how much a cache holds, of which budget, and its last runs (fills, and what "
                "serves or evicts, and sweeps that did not end well), of one cache or of all that "
                "the state knows: running, "
                "killed (its process is gone, and it holds nothing), stopped "
                "(by a signal or an error), failed (of some objects) or done; and for which other "
                "runs a run waits, because they are copying keys of its prefixes. A run writes "
                "what it has done every ten seconds, and when it ends. With --run it also shows "
                "what a fill has cost until then, by item, and what S3 Batch Operations would have "
                "asked; a price that nobody knows is named.",
            .examples = {{"All caches", "longhaul cache status --config longhaul.yaml"},
                         {"What failed in a run, and what it cost",
                          "longhaul cache status fast:cache --run 12 --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("STORE:BUCKET", "The cache. Default: all.", cache_);
    flags.Integer(
        {.name = "run",
         .help = "Only this run, with what it cost and what failed in it (the first 100).",
         .value_name = "RUN",
         .of_environment = false},
        1, INT64_MAX, run_);
    state_flag_.Declare(flags);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    if (run_ && !cache_) co_return InvalidInput("--run needs the cache: STORE:BUCKET");
    Result<std::unique_ptr<State>> state = OpenCacheState(context, state_flag_);
    if (!state) co_return state.error();
    std::vector<cache::Place> places;
    if (cache_) {
      StoreOpener opener(context, store_flags_, true);
      Result<OpenedCache> opened = OpenCache(opener, *cache_);
      if (!opened) co_return opened.error();
      Result<bool> known = co_await cache::IsKnownPlace(**state, opened->place);
      if (!known) co_return known.error();
      if (!*known) co_return NotFound("no fill of " + *cache_ + " is known to this state");
      places.push_back(opened->place);
    } else {
      Result<std::vector<cache::Place>> all = co_await cache::AllPlaces(**state);
      if (!all) co_return all.error();
      places = std::move(*all);
    }
    for (const cache::Place& place : places) {
      Result<void> shown = co_await Show(context, **state, place);
      if (!shown) co_return shown.error();
    }
    context.output().Print(
        Message("summary").With("caches", places.size()).Says(places.empty() ? "no caches" : ""));
    co_return ExitCode::kDone;
  }

 private:
  Async<void> Show(RunContext& context, State& state, cache::Place place) {
    cache::RunBook book(context.runtime(), state, place);
    std::vector<cache::Run> runs;
    if (run_) {
      Result<cache::Run> run = co_await book.Find(*run_);
      if (!run) co_return run.error();
      runs.push_back(std::move(*run));
    } else {
      Result<std::vector<cache::Run>> all = co_await book.All();
      if (!all) co_return all.error();
      runs = std::move(*all);
      // There may be one of these each minute.
      std::erase_if(runs, [](const cache::Run& run) {
        return run.kind == cache::RunKind::kSweep && run.phase == RunPhase::kDone;
      });
    }
    Result<uint64_t> budget = co_await cache::BudgetOf(state, place);
    if (!budget) co_return budget.error();
    Result<int64_t> counted = co_await cache::CountedBytes(context.runtime(), state, place).Now();
    if (!counted) co_return counted.error();
    Output& output = context.output();
    output.Print(Message("cache")
                     .With("bucket", place.bucket)
                     .With("store", place.store)
                     .With("counted_bytes", *counted)
                     .With("budget_bytes", *budget)
                     .Says(Printable(place.bucket) + " at " + place.store + ", " +
                           FormatBytes(static_cast<uint64_t>(std::max<int64_t>(0, *counted))) +
                           (*budget > 0 ? " of " + FormatSizeExact(*budget) : "")));
    const size_t first = runs.size() > kRunsShown ? runs.size() - kRunsShown : 0;
    const SystemTime now = context.runtime().clock.Now();
    for (size_t i = first; i < runs.size(); ++i) {
      const cache::Run& run = runs[i];
      const std::string_view phase = PhaseOf(run, now);
      std::vector<std::string> waits_for;
      for (int64_t number : run.waits_for) waits_for.push_back(std::to_string(number));
      Message message("run");
      message.With("run", run.number)
          .With("kind", cache::ToString(run.kind))
          .With("phase", phase)
          .With("source", run.source_name)
          .With("prefixes", run.prefixes)
          .With("force", run.force)
          .With("ttl_seconds", run.ttl.count())
          .With("started", FormatRfc3339(run.started))
          .With("hits", run.counts.hits)
          .With("copied", run.counts.copied)
          .With("bytes", run.counts.bytes)
          .With("gone", run.counts.gone)
          .With("failed", run.counts.failed)
          .With("inherited", run.counts.inherited)
          .With("waiting", run.counts.waiting)
          .With("removed", run.counts.removed)
          .With("waits_for", std::move(waits_for));
      if (run.ended) message.With("ended", FormatRfc3339(*run.ended));
      output.Print(message.Says(TextOf(run, phase)));
      if (!run_) continue;
      if (run.cost) output.Print(CostMessage(*run.cost, run.ttl));
      for (const cache::Run::Failure& failure : run.failures) {
        output.Print(
            Message("failed")
                .With("key", failure.key)
                .With("reason", failure.reason)
                .Says("        " + Printable(failure.key) + ": " + Printable(failure.reason)));
      }
    }
    co_return Ok();
  }

  std::optional<std::string> cache_;
  std::optional<int64_t> run_;
  StateFlag state_flag_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCacheStatusCommand() { return std::make_unique<CacheStatusCommand>(); }

}  // namespace longhaul
