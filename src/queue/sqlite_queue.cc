#include "queue/sqlite_queue.h"

#include <algorithm>

namespace longhaul {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kPollMin{50};
constexpr milliseconds kPollMax{250};
constexpr int kSqliteReceiveCountMax = 1000;
constexpr size_t kMovedInTransaction = 1000;  // In a transaction.
// Whether the clock was set back is looked at once in this time, and so far ahead is no accident.
constexpr std::chrono::minutes kClockLook{1};
// Of what was to be hidden by another clock; as long as SQS delays a message.
constexpr std::chrono::minutes kHiddenMax{15};

// `dead` is set when a Receive meets a message that has been received too often, so that the next
// ones need not pass it again, and by Bury. The index serves Receive and covers the counts of
// Depth. AUTOINCREMENT: a receipt must never name a later message.
constexpr const char* kSqliteSchema1 = R"(
  CREATE TABLE queue_messages (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    queue      BLOB NOT NULL,
    sent_us    INTEGER NOT NULL,
    visible_us INTEGER NOT NULL,
    receives   INTEGER NOT NULL DEFAULT 0,
    delivery   INTEGER NOT NULL DEFAULT 0,
    in_flight  INTEGER NOT NULL DEFAULT 0,
    dead       INTEGER NOT NULL DEFAULT 0,
    body       BLOB NOT NULL
  );
  CREATE INDEX queue_messages_by_visibility
    ON queue_messages (queue, dead, visible_us, receives, in_flight);
)";
// What was sent before there were lanes is in the one without a name.
constexpr const char* kSchema2 = R"(
  ALTER TABLE queue_messages ADD COLUMN lane BLOB NOT NULL DEFAULT x'';
  DROP INDEX queue_messages_by_visibility;
  CREATE INDEX queue_messages_by_lane
    ON queue_messages (queue, dead, lane, visible_us, receives, in_flight);
)";

// A part of its own: any command brings a file up to date, and who goes back to the program before
// must find his messages. That one needs not know of reasons.
constexpr const char* kSqliteReasons1 =
    "ALTER TABLE queue_messages ADD COLUMN reason BLOB NOT NULL DEFAULT x''";

int64_t SqliteMicros(SystemTime time) { return time.time_since_epoch().count(); }
int64_t SqliteMicros(milliseconds time) { return microseconds(time).count(); }

Error DeliveredAgain(Receipt receipt) {
  return PreconditionFailed("message " + std::to_string(receipt.id) +
                            " was delivered again or is gone");
}

Result<void> Insert(SqliteConnection& db, const std::string& queue,
                    const std::vector<NewMessage>& messages, int64_t sent_us, int64_t visible_us) {
  SqliteStatement insert = db.Prepare(
      "INSERT INTO queue_messages (queue, lane, sent_us, visible_us, body) VALUES (?, ?, ?, ?, ?)");
  for (const NewMessage& message : messages) {
    insert.Reset();
    Result<void> inserted = insert.Bind(queue)
                                .Bind(message.lane)
                                .Bind(sent_us)
                                .Bind(visible_us)
                                .Bind(message.body)
                                .Run();
    if (!inserted) return inserted;
  }
  return Ok();
}

// Removes what `receipts` hold; kPrecondition where another delivery holds it, or, unless
// `gone_is_fine`, where it is gone.
Result<void> Delete(SqliteConnection& db, const std::vector<Receipt>& receipts, bool gone_is_fine) {
  SqliteStatement remove = db.Prepare("DELETE FROM queue_messages WHERE id = ? AND delivery = ?");
  SqliteStatement exists = db.Prepare("SELECT 1 FROM queue_messages WHERE id = ?");
  for (const Receipt& receipt : receipts) {
    remove.Reset();
    Result<void> removed = remove.Bind(receipt.id).Bind(receipt.delivery).Run();
    if (!removed) return removed;
    if (db.changed_rows() > 0) continue;
    if (!gone_is_fine) return DeliveredAgain(receipt);
    exists.Reset();
    Result<bool> there = exists.Bind(receipt.id).Step();
    if (!there) return there.error();
    if (*there) return DeliveredAgain(receipt);
  }
  return Ok();
}

