// BackgroundRuns: work that a request of the API has begun and that goes on when it has been
// answered: restores of backups, fills of caches. It belongs to one shard.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/async.h"
#include "base/runtime.h"

namespace longhaul {

class BackgroundRuns {
 public:
  explicit BackgroundRuns(const Runtime& runtime) : group_(runtime.executor) {}

  // Ends soon when `stop` is set. What goes wrong is told by the work itself, where its run is
  // kept.
  using Work = std::function<asio::awaitable<void>(Event& stop)>;
  // False: no more are begun, the process ends. `id`: as of no other that runs.
  bool Start(const std::string& id, Work work);
  // When its name is known at last; `to`: as of no other.
  void Rename(const std::string& from, const std::string& to);
  // False: this process has no such run.
  bool Stop(const std::string& id);
  [[nodiscard]] bool Has(const std::string& id) const { return runs_.contains(id); }
  // How many run whose ids begin so.
  [[nodiscard]] int Count(const std::string& id_prefix) const;
  // Stops them all and waits; no more are begun.
  asio::awaitable<void> End();

 private:
  struct One {
    std::string id;
    Event stop;
    Work work;
  };
  Async<void> Carry(One& one);

  std::map<std::string, std::unique_ptr<One>> runs_;
  TaskGroup group_;
  bool ending_ = false;
};

}  // namespace longhaul
