// SqsQueue: a Queue in Amazon SQS, for many processes on many machines. Each lane is a standard
// queue of SQS, and one queue more takes the dead letters of all.
//
// What SQS cannot do:
// - It counts a visibility in seconds, and delays up to 15 minutes.
// - It tells nobody that a message was delivered to somebody else. Only what this client has got
//   again itself is kPrecondition; an Ack of what another one works on as well removes it, which is
//   harmless: all that it asked for is done.
// - Several batches are not sent or removed as one. Where a later one fails the earlier ones stay;
//   the caller repeats, and messages are doubled. Replace sends first: a crash doubles, never
//   loses.
// - Its counts are right only after a minute of rest (QueueDepth::settled).
// - A message that was received too often is a dead letter for good, also for its last receiver.
// - A request that waits cannot be called back: whoever cuts it is handed a message all the same,
//   which is hidden then. So Close waits for those, up to 20 s, and gives back what they bring;
//   CloseTaking hands it out.
//
// What it costs. Each request is paid for, so messages are taken, removed and hidden by tens. A
// lane that others send to (`listens`) is asked by requests that wait up to 20 s at SQS, which go
// on after the Receive that began them; the others are asked again after 2 s, 4 s, … up to 150 s
// without a message: 3 and 2 x 0.4 requests a minute for a rule at rest. A lane that gave less than
// was asked for rests for 2 s, so that messages gather: 100 a second cost 10.5 receives a hundred.
// What this client itself sends or gives back is looked for at once.
//
// Source: Amazon SQS Developer Guide, "Visibility timeout", "Short and long polling", "Dead-letter
// queues".

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aws/sqs_client.h"
#include "queue/close_taking.h"
#include "queue/count_dead.h"
#include "queue/queue.h"
#include "queue/queue_use.h"

namespace longhaul {

struct SqsLane {
  std::string lane;   // As messages name it.
  std::string queue;  // Its name in SQS.
  bool listens = true;
};

struct SqsQueueOptions {
  std::string prefix;  // Of the names of all queues.
  std::vector<SqsLane> lanes;
  int receives_max = 1000;               // As the redrive policies say; SQS allows no more.
  std::string setup = "longhaul setup";  // The command that makes what is missing.
  std::chrono::seconds settle{60};       // Counts are right after so much rest.
  std::chrono::seconds wait{20};         // Of a request for what is to come; 20 at most.
  // False: one queue of somebody else, named by `prefix`. Its dead letters go where its redrive
  // policy says.
  bool own = true;
  QueueUse use = QueueUse::kTakes;  // Of this process: its remedies ask for no more.
  // In the names of the policies that they make: whose lanes these are. One replaces another of its
  // name, and an identity may have processes of several kinds.
  std::string part = "queue";

  [[nodiscard]] std::string dead_letters() const { return prefix + "-dead-letters"; }
};

class SqsQueue : public Queue, public CountsDead, public ClosesTaking {
 public:
  // kInvalidInput: a queue is missing, has no redrive policy, or may not be used; the message has
  // the command that mends it. Others as SqsClient.
  static Async<std::unique_ptr<Queue>> Open(Runtime runtime, std::shared_ptr<SqsClient> client,
                                            SqsQueueOptions options);
  ~SqsQueue() override;

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
  Async<std::vector<QueueMessage>> CloseTaking(std::chrono::milliseconds visibility) override;
  Async<QueueDepth> Depth() override;
  Async<int64_t> DeadCount() override;
  Async<std::vector<QueueMessage>> DeadLetters(int count_max) override;
  Async<int64_t> Redrive() override;

 private:
  struct Core;
  explicit SqsQueue(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  Async<void> Move(std::vector<Receipt> receipts, std::chrono::milliseconds visible_in);
  // Until no request waits at SQS any more.
  asio::awaitable<void> WaitForListeners();

  std::shared_ptr<Core> core_;  // shared with the requests that wait at SQS.
};

}  // namespace longhaul
