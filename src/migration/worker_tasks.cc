// Worker: what is done with a task of each kind, and what is said of it afterwards.

#include <algorithm>
#include <utility>

#include "migration/worker_parts.h"

namespace longhaul::migration {

namespace {

using namespace std::chrono_literals;

constexpr auto kForeignPause = 10'000ms;  // What this process cannot open is left to others.

}  // namespace

Async<bool> Worker::OpenEnds(Known& known, std::chrono::milliseconds* delay) {
  if (known.ends) co_return true;
  const migration::Run run = known.run;
  Result<Ends> ends = opener_(run);
  if (!ends) {
    if (!known.foreign) {
      runtime_.log.Warning("a run is left to other workers", {{"run", run.id}, ends.error()});
    }
    known.foreign = true;
    known.foreign_until = runtime_.clock.SteadyNow() + kForeignPause;
    *delay = 1'000ms;
    co_return false;
  }
  auto giants = std::make_shared<GiantCarrier>(
      runtime_, state_, board_, run, *ends, options_.name,
      GiantCarrier::Limits{.slots = slots_, .delay = options_.delay, .lease = options_.visibility});
  // Before its first upload: an upload of somebody who is not known to live is swept.
  Result<void> lives = co_await giants->Heartbeat();
  if (!lives) co_return lives.error();
  if (known.ends) co_return true;
  if (!HasPlacesOf(known.run, run)) {
    *delay = 1'000ms;  // It leads elsewhere by now.
    co_return false;
  }
  known.foreign = false;
  known.ends = *ends;
  known.giants = std::move(giants);
  co_return true;
}

Async<bool> Worker::Do(Open& open, Known& known, std::chrono::milliseconds* delay) {
  // Before it is claimed: what this process cannot do others may.
  Result<bool> opened = co_await OpenEnds(known, delay);
  if (!opened || !*opened) co_return opened;
  Result<std::optional<Task>> task = co_await board_.Open(open.run, open.id);
  if (!task) co_return task.error();
  if (!*task) co_return true;
  Result<Claim> claim = co_await board_.TryClaim(open.run, open.id, options_.visibility);
  if (!claim) co_return claim.error();
  if (!claim->mine) {
    *delay = std::min(claim->busy, options_.visibility);
    co_return false;
  }
  // It may have been finished between the two looks.
  task = co_await board_.Open(open.run, open.id);
  if (!task) co_return task.error();
  if (!*task) co_return true;
  open.claim = *claim;
  // By what its last start has asked for, and to where: both stand there before a task of it does.
  Result<std::optional<migration::Run>> now = co_await book_.Find(open.run);
  if (!now) co_return now.error();
  bool ready = *now && !(*now)->stopped;
  if (ready) {
    Learn(known, **now);
    opened = co_await OpenEnds(known, delay);
    if (!opened) co_return opened.error();
    ready = *opened && HasPlacesOf(known.run, **now);
  }
  if (!ready) {
    *delay = std::max<std::chrono::milliseconds>(*delay, 1'000ms);
    Result<void> left = co_await board_.Unclaim(open.run, open.id);
    if (!left) co_return left.error();
    co_return false;
  }
  const View view{.run = std::move(**now), .ends = *known.ends, .giants = known.giants};
  if (claim->starts > options_.starts_max) {
    Result<void> buried = co_await Bury(view, std::move(**task), *claim);
    if (!buried) co_return buried.error();
    co_return true;
  }
  switch ((*task)->kind) {
    case TaskKind::kFind:
      co_return co_await DoFind(open, view, std::move(**task), delay);
    case TaskKind::kObjects: {
      const std::vector<TaskObject>& objects = (*task)->objects;
      const bool giant = objects.size() == 1 && IsGiant(view.run.options, view.ends,
                                                        objects[0].size_bytes, objects[0].etag);
      if (giant) co_return co_await DoGiant(open, view, std::move(**task), delay);
      co_return co_await DoObjects(open, view, std::move(**task), delay);
    }
    case TaskKind::kGiant:
      co_return co_await DoGiant(open, view, std::move(**task), delay);
    case TaskKind::kRange:
      co_return co_await DoRange(open, view, std::move(**task), delay);
  }
  co_return true;
}

std::chrono::milliseconds Worker::DelayAfter(int tries) {
  auto delay = options_.delay;
  for (int i = 1; i < tries && delay < options_.delay_max; ++i) delay *= 2;
  delay = std::min(delay, options_.delay_max);
  // Jitter: what failed together need not come back together.
  return delay / 2 + std::chrono::milliseconds(
                         runtime_.random.Below(static_cast<uint64_t>(delay.count()) / 2 + 1));
}

Async<bool> Worker::DoFind(Open& open, const View& view, Task task,
                           std::chrono::milliseconds* delay) {
  const migration::Run& run = view.run;
  bool listing_failed = false;
  Result<void> found = co_await finder_.Work(run, view.ends, open.id, open.stop, &listing_failed);
  if (!found && found.error().code == kNoSuchFind) {
    Result<std::optional<migration::Run>> there = co_await book_.Find(run.id);
    if (!there) co_return there.error();
    if (*there) {
      // Another start of a run that had finished took its row for one of before.
      std::string prefix = task.objects.empty() ? "" : std::move(task.objects.front().name);
      Result<void> made = co_await finder_.MakeAnew(run, open.id, std::move(prefix));
      if (!made) co_return made.error();
      Result<void> left = co_await board_.Unclaim(open.run, open.id);
      if (!left) co_return left.error();
      co_return false;
    }
  }
  if (found || found.error().code == kNoSuchFind) {
    Result<void> finished = co_await board_.Finish(std::move(task), {});
    if (!finished) co_return finished.error();
    co_return true;
  }
  const Error error = found.error();
  if (error.kind == ErrorKind::kCancelled || error.kind == ErrorKind::kPrecondition) {
    Result<void> left = co_await board_.Unclaim(open.run, open.id);
    if (!left) co_return left.error();
    if (error.kind == ErrorKind::kPrecondition) *delay = options_.delay;
    co_return false;
  }
  runtime_.log.Warning("a comparison failed", {{"run", run.id}, error});
  if (!listing_failed) {  // State or Queue: nothing is wrong with the task.
    Result<void> left = co_await board_.Unclaim(open.run, open.id);
    if (!left) co_return left.error();
    *delay = options_.delay;
    co_return false;
  }
  if (task.objects.empty()) task.objects.emplace_back();
  const int tries = ++task.objects.front().tries;
  task.reason = error.Describe();
  if (tries >= run.options.tries_max || error.kind == ErrorKind::kInvalidInput) {
    Result<void> given_up = co_await finder_.GiveUp(run, open.id, task.reason);
    if (!given_up) co_return given_up.error();
    Result<void> finished = co_await board_.Finish(std::move(task), {});
    if (!finished) co_return finished.error();
    co_return true;
  }
  *delay = DelayAfter(tries);
  Result<void> put = co_await board_.PutBack(std::move(task), {});
  if (!put && put.error().kind != ErrorKind::kPrecondition) co_return put.error();
  co_return false;
}

Async<bool> Worker::DoObjects(Open& open, const View& view, Task task,
                              std::chrono::milliseconds* delay) {
  int tries = 0;
  for (const TaskObject& object : task.objects) tries = std::max(tries, object.tries);
  const bool look_first = task.check || open.claim.again || tries > 0;
  const migration::Run& run = view.run;
  // (A task of another version does not say by which start it was found.)
  const int64_t starts = task.starts != 0 ? task.starts : run.starts;
  CopyLimits limits{
      .slots = slots_, .look_first = look_first, .died = open.claim.starts > 1, .others = [&] {
        return OthersCame(open, run, starts);
      }};
  TaskEnd end = co_await CopyObjects(runtime_, run, view.ends, std::move(task), std::move(limits),
                                     open.stop, meters_[run.id]);
  if (open.timed_out && !end.task.objects.empty()) {
    std::vector<TaskObject> left;
    std::vector<TaskObject> objects = std::move(end.task.objects);
    end.task.objects.clear();
    for (TaskObject& object : objects) {
      const Error late = Retryable("the task took longer than its timeout");
      NoteFailure(run, std::move(object), late, runtime_.clock.Now(), end, left, meters_[run.id]);
    }
    end.task.objects = std::move(left);
  }
  co_return co_await Settle(view, std::move(end), delay);
}

Async<bool> Worker::OthersCame(const Open& open, const migration::Run& before, int64_t starts) {
  Result<std::optional<migration::Run>> now = co_await book_.Find(before.id);
  if (!now) co_return now.error();
  if (!*now || (*now)->starts != starts) co_return true;
  Result<bool> mine = co_await board_.IsMine(open.run, open.id);
  if (!mine) co_return mine.error();
  co_return !*mine;
}

Async<bool> Worker::DoGiant(Open& open, const View& view, Task task,
                            std::chrono::milliseconds* delay) {
  const migration::Run& run = view.run;
  const TaskObject& giant = task.objects.front();
  const bool look_first = task.check || open.claim.again || giant.tries > 0 ||
                          giant.look != Look::kNone || run.options.compare.update;
  Result<TaskStep> step =
      co_await view.giants->Begin(run, task, look_first, open.stop, meters_[run.id]);
  if (!step && step.error().kind == ErrorKind::kCancelled) {
    Result<void> left = co_await board_.Unclaim(open.run, open.id);
    if (!left) co_return left.error();
    co_return false;
  }
  if (!step) co_return step.error();
  switch (step->kind) {
    case TaskStep::Kind::kAck:
      co_return true;
    case TaskStep::Kind::kRelease:
      *delay = step->delay;
      co_return false;
    case TaskStep::Kind::kPlain:
      // What is said of it was of the giant, and that may lie at the target.
      for (TaskObject& object : task.objects) {
        if (object.look == Look::kNone) object.look = Look::kBytes;
      }
      co_return co_await DoObjects(open, view, std::move(task), delay);
    case TaskStep::Kind::kFailed:
      break;
  }
  TaskEnd end{.task = std::move(task)};
  TaskObject object = std::move(end.task.objects.front());
  std::vector<TaskObject> left;
  NoteFailure(run, std::move(object), *step->error, runtime_.clock.Now(), end, left,
              meters_[run.id]);
  end.task.objects = std::move(left);
  co_return co_await Settle(view, std::move(end), delay);
}

Async<bool> Worker::DoRange(Open& open, const View& view, Task task,
                            std::chrono::milliseconds* delay) {
  const migration::Run& run = view.run;
  Result<TaskStep> step =
      co_await view.giants->Carry(run, std::move(task), open.stop, open.timed_out, meters_[run.id],
                                  [this](int tries) { return DelayAfter(tries); });
  if (!step) co_return step.error();
  *delay = step->delay;
  co_return step->kind == TaskStep::Kind::kAck;
}

Async<bool> Worker::Settle(const View& view, TaskEnd end, std::chrono::milliseconds* delay) {
  std::vector<StateWrite> settled;
  for (const std::string& name : end.settled) settled.push_back({.key = ObjectKey(name)});
  Result<void> cleared = co_await board_.WriteRows(RowsOf(view.run.id), std::move(settled));
  if (!cleared) co_return cleared.error();
  for (TaskObject& giant : end.giants) {
    // Before this one is done. Should it be made twice, the second finds the object there.
    Task task{.run = view.run.id,
              .id = NewUlid(runtime_.clock.Now(), runtime_.random),
              .kind = TaskKind::kGiant,
              .check = true,
              .event = end.task.event};
    task.objects.push_back(std::move(giant));
    Result<void> added = co_await board_.Add(std::move(task));
    if (!added) co_return added.error();
  }
  if (end.task.objects.empty()) {
    Result<void> finished = co_await board_.Finish(std::move(end.task), std::move(end.rows));
    if (!finished) co_return finished.error();
    co_return true;
  }
  int tries = 1;
  for (const TaskObject& object : end.task.objects) tries = std::max(tries, object.tries);
  *delay = end.failed ? DelayAfter(tries) : 0ms;
  Task late{.run = view.run.id,
            .id = NewUlid(runtime_.clock.Now(), runtime_.random),
            .objects = end.task.objects,
            .check = true,
            .event = end.task.event};
  Result<void> put = co_await board_.PutBack(std::move(end.task), std::move(end.rows));
  if (!put && put.error().kind == ErrorKind::kPrecondition) {
    put = co_await LookAgainLater(view, std::move(late));
  }
  if (!put) co_return put.error();
  co_return false;
}

Async<void> Worker::LookAgainLater(const View& view, Task task) {
  for (TaskObject& object : task.objects) {
    if (object.look == Look::kNone) object.look = Look::kBytes;
  }
  const auto is_same = [&view](const migration::Run& run) {
    return run.created == view.run.created && !run.forgetting;
  };
  Result<std::optional<migration::Run>> run = co_await book_.Find(task.run);
  if (!run) co_return run.error();
  if (!*run || !is_same(**run)) co_return Ok();  // Forgotten.
  const Task name{.run = task.run, .id = task.id, .kind = task.kind};
  Result<void> put = co_await board_.Put(std::move(task));
  if (!put) co_return put.error();
  run = co_await book_.Change(name.run, [&is_same](migration::Run& row) {
    row.finished.reset();
    return is_same(row);
  });
  if (!run && run.error().code != kBeingForgotten) co_return run.error();
  if (!run || !*run) co_return co_await board_.Forget(name.run, {name.id});
  co_return co_await board_.Send(name);
}

Async<void> Worker::Bury(const View& view, Task task, const Claim& claim) {
  const std::string reason = std::to_string(claim.starts - 1) +
                             " workers died over its task, the last one was " + claim.worker;
  runtime_.log.Failure("a task is given up",
                       {{"run", view.run.id}, {"task", task.id}, {"reason", reason}});
  if (task.kind == TaskKind::kFind) {
    Result<void> given_up = co_await finder_.GiveUp(view.run, task.id, reason);
    if (!given_up) co_return given_up.error();
    co_return co_await board_.Finish(std::move(task), {});
  }
  if (task.kind == TaskKind::kRange) {
    co_return co_await view.giants->GiveUp(view.run, std::move(task), reason);
  }
  std::vector<ObjectRow> rows;
  for (TaskObject& object : task.objects) {
    ++task.counts.failed;
    rows.push_back({.object = std::move(object), .reason = reason, .time = runtime_.clock.Now()});
  }
  task.objects.clear();
  co_return co_await board_.Finish(std::move(task), std::move(rows));
}

}  // namespace longhaul::migration
