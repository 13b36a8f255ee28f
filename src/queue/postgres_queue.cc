#include "queue/postgres_queue.h"

#include <algorithm>
#include <utility>

namespace longhaul {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

// A message may become visible without a notice: because its receiver died, or a notice was lost.
constexpr milliseconds kListenAgain{5'000};
constexpr int kPostgresReceiveCountMax = 1000;
constexpr size_t kMovedByStatement = 1000;  // By a statement.
// The server's own VACUUM comes once a minute at most; half a million messages can have come and
// gone by then, and what indexes have grown to they keep. After so many it costs a few
// milliseconds.
constexpr size_t kRemovedPerVacuum = 20'000;
constexpr std::chrono::seconds kTruncateAgain{5};

// VACUUM gives back no page of an index. An empty table starts anew in an instant; while anybody is
// at it, or without the right to do it, it stays as it is. The lock comes before the look, which
// sees all that was committed until then (READ COMMITTED), and what is in flight is a row. Ids go
// on where they were: receipts of what is gone name nothing.
constexpr char kTruncate[] = R"sql(
DO $$ BEGIN
  IF pg_indexes_size('queue_messages') < 4 << 20 THEN RETURN; END IF;
  LOCK TABLE queue_messages IN ACCESS EXCLUSIVE MODE NOWAIT;
  IF NOT EXISTS (SELECT FROM queue_messages) THEN
    TRUNCATE queue_messages CONTINUE IDENTITY;
  END IF;
EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN NULL;
END $$)sql";

int64_t Micros(milliseconds time) { return microseconds(time).count(); }

Error DeliveredAgain() { return PreconditionFailed("a message was delivered again or is gone"); }

void AddMessages(PostgresArguments& arguments, const std::vector<NewMessage>& messages) {
  std::vector<std::string_view> lanes;
  std::vector<std::string_view> bodies;
  for (const NewMessage& message : messages) {
    lanes.push_back(message.lane);
    bodies.push_back(message.body);
  }
  arguments.Bytes(std::span<const std::string_view>(lanes));
  arguments.Bytes(std::span<const std::string_view>(bodies));
}

void AddReceipts(PostgresArguments& arguments, std::span<const Receipt> receipts) {
  std::vector<int64_t> ids;
  std::vector<int64_t> deliveries;
  for (const Receipt& receipt : receipts) {
    ids.push_back(receipt.id);
    deliveries.push_back(receipt.delivery);
  }
  arguments.Ints(std::span<const int64_t>(ids));
  arguments.Ints(std::span<const int64_t>(deliveries));
}

QueueMessage MessageOf(const PostgresRows& rows, int row, std::string lane) {
  return {.body = rows.Bytes(row, 4),
          .lane = std::move(lane),
          .receive_count = static_cast<int>(rows.Int(row, 2)),
          .sent = SystemTime(microseconds(rows.Int(row, 1))),
          .receipt = {.id = rows.Int(row, 0), .delivery = rows.Int(row, 3)}};
}

// Without the right to do it, or while somebody else does, it does nothing.
asio::awaitable<void> Vacuum(std::shared_ptr<PostgresClient> client, std::shared_ptr<bool> busy) {
  Result<PostgresRows> done = co_await client->Run("VACUUM (SKIP_LOCKED) queue_messages", {});
  static_cast<void>(done);
  *busy = false;
}

// First without a lock. True: there is nothing to be won, or not by this role.
asio::awaitable<bool> Truncate(PostgresClient& client) {
  constexpr char kLook[] =
      "SELECT (pg_indexes_size('queue_messages') < 4 << 20"
      " OR NOT has_table_privilege('queue_messages', 'TRUNCATE'))::int::bigint,"
      " (EXISTS (SELECT FROM queue_messages))::int::bigint";
  Result<PostgresRows> look = co_await client.Run(kLook, {}, PostgresRepeat::kSafe);
  if (!look) co_return false;
  if (look->Int(0, 0) != 0) co_return true;
  if (look->Int(0, 1) != 0) co_return false;
  Result<void> done = co_await TruncateEmptyQueue(client);
  static_cast<void>(done);
  look = co_await client.Run(kLook, {}, PostgresRepeat::kSafe);
  co_return look && look->Int(0, 0) != 0;  // Else somebody was at it: again soon.
}

}  // namespace

