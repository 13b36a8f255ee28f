#include "migration/start.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "migration/compare.h"
#include "migration/finder.h"
#include "migration/plan.h"
#include "migration/row_scan.h"
#include "migration/scope.h"
#include "transfer/object/copy_plan.h"

namespace longhaul::migration {

namespace {

constexpr size_t kMessagesPerSend = 100;
constexpr int kStartRowsPerScan = 500;
constexpr size_t kRetriedAtOnce = 5'000;
constexpr size_t kFilterBytesMax = 128 << 10;  // Of the 256 KiB that State takes.

Result<void> CheckPlaces(const Run& run, const StartRequest& request) {
  const Migration& migration = request.migration;
  if (run.source == migration.source && run.target == migration.target &&
      run.source_place == request.source_place && run.target_place == request.target_place) {
    return Ok();
  }
  return InvalidInput("run " + migration.id + " is there and leads from " + run.source.ToString() +
                      " (" + run.source_place + ") to " + run.target.ToString() + " (" +
                      run.target_place + "): give this one another name");
}

class Starter {
 public:
  Starter(Runtime& runtime, Queue& queue, State& state)
      : runtime_(runtime),
        queue_(queue),
        state_(state),
        book_(runtime, state),
        board_(runtime, queue, state, "") {}

  Async<Run> Open(StartRequest request) {
    const std::string id = request.migration.id;
    Result<std::optional<Run>> there = co_await book_.Find(id);
    if (!there) co_return there.error();
    if (*there) {
      Result<void> same = CheckPlaces(**there, request);
      if (!same) co_return same.error();
      // Also where it says so already: whoever is about to say that it has finished is too late.
      Result<std::optional<Run>> changed = co_await book_.Change(id, [](Run& run) {
        run.finished.reset();
        run.options.events = true;
        // A configuration has one or the other; a start of before, or of another one, had not.
        run.options.compare.update = false;
        return true;
      });
      if (!changed) co_return changed.error();
      if (*changed) co_return std::move(**changed);
    }
    request.migration.options.CountAges(runtime_.clock.Now());
    co_return co_await Record(request);
  }

  Async<Run> Start(StartRequest request) {
    request.migration.options.CountAges(runtime_.clock.Now());
    const Migration& migration = request.migration;
    if (EncodeRun({.options = migration.options}).size() > kFilterBytesMax) {
      co_return InvalidInput("the filter of run " + migration.id +
                             " is too long: its rules take more than 128 KiB");
    }
    Result<std::optional<Run>> before = co_await book_.Find(migration.id);
    if (!before) co_return before.error();
    if (*before) {
      Result<void> same = CheckPlaces(**before, request);
      if (!same) co_return same.error();
    }
    if (*before) {
      // Before it is seen which finds have not begun: whoever begins one reads this afterwards. No
      // find of this start is there before it.
      Result<std::optional<Run>> changed = co_await book_.Change(migration.id, [&](Run& run) {
        run.options = migration.options;
        return true;
      });
      if (!changed) co_return changed.error();
    }
    if (*before && (*before)->finished) {
      Result<void> reset = co_await Reset(migration.id);
      if (!reset) co_return reset.error();
    }
    const int64_t starts = (*before ? (*before)->starts : 0) + 1;
    Result<void> planned = co_await PlanFinds(migration.id, std::move(request.prefixes), starts);
    if (!planned) co_return planned.error();
    // After what is to be done and before its messages: no worker takes it for finished or unknown.
    Result<Run> run = co_await Record(request);
    if (!run) co_return run.error();
    if (*before && run->created != (*before)->created) {
      co_return Retryable("run " + migration.id + " was forgotten meanwhile: start it again");
    }
    Result<void> sent = co_await SendAll(*run);
    if (!sent) co_return sent.error();
    co_return run;
  }

