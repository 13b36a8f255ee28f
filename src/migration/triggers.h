// Triggers: starts the migrations of a configuration when it is time: by their schedules, and when
// the one that they come after has finished.
//
// Every worker runs them; a row in State for each says what was last started for, and is claimed
// before a start, so that one of many does it, and another one if that dies. Starting twice would
// do no harm. What fell due while nobody ran is made up for once, but not for a run that was
// forgotten since (RunBook::Forget).

#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/time_zone.h"
#include "migration/run.h"
#include "migration/start.h"
#include "queue/queue.h"
#include "rules/migration.h"
#include "rules/rule.h"
#include "rules/schedule.h"
#include "state/state.h"

namespace longhaul::migration {

class Triggers {
 public:
  // What a migration is started with; its places are those of the stores here.
  using Request = std::function<Result<StartRequest>(const Migration& migration)>;

  // `worker` names this process.
  Triggers(Runtime& runtime, Queue& queue, State& state, std::vector<Migration> migrations,
           Request request, std::string worker);

  [[nodiscard]] bool empty() const { return triggers_.empty(); }
  // Looks every few seconds until `stop`.
  asio::awaitable<void> Run(Event& stop);
  // Starts what is due. Errors are those of State and Queue.
  Async<void> Look();

 private:
  struct Trigger {
    Migration migration;
    std::optional<Schedule> schedule{};
    TimeZone zone{};
  };
  // Since when it is due; nullopt: it is not. `last`: what it was last started for.
  Async<std::optional<SystemTime>> Due(const Trigger& trigger, SystemTime last);
  Async<void> LookAt(const Trigger& trigger);

  Runtime& runtime_;
  Queue& queue_;
  State& state_;
  Request request_;
  std::string worker_;
  std::vector<Trigger> triggers_;
};

}  // namespace longhaul::migration
