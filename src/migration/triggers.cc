#include "migration/triggers.h"

#include <utility>

#include "transfer/runs/row.h"

namespace longhaul::migration {

namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 5'000ms;
constexpr auto kClaim = 60'000ms;
// Workers whose clocks are as far apart would start a run in turns, were one's row not believed by
// the other. Stores allow 15 minutes.
constexpr auto kAheadMax = 1h;

}  // namespace

Triggers::Triggers(Runtime& runtime, Queue& queue, State& state, std::vector<Migration> migrations,
                   Request request, std::string worker)
    : runtime_(runtime),
      queue_(queue),
      state_(state),
      request_(std::move(request)),
      worker_(std::move(worker)) {
  for (Migration& migration : migrations) {
    const MigrationTriggers& when = migration.triggers;
    if (when.schedule.empty() && when.after.empty()) continue;
    Trigger trigger;
    if (!when.schedule.empty()) {
      // Both were read when the configuration was; the database may have gone since.
      Result<Schedule> schedule = Schedule::Parse(when.schedule);
      if (schedule) trigger.schedule = *schedule;
      Result<TimeZone> zone =
          when.time_zone.empty() ? Result<TimeZone>(TimeZone()) : TimeZone::Load(when.time_zone);
      if (zone) {
        trigger.zone = std::move(*zone);
      } else {
        runtime_.log.Failure("a schedule is not kept", {{"migration", migration.id}, zone.error()});
        trigger.schedule.reset();
      }
    }
    trigger.migration = std::move(migration);
    triggers_.push_back(std::move(trigger));
  }
}

asio::awaitable<void> Triggers::Run(Event& stop) {
  do {
    Result<void> looked = co_await Look();
    if (!looked) runtime_.log.Warning("triggers cannot be looked at", {looked.error()});
  } while (!co_await stop.WaitFor(runtime_.clock, kLookEvery));
}

Async<void> Triggers::Look() {
  // One that cannot be started keeps no other from its time.
  Result<void> all = Ok();
  for (const Trigger& trigger : triggers_) {
    Result<void> looked = co_await LookAt(trigger);
    if (!looked && all) all = looked.error().In("migration " + trigger.migration.id);
  }
  co_return all;
}

Async<std::optional<SystemTime>> Triggers::Due(const Trigger& trigger, SystemTime last) {
  std::optional<SystemTime> due;
  if (trigger.schedule) {
    const SystemTime now = runtime_.clock.Now();
    // Of several that were missed the last one; the others are made up for with it. A year of
    // minutes is not gone through for that where the last day has one.
    SystemTime from = last;
    for (const std::chrono::hours back : {24h, 24h * 366}) {
      if (now - last <= back) break;
      const std::optional<SystemTime> recent = trigger.schedule->Next(now - back, trigger.zone);
      if (!recent || *recent > now) continue;
      from = now - back;
      break;
    }
    for (std::optional<SystemTime> next = trigger.schedule->Next(from, trigger.zone);
         next && *next <= now; next = trigger.schedule->Next(*next, trigger.zone)) {
      due = next;
    }
  }
  const std::string& after = trigger.migration.triggers.after;
  if (!after.empty()) {
    RunBook book(runtime_, state_);
    Result<std::optional<migration::Run>> before = co_await book.Find(after);
    if (!before) co_return before.error();
    const bool finished = *before && (*before)->finished && *(*before)->finished > last;
    if (finished && (!due || *(*before)->finished > *due)) due = *(*before)->finished;
  }
  co_return due;
}

Async<void> Triggers::LookAt(const Trigger& trigger) {
  const Migration& migration = trigger.migration;
  const SystemTime now = runtime_.clock.Now();
  Result<std::optional<StateRow>> state = co_await state_.Get(kTriggerRows, migration.id);
  if (!state) co_return state.error();
  Row row;
  Expected expected = Expected::Absent();
  if (*state) {
    Result<Row> read = Row::Decode((*state)->value);
    if (!read) co_return read.error();
    row = std::move(*read);
    expected = Expected::Revision((*state)->revision);
  }
  auto write = [&](Row value) {
    return state_.Write(kTriggerRows,
                        {.key = migration.id, .value = value.Encode(), .expected = expected});
  };
  const SystemTime last = row.Time("last").value_or(now);
  if (!*state || last > now + kAheadMax) {
    // Seen for the first time, or noted by a clock that was wrong: from now on.
    Result<int64_t> begun = co_await write(Row().Set("last", now));
    if (!begun && begun.error().kind != ErrorKind::kPrecondition) co_return begun.error();
    co_return Ok();
  }
  Result<std::optional<SystemTime>> due = co_await Due(trigger, last);
  if (!due) co_return due.error();
  if (!*due) co_return Ok();
  const bool claimed =
      row.Text("worker") != worker_ && row.Time("until") && *row.Time("until") > now;
  if (claimed) co_return Ok();
  Result<int64_t> mine = co_await write(
      Row().Set("last", last).Set("worker", worker_).Set("until", SystemTime(now + kClaim)));
  if (!mine && mine.error().kind == ErrorKind::kPrecondition) co_return Ok();  // Another one does.
  if (!mine) co_return mine.error();
  Result<StartRequest> request = request_(migration);
  if (!request) co_return request.error();
  request->by =
      migration.triggers.schedule.empty() ? "after " + migration.triggers.after : "schedule";
  Result<migration::Run> started = co_await StartRun(runtime_, queue_, state_, std::move(*request));
  if (!started) co_return started.error();
  runtime_.log.Info("run started", {{"run", migration.id}, {"by", started->started_by}});
  expected = Expected::Revision(*mine);
  Result<int64_t> noted = co_await write(Row().Set("last", **due));
  if (!noted && noted.error().kind != ErrorKind::kPrecondition) co_return noted.error();
  co_return Ok();
}

}  // namespace longhaul::migration
