#include <fmt/format.h>

#include <memory>

#include "cli/cache_common.h"
#include "cli/command.h"

namespace longhaul {

namespace {

class CacheListCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "cache ls",
            .summary = "list what a cache holds, and until when",
            .description =
                "Lists the keys that fills have put into a cache, by what the state says: ready "
                "(the copy is there), copying or removing (a run has taken the key) or failed, "
                "with the "
                "size, when the time to live ends, and whether it is pinned.",
            .examples = {{"Below a prefix",
                          "longhaul cache ls fast:cache/2026/ --config longhaul.yaml"},
                         {"For a script",
                          "longhaul cache ls fast:cache --json --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kNotFound, ExitCode::kDenied, ExitCode::kUnreachable}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("STORE:BUCKET/PREFIX", "The cache, and perhaps a prefix in it.", cache_);
    state_flag_.Declare(flags);
    store_flags_.Declare(flags, false);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    StoreOpener opener(context, store_flags_, true);
    Result<OpenedCache> opened = OpenCache(opener, cache_);
    if (!opened) co_return opened.error();
    Result<std::unique_ptr<State>> state = OpenCacheState(context, state_flag_);
    if (!state) co_return state.error();
    Result<bool> known = co_await cache::IsKnownPlace(**state, opened->place);
    if (!known) co_return known.error();
    if (!*known) co_return NotFound("no fill of " + cache_ + " is known to this state");
    const std::string& prefix = opened->address.address.key;
    Output& output = context.output();
    uint64_t objects = 0;
    uint64_t bytes = 0;
    Result<void> listed = co_await cache::EachEntry(
        **state, opened->place, prefix, [&](const std::string& key, const cache::Entry& entry) {
          if (entry.state == cache::EntryState::kReady) {
            ++objects;
            bytes += entry.size_bytes;
          }
          Message message("entry");
          message.With("key", key)
              .With("state", cache::ToString(entry.state))
              .With("size", entry.size_bytes)
              .With("etag", entry.etag)
              .With("source", entry.source)
              .With("until", FormatRfc3339(entry.until))
              .With("used", FormatRfc3339(entry.used))
              .With("run", entry.run)
              .With("pinned", entry.pinned);
          if (!entry.reason.empty()) message.With("reason", entry.reason);
          output.Print(message.Says(
              fmt::format("{:<8} {:>12}  until {}{}  {}", cache::ToString(entry.state),
                          FormatBytes(entry.size_bytes),
                          FormatRfc3339(std::chrono::floor<std::chrono::seconds>(entry.until)),
                          entry.pinned ? ", pinned" : "", Printable(key))));
          return output.open() && !context.stop().is_set();
        });
    if (!listed) co_return listed.error();
    if (context.stop().is_set()) co_return Cancelled("stopped on request");
    output.Print(Message("summary")
                     .With("objects", objects)
                     .With("bytes", bytes)
                     .Says(Counted(objects, "object") + " ready, " + FormatBytes(bytes)));
    co_return ExitCode::kDone;
  }

 private:
  std::string cache_;
  StateFlag state_flag_;
  StoreFlags store_flags_;
};

}  // namespace

std::unique_ptr<Command> MakeCacheListCommand() { return std::make_unique<CacheListCommand>(); }

}  // namespace longhaul
