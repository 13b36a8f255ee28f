#include "cache/timetable.h"

#include <utility>

#include "transfer/runs/row.h"

namespace longhaul::cache {

namespace {

constexpr char kTimes[] = "cache/times";

}  // namespace

Result<void> Timetable::Add(const CacheSettings& settings) {
  if (settings.schedule.empty()) return Ok();
  Result<Schedule> schedule = Schedule::Parse(settings.schedule);
  if (!schedule) return schedule.error().In("cache " + settings.id);
  Result<TimeZone> zone = settings.time_zone.empty() ? Result<TimeZone>(TimeZone())
                                                     : TimeZone::Load(settings.time_zone);
  if (!zone) return zone.error().In("cache " + settings.id);
  timed_.push_back({&settings, *schedule, std::move(*zone)});
  return Ok();
}

Async<std::vector<const CacheSettings*>> Timetable::Due() {
  std::vector<const CacheSettings*> due;
  std::optional<Error> failure;
  for (const Timed& timed : timed_) {
    Result<bool> is = co_await IsDue(timed);
    if (!is) {
      failure = is.error().In("cache " + timed.settings->id);
      continue;
    }
    if (*is) due.push_back(timed.settings);
  }
  // Those that are due have been noted as such, and are so for nobody else.
  if (failure && due.empty()) co_return *failure;
  if (failure) runtime_.log.Warning("a schedule cannot be looked at", {LogField(*failure)});
  co_return due;
}

Async<bool> Timetable::IsDue(const Timed& timed) {
  const SystemTime now = runtime_.clock.Now();
  Result<std::optional<StateRow>> row = co_await state_.Get(kTimes, timed.settings->id);
  if (!row) co_return row.error();
  std::optional<SystemTime> last;
  if (*row) {
    Result<Row> fields = Row::Decode((*row)->value);
    if (!fields) co_return fields.error();
    last = fields->Time("last");
  }
  if (last) {
    const std::optional<SystemTime> next = timed.schedule.Next(*last, timed.zone);
    if (!next || *next > now) co_return false;
  }
  // Seen for the first time it counts from now on; after several missed times once for all of them.
  Row seen;
  seen.Set("last", now);
  Result<int64_t> written = co_await state_.Write(
      kTimes, {.key = timed.settings->id,
               .value = seen.Encode(),
               .expected = *row ? Expected::Revision((*row)->revision) : Expected::Absent()});
  if (!written && written.error().kind == ErrorKind::kPrecondition) co_return false;
  if (!written) co_return written.error();
  co_return last.has_value();
}

}  // namespace longhaul::cache
