// EventIntake: events of stores become tasks of the runs that take them (`events: true`).
//
// An event names an object and no more: what it is, whether it is to be copied, and which state of
// it, is seen when a worker looks at both sides (look.h). So events that are late, doubled or out
// of order cost a look. Runs delete nothing: events of deletes are counted and left alone, but for
// those of one version, behind which an older one may be the object again.
//
// A run that nobody has started yet begins with what events name; what was there before comes when
// it is started. It belongs to one shard.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "events/event_taker.h"
#include "migration/board.h"
#include "migration/run.h"
#include "migration/start.h"
#include "queue/queue.h"
#include "rules/migration.h"
#include "state/state.h"

namespace longhaul::migration {

class EventIntake : public EventTaker {
 public:
  // What a migration is started with; its places are those of the stores here.
  using Request = std::function<Result<StartRequest>(const Migration& migration)>;

  // Of `migrations`, those that take events. `worker` names this process.
  EventIntake(Runtime& runtime, Queue& queue, State& state, std::vector<Migration> migrations,
              Request request, const std::string& worker);

  [[nodiscard]] bool empty() const { return migrations_.empty(); }

  [[nodiscard]] std::vector<Source> Sources() const override;
  [[nodiscard]] std::string_view Unwanted(const StoreEvent& event) const override;
  // Also kThrottled: too much waits in the Queue. kInvalidInput: the run leads to another place.
  Async<size_t> Take(std::vector<StoreEvent> events) override;
  [[nodiscard]] Words words() const override {
    return {"no migration takes events of", "migrations take those of"};
  }

 private:
  // The name of the object in the run; nullopt: it is none of it.
  static std::optional<std::string> NameIn(const Migration& migration, const StoreEvent& event);
  Async<void> TakeFor(const Migration& migration, std::vector<std::string> names);
  Async<void> PutAll(const std::vector<Task>& tasks);

  Runtime& runtime_;
  Queue& queue_;
  State& state_;
  Request request_;
  RunBook book_;
  TaskBoard board_;
  std::vector<Migration> migrations_;
};

}  // namespace longhaul::migration
