// A Queue carries work from the roles that find it to the roles that do it.
//
// Delivery is at least once and in any order, as in SQS, so handlers are idempotent. A Queue
// belongs to one shard; many shards and processes may open the same one. Backends: sqlite,
// postgres, sqs, and the fake of the simulation. tests/conformance/queue_suite.h says in code what
// the comments below say, and as data where a backend differs: SQS knows only its own deliveries.
//
// Messages wait in *lanes*, and lanes take turns: however much waits in one, what is sent to
// another is received after at most one Receive for each lane. A lane is a name; it is there as
// long as something is in it. Where queues are named beforehand (SQS) a lane is a queue.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"

namespace longhaul {

inline constexpr size_t kMessageSizeMaxBytes = 256 * 1024;
inline constexpr size_t kBuryReasonMaxBytes = 1000;

// Names one delivery of a message; a later delivery has another one.
struct Receipt {
  int64_t id = 0;
  int64_t delivery = 0;
};

struct NewMessage {
  std::string body;
  std::string lane;
};

struct QueueMessage {
  std::string body;
  std::string lane;
  int receive_count = 0;  // 1 at the first delivery.
  SystemTime sent{};
  Receipt receipt;
  std::string reason{};  // Of a dead letter that somebody has set aside: why.
};

struct ReceiveRequest {
  int count_max = 1;
  std::chrono::milliseconds visibility{};  // So long they are hidden from other receivers.
  std::chrono::milliseconds wait{};        // For the first one.
  std::vector<std::string> without;        // Lanes to be left alone.
};

struct Received {
  std::vector<QueueMessage> messages;  // All of one lane.
  // Lanes in which something was to be received now, beside `messages`; also of those left alone.
  std::vector<std::string> waiting;
};

struct QueueDepth {
  int64_t visible = 0;    // Could be received now.
  int64_t delayed = 0;    // Sent or released with a delay that still runs.
  int64_t in_flight = 0;  // Received, not acknowledged.
  int64_t dead = 0;       // Received too often, or buried; parked for a person.
  // False: there may be more, which is not counted yet. Nothing here is then not nothing at all.
  bool settled = true;
};

// kInvalidInput: a body is larger than kMessageSizeMaxBytes.
Result<void> CheckMessageSizes(const std::vector<NewMessage>& messages);

class Queue {
 public:
  virtual ~Queue() = default;

  // Adds messages, all or none, invisible for `delay`. OK: they are durable. kRetryable: they may
  // be there or not. Bodies are at most kMessageSizeMaxBytes (kInvalidInput).
  virtual Async<void> Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) = 0;

  // Takes up to `count_max` messages of the lane whose turn it is: the next one after that of the
  // Receive before, in the order of their names, that holds something. An answer without messages
  // is not an error. A message that was received `receives_max` times (a setting of the queue) goes
  // to the dead letters instead. kRetryable: some may have been taken; they come back when their
  // visibility has run out.
  virtual Async<Received> Receive(ReceiveRequest request) = 0;

  // Hides a received message for `visibility` from now, also when its visibility has run out and
  // nobody else has got it. kPrecondition: it was delivered again since, or is gone.
  virtual Async<void> Extend(Receipt receipt, std::chrono::milliseconds visibility) = 0;

  // The same for many, by as few requests as the backend can. What was delivered again since, or is
  // gone, is passed over.
  virtual Async<void> ExtendAll(std::vector<Receipt> receipts,
                                std::chrono::milliseconds visibility) {
    Result<void> all;
    for (const Receipt& receipt : receipts) {
      Result<void> one = co_await Extend(receipt, visibility);
      if (!one && one.error().kind != ErrorKind::kPrecondition) all = one;
    }
    co_return all;
  }

  // Removes messages for good, all or none. Call it last, when all that they asked for is durable.
  // kPrecondition: one of them was delivered again since and is still there; none was removed. One
  // that is gone is no error: an Ack may be repeated.
  virtual Async<void> Ack(std::vector<Receipt> receipts) = 0;

  // Removes `receipts` and adds `messages` in one step: what is left undone goes back as new
  // messages. Where a backend cannot do both at once it sends first, so a crash doubles and never
  // loses. kPrecondition: one of `receipts` was delivered again since, or is gone (this Replace may
  // have been made before); nothing was sent.
  virtual Async<void> Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                              std::chrono::milliseconds delay) = 0;

  // Gives a message back at once or after `delay`; the receive still counts. kPrecondition: it was
  // delivered again since, or is gone.
  virtual Async<void> Release(Receipt receipt, std::chrono::milliseconds delay) = 0;

  // The same for many, at once, as ExtendAll.
  virtual Async<void> ReleaseAll(std::vector<Receipt> receipts) {
    Result<void> all;
    for (const Receipt& receipt : receipts) {
      Result<void> one = co_await Release(receipt, std::chrono::milliseconds(0));
      if (!one && one.error().kind != ErrorKind::kPrecondition) all = one;
    }
    co_return all;
  }

  // Nobody can ever do what a message says: it goes to the dead letters, with the reason (cut at
  // kBuryReasonMaxBytes), in one step. Where a backend cannot do both at once the letter comes
  // first, so a crash doubles and never loses. Its receipt has no power over the letter.
  // kPrecondition: it was delivered again since, or is gone; nothing was moved.
  virtual Async<void> Bury(QueueMessage message, std::string reason) = 0;

  // Nothing more is received: gives back at once what was taken and not yet handed out.
  virtual Async<void> Close() { co_return Ok(); }

  virtual Async<QueueDepth> Depth() = 0;

  // Dead letters, oldest first, without taking them.
  virtual Async<std::vector<QueueMessage>> DeadLetters(int count_max) = 0;
  // Makes all dead letters visible again with a receive count of 0; says how many.
  virtual Async<int64_t> Redrive() = 0;
};

// The lane whose turn it is: the first of `lanes` (sorted) after `last`, else the first of all.
inline const std::string& NextLane(const std::vector<std::string>& lanes, const std::string& last) {
  auto next = std::upper_bound(lanes.begin(), lanes.end(), last);
  return next == lanes.end() ? lanes.front() : *next;
}

}  // namespace longhaul