Async<void> TruncateEmptyQueue(PostgresClient& client) {
  Result<PostgresRows> done = co_await client.Run(kTruncate, {}, PostgresRepeat::kSafe);
  if (!done) co_return done.error().In("queue: truncate");
  co_return Ok();
}

struct PostgresQueue::Look {
  std::vector<std::string> waiting;  // Lanes that hold something to be received now.
  std::vector<std::string> wanted;   // Those of them that are not to be left alone.
  // Until another wanted message becomes visible.
  std::optional<std::chrono::nanoseconds> next_in;
};

Async<std::unique_ptr<Queue>> PostgresQueue::Open(Runtime runtime,
                                                  std::shared_ptr<PostgresClient> client,
                                                  PostgresQueueOptions options) {
  Result<void> there = co_await CheckPostgresPart(*client, PostgresQueuePart());
  if (there) there = co_await CheckPostgresPart(*client, PostgresDeadLettersPart());
  if (!there) co_return there.error();
  co_return std::unique_ptr<Queue>(
      new PostgresQueue(runtime, std::move(client), std::move(options)));
}

Async<void> PostgresQueue::Send(std::vector<NewMessage> messages, milliseconds delay) {
  Result<void> checked = CheckMessageSizes(messages);
  if (!checked || messages.empty()) co_return checked;
  PostgresArguments arguments;
  arguments.Text(options_.name);
  AddMessages(arguments, messages);
  arguments.Int(Micros(delay));
  Result<PostgresRows> sent =
      co_await client_->Run("SELECT queue_insert($1, $2, $3, $4)", arguments);
  if (!sent) co_return sent.error().In("queue: send");
  co_return Ok();
}

Async<PostgresQueue::Look> PostgresQueue::LookAround(const std::vector<std::string>& without) {
  Result<PostgresRows> rows =
      co_await client_->Run("SELECT lane, wait_us FROM queue_lanes($1)",
                            PostgresArguments().Text(options_.name), PostgresRepeat::kSafe);
  if (!rows) co_return rows.error();
  Look look;
  for (int row = 0; row < rows->size(); ++row) {
    std::string lane = rows->Bytes(row, 0);
    const microseconds wait(rows->Int(row, 1));
    const bool wanted = std::ranges::find(without, lane) == without.end();
    if (wait.count() <= 0) {
      if (wanted) look.wanted.push_back(lane);
      look.waiting.push_back(std::move(lane));
    } else if (wanted && (!look.next_in || wait < *look.next_in)) {
      look.next_in = wait;
    }
  }
  co_return look;
}

Async<std::vector<QueueMessage>> PostgresQueue::Take(const std::string& lane, int count_max,
                                                     milliseconds visibility) {
  PostgresArguments arguments;
  arguments.Text(options_.name).Bytes(lane).Int(count_max).Int(Micros(visibility));
  arguments.Int(options_.receives_max);
  // Taken without an answer: they come back when their visibility has run out.
  Result<PostgresRows> rows = co_await client_->Run(
      "SELECT id, sent_us, receives, delivery, body FROM queue_receive($1, $2, $3, $4, $5)",
      arguments);
  if (!rows) co_return rows.error();
  std::vector<QueueMessage> messages;
  for (int row = 0; row < rows->size(); ++row) messages.push_back(MessageOf(*rows, row, lane));
  co_return messages;
}

