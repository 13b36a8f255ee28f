// Async<T> and the few primitives with which coroutines of one shard wait for each other.
//
// A shard is one thread with one io_context; everything here belongs to one shard and has no lock.
// Waiters are resumed by a post, never inside the call that woke them, in the order in which they
// came. Destroying a primitive destroys the coroutines parked in it: that is how a crash is
// simulated (tests/sim), and why nothing here outlives its owner.

#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"

namespace longhaul {

namespace asio = boost::asio;

template <class T = void>
using Async = asio::awaitable<Result<T>>;

class Clock;

// Coroutines parked until someone notifies them.
class WaitList {
 public:
  WaitList();
  ~WaitList();
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  // Parks the caller until a Notify. Like a condition variable: check your condition in a loop.
  asio::awaitable<void> Wait();
  // The same, for at most `timeout`; false when it ran out.
  asio::awaitable<bool> WaitFor(Clock& clock, std::chrono::nanoseconds timeout);

  void NotifyOne();
  void NotifyAll();
  [[nodiscard]] bool empty() const { return waiters_.empty(); }

 private:
  struct Waiter;
  std::list<std::shared_ptr<Waiter>> waiters_;  // shared: a timer may hold the other end.
};

// A switch that is set once and stays set; the way to ask a role to stop.
class Event {
 public:
  void Set() {
    set_ = true;
    waiters_.NotifyAll();
  }
  void Reset() { set_ = false; }
  [[nodiscard]] bool is_set() const { return set_; }
  asio::awaitable<void> Wait();
  // True when it is set, false after `timeout`.
  asio::awaitable<bool> WaitFor(Clock& clock, std::chrono::nanoseconds timeout);

 private:
  bool set_ = false;
  WaitList waiters_;
};

// A counting semaphore, first come first served.
class Semaphore {
 public:
  explicit Semaphore(int64_t count) : count_(count) {}
  asio::awaitable<void> Acquire();
  void Release();

 private:
  int64_t count_;
  WaitList waiters_;
};

// What was acquired of a semaphore, until it goes out of scope. shared: it may outlive whoever owns
// the semaphore, in a coroutine that is being destroyed.
class Permit {
 public:
  explicit Permit(std::shared_ptr<Semaphore> gate) : gate_(std::move(gate)) {}
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;
  ~Permit() { gate_->Release(); }

 private:
  std::shared_ptr<Semaphore> gate_;
};

// Runs coroutines side by side and waits for all of them. Must be joined before it is destroyed,
// unless the whole io_context goes away with it.
class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor executor);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Runs `task` up to where it first waits; from another thread it is started on the executor. What
  // it borrows must live until Join returns.
  void Spawn(Async<void> task);
  // Waits until fewer than `limit` tasks run: the bound for loops that spawn.
  asio::awaitable<void> WaitBelow(int limit);
  // Waits for all tasks; the first error that any of them returned, else OK.
  Async<void> Join();
  [[nodiscard]] bool failed() const;
  [[nodiscard]] int running() const;

 private:
  struct Shared;
  asio::any_io_executor executor_;
  std::shared_ptr<Shared> shared_;  // shared with the completion handlers of running tasks.
};

// The executor of the coroutine that calls it.
asio::awaitable<asio::any_io_executor> CurrentExecutor();

// Lets other coroutines of this shard run.
asio::awaitable<void> Yield();

// Runs `task` on `executor` and forgets it; an exception out of it ends the process.
void SpawnDetached(asio::any_io_executor executor, asio::awaitable<void> task);

// A bounded queue between coroutines of one shard.
template <class T>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) {}

  // Waits for room. False: the channel is closed and `value` was dropped.
  asio::awaitable<bool> Send(T value) {
    while (!closed_ && items_.size() >= capacity_) co_await senders_.Wait();
    if (closed_) co_return false;
    items_.push_back(std::move(value));
    receivers_.NotifyOne();
    co_return true;
  }
  // Waits for an item; nullopt when the channel is closed and empty.
  asio::awaitable<std::optional<T>> Receive() {
    while (items_.empty() && !closed_) co_await receivers_.Wait();
    if (items_.empty()) co_return std::nullopt;
    T value = std::move(items_.front());
    items_.pop_front();
    senders_.NotifyOne();
    co_return std::move(value);
  }
  void Close() {
    closed_ = true;
    senders_.NotifyAll();
    receivers_.NotifyAll();
  }
  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  WaitList senders_;
  WaitList receivers_;
};

}  // namespace longhaul
