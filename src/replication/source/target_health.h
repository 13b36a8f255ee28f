// TargetHealth: what a source role knows of the stores of one rule's targets: what fails there, how
// long it is left alone, and the probes of those that are left alone altogether
// (target_breaker.h).
//
// Belongs to one shard.

#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/runtime.h"
#include "replication/context/rule_context.h"
#include "replication/life/outcome.h"

namespace longhaul {

class TargetHealth {
 public:
  TargetHealth(Runtime& runtime, Observer& observer, RuleContext& rule);

  // From now on targets that are left alone are probed, by tasks of `probes` and until `stop` is
  // set. `on_closed`, where given, is called when one can be worked on again.
  void Start(Event& stop, TaskGroup& probes, std::function<void()> on_closed);

  // Something could not be made durable at the store of a target (an index into rule.targets), or
  // was. How long to wait before it is tried again.
  std::chrono::milliseconds Failed(size_t target, Error error);
  void Succeeded(size_t target);

  // What failed last, until the same has succeeded; of the first target that has any.
  [[nodiscard]] std::optional<Error> error() const;
  // Whether one fails that is not left alone.
  [[nodiscard]] bool sick() const;

 private:
  // What keeps failing. Batches that fail side by side count once.
  struct Trouble {
    std::optional<Error> error;
    int failures = 0;
    SteadyTime counted{};
  };

  void Clear(size_t target);
  void TellOpen(size_t target, bool open);
  Async<void> Probe(TargetContext& target);
  Async<void> ProbeLoop(size_t target);

  Runtime& runtime_;
  Observer& observer_;
  RuleContext& rule_;
  std::vector<Trouble> troubles_;  // By target.
  std::set<size_t> probed_;
  Event* stop_ = nullptr;
  TaskGroup* probes_ = nullptr;
  std::function<void()> on_closed_;
};

}  // namespace longhaul
