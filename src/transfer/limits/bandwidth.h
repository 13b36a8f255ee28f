// Bandwidth: how many bytes a second a run may move, by time of day and week, as rclone's
// --bwlimit.

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace longhaul {

class BandwidthTable {
 public:
  // "50M", "off", or a timetable of local times, each until the next: "08:00,512k 19:00,10M
  // 23:00,off", with days "Mon-08:00,1M Fri-20:00,off". k, M and G are of 1,024 bytes, as in
  // rclone; "512KB" and "512KiB" are what they say. kInvalidInput says what is wrong; a number
  // alone is refused, as rclone means KiB by it and others bytes.
  static Result<BandwidthTable> Parse(std::string_view text);

  // `minute`: of the week, from Monday 00:00. 0: no limit.
  [[nodiscard]] uint64_t BytesPerSecond(int minute) const;
  // The same at a moment, in the time zone of this machine.
  [[nodiscard]] uint64_t BytesPerSecondAt(SystemTime now) const;

 private:
  struct Entry {
    int minute = 0;
    uint64_t bytes_per_second = 0;
  };
  std::vector<Entry> entries_;  // By minute; never empty once parsed.
};

// Lets so many units pass a second, in the order in which they ask. Belongs to one shard.
class Pace {
 public:
  // `stop`: set, nobody waits any more. May be null.
  Pace(Clock& clock, Event* stop) : clock_(clock), stop_(stop) {}

  // Waits until what was taken before has had its time. `rate` 0: no limit.
  asio::awaitable<void> Take(double units, double rate);

 private:
  Clock& clock_;
  Event* stop_;
  SteadyTime free_{};  // When what has been taken so far will have passed.
};

}  // namespace longhaul
