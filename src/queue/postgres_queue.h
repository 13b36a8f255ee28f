// PostgresQueue: a Queue in a PostgreSQL database, for many processes on many machines.
//
// A message is a row; its visibility is a time of the database's clock, so clocks of clients do not
// matter. A Receive takes rows that no other holds a lock on (FOR UPDATE SKIP LOCKED); each call is
// one statement, and no transaction stays open while anyone works. What a call that returned OK did
// survives a crash of the server, as its synchronous_commit says.
//
// Waiting: whoever sends notifies (NOTIFY), and receivers listen on one connection of their shard.
// A lost notice costs at most kListenAgain. Who waits in vain after many messages has the empty
// table truncated, as VACUUM leaves indexes as large as they were. Dead letters lie in a table of
// their own, so that they cost nothing.

#pragma once

#include <memory>
#include <string>

#include "base/runtime.h"
#include "net/postgres_client.h"
#include "net/postgres_schema.h"
#include "queue/queue.h"
#include "queue/queue_use.h"

namespace longhaul {

struct PostgresQueueOptions {
  std::string name = "events";  // Several queues may live in one schema.
  int receives_max = 10;        // Then a message goes to the dead letters.
};

// For `longhaul setup`. Whoever knows the first alone goes on where both are.
const PostgresPart& PostgresQueuePart();
const PostgresPart& PostgresDeadLettersPart();
// The first with the rights of a process that does no more than that with the queue.
PostgresPart PostgresQueuePartFor(QueueUse use);

// Gives back what the indexes of an empty table of messages have grown to. Where it holds one, in
// flight or not, where anybody is at it, or without the right to do so, it stays as it is: OK as
// well.
Async<void> TruncateEmptyQueue(PostgresClient& client);

class PostgresQueue : public Queue {
 public:
  // kInvalidInput: the tables are missing or of another version; others as PostgresClient.
  static Async<std::unique_ptr<Queue>> Open(Runtime runtime, std::shared_ptr<PostgresClient> client,
                                            PostgresQueueOptions options);

  Async<void> Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) override;
  Async<Received> Receive(ReceiveRequest request) override;
  Async<void> Extend(Receipt receipt, std::chrono::milliseconds visibility) override;
  // A thousand by a request.
  Async<void> ExtendAll(std::vector<Receipt> receipts,
                        std::chrono::milliseconds visibility) override;
  Async<void> ReleaseAll(std::vector<Receipt> receipts) override;
  Async<void> Ack(std::vector<Receipt> receipts) override;
  Async<void> Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                      std::chrono::milliseconds delay) override;
  Async<void> Release(Receipt receipt, std::chrono::milliseconds delay) override;
  Async<void> Bury(QueueMessage message, std::string reason) override;
  Async<QueueDepth> Depth() override;
  Async<std::vector<QueueMessage>> DeadLetters(int count_max) override;
  Async<int64_t> Redrive() override;

 private:
  struct Look;

  PostgresQueue(Runtime runtime, std::shared_ptr<PostgresClient> client,
                PostgresQueueOptions options)
      : runtime_(runtime), client_(std::move(client)), options_(std::move(options)) {}
  // What there is to receive, now or later, outside of the lanes `without`.
  Async<Look> LookAround(const std::vector<std::string>& without);
  Async<std::vector<QueueMessage>> Take(const std::string& lane, int count_max,
                                        std::chrono::milliseconds visibility);
  Async<void> Move(Receipt receipt, std::chrono::milliseconds visible_in, bool in_flight);
  Async<void> MoveAll(const std::vector<Receipt>& receipts, std::chrono::milliseconds visible_in,
                      bool in_flight);
  // Has the table cleaned after many messages.
  void CountRemoved(size_t count);

  Runtime runtime_;
  std::shared_ptr<PostgresClient> client_;  // shared with State.
  PostgresQueueOptions options_;
  std::string last_lane_;           // Of the last Receive.
  size_t removed_ = 0;              // Since the last VACUUM that this process has begun.
  size_t removed_since_small_ = 0;  // Since the table was small.
  SteadyTime truncate_at_{};
  std::shared_ptr<bool> vacuuming_ = std::make_shared<bool>(false);  // shared with that VACUUM.
};

}  // namespace longhaul
