// Carries the objects of one task, side by side, and says what is left of it.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/runtime.h"
#include "migration/compare.h"
#include "migration/run.h"
#include "migration/task.h"

namespace longhaul::migration {

// What a process has carried for a run, for whoever shows it.
struct Meter {
  int64_t objects = 0;
  int64_t bytes = 0;     // That have arrived; those of a retry again.
  int64_t failures = 0;  // Tries that failed.
  int64_t open = 0;      // Objects and ranges of tasks that are open.
};

// How a task ended, this time.
struct TaskEnd {
  Task task;                    // Its `objects` are what is left.
  std::vector<ObjectRow> rows;  // What is to be said of objects.
  // Of a task that somebody may have had before: what has been carried, of which rows may say that
  // it had failed.
  std::vector<std::string> settled;
  // Of which a look has shown that workers share them: for tasks of their own.
  std::vector<TaskObject> giants;
  bool failed = false;  // Something is left because it failed, not because of `stop`.
};

struct CopyLimits {
  std::shared_ptr<Semaphore> slots;  // shared by all tasks of the process: objects side by side.
  bool look_first = false;           // Somebody may have carried some of it.
  bool died = false;                 // Who did may have something under way yet.
  // Whether somebody else may have carried these objects meanwhile, in a newer state. Asked after
  // the last write; an error is a yes.
  std::function<Async<bool>()> others{};
};

// `tries_max` of the run: what has failed so often is not left, but in the rows. Never fails as a
// whole: what goes wrong is of an object.
asio::awaitable<TaskEnd> CopyObjects(Runtime& runtime, const Run& run, Ends ends, Task task,
                                     CopyLimits limits, Event& stop, Meter& meter);

// What becomes of an object that could not be carried: it stays in `left` for another try, or goes
// to `rows`.
void NoteFailure(const Run& run, TaskObject object, const Error& error, SystemTime now,
                 TaskEnd& end, std::vector<TaskObject>& left, Meter& meter);

}  // namespace longhaul::migration
