#include "cli/folder_watches.h"

#include <algorithm>
#include <utility>

namespace longhaul {

namespace {

constexpr std::chrono::minutes kRetry{1};
// Between two listings of a folder that is not watched, from kRetry on twice as long each time.
constexpr std::chrono::minutes kListingLast{60};

}  // namespace

FolderWatches::FolderWatches(Runtime& runtime, Queue& queue)
    : runtime_(runtime), queue_(queue), running_(runtime.executor) {}

void FolderWatches::Start(const Configuration& configuration,
                          std::function<void(const std::string& rule)> list_soon) {
  list_soon_ = std::move(list_soon);
  for (const Rule& rule : configuration.rules) {
    if (!rule.enabled || !rule.intake.watch) continue;
    const StoreSettings& store = configuration.stores.at(rule.source.store);
    One& one = *watches_.emplace_back(new One{.rule = rule, .watch = nullptr});
    FolderWatchOptions options{
        .folder = store.root + "/" + rule.source.bucket,
        .store = rule.source.store,
        .bucket = rule.source.bucket,
        .rule = rule.id,
        .wanted =
            [&rule](std::string_view key) { return rule.MatchesKey(rule.source.bucket, key); },
        .on_listing_needed =
            [this, &one](std::string_view) {
              one.watched = true;
              list_soon_(one.rule.id);
            }};
    one.watch = std::make_unique<FolderWatch>(runtime_, std::move(options), queue_);
    running_.Spawn(Keep(one));
  }
}

Async<void> FolderWatches::Keep(One& one) {
  std::chrono::minutes interval = kRetry;
  SteadyTime listing_at{};
  while (!stop_.is_set()) {
    one.watched = false;
    Result<void> ended = co_await one.watch->Run();
    if (ended) break;
    runtime_.log.Warning("the folder is not watched; listings find its changes",
                         {{"rule", one.rule.id}, ended.error()});
    const SteadyTime now = runtime_.clock.SteadyNow();
    // What was seen and not yet hinted is found so; and of a rule that lists by no interval what
    // nobody sees now.
    if (one.watched) interval = kRetry;
    if (one.watched || (!one.rule.intake.listing && now >= listing_at)) {
      list_soon_(one.rule.id);
      listing_at = now + interval;
      interval = std::min(2 * interval, kListingLast);
    }
    co_await stop_.WaitFor(runtime_.clock, kRetry);
  }
  co_return Ok();
}

asio::awaitable<void> FolderWatches::Stop() {
  stop_.Set();
  for (const std::unique_ptr<One>& one : watches_) one->watch->Stop();
  Result<void> joined = co_await running_.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
