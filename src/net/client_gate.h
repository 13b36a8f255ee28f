// Gate: how many requests of an HTTP client wait for the head of their answer.
//
// Internal to the HTTP client.

#pragma once

#include <memory>
#include <utility>

#include "base/async.h"

namespace longhaul {

// A counting semaphore, first come first served. Mostly a permit is there at once; then no
// coroutine is made to wait for it, as a Semaphore's would be.
class ClientGate {
 public:
  explicit ClientGate(int count) : count_(count) {}
  [[nodiscard]] bool TryEnter() {
    if (count_ == 0) return false;
    --count_;
    return true;
  }
  // After a TryEnter that failed: ends with the permit of whoever left.
  asio::awaitable<void> Wait() { return waiters_.Wait(); }
  void Leave() {
    if (waiters_.empty()) {
      ++count_;
    } else {
      waiters_.NotifyOne();
    }
  }

 private:
  int count_;
  WaitList waiters_;
};

// What has entered, until it goes out of scope. shared: it may outlive the client, in a coroutine
// that is being destroyed.
class ClientPassage {
 public:
  explicit ClientPassage(std::shared_ptr<ClientGate> gate) : gate_(std::move(gate)) {}
  ClientPassage(const ClientPassage&) = delete;
  ClientPassage& operator=(const ClientPassage&) = delete;
  ~ClientPassage() { gate_->Leave(); }

 private:
  std::shared_ptr<ClientGate> gate_;
};

}  // namespace longhaul
