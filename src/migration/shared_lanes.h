// SharedLanes: a Queue in which all runs share two lanes, where lanes have to be named beforehand
// (SQS). What is sent to "RUN/find" or "RUN/work" goes into "*/find" or "*/work", and is received
// from there; everything else is as the queue below has it. No run and no rule can be called "*":
// dead letters of all of them lie in one queue, and go back to the lane they name.
//
// Runs do not take turns then. They are fair as far as finders are: those wait while many tasks do,
// so that none of them can put a long row before the others.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "queue/queue.h"

namespace longhaul::migration {

inline constexpr char kSharedFindLane[] = "*/find";
inline constexpr char kSharedWorkLane[] = "*/work";

inline bool IsShared(std::string_view lane) {
  return lane == kSharedFindLane || lane == kSharedWorkLane;
}
// Whether tasks that compare wait in it, be it shared or a run's own.
bool IsFindLane(std::string_view lane);

class SharedLanes : public Queue {
 public:
  explicit SharedLanes(std::unique_ptr<Queue> queue) : queue_(std::move(queue)) {}

  Async<void> Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) override;
  Async<Received> Receive(ReceiveRequest request) override;
  Async<void> Extend(Receipt receipt, std::chrono::milliseconds visibility) override;
  Async<void> ExtendAll(std::vector<Receipt> receipts,
                        std::chrono::milliseconds visibility) override;
  Async<void> Ack(std::vector<Receipt> receipts) override;
  Async<void> Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                      std::chrono::milliseconds delay) override;
  Async<void> Release(Receipt receipt, std::chrono::milliseconds delay) override;
  Async<void> ReleaseAll(std::vector<Receipt> receipts) override;
  Async<void> Bury(QueueMessage message, std::string reason) override;
  Async<void> Close() override;
  Async<QueueDepth> Depth() override;
  Async<std::vector<QueueMessage>> DeadLetters(int count_max) override;
  Async<int64_t> Redrive() override;

 private:
  std::unique_ptr<Queue> queue_;
};

}  // namespace longhaul::migration
