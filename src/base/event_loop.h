// Event loop: runs an io_context, and wakes less often while many answers are awaited.
//
// A thread that awaits hundreds of small answers is woken for each or for every few, and the wakeup
// (system calls, caches that others have used meanwhile) costs more than the handling. So those
// that come within kGather after one round are handled together by the next: a quarter less CPU for
// 20,000 small objects by HTTP, and no more time. With few awaited nothing waits, nor does the
// first answer after a rest.

#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>

#include "base/async.h"

namespace longhaul {

// How long a round waits for more, and from how many awaited answers on.
inline constexpr std::chrono::microseconds kGather{500};
inline constexpr int kManyAnswers = 16;

// What all that runs in one io_context waits for. Shared: who waits may outlive it, in a coroutine
// that is being destroyed. Touched on its thread alone.
struct NetworkWaits {
  static std::shared_ptr<NetworkWaits> Of(const asio::any_io_executor& executor);
  // Nobody whom a rest of the thread would slow down: bytes of a body, too many for one piece, go
  // or come as fast as they are taken.
  [[nodiscard]] bool gathers() const { return answers >= kManyAnswers && bodies == 0; }

  int answers = 0;  // Heads of them.
  int bodies = 0;
};

// One wait, until it goes out of scope.
class NetworkWait {
 public:
  NetworkWait(std::shared_ptr<NetworkWaits> waits, int NetworkWaits::* kind)
      : waits_(std::move(waits)), kind_(kind) {
    ++(*waits_.*kind_);
  }
  ~NetworkWait() { --(*waits_.*kind_); }
  NetworkWait(const NetworkWait&) = delete;
  NetworkWait& operator=(const NetworkWait&) = delete;

 private:
  std::shared_ptr<NetworkWaits> waits_;
  int NetworkWaits::* kind_;
};

// As io.run() does, until `io` is stopped or has nothing left.
void RunEventLoop(asio::io_context& io);

}  // namespace longhaul
