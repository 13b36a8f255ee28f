// Runs a coroutine to its end in a test: on a real clock (RunAsync) or a virtual one (FakeWorld).

#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/async.h"
#include "base/runtime.h"

namespace longhaul::testing {

// Drops everything.
class NullLogger : public Logger {
 protected:
  void Log(LogLevel, std::string_view, Fields) override {}
};

// A clock that stands still until every coroutine waits, then jumps to the next timer.
class FakeClock : public Clock {
 public:
  explicit FakeClock(SystemTime start) : start_(start) {}
  ~FakeClock() override;
  [[nodiscard]] SystemTime Now() const override;
  [[nodiscard]] SteadyTime SteadyNow() const override { return SteadyTime(elapsed_); }
  std::unique_ptr<Timer> StartTimer(std::chrono::nanoseconds delay,
                                    std::move_only_function<void()> function) override;
  // Fires the next timer, moving time to it; false when there is none.
  bool AdvanceToNextTimer();
  void Advance(std::chrono::nanoseconds by) { elapsed_ += by; }

 private:
  friend class FakeTimer;
  SystemTime start_;
  std::chrono::nanoseconds elapsed_{0};
  uint64_t next_id_ = 0;
  std::map<std::pair<std::chrono::nanoseconds, uint64_t>, std::move_only_function<void()>> timers_;
};

// A Runtime on a virtual clock, one thread, a seeded Random and a pool that computes in place.
class FakeWorld {
 public:
  explicit FakeWorld(uint64_t seed = 1, int64_t memory_bytes = 256 << 20);
  ~FakeWorld();

  // Runs `task` until it is done; fails the test when everything waits for nothing.
  template <class T>
  T Run(asio::awaitable<T> task) {
    std::optional<T> result;
    Start(Store(std::move(task), result));
    Drive([&] { return result.has_value(); });
    return std::move(*result);
  }
  void Run(asio::awaitable<void> task);
  // Runs until `done`, advancing virtual time.
  void Drive(const std::function<bool()>& done);
  void Start(asio::awaitable<void> task);

  asio::io_context io{1};
  FakeClock clock;
  SeededRandom random;
  CpuPool pool{0};
  MemoryBudget memory;
  NullLogger log;
  Metrics metrics;
  Runtime runtime;

 private:
  template <class T>
  static asio::awaitable<void> Store(asio::awaitable<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }
};

// A Runtime on the real clock and a pool of two threads, for tests that do real I/O.
class RealWorld {
 public:
  explicit RealWorld(int64_t memory_bytes = 256 << 20);
  ~RealWorld();

  template <class T>
  T Run(asio::awaitable<T> task) {
    std::optional<T> result;
    bool done = false;
    Start(Store(std::move(task), result, done));
    Drive(done);
    return std::move(*result);
  }
  void Drive(const bool& done);
  void Start(asio::awaitable<void> task);

  asio::io_context io{1};
  RealClock clock;
  SystemRandom random;
  CpuPool pool{2};
  MemoryBudget memory;
  NullLogger log;
  Metrics metrics;
  Runtime runtime;

 private:
  template <class T>
  static asio::awaitable<void> Store(asio::awaitable<T> task, std::optional<T>& result,
                                     bool& done) {
    result.emplace(co_await std::move(task));
    done = true;
  }
};

}  // namespace longhaul::testing
