// SqliteQueue: the embedded Queue, a table in a SQLite file that several processes may share.
//
// A message is a row; its visibility is a time of the machine's clock, which the processes share.
// Where that is set back, what was sent before is found within a minute. A
// Send that returned OK survives a power loss. Receive, Extend and Release survive kill -9 of every
// process; a power loss may undo them, and the message is then delivered again, as after a crash.
//
// Lanes are found by hopping over the index: one step of it for each lane that holds something.
//
// Waiting: a Send of this process wakes waiting receivers at once. What other processes do is seen
// by reading the file's change counter, every 50 ms at first and every 250 ms when nothing has
// happened for some seconds; that costs some 10 microseconds each.

#pragma once

#include <memory>
#include <string>

#include "base/runtime.h"
#include "base/sqlite.h"
#include "queue/queue.h"

namespace longhaul {

struct SqliteQueueOptions {
  std::string name = "events";  // Several queues may live in one file.
  int receives_max = 10;        // Then a message goes to the dead letters.
};

class SqliteQueue : public Queue {
 public:
  // Makes the tables when they are missing. Errors: those of SqliteDatabase.
  static Async<std::unique_ptr<Queue>> Open(Runtime runtime,
                                            std::shared_ptr<SqliteDatabase> database,
                                            SqliteQueueOptions options);

  Async<void> Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) override;
  Async<Received> Receive(ReceiveRequest request) override;
  Async<void> Extend(Receipt receipt, std::chrono::milliseconds visibility) override;
  // Some at a time: others write meanwhile.
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

  SqliteQueue(Runtime runtime, std::shared_ptr<SqliteDatabase> database,
              SqliteQueueOptions options);
  Async<void> MoveAll(std::vector<Receipt> receipts, std::chrono::milliseconds visible_in,
                      bool in_flight);
  // Once in a while: sees to what was sent before the clock was set back.
  Async<void> FollowClock();
  // What there is to receive, now or later, outside of the lanes `without`.
  Async<Look> LookAround(std::vector<std::string> without);
  Async<std::vector<QueueMessage>> Take(std::string lane, int count_max,
                                        std::chrono::milliseconds visibility);
  // Waits until a message may be there, or `deadline`.
  Async<void> WaitForChange(Look look, uint64_t wakes_seen, SteadyTime deadline);
  void WakeReceivers();

  Runtime runtime_;
  std::shared_ptr<SqliteDatabase> database_;  // shared with State and with other shards.
  SqliteQueueOptions options_;
  WaitList receivers_;
  std::string last_lane_;  // Of the last Receive.
  uint64_t wakes_ = 0;     // So often receivers were woken: tells what happened during an await.
  std::chrono::milliseconds poll_interval_;
  SteadyTime follow_at_{};  // When FollowClock looks again.
};

}  // namespace longhaul
