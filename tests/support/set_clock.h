// SetClock: a clock whose time of day somebody sets, as a time server does: what it measures goes
// on as before.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/runtime.h"

namespace longhaul::testing {

class SetClock : public Clock {
 public:
  explicit SetClock(Clock& inner) : inner_(inner) {}
  [[nodiscard]] SystemTime Now() const override { return inner_.Now() + ahead; }
  [[nodiscard]] SteadyTime SteadyNow() const override { return inner_.SteadyNow(); }
  std::unique_ptr<Timer> StartTimer(std::chrono::nanoseconds delay,
                                    std::move_only_function<void()> function) override {
    return inner_.StartTimer(delay, std::move(function));
  }
  // That of a world, with this clock.
  Runtime In(const Runtime& world) {
    return {world.executor, *this,     world.random, world.pool,
            world.memory,   world.log, world.metrics};
  }

  std::chrono::microseconds ahead{0};

 private:
  Clock& inner_;
};

}  // namespace longhaul::testing
