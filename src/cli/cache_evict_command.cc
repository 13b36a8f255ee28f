#include <memory>

#include "cache/evict.h"
#include "cli/cache_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

class CacheEvictCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "cache evict",
            .summary = "remove copies from a cache before their time",
            .description =
                "Removes all copies below a prefix of a cache, whenever their time to live ends. "
                "Pinned copies stay (`cache unpin` first), and what a run is copying at the "
                "moment; both are counted. An object that is not the copy which the state speaks "
                "of stays, too, and so does one that it knows nothing of.",
            .examples = {{"A prefix",
                          "longhaul cache evict fast:cache/2026/01/ --config "
                          "longhaul.yaml"},
                         {"What would go",
                          "longhaul cache evict fast:cache --dry-run --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable, ExitCode::kInterrupted, ExitCode::kTerminated}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("STORE:BUCKET/PREFIX", "The cache, and below which prefix.", cache_);
    flags.Switch(
        {.name = "dry-run", .help = "Say what would go, and remove nothing.", .letter = 'n'},
        dry_run_);
    state_flag_.Declare(flags);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedCache> opened = OpenCache(opener, cache_);
    if (!opened) co_return opened.error();
    Result<std::unique_ptr<State>> state = OpenCacheState(context, state_flag_);
    if (!state) co_return state.error();
    Result<void> known = co_await RequireCache(**state, *opened, cache_);
    if (!known) co_return known.error();
    Store& store = *opened->address.store;
    Result<void> there = co_await store.HeadBucket(opened->place.bucket);
    if (!there) co_return there.error();
    RemovalTeller teller(context.output(), cache_);
    Result<cache::EvictResult> evicted = co_await cache::Evict(
        context.runtime(), **state, store, opened->place, opened->address.address.key,
        {.stop = &context.stop(),
         .dry_run = dry_run_,
         .on_key = [&](const cache::RemovalReport& removal) { teller.Tell(removal); }});
    if (!evicted) co_return evicted.error();
    std::string text = RemovalText(evicted->counts, dry_run_);
    const auto add = [&](int64_t count, std::string_view what) {
      if (count > 0) text += ", " + FormatCount(static_cast<uint64_t>(count)).append(what);
    };
    add(evicted->pinned, " pinned, left");
    add(evicted->claimed, " left to runs at work");
    context.output().Print(Message("summary")
                               .With("removed", evicted->counts.removed)
                               .With("bytes", evicted->counts.bytes)
                               .With("foreign", evicted->counts.foreign)
                               .With("failed", evicted->counts.failed)
                               .With("pinned", evicted->pinned)
                               .With("claimed", evicted->claimed)
                               .With("dry_run", dry_run_)
                               .Says(std::move(text)));
    co_return evicted->counts.failed > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  std::string cache_;
  bool dry_run_ = false;
  StateFlag state_flag_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCacheEvictCommand() { return std::make_unique<CacheEvictCommand>(); }

}  // namespace longhaul
