// Worker: takes tasks of runs out of the Queue and carries them out; as a finder also those that
// compare. Any number of processes do so beside each other.
//
// A message is acknowledged when what its task stands for is durable. While a task is worked on its
// message stays hidden and a claim says who has it; a message that names a task of somebody who
// lives is given back. A worker that is killed leaves a claim that runs out, and whoever gets the
// task then looks at the target before it copies. What fails goes back with a growing delay; what
// has failed too often, or has killed its workers, is noted with its reason and retried on demand.

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/board.h"
#include "migration/compare.h"
#include "migration/copy_objects.h"
#include "migration/finder.h"
#include "migration/giant.h"
#include "migration/run.h"
#include "queue/queue.h"
#include "state/state.h"

namespace longhaul::migration {

struct WorkerOptions {
  std::string name;  // Of this process, unique among all.
  bool finds = true;
  bool works = true;
  // End when these have finished; empty: never.
  std::vector<std::string> until_done{};
  int in_flight = 64;                            // Objects carried side by side.
  int finds_max = 4;                             // Prefixes compared side by side.
  std::chrono::milliseconds visibility{60'000};  // Of messages; claims last as long.
  std::chrono::milliseconds refresh{2'000};      // How often the runs are looked at again.
  std::chrono::milliseconds delay{1'000};        // Of what has failed; doubled with each try.
  std::chrono::milliseconds delay_max{300'000};
  int starts_max = 10;  // So many may die over a task.
  FinderLimits finder{};
};

// Opens the two sides of a run. kInvalidInput: this process cannot, others may.
using EndsOpener = std::function<Result<Ends>(const Run& run)>;

class Worker {
 public:
  Worker(Runtime& runtime, Queue& queue, State& state, EndsOpener opener, WorkerOptions options);
  ~Worker();

  // Works until `stop`, and hands back what is in flight; or until what it waits for has finished.
  asio::awaitable<void> Run(Event& stop);

  [[nodiscard]] const std::map<std::string, Meter>& meters() const { return meters_; }

 private:
  struct Open;   // A task that is being worked on.
  struct Known;  // A run, as it was when it was last looked at.
  struct View;   // And as it is for a task.

  Async<void> Refresh();
  static void Learn(Known& known, migration::Run run);
  asio::awaitable<void> RefreshIfDue();
  [[nodiscard]] std::vector<std::string> LanesLeftAlone() const;
  [[nodiscard]] bool MayFind() const;
  [[nodiscard]] bool MayWork() const;
  // Whether all that it waits for has finished.
  Async<bool> AllDone();
  // Sends tasks again that nobody has and no message names.
  asio::awaitable<void> SendAgain();

  Async<void> Handle(QueueMessage message);
  // What is to be done with a message before its task is looked at. kDrop: of a run that is stopped
  // or forgotten; kBury: of a run that nobody knows, in a lane that is shared.
  enum class Fate { kWork, kDrop, kBury };
  Async<Fate> Judge(std::string run, bool shared);
  // What nobody understands is never removed: it goes to the dead letters.
  Async<void> SetAside(QueueMessage message, std::string reason);
  // What became of it is in State; true: its message is to be acknowledged, else released by
  // `delay`.
  Async<bool> Do(Open& open, Known& known, std::chrono::milliseconds* delay);
  // false: this process cannot, now or ever.
  Async<bool> OpenEnds(Known& known, std::chrono::milliseconds* delay);
  Async<bool> DoFind(Open& open, const View& view, Task task, std::chrono::milliseconds* delay);
  Async<bool> DoObjects(Open& open, const View& view, Task task, std::chrono::milliseconds* delay);
  // Whether the run was started again since the start that found the task, or somebody else has
  // taken the task.
  Async<bool> OthersCame(const Open& open, const migration::Run& before, int64_t starts);
  Async<bool> DoGiant(Open& open, const View& view, Task task, std::chrono::milliseconds* delay);
  Async<bool> DoRange(Open& open, const View& view, Task task, std::chrono::milliseconds* delay);
  Async<bool> Settle(const View& view, TaskEnd end, std::chrono::milliseconds* delay);
  // Of a task that somebody else has had since: what was written here came late to the target, and
  // may lie over what he has put there. In a task of its own.
  Async<void> LookAgainLater(const View& view, Task task);
  // A task that has killed too many workers.
  Async<void> Bury(const View& view, Task task, const Claim& claim);
  [[nodiscard]] std::chrono::milliseconds DelayAfter(int tries);
  // Of a message that nothing could be done with; longer after many times, so that one which waits
  // for hours is not received too often.
  [[nodiscard]] std::chrono::milliseconds DelayOf(const QueueMessage& message);
  // Keeps messages hidden and claims alive; gives up what takes too long.
  Async<void> KeepAlive(Event& ended);
  // Says in State what this process does.
  Async<void> Publish(Event& ended);
  // Aborts uploads, and removes claims, that workers have left who died.
  asio::awaitable<void> Sweep();

  Runtime& runtime_;
  Queue& queue_;
  State& state_;
  EndsOpener opener_;
  WorkerOptions options_;
  RunBook book_;
  TaskBoard board_;
  Finder finder_;
  std::shared_ptr<Semaphore> slots_;  // shared with permits of coroutines that outlive an await.
  std::map<std::string, std::unique_ptr<Known>> runs_;
  std::map<std::string, Meter> meters_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Open>> open_;  // shared: see Open.
  int finds_open_ = 0;
  SteadyTime refreshed_{};
  SteadyTime sent_again_{};
  bool stopping_ = false;
  WaitList changed_;
};

// The rows worker/NAME of a run: who works on it, and how fast. They expire.
struct WorkerRow {
  std::string name;
  bool finds = false;
  bool works = false;
  double objects_per_second = 0;
  double bytes_per_second = 0;
  int64_t objects_open = 0;
};
Result<WorkerRow> DecodeWorker(std::string_view key, std::string_view text);

}  // namespace longhaul::migration
