// The folder watches of a configuration's rules, run beside the roles.

#pragma once

#include <memory>
#include <vector>

#include "base/runtime.h"
#include "events/folder_watch.h"
#include "queue/queue.h"
#include "replication/replicator.h"
#include "rules/rule.h"

namespace longhaul {

class FolderWatches {
 public:
  // Borrowed until Stop has returned.
  FolderWatches(Runtime& runtime, Queue& queue, Observer& observer);

  // Watches the source folder of each rule whose intake says so. Where a watch cannot be had (the
  // folder is missing, the system's limit is reached) it says so, also in what /readyz tells,
  // tries again, and asks for listings, which find the changes: at once, and then less and less
  // often, up to an hour apart.
  void Start(const Configuration& configuration, Replicator& replicator);
  asio::awaitable<void> Stop();

 private:
  Async<void> Keep(FolderWatch& watch, std::string rule_id, Replicator& replicator);

  Runtime& runtime_;
  Queue& queue_;
  Observer& observer_;
  Event stop_;
  std::vector<std::unique_ptr<FolderWatch>> watches_;
  TaskGroup running_;
};

}  // namespace longhaul
