#include "base/async.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "base/check.h"
#include "base/clock.h"

namespace longhaul {

// A parked coroutine. `resume` posts, so that whoever notifies runs on undisturbed.
struct WaitList::Waiter {
  std::move_only_function<void(bool)> resume;
  std::unique_ptr<Clock::Timer> timer;
  std::list<std::shared_ptr<Waiter>>::iterator position;

  void Fire(bool notified) {
    timer.reset();
    auto function = std::move(resume);
    function(notified);
  }
};

WaitList::WaitList() = default;
WaitList::~WaitList() = default;

namespace {

// Parks the caller until what `start` is given is called.
template <class... Results, class Start>
auto Park(Start start) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Results...)>(
      [start = std::move(start)](auto handler) mutable {
        start([handler = std::move(handler)](Results... results) mutable {
          auto executor = asio::get_associated_executor(handler);
          asio::post(executor, [handler = std::move(handler), results...]() mutable {
            std::move(handler)(results...);
          });
        });
      },
      asio::use_awaitable);
}

}  // namespace

asio::awaitable<void> WaitList::Wait() {
  return Park<>([this](auto resume) {
    auto waiter = std::make_shared<Waiter>();
    waiter->resume = [resume = std::move(resume)](bool) mutable { resume(); };
    waiter->position = waiters_.insert(waiters_.end(), waiter);
  });
}

asio::awaitable<bool> WaitList::WaitFor(Clock& clock, std::chrono::nanoseconds timeout) {
  return Park<bool>([this, &clock, timeout](auto resume) {
    auto waiter = std::make_shared<Waiter>();
    waiter->resume = std::move(resume);
    waiter->position = waiters_.insert(waiters_.end(), waiter);
    // The timer borrows the list: the waiter, which owns the timer, is destroyed with it.
    waiter->timer = clock.StartTimer(timeout, [this, raw = waiter.get()] {
      std::shared_ptr<Waiter> self = *raw->position;
      waiters_.erase(self->position);
      self->Fire(false);
    });
  });
}

void WaitList::NotifyOne() {
  if (waiters_.empty()) return;
  std::shared_ptr<Waiter> waiter = std::move(waiters_.front());
  waiters_.pop_front();
  waiter->Fire(true);
}

void WaitList::NotifyAll() {
  while (!waiters_.empty()) NotifyOne();
}

asio::awaitable<void> Event::Wait() {
  while (!set_) co_await waiters_.Wait();
}

asio::awaitable<bool> Event::WaitFor(Clock& clock, std::chrono::nanoseconds timeout) {
  if (!set_) co_await waiters_.WaitFor(clock, timeout);
  co_return set_;
}

asio::awaitable<void> Semaphore::Acquire() {
  if (count_ > 0) {
    --count_;
    co_return;
  }
  co_await waiters_.Wait();  // Ends with the permit of whoever released.
}

void Semaphore::Release() {
  if (waiters_.empty()) {
    ++count_;
  } else {
    waiters_.NotifyOne();
  }
}

struct TaskGroup::Shared {
  int running = 0;
  std::optional<Error> first_error;
  WaitList waiters;
};

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : executor_(std::move(executor)), shared_(std::make_shared<Shared>()) {}

TaskGroup::~TaskGroup() = default;

void TaskGroup::Spawn(Async<void> task) {
  ++shared_->running;
  asio::co_spawn(executor_, std::move(task),
                 [shared = shared_](std::exception_ptr exception, Result<void> result) {
                   if (exception) std::rethrow_exception(exception);
                   --shared->running;
                   if (!result && !shared->first_error) shared->first_error = result.error();
                   shared->waiters.NotifyAll();
                 });
}

asio::awaitable<void> TaskGroup::WaitBelow(int limit) {
  auto shared = shared_;
  while (shared->running >= limit) co_await shared->waiters.Wait();
}

Async<void> TaskGroup::Join() {
  co_await WaitBelow(1);
  if (shared_->first_error) co_return *shared_->first_error;
  co_return Ok();
}

bool TaskGroup::failed() const { return shared_->first_error.has_value(); }
int TaskGroup::running() const { return shared_->running; }

asio::awaitable<asio::any_io_executor> CurrentExecutor() {
  co_return co_await asio::this_coro::executor;
}

asio::awaitable<void> Yield() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

void SpawnDetached(asio::any_io_executor executor, asio::awaitable<void> task) {
  asio::co_spawn(executor, std::move(task), [](std::exception_ptr exception) {
    if (exception) std::rethrow_exception(exception);
  });
}

}  // namespace longhaul
