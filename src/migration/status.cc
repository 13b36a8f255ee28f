#include "migration/status.h"

#include <algorithm>
#include <set>
#include <utility>

#include "migration/row_scan.h"
#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

constexpr size_t kPrefixesNamed = 100;

// The tasks that somebody works on.
Async<std::set<std::string>> Claimed(State& state, Clock& clock, const std::string& run_id) {
  std::set<std::string> claimed;
  const SystemTime now = clock.Now();
  Result<void> read = co_await ForEachRow(state, RowsOf(run_id), "claim/",
                                          [&](const StateRow& row) -> Result<bool> {
                                            Result<Row> claim = Row::Decode(row.value);
                                            if (!claim) return claim.error();
                                            if (claim->Time("until").value_or(now) > now)
                                              claimed.insert(row.key.substr(6));
                                            return true;
                                          });
  if (!read) co_return read.error();
  co_return claimed;
}

}  // namespace

std::string_view RunStatus::state() const {
  if (run.finished) return "finished";
  if (run.stopped) return "stopped";
  return workers.empty() && tasks_running == 0 ? "waiting" : "running";
}

bool RunStatus::all_carried() const {
  return run.finished.has_value() && failed == 0 && finds.empty();
}

std::optional<std::chrono::seconds> RunStatus::time_left() const {
  if (run.finished || !all_listed) return std::nullopt;
  const auto objects = static_cast<double>(pending + running);
  const auto bytes = static_cast<double>(pending_bytes + running_bytes);
  if (objects == 0) return std::nullopt;
  // By bytes where they rule, by objects where those do: the slower of the two.
  double seconds = 0;
  if (bytes > 0 && bytes_per_second > 0) seconds = bytes / bytes_per_second;
  if (objects_per_second > 0) seconds = std::max(seconds, objects / objects_per_second);
  if (seconds == 0) return std::nullopt;
  return std::chrono::seconds(static_cast<int64_t>(std::min(seconds, 1e9)) + 1);
}

Async<RunStatus> ReadStatus(State& state, Clock& clock, Run run) {
  RunStatus status{.run = std::move(run)};
  const std::string partition = RowsOf(status.run.id);
  Result<std::set<std::string>> claimed = co_await Claimed(state, clock, status.run.id);
  if (!claimed) co_return claimed.error();
  Result<void> read =
      co_await ForEachRow(state, partition, "done/", [&](const StateRow& row) -> Result<bool> {
        Result<TaskCounts> counts = DecodeDone(row.value);
        if (!counts) return counts.error();
        status.done.Add(*counts);
        return true;
      });
  if (!read) co_return read.error();
  status.all_listed = true;
  read = co_await ForEachRow(state, partition, "find/", [&](const StateRow& row) -> Result<bool> {
    Result<FindRow> find = DecodeFind(row);
    if (!find) return find.error();
    status.listed += find->listed;
    status.listed_bytes += find->listed_bytes;
    status.there_before += find->equal;
    if (!find->done && find->failure.empty()) status.all_listed = false;
    if (find->nothing && !find->prefix.empty()) {
      ++status.empty_prefixes;
      if (status.nothing_below.size() < kPrefixesNamed) {
        status.nothing_below.push_back(find->prefix);
      }
    }
    if (!find->done || !find->failure.empty()) status.finds.push_back(std::move(*find));
    return true;
  });
  if (!read) co_return read.error();
  read = co_await ForEachRow(state, partition, "object/", [&](const StateRow& row) -> Result<bool> {
    Result<ObjectRow> object = DecodeObject(row.key, row.value);
    if (!object) return object.error();
    ++(object->state == ObjectRow::State::kGone ? status.gone : status.failed);
    return true;
  });
  if (!read) co_return read.error();
  read = co_await ForEachRow(state, partition, "events/", [&](const StateRow& row) -> Result<bool> {
    Result<void> added = AddEventCount(row, &status.done, &status.named);
    if (!added) return added.error();
    return true;
  });
  if (!read) co_return read.error();
  std::set<std::string> planned;  // Giants of which the ranges tell what is left.
  read = co_await ForEachRow(state, partition, "giant/", [&](const StateRow& row) -> Result<bool> {
    planned.insert(row.key.substr(6));
    return true;
  });
  if (!read) co_return read.error();
  read = co_await ForEachRow(state, partition, "todo/", [&](const StateRow& row) -> Result<bool> {
    Result<TodoRow> todo = DecodeTodo(row.key, row.value);
    if (!todo) return todo.error();
    bool running = claimed->contains(todo->id);
    if (planned.contains(todo->id)) {
      todo->bytes = 0;
      const auto range = claimed->lower_bound(todo->id + "-");
      running = running || (range != claimed->end() && range->starts_with(todo->id + "-"));
    }
    ++(running ? status.tasks_running : status.tasks_waiting);
    if (todo->kind == TaskKind::kRange) ++status.ranges_left;
    (running ? status.running : status.pending) += todo->objects;
    (running ? status.running_bytes : status.pending_bytes) += todo->bytes;
    status.done.Add(todo->counts);
    return true;
  });
  if (!read) co_return read.error();
  read = co_await ForEachRow(state, partition, "worker/", [&](const StateRow& row) -> Result<bool> {
    Result<WorkerRow> worker = DecodeWorker(row.key, row.value);
    if (!worker) return worker.error();
    status.objects_per_second += worker->objects_per_second;
    status.bytes_per_second += worker->bytes_per_second;
    status.workers.push_back(std::move(*worker));
    return true;
  });
  if (!read) co_return read.error();
  co_return status;
}

std::string_view ToString(ObjectStatus::State state) {
  switch (state) {
    case ObjectStatus::State::kPending:
      return "pending";
    case ObjectStatus::State::kRunning:
      return "running";
    case ObjectStatus::State::kFailed:
      return "failed";
    case ObjectStatus::State::kGone:
      return "gone";
  }
  return "pending";
}

Async<void> ReadObjects(State& state, Clock& clock, std::string run_id,
                        std::function<bool(const ObjectStatus&)> tell) {
  Result<std::set<std::string>> claimed = co_await Claimed(state, clock, run_id);
  if (!claimed) co_return claimed.error();
  bool more = true;
  Result<void> read = co_await ForEachRow(
      state, RowsOf(run_id), "object/", [&](const StateRow& row) -> Result<bool> {
        Result<ObjectRow> object = DecodeObject(row.key, row.value);
        if (!object) return object.error();
        more =
            tell({.state = object->state == ObjectRow::State::kGone ? ObjectStatus::State::kGone
                                                                    : ObjectStatus::State::kFailed,
                  .object = std::move(object->object),
                  .reason = std::move(object->reason)});
        return more;
      });
  if (!read || !more) co_return read;
  co_return co_await ForEachRow(
      state, BodiesOf(run_id), "", [&](const StateRow& row) -> Result<bool> {
        Result<Task> task = DecodeTask(run_id, row.key, row.value);
        if (!task) return task.error();
        if (task->kind == TaskKind::kFind || task->kind == TaskKind::kRange) return true;
        const auto range = claimed->lower_bound(task->id + "-");
        const bool running = claimed->contains(task->id) ||
                             (range != claimed->end() && range->starts_with(task->id + "-"));
        for (TaskObject& object : task->objects) {
          more = tell(
              {.state = running ? ObjectStatus::State::kRunning : ObjectStatus::State::kPending,
               .object = std::move(object),
               .reason = task->reason,
               .task = task->id});
          if (!more) return false;
        }
        return true;
      });
}

}  // namespace longhaul::migration