Async<Received> PostgresQueue::Receive(ReceiveRequest request) {
  const int count_max = std::clamp(request.count_max, 1, kPostgresReceiveCountMax);
  const SteadyTime deadline = runtime_.clock.SteadyNow() + request.wait;
  const bool waits = request.wait.count() > 0;
  while (true) {
    const uint64_t notices = waits ? co_await client_->Notices() : 0;
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
      // Else another receiver was faster, or they were dead.
      if (!received.messages.empty() || runtime_.clock.SteadyNow() >= deadline) co_return received;
      continue;
    }
    if (deadline <= runtime_.clock.SteadyNow()) co_return received;
    if (!look->next_in && removed_since_small_ >= kRemovedPerVacuum && !*vacuuming_ &&
        runtime_.clock.SteadyNow() >= truncate_at_) {
      truncate_at_ = runtime_.clock.SteadyNow() + kTruncateAgain;
      if (co_await Truncate(*client_)) removed_since_small_ = 0;
      continue;
    }
    const std::chrono::nanoseconds left = deadline - runtime_.clock.SteadyNow();
    std::chrono::nanoseconds wait = std::min<std::chrono::nanoseconds>(left, kListenAgain);
    if (look->next_in) wait = std::min(wait, *look->next_in);
    co_await client_->WaitForNotices(notices, wait);
  }
}

Async<void> PostgresQueue::Move(Receipt receipt, milliseconds visible_in, bool in_flight) {
  PostgresArguments arguments;
  arguments.Int(receipt.id).Int(receipt.delivery).Int(Micros(visible_in)).Int(in_flight ? 1 : 0);
  Result<PostgresRows> moved =
      co_await client_->Run("SELECT queue_move($1, $2, $3, $4)", arguments);
  if (!moved) co_return moved.error();
  co_return moved->Int(0, 0) != 0 ? Ok() : DeliveredAgain();
}

Async<void> PostgresQueue::Extend(Receipt receipt, milliseconds visibility) {
  Result<void> moved = co_await Move(receipt, visibility, true);
  if (!moved) co_return moved.error().In("queue: extend");
  co_return Ok();
}

Async<void> PostgresQueue::Release(Receipt receipt, milliseconds delay) {
  Result<void> moved = co_await Move(receipt, delay, false);
  if (!moved) co_return moved.error().In("queue: release");
  co_return Ok();
}

// In the order of their ids, as whoever acknowledges locks them.
Async<void> PostgresQueue::MoveAll(const std::vector<Receipt>& receipts, milliseconds visible_in,
                                   bool in_flight) {
  const std::span<const Receipt> all(receipts);
  for (size_t begin = 0; begin < all.size(); begin += kMovedByStatement) {
    PostgresArguments arguments;
    AddReceipts(arguments, all.subspan(begin, std::min(kMovedByStatement, all.size() - begin)));
    arguments.Int(Micros(visible_in)).Int(in_flight ? 1 : 0);
    Result<PostgresRows> moved = co_await client_->Run(
        "SELECT count(queue_move(r.id, r.delivery, $3, $4)) FROM ("
        "SELECT id, delivery FROM unnest($1::bigint[], $2::bigint[]) AS u(id, delivery)"
        " ORDER BY id) r",
        arguments, PostgresRepeat::kSafe);
    if (!moved) co_return moved.error();
  }
  co_return Ok();
}

Async<void> PostgresQueue::ExtendAll(std::vector<Receipt> receipts, milliseconds visibility) {
  Result<void> extended = co_await MoveAll(receipts, visibility, true);
  if (!extended) co_return extended.error().In("queue: extend");
  co_return Ok();
}

Async<void> PostgresQueue::ReleaseAll(std::vector<Receipt> receipts) {
  Result<void> released = co_await MoveAll(receipts, milliseconds(0), false);
  if (!released) co_return released.error().In("queue: release");
  co_return Ok();
}

