// FakeQueue: a Queue in memory, with faults, for tests and the simulation.
//
// The messages live in a FakeQueueBackend, which survives the "processes" that use it; a FakeQueue
// is the light client of one of them. Destroying the client destroys the coroutines that wait in it
// (a crash); what had taken effect stays. Time comes from its Runtime, so it runs under a virtual
// clock. Without faults it passes tests/conformance/queue_suite.h.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "queue/queue.h"
#include "tests/support/fake_faults.h"

namespace longhaul::testing {

class FakeQueue;

struct FakeQueueBackend {
  explicit FakeQueueBackend(int receives_max = 10) : receives_max(receives_max) {}

  struct Row {
    std::string body;
    std::string lane;
    SystemTime sent{};
    SystemTime visible_at{};
    int receive_count = 0;
    int64_t delivery = 0;    // Of the last delivery; never the same twice.
    bool in_flight = false;  // Delivered and not given back.
    bool buried = false;
    std::string reason{};  // Of one that is buried.
  };

  int receives_max;
  std::map<int64_t, Row> rows;  // By id, which is the order of sending.
  int64_t next_id = 1;
  int64_t next_delivery = 1;
  std::set<FakeQueue*> clients;  // Woken by a Send; each leaves when it is destroyed.

  // Bodies of all messages that are there in any condition, for assertions.
  [[nodiscard]] std::vector<std::string> Bodies() const;
};

class FakeQueue : public Queue {
 public:
  // `faults` is borrowed; null: nothing goes wrong.
  FakeQueue(Runtime runtime, std::shared_ptr<FakeQueueBackend> backend,
            FakeFaults* faults = nullptr);
  ~FakeQueue() override;
  FakeQueue(const FakeQueue&) = delete;
  FakeQueue& operator=(const FakeQueue&) = delete;

  Async<void> Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) override;
  Async<Received> Receive(ReceiveRequest request) override;
  Async<void> Extend(Receipt receipt, std::chrono::milliseconds visibility) override;
  Async<void> Ack(std::vector<Receipt> receipts) override;
  Async<void> Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                      std::chrono::milliseconds delay) override;
  Async<void> Release(Receipt receipt, std::chrono::milliseconds delay) override;
  Async<void> Bury(QueueMessage message, std::string reason) override;
  Async<QueueDepth> Depth() override;
  Async<std::vector<QueueMessage>> DeadLetters(int count_max) override;
  Async<int64_t> Redrive() override;

 private:
  using Row = FakeQueueBackend::Row;

  template <class T>
  Async<T> Perform(std::string name, std::function<Result<T>()> effect);
  void Insert(NewMessage message, std::chrono::milliseconds delay);
  void WakeReceivers();
  Received Take(const ReceiveRequest& request);
  bool DoesHalf();
  [[nodiscard]] bool IsDead(const Row& row) const;
  // The row that `receipt` holds; null: it is gone, or was delivered again.
  Row* Held(Receipt receipt);

  Runtime runtime_;
  std::shared_ptr<FakeQueueBackend> backend_;  // shared by all clients: it is the "server".
  FakeFaults* faults_;
  WaitList receivers_;
  std::string last_lane_;
  WaitList sleepers_;  // Never notified: here, and not in a frame, so that a crash ends the wait.
};

}  // namespace longhaul::testing
