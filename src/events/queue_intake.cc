#include "events/queue_intake.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "queue/close_taking.h"

namespace longhaul {

namespace {

using std::chrono::milliseconds;

constexpr int kMessagesPerReceive = 10;
constexpr milliseconds kVisibility{60'000};
constexpr milliseconds kWait{1'000};
// As long as an object waits after its event anyway (`settle`).
constexpr milliseconds kGatherMax{2'000};
constexpr size_t kGatherMessagesMax = 1'000;
constexpr size_t kGatherEventsMax = 10'000;
constexpr milliseconds kRetryFirst{1'000};
constexpr milliseconds kRetryLast{30'000};

}  // namespace

QueueIntake::QueueIntake(Runtime runtime, Queue& queue, EventTaker& taker, std::string name,
                         QueueIntakeListener listener)
    : runtime_(runtime),
      queue_(queue),
      taker_(taker),
      name_(std::move(name)),
      listener_(std::move(listener)),
      set_aside_(runtime_.metrics.counter("longhaul_events_set_aside_total",
                                          "Messages of event queues that nobody understands, or of "
                                          "a bucket that no rule has.",
                                          {{"queue", name_}})) {}

asio::awaitable<void> QueueIntake::Run(Event& stop) {
  Clock& clock = runtime_.clock;
  Gathered gathered;
  SteadyTime since{};
  milliseconds retry = kRetryFirst;
  bool failing = false;
  while (!stop.is_set()) {
    Result<Received> received = co_await queue_.Receive({.count_max = kMessagesPerReceive,
                                                         .visibility = kVisibility,
                                                         .wait = kWait,
                                                         .without = {}});
    Result<void> done;
    if (!received) {
      done = received.error();
    } else {
      if (gathered.empty()) since = clock.SteadyNow();
      for (QueueMessage& message : received->messages) Read(std::move(message), gathered);
      const bool more = std::ssize(received->messages) == kMessagesPerReceive;
      const bool full = gathered.receipts.size() >= kGatherMessagesMax ||
                        gathered.events.size() >= kGatherEventsMax;
      // A batch that is not full: nothing more waits.
      if (more && !full && clock.SteadyNow() - since < kGatherMax) continue;
    }
    if (!gathered.empty()) done = co_await Finish(std::exchange(gathered, {}), stop);
    if (done) {
      retry = kRetryFirst;
      if (std::exchange(failing, false) && listener_.on_state) listener_.on_state(std::nullopt);
      continue;
    }
    failing = true;
    if (listener_.on_state) listener_.on_state(done.error());
    runtime_.log.Warning("events of a queue are not taken", {{"queue", name_}, done.error()});
    co_await stop.WaitFor(clock, retry);
    retry = std::min(2 * retry, kRetryLast);
  }
  if (!gathered.empty()) {
    Result<void> done = co_await Finish(std::move(gathered), stop);
    static_cast<void>(done);
  }
  co_await TakeLast(stop);
}

// What requests that wait at the queue still bring is done as well. Given back it would have been
// received once more for nothing: where all processes of a cluster end at once, by one after the
// other, until it is a dead letter.
asio::awaitable<void> QueueIntake::TakeLast(Event& stop) {
  auto* taking = dynamic_cast<ClosesTaking*>(&queue_);
  if (taking == nullptr) {
    Result<void> closed = co_await queue_.Close();
    static_cast<void>(closed);
    co_return;
  }
  Result<std::vector<QueueMessage>> last = co_await taking->CloseTaking(kVisibility);
  if (!last) co_return;
  Gathered gathered;
  for (QueueMessage& message : *last) Read(std::move(message), gathered);
  if (gathered.empty()) co_return;
  Result<void> done = co_await Finish(std::move(gathered), stop);
  static_cast<void>(done);  // Not: it has been given back, or comes when its visibility runs out.
}

void QueueIntake::Ignore(std::string_view reason, int64_t count) {
  if (count == 0) return;
  runtime_.metrics
      .counter("longhaul_events_ignored_total",
               "Events understood that ask for nothing, by reason.",
               {{"reason", std::string(reason)}})
      .Add(static_cast<double>(count));
}

void QueueIntake::Read(QueueMessage message, Gathered& gathered) {
  const std::vector<EventTaker::Source> sources = taker_.Sources();
  Result<S3Events> events = ParseS3Events(message.body, taker_.NamelessBucket({}));
  if (!events) {
    message.reason = events.error().message;
    gathered.poison.push_back(std::move(message));
    return;
  }
  runtime_.metrics
      .counter("longhaul_events_received_total", "Events understood, by how they came.",
               {{"origin", "sqs"}})
      .Add(static_cast<double>(events->records.size()));
  Ignore("kind", events->ignored);
  Ignore("test", events->tests);
  std::string unknown;
  int64_t unwanted = 0;
  for (S3EventRecord& record : events->records) {
    bool known = false;
    bool wanted = false;
    std::vector<std::string> stores;
    for (const EventTaker::Source& source : sources) {
      if (source.bucket != record.bucket) continue;
      known = true;
      if (std::ranges::find(stores, source.store) != stores.end()) continue;
      stores.push_back(source.store);
      StoreEvent event{.store = source.store, .record = record};
      if (!taker_.Unwanted(event).empty()) continue;
      wanted = true;
      gathered.events.push_back(std::move(event));
    }
    if (!known) unknown = record.bucket;
    if (known && !wanted) ++unwanted;
  }
  Ignore("no_rule", unwanted);
  if (events->malformed > 0) {
    message.reason = "it has an event that is none, or without a bucket or a key that could be one";
  } else if (!unknown.empty()) {
    message.reason = "no rule with this queue replicates the bucket '" + unknown + "'";
  } else {
    gathered.receipts.push_back(message.receipt);
    return;
  }
  gathered.poison.push_back(std::move(message));
}

Async<void> QueueIntake::MakeDurable(std::vector<StoreEvent> events, Event& stop) {
  milliseconds retry = kRetryFirst;
  while (true) {
    Result<size_t> taken = co_await taker_.Take(events);
    if (taken) co_return Ok();
    // Held, and not given back: each delivery counts, and after some a message is a dead letter.
    if (co_await stop.WaitFor(runtime_.clock, retry)) co_return taken.error();
    runtime_.log.Warning("events of a queue wait: their hints cannot be kept",
                         {{"queue", name_}, taken.error()});
    retry = std::min(2 * retry, kRetryLast);
  }
}

Async<void> QueueIntake::KeepHidden(const std::vector<Receipt>& receipts, Event& finished) {
  while (!co_await finished.WaitFor(runtime_.clock, kVisibility / 3)) {
    Result<void> extended = co_await queue_.ExtendAll(receipts, kVisibility);
    static_cast<void>(extended);  // Not: once more in a while.
  }
  co_return Ok();
}

Async<void> QueueIntake::Finish(Gathered gathered, Event& stop) {
  std::vector<Receipt> all = gathered.receipts;
  for (const QueueMessage& message : gathered.poison) all.push_back(message.receipt);
  // A request to a queue that does not answer can outlast a visibility, and so can a thousand
  // messages that are set aside one by one.
  Event finished;
  TaskGroup keeper(runtime_.executor);
  keeper.Spawn(KeepHidden(all, finished));
  Result<void> durable;
  if (!gathered.events.empty()) {
    durable = co_await MakeDurable(std::exchange(gathered.events, {}), stop);
  }
  Result<void> result = durable;
  if (durable) result = co_await Remove(std::move(gathered));
  finished.Set();
  Result<void> joined = co_await keeper.Join();
  static_cast<void>(joined);
  if (!durable) {
    Result<void> released = co_await queue_.ReleaseAll(std::move(all));
    static_cast<void>(released);
  }
  co_return result;
}

Async<void> QueueIntake::Remove(Gathered gathered) {
  Result<void> result;
  if (!gathered.receipts.empty()) {
    Result<void> acked = co_await queue_.Ack(gathered.receipts);
    if (!acked && acked.error().kind == ErrorKind::kPrecondition) {
      // One of them was delivered again: that is no reason to keep the others.
      for (const Receipt& receipt : gathered.receipts) {
        acked = co_await queue_.Ack({receipt});
        if (!acked && acked.error().kind != ErrorKind::kPrecondition) result = acked;
      }
    } else {
      result = acked;
    }
  }
  for (QueueMessage& message : gathered.poison) {
    const std::string reason = message.reason;
    runtime_.log.Failure("an event message is set aside", {{"queue", name_}, {"reason", reason}});
    Result<void> buried = co_await queue_.Bury(std::move(message), reason);
    if (!buried && buried.error().kind != ErrorKind::kPrecondition) {
      result = buried;
      continue;
    }
    set_aside_.Add(1);
    if (listener_.on_set_aside) co_await listener_.on_set_aside(reason);
  }
  co_return result;
}

}  // namespace longhaul
