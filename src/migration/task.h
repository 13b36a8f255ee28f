// Tasks: what finders leave for workers, and the finders' own.
//
// A task lies in State; the message in the Queue only names it, so a doubled or late message does
// no harm, and a message that is lost can be sent again. Of a task there are, in the partition of
// its run:
//
//   todo/ID    as long as it is not done: kind, count, bytes, tries; small, for whoever looks
//   claim/ID   while a worker is at it, and after it died: who, until when, how often
//   done/ID    when it is done, for good: what came of it
//   events/…   what came of all tasks that events have made: they have no end, and no row each
//
// and in the partition of the run's bodies ID itself: the objects that are left to be done.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "queue/queue.h"

namespace longhaul::migration {

enum class TaskKind {
  kFind,     // Compare the two sides below a prefix.
  kObjects,  // Copy a list of objects.
  kGiant,    // Begin the upload of a giant, and make the tasks for its ranges.
  kRange,    // Copy a range of a giant.
};
std::string_view ToString(TaskKind kind);

// What whoever carries an object looks at first (look.h).
enum class Look {
  kNone,   // Nothing: it is missing, or another one.
  kDoubt,  // By its time it is there; its ETag is another one, which may tell nothing.
  kBytes,  // By its size it may be there: its bytes decide.
  kEvent,  // An event named it: nothing is known but the name.
};

struct TaskObject {
  std::string name;  // What follows the prefix of the source, or of the target.
  uint64_t size_bytes = 0;
  std::string etag;
  int tries = 0;  // That failed.
  Look look = Look::kNone;

  bool operator==(const TaskObject&) const = default;
};

struct TaskCounts {
  int64_t copied = 0;
  int64_t bytes = 0;  // Of these.
  int64_t equal = 0;  // There already.
  int64_t failed = 0;
  int64_t gone = 0;  // From the source, before they could be read.

  void Add(const TaskCounts& other);
  bool operator==(const TaskCounts&) const = default;
};

struct Task {
  std::string run;
  std::string id;  // Unique in its run.
  TaskKind kind = TaskKind::kObjects;
  // What is left to be done; of a giant and its ranges, it. Of kFind: the name is the prefix.
  std::vector<TaskObject> objects;
  TaskCounts counts;  // Of what was done before.
  // Somebody may have copied some of it: whoever takes it looks at the target first.
  bool check = false;
  bool event = false;  // Made of events.
  int64_t starts = 0;  // FindRow::starts of the find that made it.
  std::string until;   // Of a finder's task: the name up to which it covers the listing.
  std::string reason;  // Why it came back last.
  // Of a range: the task of its giant, the transfer, and which of its ranges. Its object has the
  // size of the range.
  std::string giant;
  std::string plan;
  uint32_t range = 0;
  bool own_parts = false;  // Of a giant: not as its own parts are.
  int64_t revision = 0;    // Of its body, as it was opened.

  [[nodiscard]] uint64_t bytes() const;
};

// At most kTaskBodyBytesMax, if `objects` are (EncodedBytes).
std::string EncodeTask(const Task& task);
Result<Task> DecodeTask(std::string run, std::string id, std::string_view text);
// What an object takes in a task, at most.
size_t EncodedBytes(const TaskObject& object);
inline constexpr size_t kTaskBodyBytesMax = 200 << 10;  // Of the 256 KiB that State takes.

// The message that names a task.
NewMessage MessageOf(const std::string& run, const std::string& id, TaskKind kind);
struct TaskName {
  std::string run;
  std::string id;
};
Result<TaskName> ReadMessage(std::string_view body);

// The lanes of a run: runs take turns, and finders do not wait behind what they have found.
std::string FindLane(const std::string& run);
std::string WorkLane(const std::string& run);

// What is said of one object: only where it is not what most are, copied.
struct ObjectRow {
  enum class State { kFailed, kGone };
  State state = State::kFailed;
  TaskObject object;
  std::string reason;
  SystemTime time{};
};
std::string ObjectKey(std::string_view name);  // Of the row.
std::string EncodeObject(const ObjectRow& row);
Result<ObjectRow> DecodeObject(std::string_view key, std::string_view text);

}  // namespace longhaul::migration