constexpr const char* kMove =
    "UPDATE queue_messages SET visible_us = ?, in_flight = ?, dead = 0"
    " WHERE id = ? AND delivery = ?";

// Hides or shows what `receipt` holds.
Result<void> Move(SqliteConnection& db, Receipt receipt, int64_t visible_us, bool in_flight) {
  Result<void> moved = db.Prepare(kMove)
                           .Bind(visible_us)
                           .Bind(int64_t{in_flight})
                           .Bind(receipt.id)
                           .Bind(receipt.delivery)
                           .Run();
  if (!moved) return moved;
  return db.changed_rows() > 0 ? Ok() : DeliveredAgain(receipt);
}

// The same for many; what nobody holds any more is passed over.
Result<void> Move(SqliteConnection& db, const std::vector<Receipt>& receipts, int64_t visible_us,
                  bool in_flight) {
  SqliteStatement move = db.Prepare(kMove);
  for (const Receipt& receipt : receipts) {
    move.Reset();
    move.Bind(visible_us).Bind(int64_t{in_flight}).Bind(receipt.id).Bind(receipt.delivery);
    Result<void> moved = move.Run();
    if (!moved) return moved;
  }
  return Ok();
}

QueueMessage MessageOf(const SqliteStatement& row) {
  return QueueMessage{.body = row.Bytes(4),
                      .lane = row.Bytes(5),
                      .receive_count = static_cast<int>(row.Int(2)),
                      .sent = SystemTime(microseconds(row.Int(1))),
                      .receipt = {.id = row.Int(0), .delivery = row.Int(3)}};
}

Result<std::vector<QueueMessage>> TakeVisible(SqliteConnection& db, const std::string& queue,
                                              const std::string& lane, int receives_max,
                                              int count_max, int64_t now_us, int64_t visible_us) {
  std::vector<QueueMessage> messages;
  auto wanted = static_cast<size_t>(count_max);
  while (messages.size() < wanted) {
    std::vector<QueueMessage> found;
    {
      SqliteStatement select = db.Prepare(
          "SELECT id, sent_us, receives, delivery, body, lane FROM queue_messages"
          " WHERE queue = ? AND dead = 0 AND lane = ? AND visible_us <= ?"
          " ORDER BY visible_us, receives, in_flight, id LIMIT ?");
      select.Bind(queue).Bind(lane).Bind(now_us);
      select.Bind(static_cast<int64_t>(wanted - messages.size()));
      while (true) {
        Result<bool> row = select.Step();
        if (!row) return row.error();
        if (!*row) break;
        found.push_back(MessageOf(select));
      }
    }
    if (found.empty()) break;
    SqliteStatement bury = db.Prepare("UPDATE queue_messages SET dead = 1 WHERE id = ?");
    SqliteStatement hide = db.Prepare(
        "UPDATE queue_messages SET visible_us = ?, receives = receives + 1,"
        " delivery = delivery + 1, in_flight = 1 WHERE id = ?");
    for (QueueMessage& message : found) {
      bool is_dead = message.receive_count >= receives_max;
      SqliteStatement& update = is_dead ? bury : hide;
      update.Reset();
      if (!is_dead) update.Bind(visible_us);
      Result<void> updated = update.Bind(message.receipt.id).Run();
      if (!updated) return updated.error();
      if (is_dead) continue;
      ++message.receive_count;
      ++message.receipt.delivery;
      messages.push_back(std::move(message));
    }
    // A visibility of nothing would find the same ones again.
    if (visible_us <= now_us) break;
  }
  return messages;
}

constexpr const char* kNextLane =
    "SELECT lane, visible_us FROM queue_messages WHERE queue = ? AND dead = 0 AND lane >= ?"
    " ORDER BY lane, visible_us LIMIT 1";
// Times before that of its sending are of the clock as it is now.
constexpr const char* kFindAhead =
    "SELECT 1 FROM queue_messages WHERE queue = ? AND dead = 0 AND lane = ? AND visible_us > ?"
    " AND sent_us > ? AND visible_us >= sent_us LIMIT 1";
constexpr const char* kMendAhead =
    "UPDATE queue_messages SET visible_us = ? + min(visible_us - sent_us, ?), sent_us = ?"
    " WHERE queue = ? AND dead = 0 AND lane = ? AND visible_us > ? AND sent_us > ?"
    " AND visible_us >= sent_us";