Async<void> PostgresQueue::Ack(std::vector<Receipt> receipts) {
  if (receipts.empty()) co_return Ok();
  PostgresArguments arguments;
  AddReceipts(arguments, receipts);
  Result<PostgresRows> acked =
      co_await client_->Run("SELECT queue_ack($1, $2)", arguments, PostgresRepeat::kSafe);
  if (!acked) co_return acked.error().In("queue: acknowledge");
  if (acked->Int(0, 0) == 0) co_return DeliveredAgain().In("queue: acknowledge");
  CountRemoved(receipts.size());
  co_return Ok();
}

void PostgresQueue::CountRemoved(size_t count) {
  removed_ += count;
  removed_since_small_ += count;
  if (removed_ < kRemovedPerVacuum || *vacuuming_) return;
  removed_ = 0;
  *vacuuming_ = true;
  SpawnDetached(runtime_.executor, Vacuum(client_, vacuuming_));
}

Async<void> PostgresQueue::Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                                   milliseconds delay) {
  Result<void> checked = CheckMessageSizes(messages);
  if (!checked) co_return checked;
  PostgresArguments arguments;
  arguments.Text(options_.name);
  AddReceipts(arguments, receipts);
  AddMessages(arguments, messages);
  arguments.Int(Micros(delay));
  Result<PostgresRows> replaced =
      co_await client_->Run("SELECT queue_replace($1, $2, $3, $4, $5, $6)", arguments);
  if (!replaced) co_return replaced.error().In("queue: replace");
  if (replaced->Int(0, 0) == 0) co_return DeliveredAgain().In("queue: replace");
  CountRemoved(receipts.size());
  co_return Ok();
}

Async<void> PostgresQueue::Bury(QueueMessage message, std::string reason) {
  PostgresArguments arguments;
  arguments.Int(message.receipt.id).Int(message.receipt.delivery);
  arguments.Bytes(std::string_view(reason).substr(0, kBuryReasonMaxBytes));
  Result<PostgresRows> buried = co_await client_->Run("SELECT queue_bury($1, $2, $3)", arguments);
  if (!buried) co_return buried.error().In("queue: bury");
  if (buried->Int(0, 0) == 0) co_return DeliveredAgain().In("queue: bury");
  CountRemoved(1);
  co_return Ok();
}

Async<QueueDepth> PostgresQueue::Depth() {
  Result<PostgresRows> rows = co_await client_->Run(
      "SELECT visible, delayed, in_flight, dead FROM queue_depth($1, $2)",
      PostgresArguments().Text(options_.name).Int(options_.receives_max), PostgresRepeat::kSafe);
  if (!rows) co_return rows.error().In("queue: depth");
  co_return QueueDepth{.visible = rows->Int(0, 0),
                       .delayed = rows->Int(0, 1),
                       .in_flight = rows->Int(0, 2),
                       .dead = rows->Int(0, 3)};
}

Async<std::vector<QueueMessage>> PostgresQueue::DeadLetters(int count_max) {
  Result<PostgresRows> rows = co_await client_->Run(
      "SELECT l.id, l.sent_us, l.receives, l.delivery, l.body, l.lane, coalesce(d.reason, '')"
      " FROM queue_dead_letters($1, $2, $3) l LEFT JOIN queue_dead d USING (id) ORDER BY l.id",
      PostgresArguments().Text(options_.name).Int(count_max).Int(options_.receives_max),
      PostgresRepeat::kSafe);
  if (!rows) co_return rows.error().In("queue: dead letters");
  std::vector<QueueMessage> messages;
  for (int row = 0; row < rows->size(); ++row) {
    messages.push_back(MessageOf(*rows, row, rows->Bytes(row, 5)));
    messages.back().reason = rows->Bytes(row, 6);
  }
  co_return messages;
}

Async<int64_t> PostgresQueue::Redrive() {
  Result<PostgresRows> rows =
      co_await client_->Run("SELECT queue_redrive($1, $2)",
                            PostgresArguments().Text(options_.name).Int(options_.receives_max));
  if (!rows) co_return rows.error().In("queue: redrive");
  co_return rows->Int(0, 0);
}

}  // namespace longhaul
