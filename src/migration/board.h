// TaskBoard: tasks in State and their messages in the Queue (task.h), and the order of the writes
// that a kill at any time needs: a body before its row, a row before its message; what came of a
// task before it goes, and its message last.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/run.h"
#include "migration/task.h"
#include "queue/queue.h"
#include "state/state.h"

namespace longhaul::migration {

struct Claim {
  bool mine = false;
  bool again = false;  // Somebody has had it before, and may have done some of it.
  int starts = 1;      // How often a worker has begun with it; each but this one died over it.
  std::string worker;  // Who has it, or had it before.
  std::chrono::milliseconds busy{};  // Not mine: for so long.
  int64_t revision = 0;              // Of its row.
};

// Errors are those of State and Queue.
class TaskBoard {
 public:
  // `worker` names this process.
  TaskBoard(Runtime& runtime, Queue& queue, State& state, std::string worker)
      : runtime_(runtime), queue_(queue), state_(state), worker_(std::move(worker)) {}

  // A new task. Again with the same id: it stays as it was and is sent again, unless it is done.
  Async<void> Add(Task task);
  // A task that nobody has made yet. kPrecondition: there is one of that id, done or not, and it
  // may hold something else.
  Async<void> AddFirst(Task task);
  // As Add without its message, for many that are sent together.
  Async<void> Put(Task task, bool* done = nullptr);
  // Names tasks in the Queue once more.
  Async<void> Send(const Task& task);
  // nullopt: it is done, or was never there.
  Async<std::optional<Task>> Open(std::string run, std::string id);
  // Whether there is a task of that id, done or not; nullopt: none. Of a done one there is no body.
  Async<std::optional<Task>> Look(std::string run, std::string id, bool* done);

  // Whether it was finished, and not forgotten since. Not for tasks of events, which leave no word.
  Async<bool> IsDone(std::string run, std::string id);

  // Says that this process works on it for `lease`, or who else does.
  Async<Claim> TryClaim(std::string run, std::string id, std::chrono::milliseconds lease);
  // Only as long as it is mine: kPrecondition otherwise.
  Async<void> Renew(std::string run, std::string id, std::chrono::milliseconds lease, Claim* claim);

  // Whether it is mine yet, by what is written.
  Async<bool> IsMine(std::string run, std::string id);

  // Says that this process works on it no more, because something failed: who takes it next has
  // nobody's death to count. kPrecondition: it is somebody else's.
  Async<void> Leave(std::string run, std::string id, Claim claim);
  // Says that nobody works on it now.
  Async<void> Unclaim(std::string run, std::string id);

  // It is done: `counts` of all of it. The caller acknowledges its message afterwards.
  Async<void> Finish(Task task, std::vector<ObjectRow> objects);
  // What is left of it, for whoever gets it next. The caller releases its message afterwards.
  // kPrecondition: somebody else has had it since; it is his.
  Async<void> PutBack(Task task, std::vector<ObjectRow> objects);
  // Who took a task in the moment in which another one finished it, and died of something else, has
  // left a claim on nothing.
  Async<void> SweepClaims(std::string run);
  // Nothing is left of these, done or not.
  Async<void> Forget(std::string run, std::vector<std::string> ids);
  // Writes of rows of a run; an error of one is an error of all.
  Async<void> WriteRows(std::string partition, std::vector<StateWrite> writes);

  [[nodiscard]] const std::string& worker() const { return worker_; }

 private:
  Async<void> WriteTodo(const Task& task);
  // Says what came of a task that events have made. A worker that dies here has it said again.
  Async<void> CountEvents(const Task& task);
  // Rows of a task that is done.
  Async<void> CleanUp(std::string run, std::string id);
  std::string EncodeTodo(const Task& task) const;

  Runtime& runtime_;
  Queue& queue_;
  State& state_;
  std::string worker_;
};

// What todo/ID says.
struct TodoRow {
  std::string id;
  TaskKind kind = TaskKind::kObjects;
  int64_t objects = 0;
  int64_t bytes = 0;
  int tries = 0;  // The most of any of its objects.
  TaskCounts counts;
  std::string reason;
};
Result<TodoRow> DecodeTodo(std::string_view key, std::string_view text);
Result<TaskCounts> DecodeDone(std::string_view text);

// Numbers of what events have led to: objects named, and what came of their tasks.
inline constexpr char kEventsNamed[] = "events/named";
// Adds a row "events/…" to them. kCorrupt: it is none.
Result<void> AddEventCount(const StateRow& row, TaskCounts* counts, int64_t* named);

}  // namespace longhaul::migration
