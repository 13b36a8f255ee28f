// The folder watches of a configuration's rules, run beside the roles.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "events/folder_watch.h"
#include "queue/queue.h"
#include "rules/rule.h"

namespace longhaul {

class FolderWatches {
 public:
  // Borrowed until Stop has returned.
  FolderWatches(Runtime& runtime, Queue& queue);

  // Watches the source folder of each rule whose intake says so. Where a watch cannot be had (the
  // folder is missing, the system's limit is reached) it says so, tries again, and the rule's
  // listings find the changes; of a rule without them it asks for some, less and less often, up to
  // an hour apart. `configuration` is borrowed until Stop has returned. `list_soon`: lists the
  // source of a rule.
  void Start(const Configuration& configuration,
             std::function<void(const std::string& rule)> list_soon);
  asio::awaitable<void> Stop();

 private:
  struct One {
    const Rule& rule;
    std::unique_ptr<FolderWatch> watch;
    bool watched = false;  // Since its last Run began.
  };
  Async<void> Keep(One& one);

  Runtime& runtime_;
  Queue& queue_;
  std::function<void(const std::string& rule)> list_soon_;
  Event stop_;
  std::vector<std::unique_ptr<One>> watches_;
  TaskGroup running_;
};

}  // namespace longhaul
