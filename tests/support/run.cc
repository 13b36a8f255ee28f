#include "tests/support/run.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>

namespace longhaul::testing {

class FakeTimer : public Clock::Timer {
 public:
  FakeTimer(FakeClock* clock, std::pair<std::chrono::nanoseconds, uint64_t> id)
      : clock_(clock), id_(id) {}
  ~FakeTimer() override { clock_->timers_.erase(id_); }

 private:
  FakeClock* clock_;
  std::pair<std::chrono::nanoseconds, uint64_t> id_;
};

FakeClock::~FakeClock() {
  // Dropping a function can drop the coroutine that owns other timers, so one at a time.
  while (!timers_.empty()) timers_.extract(timers_.begin());
}

SystemTime FakeClock::Now() const {
  return start_ + std::chrono::duration_cast<std::chrono::microseconds>(elapsed_);
}

std::unique_ptr<Clock::Timer> FakeClock::StartTimer(std::chrono::nanoseconds delay,
                                                    std::move_only_function<void()> function) {
  auto id = std::make_pair(elapsed_ + std::max(delay, std::chrono::nanoseconds(0)), next_id_++);
  timers_.emplace(id, std::move(function));
  return std::make_unique<FakeTimer>(this, id);
}

bool FakeClock::AdvanceToNextTimer() {
  if (timers_.empty()) return false;
  auto node = timers_.extract(timers_.begin());
  elapsed_ = std::max(elapsed_, node.key().first);
  node.mapped()();
  return true;
}

namespace {
SystemTime StartOfFakeTime() {
  return std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + std::chrono::hours(9);
}

void Spawn(asio::io_context& io, asio::awaitable<void> task) {
  asio::co_spawn(io, std::move(task), [](std::exception_ptr exception) {
    if (exception) std::rethrow_exception(exception);
  });
}
}  // namespace

FakeWorld::FakeWorld(uint64_t seed, int64_t memory_bytes)
    : clock(StartOfFakeTime()),
      random(seed),
      memory(memory_bytes),
      runtime{io.get_executor(), clock, random, pool, memory, log, metrics} {}

FakeWorld::~FakeWorld() = default;

void FakeWorld::Start(asio::awaitable<void> task) { Spawn(io, std::move(task)); }

void FakeWorld::Run(asio::awaitable<void> task) {
  bool done = false;
  asio::co_spawn(io, std::move(task), [&done](std::exception_ptr exception) {
    if (exception) std::rethrow_exception(exception);
    done = true;
  });
  Drive([&] { return done; });
}

void FakeWorld::Drive(const std::function<bool()>& done) {
  while (!done()) {
    io.restart();
    if (io.poll_one() > 0) continue;
    if (!clock.AdvanceToNextTimer()) {
      ADD_FAILURE() << "deadlock: every coroutine waits and no timer runs";
      std::abort();
    }
  }
}

RealWorld::RealWorld(int64_t memory_bytes)
    : clock(io.get_executor()),
      memory(memory_bytes),
      runtime{io.get_executor(), clock, random, pool, memory, log, metrics} {}

RealWorld::~RealWorld() = default;

void RealWorld::Start(asio::awaitable<void> task) { Spawn(io, std::move(task)); }

void RealWorld::Drive(const bool& done) {
  auto keep_running = asio::make_work_guard(io);
  io.restart();
  while (!done) io.run_one();
}

}  // namespace longhaul::testing
