#include "observe/alarm_book.h"

#include <optional>
#include <utility>

namespace longhaul {

namespace {

constexpr int kRowsMax = 1'000;

// The webhook was there before there were others.
std::string PartitionOf(const AlarmChannel& channel) {
  return channel.name() == "webhook" ? "alarms" : "alarms/" + std::string(channel.name());
}

// "<RFC 3339> <text>"
SystemTime SinceOf(const std::string& value) {
  Result<SystemTime> since = ParseRfc3339(value.substr(0, value.find(' ')));
  return since ? *since : SystemTime{};
}
std::string TextOf(const std::string& value) {
  const size_t space = value.find(' ');
  return space == std::string::npos ? "" : value.substr(space + 1);
}

}  // namespace

AlarmBook::AlarmBook(const Runtime& runtime, State& state, std::string site,
                     std::vector<std::unique_ptr<AlarmChannel>> channels)
    : runtime_(runtime), state_(state), site_(std::move(site)), channels_(std::move(channels)) {}

Async<void> AlarmBook::LookBy(AlarmChannel& channel, std::map<std::string, AlarmSight> seen) {
  const std::string partition = PartitionOf(channel);
  Result<std::vector<StateRow>> rows = co_await state_.Scan(partition, "", kRowsMax);
  if (!rows) co_return rows.error().In("read alarms");
  std::optional<Error> failure;
  const SystemTime now = runtime_.clock.Now();
  for (const StateRow& row : *rows) {
    if (seen.erase(row.key) > 0) continue;  // Told, and still so.
    Result<void> told = co_await channel.Tell({.site = site_,
                                               .name = row.key,
                                               .text = TextOf(row.value),
                                               .over = true,
                                               .since = SinceOf(row.value),
                                               .now = now});
    if (!told) {
      failure = told.error();
      continue;
    }
    Result<int64_t> removed = co_await state_.Write(partition, {.key = row.key});
    if (!removed) co_return removed.error().In("end alarm " + row.key);
  }
  for (const auto& [name, sight] : seen) {
    if (!sight.due) continue;
    Result<void> told = co_await channel.Tell(
        {.site = site_, .name = name, .text = sight.text, .since = now, .now = now});
    if (!told) {
      failure = told.error();
      continue;
    }
    Result<int64_t> written = co_await state_.Write(
        partition, {.key = name, .value = FormatRfc3339(now) + " " + sight.text});
    if (!written) co_return written.error().In("record alarm " + name);
  }
  if (failure) co_return *failure;
  co_return Ok();
}

Async<void> AlarmBook::Look(std::map<std::string, AlarmSight> seen) {
  std::optional<Error> failure;
  for (const std::unique_ptr<AlarmChannel>& channel : channels_) {
    Result<void> looked = co_await LookBy(*channel, seen);
    if (!looked) failure = looked.error().In("alarms by " + std::string(channel->name()));
  }
  if (failure) co_return *failure;
  co_return Ok();
}

}  // namespace longhaul
