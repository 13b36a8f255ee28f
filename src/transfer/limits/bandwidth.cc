#include "transfer/limits/bandwidth.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>

#include "base/units.h"

namespace longhaul {

namespace {

constexpr int kDayMinutes = 24 * 60;
constexpr int kDays = 7;
constexpr std::array<std::string_view, kDays> kDayNames = {"mon", "tue", "wed", "thu",
                                                           "fri", "sat", "sun"};
constexpr size_t kEntriesMax = 1000;

Error Wrong(std::string_view text, const std::string& what) {
  return InvalidInput("'" + std::string(text) + "': " + what);
}

Result<uint64_t> ParseRate(std::string_view text) {
  if (text == "off") return 0;
  constexpr std::string_view kSuffixes = "kKmMgG";
  std::string size(text);
  if (size.size() > 1 && kSuffixes.contains(size.back())) size += "iB";
  const bool bare = !size.empty() && size.find_first_not_of("0123456789.") == std::string::npos;
  if (bare && size != "0") {
    return Wrong(text, "a rate needs a unit: write " + size + "k for KiB, or " + size + "B");
  }
  Result<uint64_t> rate = ParseSize(size);
  if (!rate) return Wrong(text, "is no rate: write 512k, 10M or off");
  return rate;
}

// "08:00" in minutes.
std::optional<int> ParseClock(std::string_view text) {
  auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : -100; };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hour = digit(0) * 10 + digit(1);
  const int minute = digit(3) * 10 + digit(4);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return std::nullopt;
  return hour * 60 + minute;
}

}  // namespace

Result<BandwidthTable> BandwidthTable::Parse(std::string_view text) {
  BandwidthTable table;
  if (!text.contains(',')) {
    Result<uint64_t> rate = ParseRate(text);
    if (!rate) return rate.error();
    table.entries_.push_back({.minute = 0, .bytes_per_second = *rate});
    return table;
  }
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    std::string_view entry = text.substr(at, end - at);
    at = end + 1;
    if (entry.empty()) continue;
    const size_t comma = entry.find(',');
    if (comma == std::string_view::npos) return Wrong(entry, "write TIME,RATE as 08:00,512k");
    std::string_view when = entry.substr(0, comma);
    Result<uint64_t> rate = ParseRate(entry.substr(comma + 1));
    if (!rate) return rate.error();
    int first = 0;
    int last = kDays - 1;
    if (when.size() > 4 && when[3] == '-') {
      std::string name(when.substr(0, 3));
      std::ranges::transform(name, name.begin(),
                             [](char c) { return static_cast<char>(c | 0x20); });
      const auto* day = std::ranges::find(kDayNames, name);
      if (day == kDayNames.end()) return Wrong(entry, "the days are Mon to Sun");
      first = last = static_cast<int>(day - kDayNames.begin());
      when.remove_prefix(4);
    }
    const std::optional<int> minute = ParseClock(when);
    if (!minute) return Wrong(entry, "a time is written 08:00 or Mon-08:00");
    for (int day = first; day <= last; ++day) {
      table.entries_.push_back({.minute = day * kDayMinutes + *minute, .bytes_per_second = *rate});
    }
    if (table.entries_.size() > kEntriesMax) return InvalidInput("a timetable of over 1,000 times");
  }
  if (table.entries_.empty()) return InvalidInput("an empty timetable");
  std::ranges::sort(table.entries_, {}, &Entry::minute);
  if (std::ranges::adjacent_find(table.entries_, {}, &Entry::minute) != table.entries_.end()) {
    return InvalidInput("a timetable that names one time twice");
  }
  return table;
}

uint64_t BandwidthTable::BytesPerSecond(int minute) const {
  if (entries_.empty()) return 0;
  // Before the first entry of the week the last one still holds.
  uint64_t rate = entries_.back().bytes_per_second;
  for (const Entry& entry : entries_) {
    if (entry.minute > minute) break;
    rate = entry.bytes_per_second;
  }
  return rate;
}

uint64_t BandwidthTable::BytesPerSecondAt(SystemTime now) const {
  if (entries_.size() == 1) return entries_.front().bytes_per_second;
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::tm local{};
  localtime_r(&seconds, &local);
  const int day = (local.tm_wday + 6) % kDays;  // tm_wday counts from Sunday.
  return BytesPerSecond(day * kDayMinutes + local.tm_hour * 60 + local.tm_min);
}

asio::awaitable<void> Pace::Take(double units, double rate) {
  const SteadyTime now = clock_.SteadyNow();
  const SteadyTime mine = std::max(now, free_);
  if (rate > 0) {
    free_ = mine + std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::duration<double>(units / rate));
  }
  if (mine <= now) co_return;
  if (stop_ != nullptr) {
    static_cast<void>(co_await stop_->WaitFor(clock_, mine - now));
  } else {
    co_await clock_.Sleep(mine - now);
  }
}

}  // namespace longhaul
