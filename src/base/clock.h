// Clock: the only source of time and of timers. Real in the program, virtual in tests/sim.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/async.h"

namespace longhaul {

using SystemTime = std::chrono::sys_time<std::chrono::microseconds>;  // UTC.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

// Belongs to one shard. Implemented by RealClock and by the simulation.
class Clock {
 public:
  // Destroying it before it fires cancels it; its function is then never called.
  class Timer {
   public:
    virtual ~Timer() = default;
  };

  virtual ~Clock() = default;
  virtual SystemTime Now() const = 0;
  virtual SteadyTime SteadyNow() const = 0;
  // Calls `function` once, on the shard, after `delay`.
  virtual std::unique_ptr<Timer> StartTimer(std::chrono::nanoseconds delay,
                                            std::move_only_function<void()> function) = 0;

  asio::awaitable<void> Sleep(std::chrono::nanoseconds delay);
};

// The machine's clock, with timers on the executor of one shard.
class RealClock : public Clock {
 public:
  explicit RealClock(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  SystemTime Now() const override;
  SteadyTime SteadyNow() const override;
  std::unique_ptr<Timer> StartTimer(std::chrono::nanoseconds delay,
                                    std::move_only_function<void()> function) override;

 private:
  asio::any_io_executor executor_;
};

// RFC 3339 in UTC: "2026-03-01T09:30:00Z", with up to six digits of fraction when there is one.
std::string FormatRfc3339(SystemTime time);
// Accepts `Z` or an offset and any number of fraction digits.
Result<SystemTime> ParseRfc3339(std::string_view text);
// "Sun, 01 Mar 2026 09:30:00 GMT" (RFC 9110, 5.6.7 IMF-fixdate).
std::string FormatHttpDate(SystemTime time);
Result<SystemTime> ParseHttpDate(std::string_view text);

}  // namespace longhaul