  Async<Retried> Retry(std::string id) {
    Result<std::optional<Run>> run = co_await book_.Find(id);
    if (!run) co_return run.error();
    if (!*run) co_return NotFound("there is no run " + id);
    Retried retried;
    std::vector<StateWrite> removals;
    for (std::string after = "object/"; !after.empty();) {
      Result<std::string> next = co_await TakeFailed(**run, after, removals, retried);
      if (!next) co_return next.error();
      after = std::move(*next);
      Result<void> gone_on = co_await GoOn(id, std::exchange(removals, {}));
      if (!gone_on) co_return gone_on.error();
    }
    Result<std::vector<std::string>> prefixes = co_await FailedPrefixes(id, removals);
    if (!prefixes) co_return prefixes.error();
    retried.prefixes = static_cast<int64_t>(prefixes->size());
    if (!prefixes->empty()) {
      Result<void> planned = co_await PlanFinds(id, std::move(*prefixes), -1);
      if (!planned) co_return planned.error();
      Result<void> gone_on = co_await GoOn(id, std::move(removals));
      if (!gone_on) co_return gone_on.error();
    }
    if (retried.objects + retried.prefixes == 0) co_return retried;
    Result<int64_t> redriven = co_await queue_.Redrive();
    if (!redriven) co_return redriven.error();
    co_return retried;
  }

 private:
  Task NewTask(const std::string& run) {
    return {.run = run, .id = NewUlid(runtime_.clock.Now(), runtime_.random), .check = true};
  }

  // Makes tasks of what has failed, of some thousands of rows behind `after`; the last of these, or
  // "" at the end. `removals` gets those rows.
  Async<std::string> TakeFailed(const Run& run, std::string after,
                                std::vector<StateWrite>& removals, Retried& retried) {
    const MigrationOptions& options = run.options;
    Task task = NewTask(run.id);
    TaskShape shape;
    while (!after.empty() && removals.size() < kRetriedAtOnce) {
      Result<std::vector<StateRow>> rows =
          co_await state_.Scan(RowsOf(run.id), after, kStartRowsPerScan);
      if (!rows) co_return rows.error();
      const bool more = std::ssize(*rows) == kStartRowsPerScan;
      after = more ? rows->back().key : "";
      for (const StateRow& row : *rows) {
        if (!row.key.starts_with("object/")) {
          after.clear();
          break;
        }
        Result<ObjectRow> object = DecodeObject(row.key, row.value);
        if (!object || object->state != ObjectRow::State::kFailed) continue;
        removals.push_back({.key = row.key, .expected = Expected::Revision(row.revision)});
        ++retried.objects;
        object->object.tries = 0;
        // Whether it goes in parts is seen when it is carried: IsGiant needs the stores.
        const bool alone = object->object.size_bytes > kBufferBytesMax ||
                           object->object.size_bytes >= options.giant_bytes;
        const bool full =
            shape.objects > 0 && (alone || !shape.HasRoomFor(object->object, options));
        if (full) {
          Result<void> put = co_await Put(std::exchange(task, NewTask(run.id)));
          if (!put) co_return put.error();
          shape = {};
        }
        shape.Add(object->object);
        task.objects.push_back(std::move(object->object));
        if (alone) {
          Result<void> put = co_await Put(std::exchange(task, NewTask(run.id)));
          if (!put) co_return put.error();
          shape = {};
        }
      }
    }
    if (!task.objects.empty()) {
      Result<void> put = co_await Put(std::move(task));
      if (!put) co_return put.error();
    }
    co_return after;
  }

  // The tasks that have been made are to be done. `removals`: rows of what they hold.
  Async<void> GoOn(const std::string& id, std::vector<StateWrite> removals) {
    if (removals.empty()) co_return Ok();
    Result<std::optional<Run>> changed = co_await book_.Change(id, [](Run& row) {
      row.finished.reset();
      row.unsent = row.unsent || row.stopped;
      row.stopped = false;
      return true;
    });
    if (!changed) co_return changed.error();
    if (!*changed) co_return NotFound("there is no run " + id);
    Result<void> sent = co_await SendAll(**changed);
    if (!sent) co_return sent.error();
    // Last: what is forgotten here is in a task.
    Result<std::vector<Result<int64_t>>> removed =
        co_await state_.WriteMany(RowsOf(id), std::move(removals));
    if (!removed) co_return removed.error();
    co_return Ok();
  }

