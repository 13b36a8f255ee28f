#include "cli/folder_watches.h"

#include <utility>

namespace longhaul {

namespace {

constexpr std::chrono::minutes kRetry{1};

}  // namespace

FolderWatches::FolderWatches(Runtime& runtime, Queue& queue)
    : runtime_(runtime), queue_(queue), running_(runtime.executor) {}

void FolderWatches::Start(const Configuration& configuration, Replicator& replicator) {
  for (const Rule& rule : configuration.rules) {
    if (!rule.enabled || !rule.intake.watch) continue;
    const StoreSettings& store = configuration.stores.at(rule.source.store);
    FolderWatchOptions options{
        .folder = store.root + "/" + rule.source.bucket,
        .store = rule.source.store,
        .bucket = rule.source.bucket,
        .rule = rule.id,
        .wanted =
            [&rule](std::string_view key) { return rule.MatchesKey(rule.source.bucket, key); },
        .on_listing_needed = [&rule,
                              &replicator](std::string_view) { replicator.CompareSoon(rule.id); }};
    watches_.push_back(std::make_unique<FolderWatch>(runtime_, std::move(options), queue_));
    running_.Spawn(Keep(*watches_.back(), rule.id));
  }
}

Async<void> FolderWatches::Keep(FolderWatch& watch, std::string rule_id) {
  while (!stop_.is_set()) {
    Result<void> ended = co_await watch.Run();
    if (ended) break;
    runtime_.log.Warning("the folder is not watched; listings find its changes",
                         {{"rule", rule_id}, ended.error()});
    co_await stop_.WaitFor(runtime_.clock, kRetry);
  }
  co_return Ok();
}

asio::awaitable<void> FolderWatches::Stop() {
  stop_.Set();
  for (const auto& watch : watches_) watch->Stop();
  Result<void> joined = co_await running_.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
