#include <memory>

#include "cache/evict.h"
#include "cli/cache_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

// Both commands: they differ in what they set.
class CachePinCommand : public Command {
 public:
  explicit CachePinCommand(bool pins) : pins_(pins) {}

  [[nodiscard]] CommandHelp help() const override {
    if (pins_) {
      return {.name = "cache pin",
              .summary = "keep copies in a cache",
              .description =
                  "Pins all copies that lie below a prefix of a cache now: neither the end of "
                  "their time to live, nor a budget, nor `cache evict` removes them, until they "
                  "are unpinned. A fill that finds the source changed still replaces them. What is "
                  "being copied at the moment, or comes later, is not pinned.",
              .examples = {{"A prefix",
                            "longhaul cache pin fast:cache/models/ --config longhaul.yaml"}},
              .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                             ExitCode::kUnreachable}};
    }
    return {.name = "cache unpin",
            .summary = "let pinned copies of a cache go again",
            .description =
                "Unpins all copies below a prefix of a cache: those whose time to live has ended "
                "are removed by the next sweep.",
            .examples = {{"A prefix",
                          "longhaul cache unpin fast:cache/models/ --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                           ExitCode::kUnreachable}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("STORE:BUCKET/PREFIX", "The cache, and below which prefix.", cache_);
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
    Result<cache::PinResult> done =
        co_await cache::Pin(**state, opened->place, opened->address.address.key, pins_);
    if (!done) co_return done.error();
    std::string text = Counted(static_cast<uint64_t>(done->changed), "copy", "copies") +
                       (pins_ ? " pinned" : " unpinned");
    if (done->already > 0) {
      text += ", " + FormatCount(static_cast<uint64_t>(done->already)) + " were so already";
    }
    if (done->absent > 0) {
      text += ", " + FormatCount(static_cast<uint64_t>(done->absent)) + " not there (yet)";
    }
    context.output().Print(Message("summary")
                               .With("changed", done->changed)
                               .With("already", done->already)
                               .With("absent", done->absent)
                               .Says(std::move(text)));
    // Somebody counts on their being kept.
    co_return pins_ && done->absent > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  bool pins_;
  std::string cache_;
  StateFlag state_flag_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCachePinCommand() { return std::make_unique<CachePinCommand>(true); }
std::unique_ptr<Command> MakeCacheUnpinCommand() {
  return std::make_unique<CachePinCommand>(false);
}

}  // namespace longhaul