// Messages that were sent before the clock was set back are hidden for as long as it was ahead.
// Whether there are any; `mends`: from now on they are hidden for as long as they were to be when
// they were sent, so what somebody works on stays his.
Result<bool> LookAhead(SqliteConnection& db, const std::string& queue, int64_t now_us, bool mends) {
  const int64_t ahead_us = now_us + SqliteMicros(kClockLook);
  SqliteStatement next = db.Prepare(kNextLane);
  SqliteStatement find = db.Prepare(kFindAhead);
  SqliteStatement mend = db.Prepare(kMendAhead);
  bool any = false;
  for (std::string lane;; lane += '\0') {
    next.Reset();
    Result<bool> row = next.Bind(queue).Bind(lane).Step();
    if (!row) return row.error();
    if (!*row) return any;
    lane = next.Bytes(0);
    find.Reset();
    Result<bool> found = find.Bind(queue).Bind(lane).Bind(ahead_us).Bind(ahead_us).Step();
    if (!found) return found.error();
    any = any || *found;
    if (!*found || !mends) continue;
    find.Reset();
    mend.Reset();
    mend.Bind(now_us).Bind(SqliteMicros(kHiddenMax)).Bind(now_us);
    Result<void> mended = mend.Bind(queue).Bind(lane).Bind(ahead_us).Bind(ahead_us).Run();
    if (!mended) return mended.error();
  }
}

}  // namespace

struct SqliteQueue::Look {
  std::vector<std::string> waiting;  // Lanes that hold something to be received now.
  std::vector<std::string> wanted;   // Those of them that are not to be left alone.
  std::optional<SystemTime> next;    // When another wanted message becomes visible.
  int64_t change_count = 0;
};

SqliteQueue::SqliteQueue(Runtime runtime, std::shared_ptr<SqliteDatabase> database,
                         SqliteQueueOptions options)
    : runtime_(runtime),
      database_(std::move(database)),
      options_(std::move(options)),
      poll_interval_(kPollMin) {}

Async<std::unique_ptr<Queue>> SqliteQueue::Open(Runtime runtime,
                                                std::shared_ptr<SqliteDatabase> database,
                                                SqliteQueueOptions options) {
  Result<void> made = co_await database->EnsureSchema("queue", {kSqliteSchema1, kSchema2});
  if (made) made = co_await database->EnsureSchema("dead letters", {kSqliteReasons1});
  if (!made) co_return made.error().In("open the queue");
  std::unique_ptr<SqliteQueue> queue(
      new SqliteQueue(runtime, std::move(database), std::move(options)));
  Result<void> followed = co_await queue->FollowClock();
  if (!followed) co_return followed.error().In("open the queue");
  co_return std::unique_ptr<Queue>(std::move(queue));
}

Async<void> SqliteQueue::FollowClock() {
  const SteadyTime steady_now = runtime_.clock.SteadyNow();
  if (steady_now < follow_at_) co_return Ok();
  follow_at_ = steady_now + kClockLook;
  const int64_t now = SqliteMicros(runtime_.clock.Now());
  auto look = [queue = options_.name, now](bool mends) {
    return [queue, now, mends](SqliteConnection& db) { return LookAhead(db, queue, now, mends); };
  };
  Result<bool> any = co_await database_->Read<bool>(look(false));
  if (any && *any) any = co_await database_->Write<bool>(look(true), SqliteDurability::kLazy);
  if (!any) co_return any.error();
  co_return Ok();
}

void SqliteQueue::WakeReceivers() {
  ++wakes_;
  poll_interval_ = kPollMin;
  receivers_.NotifyAll();
}

Async<void> SqliteQueue::Send(std::vector<NewMessage> messages, milliseconds delay) {
  Result<void> checked = CheckMessageSizes(messages);
  if (!checked || messages.empty()) co_return checked;
  int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<void>(SqliteConnection&)> work =
      [queue = options_.name, messages = std::move(messages), now, delay](SqliteConnection& db) {
        return Insert(db, queue, messages, now, now + SqliteMicros(delay));
      };
  Result<void> sent = co_await database_->Write<void>(std::move(work));
  if (!sent) co_return sent.error().In("queue: send");
  WakeReceivers();
  co_return Ok();
}

