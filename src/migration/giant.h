// Giants: objects that workers carry together, each a range at a time.
//
// The task of a giant stays open until its object is settled. Whoever takes it pins the object
// (ETag and version), decides how it is cut, and makes a task for each range; ranges are pieces of
// one upload (transfer/uploads), whose bits and parts lie in State. A range that is done already
// costs a look at State. Whoever stores the last one checks the whole, looks at the source once
// more and completes. What ends a transfer otherwise (the source has changed or gone, the upload
// was removed, a range failed too often) is written into the giant's row as a verdict, and the task
// of the giant is sent again: it alone ends uploads, and plans anew or gives up.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "migration/board.h"
#include "migration/compare.h"
#include "migration/copy_objects.h"
#include "migration/run.h"
#include "migration/task.h"
#include "state/state.h"
#include "transfer/uploads/shared_uploads.h"

namespace longhaul::migration {

// The row giant/TASK of a run: a transfer that is under way.
struct GiantRow {
  std::string plan;  // ULID. Of another plan nothing is taken.
  SystemTime planned{};
  std::string name;
  std::string etag;  // The object is pinned to these.
  std::string version_id;
  SystemTime last_modified{};
  std::string replaces;  // At the target: WritingOf what stood there; empty: nothing.
  uint64_t size_bytes = 0;
  std::optional<Checksum> checksum{};  // Of the whole, that those of parts can be combined to.
  uint64_t part_bytes = 0;             // All parts but the last.
  bool as_source = false;              // As the object's own: its ETag is to be expected.
  uint32_t range_parts = 1;            // In a range.
  std::string verdict;                 // Empty: none yet. "settled", "changed", "gone", "failed"
  std::string reason;
  bool own_parts = false;  // Of "changed": the object's own parts were guessed wrong.
  int64_t revision = 0;

  [[nodiscard]] uint32_t parts() const;
  [[nodiscard]] uint32_t ranges() const;
  // Of part `number`, from 1.
  [[nodiscard]] ByteRange RangeOfPart(uint32_t number) const;
  // The first part of a range, from 1, and the one after its last.
  [[nodiscard]] uint32_t FirstPart(uint32_t range) const { return range * range_parts + 1; }
  [[nodiscard]] uint32_t EndPart(uint32_t range) const;
  [[nodiscard]] uint64_t RangeBytes(uint32_t range) const;
};
std::string GiantKey(const std::string& task);
std::string EncodeGiant(const GiantRow& row);
Result<GiantRow> DecodeGiant(const StateRow& row);

// What becomes of a task now.
struct TaskStep {
  enum class Kind {
    kAck,      // Its message goes.
    kRelease,  // It comes again, after `delay`.
    kPlain,    // The object is no giant (any more): carry it as others are.
    kFailed,   // A store failed, by `error`: that was a try.
  };
  Kind kind = Kind::kAck;
  std::chrono::milliseconds delay{0};
  std::optional<Error> error{};
};

// Belongs to one run of one process.
class GiantCarrier {
 public:
  struct Limits {
    std::shared_ptr<Semaphore> slots;  // shared by all tasks of the process: parts side by side.
    std::chrono::milliseconds delay{1'000};
    std::chrono::milliseconds lease{60'000};
  };
  // `ends` are borrowed; `process` names this one.
  GiantCarrier(Runtime& runtime, State& state, TaskBoard& board, const Run& run, Ends ends,
               const std::string& process, Limits limits);

  // Works on the task of a giant. `look_first`: it may have been carried already. Errors are those
  // of State and Queue.
  Async<TaskStep> Begin(Run run, Task task, bool look_first, Event& stop, Meter& meter);
  // Works on a range. `late`: set before `stop` when it has taken too long.
  Async<TaskStep> Carry(Run run, Task task, Event& stop, const bool& late, Meter& meter,
                        std::function<std::chrono::milliseconds(int)> delay_after);

  // A range that cannot be carried ends its transfer.
  Async<void> GiveUp(Run run, Task range, std::string reason);

  // Says that this process lives; at least every third of the lease.
  Async<void> Heartbeat() { return ledger_.Heartbeat(); }
  // Aborts what processes that died have left, and uploads of transfers that have ended, which a
  // worker that was late has begun anew. The count.
  Async<int> Sweep(Run run);
  // Aborts all uploads of the run; for one that is forgotten.
  Async<void> DropAll(Run run);

 private:
  class RangeWork;

  Async<std::optional<GiantRow>> Find(const std::string& run, const std::string& task);
  // Why a transfer ends, for whoever takes the giant's task. Of several the first stays.
  // Sends the task of the giant again then.
  Async<void> Judge(const Run& run, const Task& range, std::string verdict, std::string reason,
                    bool own_parts = false);
  Async<bool> HasLostParts(const Run& run, const Task& task, const GiantRow& row);
  Async<TaskStep> Conclude(const Run& run, Task task, GiantRow row);
  Async<TaskStep> Plan(const Run& run, Task task, Event& stop);
  Async<void> SendRanges(const Run& run, const Task& task, const GiantRow& row);
  // As the source's own parts are, where that keeps the ETag; else ours.
  Async<void> ChooseParts(const Run& run, const Task& task, const ObjectInfo& info, GiantRow& row);
  SharedUploads UploadsOf(const Run& run);

  Runtime& runtime_;
  State& state_;
  TaskBoard& board_;
  Ends ends_;
  Limits limits_;
  UploadLedger ledger_;
};

}  // namespace longhaul::migration
