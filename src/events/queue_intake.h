// QueueIntake: takes events out of a queue that stores fill (S3 to SQS directly, through SNS,
// through EventBridge), and hands them to whoever wants them.
//
// A message is removed only when what it asks for is durable, or when it was understood and asks
// for nothing (a test, keys of no rule). What is not understood, in whole or in part, or is of a
// bucket that nobody replicates, goes to the queue's dead letters with the reason; what else it
// said is done all the same. Messages are gathered for a moment, so that their hints travel
// together.
//
// Belongs to one shard.

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "events/event_taker.h"
#include "queue/queue.h"

namespace longhaul {

// Who is told; each may be null.
struct QueueIntakeListener {
  // The events of the queue are not taken, with the reason; nullopt: they are.
  std::function<void(const std::optional<Error>& error)> on_state{};
  // A message went to the dead letters. Errors are its own affair.
  std::function<asio::awaitable<void>(std::string reason)> on_set_aside{};
};

class QueueIntake {
 public:
  // `queue` and `taker` are borrowed. `name`: of the queue, for logs and metrics.
  QueueIntake(Runtime runtime, Queue& queue, EventTaker& taker, std::string name,
              QueueIntakeListener listener = {});

  // Until `stop` is set, and what has been received by then is done; what cannot be is given back
  // at once.
  asio::awaitable<void> Run(Event& stop);

 private:
  // What has been received and not yet been done.
  struct Gathered {
    std::vector<StoreEvent> events;
    std::vector<Receipt> receipts;
    std::vector<QueueMessage> poison;  // With its reason; goes when `events` are durable.

    [[nodiscard]] bool empty() const { return receipts.empty() && poison.empty(); }
  };

  void Read(QueueMessage message, Gathered& gathered);
  asio::awaitable<void> TakeLast(Event& stop);
  Async<void> Finish(Gathered gathered, Event& stop);
  // Tries until it has succeeded or `stop` is set.
  Async<void> MakeDurable(std::vector<StoreEvent> events, Event& stop);
  // Until `finished` nobody else receives them: each delivery counts, and after a few of them a
  // message that is good ends as a dead letter.
  Async<void> KeepHidden(const std::vector<Receipt>& receipts, Event& finished);
  // When the events are durable, and not before.
  Async<void> Remove(Gathered gathered);
  void Ignore(std::string_view reason, int64_t count);

  Runtime runtime_;
  Queue& queue_;
  EventTaker& taker_;
  std::string name_;
  QueueIntakeListener listener_;
  Counter& set_aside_;
};

}  // namespace longhaul