  // Its message is sent by SendAll.
  Async<void> Put(Task task) {
    messages_.push_back(MessageOf(task.run, task.id, task.kind));
    co_return co_await board_.Put(std::move(task));
  }

  // What was counted of a run that has finished. Which prefixes it was of stays known.
  Async<void> Reset(const std::string& id) {
    Result<void> kept = co_await KeepScope(board_, state_, id);
    if (!kept) co_return kept.error();
    for (const char* prefix : {"done/", "find/", "events/"}) {
      Result<void> removed = co_await RemoveRowsBelow(state_, RowsOf(id), prefix);
      if (!removed) co_return removed.error();
    }
    co_return Ok();
  }

  Async<void> PlanFinds(const std::string& id, std::vector<std::string> prefixes, int64_t starts) {
    const std::vector<std::string> wanted = OutermostPrefixes(std::move(prefixes));
    Result<std::vector<StateRow>> todo = co_await RowsBelow(state_, RowsOf(id), "todo/");
    if (!todo) co_return todo.error();
    bool check = false;
    std::set<std::string> open;  // Finds that are not done.
    for (const StateRow& row : *todo) {
      Result<TodoRow> task = DecodeTodo(row.key, row.value);
      if (!task) co_return task.error();
      if (task->kind == TaskKind::kFind) {
        open.insert(task->id);
      } else {
        check = true;
      }
    }
    Result<std::vector<StateRow>> finds = co_await RowsBelow(state_, RowsOf(id), "find/");
    if (!finds) co_return finds.error();
    std::vector<FindRow> waiting;  // Not begun: whatever they will find is new enough.
    for (const StateRow& row : *finds) {
      Result<FindRow> find = DecodeFind(row);
      if (!find) co_return find.error();
      if (open.contains(find->id)) check = true;
      if (open.contains(find->id) && !find->begun) waiting.push_back(std::move(*find));
    }
    for (const std::string& prefix : wanted) {
      auto same = std::ranges::find_if(
          waiting, [&](const FindRow& find) { return prefix.starts_with(find.prefix); });
      if (same != waiting.end()) {
        // Its message may never have been sent.
        messages_.push_back(MessageOf(id, same->id, TaskKind::kFind));
        continue;
      }
      FindRow find{.id = NewUlid(runtime_.clock.Now(), runtime_.random),
                   .prefix = prefix,
                   .check = check,
                   .starts = starts};
      StateWrite write{.key = FindKey(find.id), .value = EncodeFind(find)};
      Result<int64_t> written = co_await state_.Write(RowsOf(id), std::move(write));
      if (!written) co_return written.error();
      Task task{.run = id, .id = find.id, .kind = TaskKind::kFind, .objects = {{.name = prefix}}};
      Result<void> put = co_await Put(std::move(task));
      if (!put) co_return put.error();
    }
    co_return Ok();
  }

  // `removals` gets their rows: others list them, whose rows count them.
  Async<std::vector<std::string>> FailedPrefixes(const std::string& id,
                                                 std::vector<StateWrite>& removals) {
    Result<std::vector<StateRow>> finds = co_await RowsBelow(state_, RowsOf(id), "find/");
    if (!finds) co_return finds.error();
    std::vector<std::string> prefixes;
    for (const StateRow& row : *finds) {
      Result<FindRow> find = DecodeFind(row);
      if (!find) co_return find.error();
      if (find->failure.empty()) continue;
      prefixes.push_back(std::move(find->prefix));
      removals.push_back({.key = row.key, .expected = Expected::Revision(row.revision)});
    }
    co_return prefixes;
  }

