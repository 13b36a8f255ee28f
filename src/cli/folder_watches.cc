#include "cli/folder_watches.h"

#include <algorithm>
#include <utility>

namespace longhaul {

namespace {

constexpr std::chrono::minutes kRetry{1};
// Between two listings of a folder that is not watched, from kRetry on twice as long each time.
constexpr std::chrono::minutes kListingLast{60};

std::string PartOf(const std::string& rule) { return "watch of rule " + rule; }

}  // namespace

FolderWatches::FolderWatches(Runtime& runtime, Queue& queue, Observer& observer)
    : runtime_(runtime), queue_(queue), observer_(observer), running_(runtime.executor) {}

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
        .on_listing_needed =
            [this, &rule, &replicator](std::string_view) {
              observer_.OnReadiness(PartOf(rule.id), std::nullopt);  // It is watched.
              replicator.CompareSoon(rule.id);
            }};
    watches_.push_back(std::make_unique<FolderWatch>(runtime_, std::move(options), queue_));
    running_.Spawn(Keep(*watches_.back(), rule.id, replicator));
  }
}

Async<void> FolderWatches::Keep(FolderWatch& watch, std::string rule_id, Replicator& replicator) {
  std::chrono::minutes interval = kRetry;
  SteadyTime listing_at{};
  while (!stop_.is_set()) {
    const SteadyTime begun = runtime_.clock.SteadyNow();
    Result<void> ended = co_await watch.Run();
    if (ended) break;
    runtime_.log.Warning("the folder is not watched; listings find its changes",
                         {{"rule", rule_id}, ended.error()});
    observer_.OnReadiness(PartOf(rule_id), ended.error());
    // Also of a rule that lists by no interval; and what was seen and not yet hinted is found so.
    const SteadyTime now = runtime_.clock.SteadyNow();
    if (now - begun >= kListingLast) interval = kRetry;
    if (now >= listing_at) {
      replicator.CompareSoon(rule_id);
      listing_at = now + interval;
      interval = std::min(2 * interval, kListingLast);
    }
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
