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
  FolderWatches(Runtime& runtime, Queue& queue);

  // Watches the source folder of each rule whose intake says so. Where a watch cannot be had (the
  // folder is missing, the system's limit is reached) it says so, tries again, and the rule's
  // listings find the changes; of a rule without them it asks for some, less and less often, up to
  // an hour apart. `configuration` is borrowed until Stop has returned.
  void Start(const Configuration& configuration, Replicator& replicator);
  asio::awaitable<void> Stop();

 private:
  Async<void> Keep(FolderWatch& watch, bool& watched, const Rule& rule, Replicator& replicator);

  Runtime& runtime_;
  Queue& queue_;
  Event stop_;
  std::vector<std::unique_ptr<bool>> watched_;  // Of each: since its last Run began.
  std::vector<std::unique_ptr<FolderWatch>> watches_;
  TaskGroup running_;
};

}  // namespace longhaul
