#include "observe/alarm_book.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/until_stopped.h"

namespace longhaul {

namespace {

constexpr int kPageRows = 1'000;
// For a message that is under way when the process is to end: a channel may take a minute for one.
constexpr std::chrono::seconds kAfterStopMax{3};

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

Async<void> TellBy(std::shared_ptr<AlarmChannel> channel, AlarmMessage message) {
  co_return co_await channel->Tell(std::move(message));
}

}  // namespace

bool IsAmong(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::any_of(names, [name](const std::string& one) {
    return one.ends_with('/') ? name.starts_with(one) : name == one;
  });
}

AlarmBook::AlarmBook(const Runtime& runtime, State& state, std::string site,
                     std::vector<std::unique_ptr<AlarmChannel>> channels,
                     std::function<bool(std::string_view name)> of_others)
    : runtime_(runtime),
      state_(state),
      site_(std::move(site)),
      of_others_(std::move(of_others)),
      channels_(std::make_move_iterator(channels.begin()),
                std::make_move_iterator(channels.end())) {}

Async<void> AlarmBook::Tell(const Channel& channel, AlarmMessage message, const Event& stop) {
  StateWrite row{.key = message.name};
  if (!message.over) row.value = FormatRfc3339(message.since) + " " + message.text;
  Result<void> told =
      co_await UntilStopped(runtime_, stop, kAfterStopMax, TellBy(channel, std::move(message)));
  if (!told && told.error().kind == ErrorKind::kCancelled) {
    runtime_.log.Warning("an alarm was not taken before the end: the next process tells it again",
                         {{"alarm", row.key}, {"by", channel->name()}});
  }
  if (!told) co_return told.error();
  const std::string what = (row.value ? "record alarm " : "end alarm ") + row.key;
  Result<int64_t> written = co_await state_.Write(PartitionOf(*channel), std::move(row));
  if (!written) co_return written.error().In(what);
  co_return Ok();
}

Async<void> AlarmBook::LookBy(const Channel& channel, const std::map<std::string, AlarmSight>& seen,
                              const std::vector<std::string>& unknown, const Event& stop) {
  const std::string by = "alarms by " + std::string(channel->name());
  std::vector<StateRow> rows;
  for (bool more = true; more;) {
    Result<std::vector<StateRow>> page =
        co_await state_.Scan(PartitionOf(*channel), rows.empty() ? "" : rows.back().key, kPageRows);
    if (!page) co_return page.error().In("read " + by);
    more = page->size() == kPageRows;
    std::ranges::move(*page, std::back_inserter(rows));
  }
  const SystemTime now = runtime_.clock.Now();
  std::vector<AlarmMessage> messages;
  std::set<std::string> known;
  for (const StateRow& row : rows) {
    known.insert(row.key);
    if (of_others_ && of_others_(row.key)) continue;
    if (seen.contains(row.key) || IsAmong(unknown, row.key)) continue;  // Told, and still so.
    messages.push_back({.site = site_,
                        .name = row.key,
                        .text = TextOf(row.value),
                        .over = true,
                        .since = SinceOf(row.value),
                        .now = now});
  }
  for (const auto& [name, sight] : seen) {
    if (known.contains(name)) continue;
    if (!sight.due) continue;
    messages.push_back({.site = site_, .name = name, .text = sight.text, .since = now, .now = now});
  }
  Result<void> all = Ok();
  for (AlarmMessage& message : messages) {
    if (stop.is_set()) break;
    Result<void> told = co_await Tell(channel, std::move(message), stop);
    if (told) continue;
    all = told.error().In(by);
    // The next one would wait as long for it.
    if (told.error().kind != ErrorKind::kInvalidInput) break;
  }
  co_return all;
}

Async<void> AlarmBook::Look(std::map<std::string, AlarmSight> seen, const Event& stop,
                            std::vector<std::string> unknown) {
  TaskGroup telling(runtime_.executor);
  for (const Channel& channel : channels_) {
    telling.Spawn(LookBy(channel, seen, unknown, stop));
  }
  co_return co_await telling.Join();
}

}  // namespace longhaul
