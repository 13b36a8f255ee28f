// Finder: compares the two sides of a run below a prefix and makes tasks of what is missing.
//
// Memory does not grow with the number of objects. How far it is lies in State (FindRow), so that
// whoever takes over goes on there: tasks are numbered, each says up to which name it covers the
// listing, and one that is found again is not made anew.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "migration/board.h"
#include "migration/compare.h"
#include "migration/run.h"
#include "migration/task.h"

namespace longhaul::migration {

struct FindRow {
  std::string id;
  std::string prefix;  // Of the names.
  bool check = false;  // Tasks of an earlier start were not done.
  int64_t starts = 0;  // Run::starts when it was asked for; 0: not known, below: of no start.
  std::string cursor;  // Up to this name all that was missing is in tasks.
  int64_t next = 0;    // The number of the next task.
  int64_t listed = 0;
  int64_t listed_bytes = 0;
  int64_t equal = 0;
  int64_t found = 0;
  int64_t found_bytes = 0;
  bool begun = false;
  bool done = false;
  bool nothing = false;  // It is done, and no name at the source begins with the prefix.
  std::string failure;   // Of one that was given up.
  int64_t revision = 0;
};
std::string FindKey(const std::string& id);
std::string EncodeFind(const FindRow& row);
Result<FindRow> DecodeFind(const StateRow& row);

// The number of a finder's task as part of its id: "<find>-00000042".
std::string NumberedId(const std::string& prefix, int64_t number);

inline constexpr std::string_view kNoSuchFind = "NoSuchFind";

struct FinderLimits {
  int64_t tasks_waiting_max = 1'000;  // In the Queue; then finders wait.
  std::chrono::milliseconds wait{1'000};
  std::chrono::seconds count_finds_every{60};
};

class Finder {
 public:
  Finder(Runtime& runtime, Queue& queue, State& state, TaskBoard& board, FinderLimits limits)
      : runtime_(runtime), queue_(queue), state_(state), board_(board), limits_(limits) {}

  // Makes all tasks of a find. OK: they are durable. kPrecondition: somebody else does it.
  // `listing_failed`: whether an error is one of the stores. kCancelled: `stop`. kNotFound, code
  // kNoSuchFind: there is no row of it. Others as the stores list, and as State and Queue fail.
  Async<void> Work(Run run, Ends ends, std::string find, Event& stop, bool* listing_failed);
  // A find whose row is gone though its task is there.
  Async<void> MakeAnew(const Run& run, std::string find, std::string prefix);
  // Says that it was given up, and why.
  Async<void> GiveUp(const Run& run, std::string find, std::string reason);

 private:
  struct Pass;
  Async<FindRow> Read(const std::string& run_id, const std::string& find);
  // What failed below the prefix before is compared anew now. What an event had named is carried
  // anew: tags and metadata show in no listing.
  Async<void> ForgetObjects(const Run& run, const std::string& prefix);
  Async<void> ForgetRows(const Run& run, std::vector<StateRow> rows);
  // A task, of `objects` that events have named.
  Async<void> AddNamed(const Run& run, std::vector<TaskObject> objects);
  // Goes past the tasks that somebody has made and not noted.
  Async<void> Resume(const Run& run, FindRow& row);
  Async<void> Merge(Pass& pass);
  // Makes a task of what has been gathered, which covers the listing up to its last name.
  Async<void> Flush(Pass& pass, TaskKind kind);
  Async<void> WaitForRoom(Event& stop);
  // Finds of all runs that wait in the Queue beside the tasks, or a little more.
  Async<int64_t> FindsWaiting();
  Async<void> Save(const std::string& run_id, FindRow& row);

  Runtime& runtime_;
  Queue& queue_;
  State& state_;
  TaskBoard& board_;
  FinderLimits limits_;
  int64_t finds_waiting_ = 0;
  std::optional<SteadyTime> finds_counted_{};
};

}  // namespace longhaul::migration
