#include <memory>

#include "cache/sweep.h"
#include "cli/cache_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

class CacheSweepCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "cache sweep",
            .summary = "remove copies whose time to live has ended",
            .description =
                "Goes once through all that the state knows of a cache, and removes each copy "
                "whose time to live has ended. What is filled, extended or pinned meanwhile stays, "
                "and so does every object that the state knows nothing of, or that somebody has "
                "put in the place of a copy. With --watch it stays, and removes what comes to its "
                "end within a minute; `cache serve` and `cache worker` do so as well.\n\n"
                "One process at a time sweeps a cache; another one that begins meanwhile says so "
                "and ends with exit code 0, or waits with --watch.",
            .examples = {{"Once, from cron",
                          "longhaul cache sweep fast:cache --config "
                          "longhaul.yaml"},
                         {"Until stopped",
                          "longhaul cache sweep fast:cache --watch --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("STORE:BUCKET", "The cache.", cache_);
    flags.Switch({.name = "watch", .help = "Go on until stopped."}, watch_);
    state_flag_.Declare(flags);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Runtime& runtime = context.runtime();
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedCache> opened = OpenCache(opener, cache_);
    if (!opened) co_return opened.error();
    Result<std::unique_ptr<State>> state = OpenCacheState(context, state_flag_);
    if (!state) co_return state.error();
    Result<void> known = co_await RequireCache(**state, *opened, cache_);
    if (!known) co_return known.error();
    Store& store = *opened->address.store;
    if (watch_) {
      context.troubles().UseLog();
      co_await cache::KeepSweeping(runtime, **state, store, opened->place, context.stop());
      co_return ExitCode::kInterrupted;  // The context knows by which signal.
    }
    Result<void> there = co_await store.HeadBucket(opened->place.bucket);
    if (!there) co_return there.error();
    RemovalTeller teller(context.output(), cache_);
    Result<cache::SweepResult> swept = co_await cache::Sweep(
        runtime, **state, store, opened->place,
        {.stop = &context.stop(),
         .on_key = [&](const cache::RemovalReport& removal) { teller.Tell(removal); }});
    if (!swept) co_return swept.error();
    const cache::RemovalCounts& counts = swept->counts;
    Message message("summary");
    message.With("removed", counts.removed)
        .With("bytes", counts.bytes)
        .With("foreign", counts.foreign)
        .With("failed", counts.failed)
        .With("kept", swept->kept)
        .With("elsewhere", swept->elsewhere);
    std::string text = swept->elsewhere
                           ? "another process is sweeping this cache"
                           : RemovalText(counts) + ", " +
                                 Counted(static_cast<uint64_t>(swept->kept), "copy", "copies") +
                                 " left";
    context.output().Print(message.Says(std::move(text)));
    co_return counts.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  std::string cache_;
  bool watch_ = false;
  StateFlag state_flag_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCacheSweepCommand() { return std::make_unique<CacheSweepCommand>(); }

}  // namespace longhaul
