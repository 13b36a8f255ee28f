// RuleFollower follows what people ask of the rules of a process: pauses, their ends, and the hints
// that were kept meanwhile.

#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "replication/context/context.h"

namespace longhaul {

class RuleFollower {
 public:
  // `on_change` is called when something else is asked for than before.
  RuleFollower(ReplicationContext& context, std::function<void()> on_change)
      : context_(context), on_change_(std::move(on_change)) {}

  // Reads what is asked for, until `stop` is set.
  asio::awaitable<void> Follow(Event& stop);
  // Sends hints of rules that are not paused any more back to the Queue, whenever a pause ends and
  // once a minute. Who sets `stop` calls LookAtSpools after it.
  asio::awaitable<void> KeepSpoolsEmpty(Event& stop);
  // The same once. What cannot be sent stays kept.
  asio::awaitable<void> EmptySpools();
  // Has KeepSpoolsEmpty look now.
  void LookAtSpools() { look_at_spools_.Set(); }
  // "rule a", "target west of rule b until 2026-01-01T00:00:00Z".
  [[nodiscard]] std::vector<std::string> WhatIsPaused() const;

 private:
  void TellChanges();

  ReplicationContext& context_;
  std::function<void()> on_change_;
  std::vector<std::string> paused_;  // As it was told last.
  Event look_at_spools_;
};

}  // namespace longhaul