  Async<Run> Record(const StartRequest& request) {
    const SystemTime now = runtime_.clock.Now();
    const Migration& migration = request.migration;
    auto change = [&](Run& run) {
      run.options = migration.options;
      run.started = now;
      run.started_by = request.by;
      ++run.starts;
      run.unsent = run.unsent || run.stopped;
      run.stopped = false;
      run.finished.reset();
      return true;
    };
    Run fresh{.id = migration.id,
              .source = migration.source,
              .target = migration.target,
              .source_place = request.source_place,
              .target_place = request.target_place,
              .created = now};
    change(fresh);
    Result<std::optional<Run>> changed = co_await book_.Change(migration.id, change);
    if (!changed) co_return changed.error();
    if (*changed) co_return std::move(**changed);
    Result<int64_t> written = co_await book_.Save(fresh);
    if (!written && written.error().kind == ErrorKind::kPrecondition) {
      changed = co_await book_.Change(migration.id, change);  // Somebody else was first.
      if (!changed) co_return changed.error();
      if (*changed) co_return std::move(**changed);
    }
    if (!written) co_return written.error();
    fresh.revision = *written;
    co_return fresh;
  }

  // The messages that wait for it; of a run that was stopped those of all its tasks.
  Async<void> SendAll(const Run& run) {
    if (!run.unsent) co_return co_await SendMessages();
    messages_.clear();
    Result<std::vector<StateRow>> rows = co_await RowsBelow(state_, RowsOf(run.id), "todo/");
    if (!rows) co_return rows.error();
    for (const StateRow& row : *rows) {
      Result<TodoRow> todo = DecodeTodo(row.key, row.value);
      if (!todo) co_return todo.error();
      messages_.push_back(MessageOf(run.id, todo->id, todo->kind));
    }
    Result<void> sent = co_await SendMessages();
    if (!sent) co_return sent.error();
    // Last: whoever is killed before leaves it to the next start.
    Result<std::optional<Run>> noted = co_await book_.Change(run.id, [](Run& row) {
      row.unsent = false;
      return true;
    });
    if (!noted) co_return noted.error();
    co_return Ok();
  }

  Async<void> SendMessages() {
    for (size_t begin = 0; begin < messages_.size(); begin += kMessagesPerSend) {
      const size_t end = std::min(messages_.size(), begin + kMessagesPerSend);
      std::vector<NewMessage> some(messages_.begin() + static_cast<ptrdiff_t>(begin),
                                   messages_.begin() + static_cast<ptrdiff_t>(end));
      Result<void> sent = co_await queue_.Send(std::move(some), {});
      if (!sent) co_return sent.error().In("send tasks");
    }
    messages_.clear();
    co_return Ok();
  }

  Runtime& runtime_;
  Queue& queue_;
  State& state_;
  RunBook book_;
  TaskBoard board_;
  std::vector<NewMessage> messages_;
};

}  // namespace

Async<Run> StartRun(Runtime& runtime, Queue& queue, State& state, StartRequest request) {
  Starter starter(runtime, queue, state);
  co_return co_await starter.Start(std::move(request));
}

Async<Run> OpenRun(Runtime& runtime, Queue& queue, State& state, StartRequest request) {
  Starter starter(runtime, queue, state);
  co_return co_await starter.Open(std::move(request));
}

Async<std::optional<Run>> MayOpenRun(Runtime& runtime, State& state, const StartRequest& request) {
  Result<std::optional<Run>> there = co_await RunBook(runtime, state).Find(request.migration.id);
  if (!there || !*there) co_return there;
  Result<void> same = CheckPlaces(**there, request);
  if (!same) co_return same.error();
  co_return there;
}

Async<Run> StopRun(Runtime& runtime, State& state, std::string id) {
  RunBook book(runtime, state);
  Result<std::optional<Run>> run = co_await book.Change(id, [](Run& row) {
    row.stopped = true;
    return true;
  });
  if (!run && run.error().code == kBeingForgotten) run = co_await book.Find(id);  // It is.
  if (!run) co_return run.error();
  if (!*run) co_return NotFound("there is no run " + id);
  co_return std::move(**run);
}

Async<Retried> RetryRun(Runtime& runtime, Queue& queue, State& state, std::string id) {
  Starter starter(runtime, queue, state);
  co_return co_await starter.Retry(std::move(id));
}

}  // namespace longhaul::migration
