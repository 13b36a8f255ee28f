// Schedule: when something is done again and again, as cron writes it: five fields, "minute hour
// day-of-month month day-of-week".
//
// A field is "*", a number, a range "a-b", either with a step "/n", or several of these with
// commas; months and days of the week may be names (jan, mon), 0 and 7 are Sunday. Where both days
// are given, one of them is enough. Times are those of a time zone. A time that clocks skip in
// spring is taken at once after the gap; one that comes twice in autumn is taken the first time;
// where the hour is "*", neither is treated apart.

#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_zone.h"

namespace longhaul {

class Schedule {
 public:
  // kInvalidInput: says which field is wrong and why.
  static Result<Schedule> Parse(std::string_view text);

  // The first time after `after`. nullopt: never (the 30th of February).
  [[nodiscard]] std::optional<SystemTime> Next(SystemTime after, const TimeZone& zone) const;

 private:
  [[nodiscard]] bool DayMatches(std::chrono::sys_days day) const;
  // Of the minutes of a day, by the clocks on the wall.
  [[nodiscard]] bool MinuteMatches(int minute_of_day) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_day_ = false;
  bool any_weekday_ = false;
  bool any_hour_ = false;
};

}  // namespace longhaul