Async<SqliteQueue::Look> SqliteQueue::LookAround(std::vector<std::string> without) {
  int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<Look>(SqliteConnection&)> work =
      [queue = options_.name, without = std::move(without),
       now](SqliteConnection& db) -> Result<Look> {
    Look look;
    Result<int64_t> count = db.ChangeCount();
    if (!count) return count.error();
    look.change_count = *count;
    // Of each lane the message that is visible first; ">=" finds the lane without a name.
    SqliteStatement first = db.Prepare(kNextLane);
    for (std::string lane;; lane += '\0') {
      first.Reset();
      Result<bool> row = first.Bind(queue).Bind(lane).Step();
      if (!row) return row.error();
      if (!*row) return look;
      lane = first.Bytes(0);
      const bool wanted = std::ranges::find(without, lane) == without.end();
      const SystemTime visible(microseconds(first.Int(1)));
      if (first.Int(1) <= now) {
        look.waiting.push_back(lane);
        if (wanted) look.wanted.push_back(lane);
      } else if (wanted && (!look.next || visible < *look.next)) {
        look.next = visible;
      }
    }
  };
  co_return co_await database_->Read<Look>(std::move(work));
}

Async<std::vector<QueueMessage>> SqliteQueue::Take(std::string lane, int count_max,
                                                   milliseconds visibility) {
  int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<std::vector<QueueMessage>>(SqliteConnection&)> work =
      [queue = options_.name, lane = std::move(lane), receives_max = options_.receives_max,
       count_max, now, visibility](SqliteConnection& db) {
        return TakeVisible(db, queue, lane, receives_max, count_max, now,
                           now + SqliteMicros(visibility));
      };
  co_return co_await database_->Write<std::vector<QueueMessage>>(std::move(work),
                                                                 SqliteDurability::kLazy);
}

Async<Received> SqliteQueue::Receive(ReceiveRequest request) {
  const int count_max = std::clamp(request.count_max, 1, kSqliteReceiveCountMax);
  const SteadyTime deadline = runtime_.clock.SteadyNow() + request.wait;
  while (true) {
    Result<void> followed = co_await FollowClock();
    if (!followed) co_return followed.error().In("queue: receive");
    uint64_t wakes_seen = wakes_;
    Result<Look> look = co_await LookAround(request.without);
    if (!look) co_return look.error().In("queue: receive");
    Received received{.messages = {}, .waiting = std::move(look->waiting)};
    if (!look->wanted.empty()) {
      last_lane_ = NextLane(look->wanted, last_lane_);
      Result<std::vector<QueueMessage>> messages =
          co_await Take(last_lane_, count_max, request.visibility);
      if (!messages) co_return messages.error().In("queue: receive");
      received.messages = std::move(*messages);
      if (std::ssize(received.messages) < count_max) std::erase(received.waiting, last_lane_);
      if (!received.messages.empty()) {
        poll_interval_ = kPollMin;
        co_return received;
      }
      // Another receiver was faster, or they were dead.
      if (runtime_.clock.SteadyNow() >= deadline) co_return received;
      continue;
    }
    if (runtime_.clock.SteadyNow() >= deadline) co_return received;
    Result<void> waited = co_await WaitForChange(*look, wakes_seen, std::min(deadline, follow_at_));
    if (!waited) co_return waited.error().In("queue: receive");
  }
}

Async<void> SqliteQueue::WaitForChange(Look look, uint64_t wakes_seen, SteadyTime deadline) {
  while (wakes_ == wakes_seen) {
    SteadyTime now = runtime_.clock.SteadyNow();
    std::chrono::nanoseconds wait =
        std::min<std::chrono::nanoseconds>(deadline - now, poll_interval_);
    if (look.next) {
      wait = std::min<std::chrono::nanoseconds>(wait, *look.next - runtime_.clock.Now());
    }
    if (wait.count() <= 0) co_return Ok();
    if (co_await receivers_.WaitFor(runtime_.clock, wait)) co_return Ok();
    std::function<Result<int64_t>(SqliteConnection&)> count = [](SqliteConnection& db) {
      return db.ChangeCount();
    };
    Result<int64_t> change_count = co_await database_->Read<int64_t>(std::move(count));
    if (!change_count) co_return change_count.error();
    if (*change_count != look.change_count) {
      poll_interval_ = kPollMin;
      co_return Ok();
    }
    // From 50 to 250 ms within four seconds of silence.
    poll_interval_ =
        std::min(kPollMax, poll_interval_ + std::max(milliseconds(1), poll_interval_ / 16));
  }
  co_return Ok();
}

