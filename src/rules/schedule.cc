#include "rules/schedule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <vector>

#include "base/ascii.h"

namespace longhaul {

namespace {

using namespace std::chrono;

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};
constexpr int kYearsMax = 9;  // From one 29th of February to the next, over 2100.

struct Field {
  std::string_view name;
  int min;
  int max;
  std::span<const std::string_view> names;
};

bool ReadValue(std::string_view text, const Field& field, int& value) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return LowerAscii(c); });
  for (size_t i = 0; i < field.names.size(); ++i) {
    if (field.names[i] != lower) continue;
    value = field.min + static_cast<int>(i);
    return true;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= field.min &&
         value <= field.max;
}

// Calls `set` for each value of the field.
template <class Set>
Result<void> ReadField(std::string_view text, const Field& field, Set set) {
  const Error bad =
      InvalidInput("the " + std::string(field.name) + " '" + std::string(text.substr(0, 40)) +
                   "' is none: write *, or " + std::to_string(field.min) + " to " +
                   std::to_string(field.max) + ", with - , and /");
  while (true) {
    const size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    int step = 1;
    const size_t slash = item.find('/');
    if (slash != std::string_view::npos) {
      const std::string_view digits = item.substr(slash + 1);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
      if (error != std::errc() || end != digits.data() + digits.size() || step < 1 ||
          step > field.max) {
        return bad;
      }
      item = item.substr(0, slash);
    }
    int first = field.min;
    int last = field.max;
    if (item != "*") {
      const size_t dash = item.find('-');
      if (!ReadValue(item.substr(0, dash), field, first)) return bad;
      last = slash == std::string_view::npos ? first : field.max;
      if (dash != std::string_view::npos && !ReadValue(item.substr(dash + 1), field, last)) {
        return bad;
      }
      if (last < first) return bad;
    }
    for (int value = first; value <= last; value += step) set(value);
    if (comma == std::string_view::npos) return Ok();
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

Result<Schedule> Schedule::Parse(std::string_view text) {
  std::vector<std::string_view> fields;
  size_t at = 0;
  while (at < text.size()) {
    const size_t begin = text.find_first_not_of(" \t", at);
    if (begin == std::string_view::npos) break;
    at = std::min(text.find_first_of(" \t", begin), text.size());
    fields.push_back(text.substr(begin, at - begin));
  }
  if (fields.size() != 5) {
    return InvalidInput("has " + std::to_string(fields.size()) +
                        " fields: write minute, hour, day of the month, month and day of the "
                        "week, as \"0 3 * * *\"");
  }
  Schedule schedule;
  Result<void> read = ReadField(fields[0], {"minute", 0, 59, {}}, [&](int value) {
    schedule.minutes_.set(static_cast<size_t>(value));
  });
  if (read) {
    read = ReadField(fields[1], {"hour", 0, 23, {}},
                     [&](int value) { schedule.hours_.set(static_cast<size_t>(value)); });
  }
  if (read) {
    read = ReadField(fields[2], {"day of the month", 1, 31, {}},
                     [&](int value) { schedule.days_.set(static_cast<size_t>(value)); });
  }
  if (read) {
    read = ReadField(fields[3], {"month", 1, 12, kMonths},
                     [&](int value) { schedule.months_.set(static_cast<size_t>(value)); });
  }
  if (read) {
    read = ReadField(fields[4], {"day of the week", 0, 7, kWeekdays},
                     [&](int value) { schedule.weekdays_.set(static_cast<size_t>(value % 7)); });
  }
  if (!read) return read.error();
  schedule.any_hour_ = fields[1].starts_with('*');
  schedule.any_day_ = fields[2].starts_with('*');
  schedule.any_weekday_ = fields[4].starts_with('*');
  return schedule;
}

bool Schedule::DayMatches(sys_days day) const {
  const year_month_day date(day);
  if (!months_[static_cast<unsigned>(date.month())]) return false;
  const bool by_day = days_[static_cast<unsigned>(date.day())];
  const bool by_weekday = weekdays_[weekday(day).c_encoding()];
  return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

bool Schedule::MinuteMatches(int minute_of_day) const {
  return hours_[static_cast<size_t>(minute_of_day / 60)] &&
         minutes_[static_cast<size_t>(minute_of_day % 60)];
}

std::optional<SystemTime> Schedule::Next(SystemTime after, const TimeZone& zone) const {
  auto wall = [&zone](sys_time<minutes> time) {
    return floor<minutes>(time + zone.OffsetAt(SystemTime(time)));
  };
  sys_time<minutes> time = floor<minutes>(after) + minutes(1);
  const sys_time<minutes> end = time + days(366 * kYearsMax);
  while (time < end) {
    const sys_time<minutes> here = wall(time);
    const sys_days day = floor<days>(here);
    if (!any_hour_) {
      // What clocks have skipped to get here.
      const sys_time<minutes> before = wall(time - minutes(1));
      for (sys_time<minutes> skipped = before + minutes(1); skipped < here; skipped += minutes(1)) {
        const sys_days skipped_day = floor<days>(skipped);
        if (DayMatches(skipped_day) &&
            MinuteMatches(static_cast<int>((skipped - skipped_day).count()))) {
          return SystemTime(time);
        }
      }
    }
    const int minute_of_day = static_cast<int>((here - day).count());
    if (DayMatches(day) && MinuteMatches(minute_of_day)) {
      // Whether clocks have shown this before, an hour or less ago.
      bool again = false;
      const sys_time<minutes> earlier = time - minutes(120);
      const minutes set_back =
          ceil<minutes>(zone.OffsetAt(SystemTime(earlier)) - zone.OffsetAt(SystemTime(time)));
      if (!any_hour_ && set_back > minutes(0)) again = wall(time - set_back) == here;
      if (!again) return SystemTime(time);
    }
    // To the next day where nothing of this one fits; before one that may fit never over a change
    // of the clocks, which moves by at most these three hours.
    const sys_time<minutes> tomorrow = day + days(1);
    minutes leap = DayMatches(day) ? minutes(1) : tomorrow - here;
    if (DayMatches(floor<days>(tomorrow))) leap -= minutes(180);
    time += std::max(leap, minutes(1));
  }
  return std::nullopt;
}

}  // namespace longhaul
