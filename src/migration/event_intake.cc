#include "migration/event_intake.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "migration/plan.h"

namespace longhaul::migration {

namespace {

// Beyond these whoever sends events is asked to wait: workers are away, or too few.
constexpr int64_t kMessagesMax = 100'000;

}  // namespace

EventIntake::EventIntake(Runtime& runtime, Queue& queue, State& state,
                         std::vector<Migration> migrations, Request request,
                         const std::string& worker)
    : runtime_(runtime),
      queue_(queue),
      state_(state),
      request_(std::move(request)),
      book_(runtime, state),
      board_(runtime, queue, state, worker) {
  for (Migration& migration : migrations) {
    if (migration.options.events) migrations_.push_back(std::move(migration));
  }
}

std::vector<EventTaker::Source> EventIntake::Sources() const {
  std::vector<Source> sources;
  for (const Migration& migration : migrations_) {
    sources.push_back({migration.source.store, migration.source.bucket});
  }
  return sources;
}

std::optional<std::string> EventIntake::NameIn(const Migration& migration,
                                               const StoreEvent& event) {
  const Address& source = migration.source;
  const std::string& key = event.record.key;
  if (source.store != event.store || source.bucket != event.record.bucket) return std::nullopt;
  if (!key.starts_with(source.prefix)) return std::nullopt;
  std::string name = key.substr(source.prefix.size());
  // Size and age are asked of the source, not of the event.
  if (!migration.options.filter.MatchesName(name)) return std::nullopt;
  return name;
}

std::string_view EventIntake::Unwanted(const StoreEvent& event) const {
  const bool named = std::ranges::any_of(migrations_, [&](const Migration& migration) {
    return NameIn(migration, event).has_value();
  });
  if (!named) return "no_migration";
  return event.record.removal ? "delete" : "";
}

Async<size_t> EventIntake::Take(std::vector<StoreEvent> events) {
  Result<QueueDepth> depth = co_await queue_.Depth();
  if (!depth) co_return depth.error().In("look at the queue");
  if (depth->visible + depth->delayed >= kMessagesMax) {
    co_return Error{.kind = ErrorKind::kThrottled,
                    .message = "100,000 tasks wait for workers already"};
  }
  size_t count = 0;
  std::optional<Error> failure;  // Of one migration, which keeps no other from its events.
  for (const Migration& migration : migrations_) {
    std::set<std::string> names;
    for (const StoreEvent& event : events) {
      std::optional<std::string> name = NameIn(migration, event);
      if (name && !event.record.removal) names.insert(std::move(*name));
    }
    if (names.empty()) continue;
    count += names.size();
    Result<void> taken =
        co_await TakeFor(migration, std::vector<std::string>(names.begin(), names.end()));
    if (!taken && !failure) failure = taken.error().In("migration " + migration.id);
  }
  if (failure) co_return *failure;
  co_return count;
}

Async<void> EventIntake::PutAll(const std::vector<Task>& tasks) {
  for (const Task& task : tasks) {
    Result<void> put = co_await board_.Put(task);
    if (!put) co_return put.error();
  }
  co_return Ok();
}

Async<void> EventIntake::TakeFor(const Migration& migration, std::vector<std::string> names) {
  const auto named = static_cast<int64_t>(names.size());
  // Before anything is kept for it: whoever sent the events sends them again.
  Result<StartRequest> request = request_(migration);
  if (!request) co_return request.error();
  request->by = "event";
  Result<std::optional<Run>> before = co_await MayOpenRun(runtime_, state_, *request);
  if (!before) co_return before.error();
  std::vector<NewMessage> messages;
  std::vector<Task> tasks;
  Task task;
  TaskShape shape;
  for (size_t i = 0; i <= names.size(); ++i) {
    std::optional<TaskObject> object;
    if (i < names.size()) object = TaskObject{.name = std::move(names[i]), .look = Look::kEvent};
    const bool full =
        !task.objects.empty() && (!object || !shape.HasRoomFor(*object, migration.options));
    if (full) {
      task.run = migration.id;
      task.id = NewUlid(runtime_.clock.Now(), runtime_.random);
      task.check = true;  // What is said of these objects may not be so any more.
      task.event = true;
      messages.push_back(MessageOf(task.run, task.id, task.kind));
      tasks.push_back(std::exchange(task, {}));
      shape = {};
    }
    if (!object) break;
    shape.Add(*object);
    task.objects.push_back(std::move(*object));
  }
  Result<void> put = co_await PutAll(tasks);
  if (!put) co_return put.error();
  // After what is to be done and before its messages, as when a run is started.
  Result<Run> open = co_await OpenRun(runtime_, queue_, state_, std::move(*request));
  if (!open && open.error().code == kBeingForgotten) {
    // Whoever forgets it may be past these by now.
    std::vector<std::string> ids;
    for (const Task& one : tasks) ids.push_back(one.id);
    Result<void> removed = co_await board_.Forget(migration.id, std::move(ids));
    static_cast<void>(removed);  // Else they are done when there is such a run again.
  }
  if (!open) co_return open.error();
  // Another one was there, and was forgotten with what it had.
  if (!*before || (*before)->created != open->created) {
    put = co_await PutAll(tasks);
    if (!put) co_return put.error();
  }
  Result<int64_t> counted = co_await state_.Add(RowsOf(migration.id), kEventsNamed, named);
  if (!counted) co_return counted.error();
  Result<void> sent = co_await queue_.Send(std::move(messages), {});
  if (!sent) co_return sent.error().In("send tasks");
  co_return Ok();
}

}  // namespace longhaul::migration