Async<void> SqliteQueue::Extend(Receipt receipt, milliseconds visibility) {
  int64_t visible = SqliteMicros(runtime_.clock.Now()) + SqliteMicros(visibility);
  std::function<Result<void>(SqliteConnection&)> work = [receipt, visible](SqliteConnection& db) {
    return Move(db, receipt, visible, true);
  };
  co_return co_await database_->Write<void>(std::move(work), SqliteDurability::kLazy);
}

Async<void> SqliteQueue::MoveAll(std::vector<Receipt> receipts, milliseconds visible_in,
                                 bool in_flight) {
  for (size_t begin = 0; begin < receipts.size(); begin += kMovedInTransaction) {
    const auto from = receipts.begin() + static_cast<ptrdiff_t>(begin);
    const auto count =
        static_cast<ptrdiff_t>(std::min(kMovedInTransaction, receipts.size() - begin));
    const int64_t visible = SqliteMicros(runtime_.clock.Now()) + SqliteMicros(visible_in);
    std::function<Result<void>(SqliteConnection&)> work =
        [some = std::vector<Receipt>(from, from + count), visible,
         in_flight](SqliteConnection& db) { return Move(db, some, visible, in_flight); };
    Result<void> moved = co_await database_->Write<void>(std::move(work), SqliteDurability::kLazy);
    if (!moved) co_return moved;
  }
  co_return Ok();
}

Async<void> SqliteQueue::ExtendAll(std::vector<Receipt> receipts, milliseconds visibility) {
  Result<void> extended = co_await MoveAll(std::move(receipts), visibility, true);
  if (!extended) co_return extended.error().In("queue: extend");
  co_return Ok();
}

Async<void> SqliteQueue::ReleaseAll(std::vector<Receipt> receipts) {
  Result<void> released = co_await MoveAll(std::move(receipts), milliseconds(0), false);
  WakeReceivers();
  if (!released) co_return released.error().In("queue: release");
  co_return Ok();
}

Async<void> SqliteQueue::Ack(std::vector<Receipt> receipts) {
  if (receipts.empty()) co_return Ok();
  std::function<Result<void>(SqliteConnection&)> work =
      [receipts = std::move(receipts)](SqliteConnection& db) { return Delete(db, receipts, true); };
  Result<void> acked = co_await database_->Write<void>(std::move(work));
  if (!acked) co_return acked.error().In("queue: acknowledge");
  co_return Ok();
}

Async<void> SqliteQueue::Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                                 milliseconds delay) {
  Result<void> checked = CheckMessageSizes(messages);
  if (!checked) co_return checked;
  int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<void>(SqliteConnection&)> work =
      [queue = options_.name, receipts = std::move(receipts), messages = std::move(messages), now,
       delay](SqliteConnection& db) {
        Result<void> removed = Delete(db, receipts, false);
        if (!removed) return removed;
        return Insert(db, queue, messages, now, now + SqliteMicros(delay));
      };
  Result<void> replaced = co_await database_->Write<void>(std::move(work));
  if (!replaced) co_return replaced.error().In("queue: replace");
  WakeReceivers();
  co_return Ok();
}

Async<void> SqliteQueue::Release(Receipt receipt, milliseconds delay) {
  int64_t visible = SqliteMicros(runtime_.clock.Now()) + SqliteMicros(delay);
  std::function<Result<void>(SqliteConnection&)> work = [receipt, visible](SqliteConnection& db) {
    return Move(db, receipt, visible, false);
  };
  Result<void> released = co_await database_->Write<void>(std::move(work), SqliteDurability::kLazy);
  if (!released) co_return released.error().In("queue: release");
  WakeReceivers();
  co_return Ok();
}

