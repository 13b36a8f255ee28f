#include "base/clock.h"

#include <algorithm>
#include <array>
#include <boost/asio/async_result.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <cstdio>

namespace longhaul {

using std::chrono::microseconds;

asio::awaitable<void> Clock::Sleep(std::chrono::nanoseconds delay) {
  WaitList nobody;
  co_await nobody.WaitFor(*this, delay);
}

SystemTime RealClock::Now() const {
  return std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now());
}

SteadyTime RealClock::SteadyNow() const { return std::chrono::steady_clock::now(); }

namespace {

class AsioTimer : public Clock::Timer {
 public:
  AsioTimer(const asio::any_io_executor& executor, std::chrono::nanoseconds delay,
            std::move_only_function<void()> function)
      : timer_(executor, delay), function_(std::make_shared<Function>(std::move(function))) {
    // A timer that has expired cannot be cancelled any more; emptying the function can.
    timer_.async_wait([held = function_](const boost::system::error_code& error) {
      if (error || !*held) return;
      Function function = std::move(*held);
      *held = nullptr;
      function();
    });
  }
  ~AsioTimer() override { *function_ = nullptr; }

 private:
  using Function = std::move_only_function<void()>;
  asio::steady_timer timer_;
  std::shared_ptr<Function> function_;  // shared with the handler, which may outlive the timer.
};

constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<const char*, 7> kWeekdays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

// Reads exactly `count` digits at `text[at]`.
bool ReadDigits(std::string_view text, size_t at, size_t count, int* value) {
  if (at + count > text.size()) return false;
  *value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    *value = *value * 10 + (text[i] - '0');
  }
  return true;
}

bool MakeTime(int year, int month, int day, int hour, int minute, int second, SystemTime* time) {
  using namespace std::chrono;
  year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                      std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return false;
  *time = sys_days(date) + hours(hour) + minutes(minute) + seconds(second);
  return true;
}

}  // namespace

std::unique_ptr<Clock::Timer> RealClock::StartTimer(std::chrono::nanoseconds delay,
                                                    std::move_only_function<void()> function) {
  return std::make_unique<AsioTimer>(executor_, delay, std::move(function));
}

std::string FormatRfc3339(SystemTime time) {
  using namespace std::chrono;
  auto day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss clock(time - day);
  // By hand: listings print a million of them.
  std::string text = "0000-00-00T00:00:00Z";
  auto put = [&text](size_t at, size_t count, int64_t value) {
    for (; count > 0; --count, value /= 10)
      text[at + count - 1] = static_cast<char>('0' + value % 10);
  };
  put(0, 4, std::clamp(static_cast<int>(date.year()), 0, 9999));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, clock.hours().count());
  put(14, 2, clock.minutes().count());
  put(17, 2, clock.seconds().count());
  int64_t micros = clock.subseconds().count();
  if (micros != 0) {
    text.replace(19, 1, ".000000");
    put(20, 6, micros);
    while (text.back() == '0') text.pop_back();
    text += 'Z';
  }
  return text;
}

Result<SystemTime> ParseRfc3339(std::string_view text) {
  auto bad = [text] {
    return InvalidInput("not an RFC 3339 time: '" + std::string(text.substr(0, 64)) + "'");
  };
  int year, month, day, hour, minute, second;
  if (text.size() < 20 || !ReadDigits(text, 0, 4, &year) || text[4] != '-' ||
      !ReadDigits(text, 5, 2, &month) || text[7] != '-' || !ReadDigits(text, 8, 2, &day) ||
      (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || !ReadDigits(text, 11, 2, &hour) ||
      text[13] != ':' || !ReadDigits(text, 14, 2, &minute) || text[16] != ':' ||
      !ReadDigits(text, 17, 2, &second)) {
    return bad();
  }
  SystemTime time;
  if (!MakeTime(year, month, day, hour, minute, second, &time)) return bad();
  size_t at = 19;
  if (text[at] == '.') {
    ++at;
    int64_t micros = 0;
    int64_t unit = 100'000;
    size_t start = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      micros += (text[at] - '0') * unit;
    }
    if (at == start) return bad();
    time += microseconds(micros);
  }
  if (at < text.size() && (text[at] == 'Z' || text[at] == 'z') && at + 1 == text.size()) {
    return time;
  }
  int offset_hours, offset_minutes;
  if (at + 6 != text.size() || (text[at] != '+' && text[at] != '-') ||
      !ReadDigits(text, at + 1, 2, &offset_hours) || text[at + 3] != ':' ||
      !ReadDigits(text, at + 4, 2, &offset_minutes) || offset_hours > 23 || offset_minutes > 59) {
    return bad();
  }
  auto offset = std::chrono::hours(offset_hours) + std::chrono::minutes(offset_minutes);
  return text[at] == '+' ? time - offset : time + offset;
}

std::string FormatHttpDate(SystemTime time) {
  using namespace std::chrono;
  auto day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss clock(floor<seconds>(time - day));
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT",
                kWeekdays[weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

Result<SystemTime> ParseHttpDate(std::string_view text) {
  auto bad = [text] {  // Made when it is needed: every answer has two or three dates.
    return InvalidInput("not an HTTP date: '" + std::string(text.substr(0, 64)) + "'");
  };
  int year, day, hour, minute, second;
  if (text.size() != 29 || text.substr(3, 2) != ", " || !ReadDigits(text, 5, 2, &day) ||
      !ReadDigits(text, 12, 4, &year) || !ReadDigits(text, 17, 2, &hour) || text[19] != ':' ||
      !ReadDigits(text, 20, 2, &minute) || text[22] != ':' || !ReadDigits(text, 23, 2, &second) ||
      text.substr(25) != " GMT") {
    return bad();
  }
  for (size_t month = 0; month < kMonths.size(); ++month) {
    if (text.substr(8, 3) != kMonths[month]) continue;
    SystemTime time;
    if (!MakeTime(year, static_cast<int>(month) + 1, day, hour, minute, second, &time))
      return bad();
    return time;
  }
  return bad();
}

}  // namespace longhaul
