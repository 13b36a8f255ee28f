#include "base/until_stopped.h"

#include <memory>
#include <optional>
#include <utility>

namespace longhaul {

namespace {

constexpr std::chrono::milliseconds kPoll{250};  // How soon a stop is noticed.

struct Outcome {
  Event done;
  Result<void> result;
};

asio::awaitable<void> Note(std::shared_ptr<Outcome> outcome, Async<void> task) {
  outcome->result = co_await std::move(task);
  outcome->done.Set();
}

}  // namespace

Async<void> UntilStopped(const Runtime& runtime, const Event& stop, std::chrono::nanoseconds grace,
                         Async<void> task) {
  auto outcome = std::make_shared<Outcome>();  // shared with the task, which may outlive the wait.
  SpawnDetached(runtime.executor, Note(outcome, std::move(task)));
  std::optional<SteadyTime> end;
  while (!outcome->done.is_set()) {
    const SteadyTime now = runtime.clock.SteadyNow();
    if (!end && stop.is_set()) end = now + grace;
    if (end && now >= *end) co_return Cancelled("given up, as the process ends");
    co_await outcome->done.WaitFor(runtime.clock,
                                   end ? *end - now : std::chrono::nanoseconds(kPoll));
  }
  co_return outcome->result;
}

}  // namespace longhaul