// Visible from now on, so that a Redrive need not wait; a delivery of nobody, so that whoever held
// it can do nothing to it any more.
Async<void> SqliteQueue::Bury(QueueMessage message, std::string reason) {
  reason.resize(std::min(reason.size(), kBuryReasonMaxBytes));
  const int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<void>(SqliteConnection&)> work =
      [receipt = message.receipt, reason = std::move(reason),
       now](SqliteConnection& db) -> Result<void> {
    Result<void> buried =
        db.Prepare(
              "UPDATE queue_messages SET dead = 1, reason = ?, visible_us = ?, in_flight = 0,"
              " delivery = delivery + 1 WHERE id = ? AND delivery = ?")
            .Bind(reason)
            .Bind(now)
            .Bind(receipt.id)
            .Bind(receipt.delivery)
            .Run();
    if (!buried) return buried;
    return db.changed_rows() > 0 ? Ok() : DeliveredAgain(receipt);
  };
  Result<void> buried = co_await database_->Write<void>(std::move(work));
  if (!buried) co_return buried.error().In("queue: bury");
  co_return Ok();
}

Async<QueueDepth> SqliteQueue::Depth() {
  int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<QueueDepth>(SqliteConnection&)> work =
      [queue = options_.name, receives_max = options_.receives_max,
       now](SqliteConnection& db) -> Result<QueueDepth> {
    SqliteStatement count = db.Prepare(
        "SELECT dead = 1 OR (visible_us <= ? AND receives >= ?), visible_us <= ?, in_flight,"
        " count(*) FROM queue_messages WHERE queue = ? GROUP BY 1, 2, 3");
    count.Bind(now).Bind(int64_t{receives_max}).Bind(now).Bind(queue);
    QueueDepth depth;
    while (true) {
      Result<bool> row = count.Step();
      if (!row) return row.error();
      if (!*row) return depth;
      int64_t rows = count.Int(3);
      if (count.Int(0) != 0) {
        depth.dead += rows;
      } else if (count.Int(1) != 0) {
        depth.visible += rows;
      } else if (count.Int(2) != 0) {
        depth.in_flight += rows;
      } else {
        depth.delayed += rows;
      }
    }
  };
  co_return co_await database_->Read<QueueDepth>(std::move(work));
}

Async<std::vector<QueueMessage>> SqliteQueue::DeadLetters(int count_max) {
  int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<std::vector<QueueMessage>>(SqliteConnection&)> work =
      [queue = options_.name, receives_max = options_.receives_max, count_max,
       now](SqliteConnection& db) -> Result<std::vector<QueueMessage>> {
    SqliteStatement select = db.Prepare(
        "SELECT id, sent_us, receives, delivery, body, lane, reason FROM queue_messages"
        " WHERE queue = ? AND (dead = 1 OR (visible_us <= ? AND receives >= ?)) ORDER BY id LIMIT "
        "?");
    select.Bind(queue).Bind(now).Bind(int64_t{receives_max}).Bind(int64_t{count_max});
    std::vector<QueueMessage> messages;
    while (true) {
      Result<bool> row = select.Step();
      if (!row) return row.error();
      if (!*row) return messages;
      messages.push_back(MessageOf(select));
      messages.back().reason = select.Bytes(6);
    }
  };
  co_return co_await database_->Read<std::vector<QueueMessage>>(std::move(work));
}

Async<int64_t> SqliteQueue::Redrive() {
  int64_t now = SqliteMicros(runtime_.clock.Now());
  std::function<Result<int64_t>(SqliteConnection&)> work =
      [queue = options_.name, receives_max = options_.receives_max,
       now](SqliteConnection& db) -> Result<int64_t> {
    Result<void> updated =
        db.Prepare(
              "UPDATE queue_messages SET dead = 0, receives = 0, in_flight = 0, reason = x'',"
              " visible_us = min(visible_us, ?)"  // The clock may have been set back since.
              " WHERE queue = ? AND (dead = 1 OR (visible_us <= ? AND receives >= ?))")
            .Bind(now)
            .Bind(queue)
            .Bind(now)
            .Bind(int64_t{receives_max})
            .Run();
    if (!updated) return updated.error();
    return db.changed_rows();
  };
  Result<int64_t> count = co_await database_->Write<int64_t>(std::move(work));
  if (!count) co_return count.error().In("queue: redrive");
  WakeReceivers();
  co_return count;
}

}  // namespace longhaul
