// Tuning: has the tuner of a process share what it learns, and look whether some rule must hurry.

#pragma once

#include <functional>
#include <string>

#include "cost/tuner.h"
#include "replication/context/context.h"

namespace longhaul {

class Tuning {
 public:
  // `sight`: of a rule, now.
  Tuning(ReplicationContext& context, std::function<TunerSight(const std::string& rule)> sight)
      : context_(context), sight_(std::move(sight)) {}

  // What there is memory for.
  void LimitLevel(int level_max);
  // Until `stop` is set; shares a last time then. What fails is told once and tried again.
  asio::awaitable<void> Run(Event& stop);

 private:
  ReplicationContext& context_;
  std::function<TunerSight(const std::string& rule)> sight_;
};

}  // namespace longhaul
