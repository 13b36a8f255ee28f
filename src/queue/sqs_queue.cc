#include "queue/sqs_queue.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/checksum.h"
#include "base/log.h"
#include "queue/sqs_body.h"
#include "queue/sqs_queue_core.h"
#include "queue/sqs_setup.h"

namespace longhaul {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr int kSqsReceiveCountMax = 1000;
// So that messages gather. An object is read 2 s after its event (`settle`), so this costs no time.
constexpr seconds kRest{2};
constexpr seconds kIdleMax{150};
// Beyond it the earliest are worth most.
constexpr size_t kTimesKept = 1000;
constexpr seconds kAfterFailure{5};
constexpr milliseconds kKnownToCome{1'000};
constexpr int kFindsAtOnce = 16;
// What nobody has acknowledged for so long after its visibility is forgotten, from kHeldMin on.
constexpr std::chrono::hours kHeldFor{1};

seconds Whole(milliseconds time, seconds max) {
  return std::clamp(std::chrono::ceil<seconds>(time), seconds(0), max);
}

int64_t NumberOf(const SqsAttributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  if (found == attributes.end() || found->second.size() > 15) return 0;
  return std::max<int64_t>(0, std::atoll(found->second.c_str()));
}

Error SqsDeliveredAgain() { return PreconditionFailed("a message was delivered again or is gone"); }

}  // namespace

int64_t SqsQueue::Core::IdOf(const std::string& message_id) {
  int64_t id = 0;
  for (const char c : Sha256(message_id).substr(0, 8)) id = (id << 8) | static_cast<uint8_t>(c);
  return id & INT64_MAX;
}

SqsQueue::~SqsQueue() { core_->closed = true; }

void SqsQueue::Core::Comes(Lane& lane, SteadyTime at) {
  const SteadyTime now = Now();
  busy_at = std::max(busy_at, now);
  lane.idle = seconds(0);
  if (at <= now) {
    lane.waits = true;
    lane.next = now;
  } else if (lane.due.size() < kTimesKept || at < *lane.due.rbegin()) {
    lane.due.insert(at);
    if (lane.due.size() > kTimesKept) lane.due.erase(std::prev(lane.due.end()));
  }
  changed.NotifyAll();
}

void SqsQueue::Core::Note(Lane& lane, size_t count, size_t wanted, milliseconds visibility) {
  const SteadyTime now = Now();
  lane.due.erase(lane.due.begin(), lane.due.upper_bound(now));
  lane.waits = count > 0 && count >= wanted;
  if (count > 0) {
    busy_at = now;
    lane.idle = seconds(0);
    lane.next = lane.waits ? now : now + kRest;
    Comes(lane, now + visibility);  // Where nobody acknowledges it.
  } else if (lane.config.listens) {
    lane.next = now;
  } else {
    lane.idle = std::clamp(2 * lane.idle, kRest, kIdleMax);
    lane.next = now + lane.idle;
  }
}

Async<void> SqsQueue::Core::Ask(Lane& lane, size_t wanted, seconds visibility) {
  Result<std::vector<SqsMessage>> answer = co_await client->Receive(
      lane.url, {.count_max = static_cast<int>(wanted), .visibility = visibility});
  if (!answer) co_return Told(answer.error(), lane.config.queue);
  Note(lane, answer->size(), wanted, visibility);
  for (SqsMessage& message : *answer) {
    lane.taken.push_back({.message = std::move(message), .at = Now(), .visibility = visibility});
  }
  co_return Ok();
}

asio::awaitable<void> SqsQueue::Core::Listen(std::shared_ptr<Core> self, size_t index,
                                             size_t wanted, seconds visibility) {
  co_await Yield();  // Whoever has begun it waits for it first.
  Lane& lane = self->lanes[index];
  const SteadyTime began = self->Now();
  Result<std::vector<SqsMessage>> answer =
      co_await self->client->Receive(lane.url, {.count_max = static_cast<int>(wanted),
                                                .visibility = visibility,
                                                .wait = std::min(self->options.wait, kSqsWaitMax)});
  const SteadyTime now = self->Now();
  if (!answer) {
    lane.error = self->Told(answer.error(), lane.config.queue);
    lane.next = now + kAfterFailure;
  } else {
    self->Note(lane, answer->size(), wanted, visibility);
    // A server that does not wait must not be asked all the time.
    if (answer->empty()) lane.next = std::max(now, began + kRest);
    for (SqsMessage& message : *answer) {
      lane.taken.push_back({.message = std::move(message), .at = now, .visibility = visibility});
    }
    if (self->closed && !self->keeps) co_await self->GiveBack(lane);
  }
  lane.listening = false;
  self->changed.NotifyAll();
}

asio::awaitable<void> SqsQueue::Core::GiveBack(Lane& lane) {
  std::vector<std::string> handles;
  for (Taken& taken : lane.taken) handles.push_back(std::move(taken.message.handle));
  lane.taken.clear();
  if (handles.empty()) co_return;
  Result<std::vector<SqsFailure>> released =
      co_await client->ChangeVisibility(lane.url, std::move(handles), seconds(0));
  // Else they come back when their visibility has run out.
  static_cast<void>(released);
}

Async<std::vector<QueueMessage>> SqsQueue::Core::HandOut(Lane& lane, size_t count_max,
                                                         seconds visibility) {
  std::vector<Taken> taken;
  while (!lane.taken.empty() && taken.size() < count_max) {
    taken.push_back(std::move(lane.taken.front()));
    lane.taken.pop_front();
  }
  const SteadyTime now = Now();
  if (held.size() >= held_looked_at) {
    std::erase_if(held, [&](const auto& entry) { return entry.second.until + kHeldFor < now; });
    std::erase_if(last_delivery, [&](const auto& entry) { return !held.contains(entry.second); });
    std::erase_if(older, [&](const auto& entry) { return !held.contains(entry.second); });
    held_looked_at = std::max(kHeldMin, 2 * held.size());
  }
  // What has waited here for long is hidden anew, or somebody else may have it.
  const bool late = std::ranges::any_of(taken, [&](const Taken& one) {
    return now - one.at > visibility / 4 || one.visibility != visibility;
  });
  std::vector<bool> lost(taken.size(), false);
  if (late) {
    std::vector<std::string> handles;
    for (const Taken& one : taken) handles.push_back(one.message.handle);
    Result<std::vector<SqsFailure>> failed =
        co_await client->ChangeVisibility(lane.url, std::move(handles), visibility);
    if (!failed) co_return Told(failed.error(), lane.config.queue);
    for (const SqsFailure& failure : *failed) lost[failure.index] = true;
  }
  std::vector<QueueMessage> messages;
  for (size_t i = 0; i < taken.size(); ++i) {
    if (lost[i]) continue;
    SqsMessage& message = taken[i].message;
    Result<std::string> body = DecodeSqsBody(message.body);
    if (!body) {
      runtime.log.Failure("a message in the queue cannot be understood",
                          {{"queue", lane.config.queue}, body.error()});
      Result<void> buried = co_await BuryBody(lane, message.body, message.receive_count,
                                              body.error().message, message.handle);
      // Else it comes again.
      static_cast<void>(buried);
      continue;
    }
    const int64_t id = IdOf(message.id);
    const int64_t delivery = next_delivery++;
    const auto [last, first] = last_delivery.try_emplace(id, delivery);
    if (!first) older.emplace(id, std::exchange(last->second, delivery));
    held[delivery] = {.lane = static_cast<size_t>(&lane - lanes.data()),
                      .id = id,
                      .handle = std::move(message.handle),
                      .until = now + visibility};
    messages.push_back({.body = std::move(*body),
                        .lane = lane.config.lane,
                        .receive_count = std::max(message.receive_count, 1),
                        .sent = message.sent,
                        .receipt = {.id = id, .delivery = delivery}});
  }
  co_return messages;
}

std::vector<std::string> SqsQueue::Core::StillHeld(std::vector<int64_t>& deliveries) const {
  std::erase_if(deliveries, [&](int64_t delivery) { return !held.contains(delivery); });
  std::vector<std::string> handles;
  for (const int64_t delivery : deliveries) handles.push_back(held.at(delivery).handle);
  return handles;
}

void SqsQueue::Core::Forget(int64_t delivery) {
  const auto found = held.find(delivery);
  if (found == held.end()) return;
  const int64_t id = found->second.id;
  const auto last = last_delivery.find(id);
  if (last != last_delivery.end() && last->second == delivery) {
    // Earlier ones of it mean nothing any more.
    const auto [begin, end] = older.equal_range(id);
    for (auto entry = begin; entry != end; ++entry) held.erase(entry->second);
    older.erase(begin, end);
    last_delivery.erase(last);
  }
  held.erase(delivery);
}

Result<std::map<size_t, std::vector<int64_t>>> SqsQueue::Core::HeldOf(
    const std::vector<Receipt>& receipts, bool gone_is_fine) const {
  std::map<size_t, std::vector<int64_t>> found;
  for (const Receipt& receipt : receipts) {
    auto one = held.find(receipt.delivery);
    if (one == held.end()) {
      if (gone_is_fine && !last_delivery.contains(receipt.id)) continue;
      return SqsDeliveredAgain();
    }
    auto last = last_delivery.find(one->second.id);
    if (last == last_delivery.end() || last->second != receipt.delivery) return SqsDeliveredAgain();
    found[one->second.lane].push_back(receipt.delivery);
  }
  return found;
}

Result<std::map<size_t, std::vector<SqsNewMessage>>> SqsQueue::Core::Sorted(
    std::vector<NewMessage> messages, milliseconds delay) {
  Result<void> checked = CheckMessageSizes(messages);
  if (!checked) return checked.error();
  std::map<size_t, std::vector<SqsNewMessage>> sorted;
  for (NewMessage& message : messages) {
    Lane* lane = Find(message.lane);
    if (lane == nullptr) {
      return InvalidInput("SQS has no queue for the lane '" + message.lane +
                          "': no rule of this configuration has it");
    }
    SqsNewMessage sent{.body = EncodeSqsBody(message.body), .delay = Whole(delay, kSqsDelayMax)};
    if (!message.lane.empty()) sent.attributes[kLane] = message.lane;
    sorted[static_cast<size_t>(lane - lanes.data())].push_back(std::move(sent));
  }
  return sorted;
}

Async<void> SqsQueue::Core::Send(std::map<size_t, std::vector<SqsNewMessage>> messages) {
  std::optional<Error> error;
  for (auto& [index, of_lane] : messages) {
    Lane& lane = lanes[index];
    const size_t count = of_lane.size();
    const seconds delay = of_lane.front().delay;
    Result<std::vector<SqsFailure>> failed = co_await client->Send(lane.url, std::move(of_lane));
    Comes(lane, Now() + delay);
    if (!failed) co_return Told(failed.error(), lane.config.queue);
    if (failed->empty()) continue;
    error = Told(failed->front().error, lane.config.queue)
                .In(std::to_string(failed->size()) + " of " + std::to_string(count) +
                    " messages were not sent");
  }
  if (error) co_return *error;
  co_return Ok();
}

Async<void> SqsQueue::Core::Remove(std::map<size_t, std::vector<int64_t>> deliveries) {
  std::optional<Error> error;
  for (auto& [index, of_lane] : deliveries) {
    Lane& lane = lanes[index];
    std::vector<std::string> handles = StillHeld(of_lane);
    Result<std::vector<SqsFailure>> failed = co_await client->Delete(lane.url, std::move(handles));
    if (!failed) co_return Told(failed.error(), lane.config.queue);
    std::set<size_t> stay;
    for (const SqsFailure& failure : *failed) {
      stay.insert(failure.index);
      error = Told(failure.error, lane.config.queue);
    }
    for (size_t i = 0; i < of_lane.size(); ++i) {
      if (!stay.contains(i)) Forget(of_lane[i]);
    }
  }
  busy_at = Now();
  if (error) co_return *error;
  co_return Ok();
}

Async<std::unique_ptr<Queue>> SqsQueue::Open(Runtime runtime, std::shared_ptr<SqsClient> client,
                                             SqsQueueOptions options) {
  auto core = std::make_shared<Core>(runtime, std::move(client), std::move(options));
  for (const SqsLane& lane : core->options.lanes) core->lanes.push_back({.config = lane});
  std::ranges::sort(core->lanes, {}, [](const Core::Lane& lane) { return lane.config.lane; });
  struct Finder {
    static Async<void> Find(Core& core, std::string name, std::string& url) {
      Result<std::string> found = co_await FindSqsQueue(*core.client, core.options, name);
      if (!found) co_return found.error();
      url = std::move(*found);
      co_return Ok();
    }
  };
  core->dead_name = core->options.dead_letters();
  if (!core->options.own) {
    Result<SqsRedrive> redrive = co_await RedriveOfSqsQueue(*core->client, core->options);
    if (!redrive) co_return redrive.error();
    core->dead_name = redrive->dead_letters;
    core->options.receives_max = redrive->receives_max;
  }
  Result<void> found = co_await Finder::Find(*core, core->dead_name, core->dead_url);
  if (!found) co_return found.error();
  TaskGroup finding(runtime.executor);
  for (Core::Lane& lane : core->lanes) {
    co_await finding.WaitBelow(kFindsAtOnce);
    if (finding.failed()) break;
    finding.Spawn(Finder::Find(*core, lane.config.queue, lane.url));
  }
  found = co_await finding.Join();
  if (!found) co_return found.error();
  core->busy_at = core->Now();
  co_return std::unique_ptr<Queue>(new SqsQueue(std::move(core)));
}

Async<void> SqsQueue::Send(std::vector<NewMessage> messages, milliseconds delay) {
  auto sorted = core_->Sorted(std::move(messages), delay);
  if (!sorted) co_return sorted.error();
  co_return co_await core_->Send(std::move(*sorted));
}

Async<Received> SqsQueue::Receive(ReceiveRequest request) {
  Core& core = *core_;
  const auto count_max = static_cast<size_t>(std::clamp(request.count_max, 1, kSqsReceiveCountMax));
  const seconds visibility = std::max(Whole(request.visibility, kSqsVisibilityMax), seconds(1));
  const SteadyTime deadline = core.Now() + request.wait;
  const bool waits = request.wait.count() > 0;
  auto is_wanted = [&](const Core::Lane& lane) {
    return std::ranges::find(request.without, lane.config.lane) == request.without.end();
  };
  for (Core::Lane& lane : core.lanes) {
    // Whoever wants none of it now must not keep it from others.
    const bool old = !lane.taken.empty() &&
                     core.Now() - lane.taken.front().at > lane.taken.front().visibility / 2;
    if (old && !is_wanted(lane)) co_await core.GiveBack(lane);
  }
  while (true) {
    std::vector<Core::Lane*> turns;
    for (Core::Lane& lane : core.lanes) {
      if (is_wanted(lane)) turns.push_back(&lane);
    }
    auto first = std::ranges::upper_bound(turns, core.last_lane, {},
                                          [](const Core::Lane* lane) { return lane->config.lane; });
    std::ranges::rotate(turns, first);
    Received received;
    for (Core::Lane* lane : turns) {
      if (lane->error) co_return *std::exchange(lane->error, std::nullopt);
      // Sent by us, and the request that waits for it is about to bring it.
      if (lane->listening && lane->waits && lane->taken.empty()) {
        co_await core.changed.WaitFor(core.runtime.clock, kKnownToCome);
      }
      while (lane->taken.size() < count_max && !lane->listening &&
             core.NextAsk(*lane) <= core.Now() && !(waits && lane->config.listens)) {
        const size_t wanted = std::min(count_max - lane->taken.size(), kSqsBatchMax);
        const size_t before = lane->taken.size();
        Result<void> asked = co_await core.Ask(*lane, wanted, visibility);
        if (!asked && received.messages.empty() && before == 0) co_return asked.error();
        if (!asked || lane->taken.size() - before < wanted) break;
      }
      if (lane->taken.empty()) continue;
      Result<std::vector<QueueMessage>> messages =
          co_await core.HandOut(*lane, count_max, visibility);
      if (!messages) co_return messages.error();
      if (messages->empty()) continue;
      received.messages = std::move(*messages);
      core.last_lane = lane->config.lane;
      break;
    }
    const bool done = !received.messages.empty() || core.Now() >= deadline || core.closed;
    SteadyTime next = deadline;
    for (size_t i = 0; i < core.lanes.size(); ++i) {
      Core::Lane& lane = core.lanes[i];
      if (lane.waits || !lane.taken.empty()) received.waiting.push_back(lane.config.lane);
      if (done || !is_wanted(lane) || lane.listening) continue;
      if (core.NextAsk(lane) > core.Now()) {
        next = std::min(next, core.NextAsk(lane));
      } else if (lane.config.listens) {
        lane.listening = true;
        SpawnDetached(core.runtime.executor,
                      Core::Listen(core_, i, std::min(count_max, kSqsBatchMax), visibility));
      } else {
        next = core.Now();
      }
    }
    if (done) co_return received;
    co_await core.changed.WaitFor(core.runtime.clock, next - core.Now());
  }
}

Async<void> SqsQueue::Move(std::vector<Receipt> receipts, milliseconds visible_in) {
  Core& core = *core_;
  const seconds time = Whole(visible_in, kSqsVisibilityMax);
  auto deliveries = core.HeldOf(receipts, false);
  if (!deliveries) co_return deliveries.error();
  Result<void> moved;
  for (auto& [index, of_lane] : *deliveries) {
    Core::Lane& lane = core.lanes[index];
    std::vector<std::string> handles = core.StillHeld(of_lane);
    for (const int64_t delivery : of_lane) core.held.at(delivery).until = core.Now() + time;
    Result<std::vector<SqsFailure>> failed =
        co_await core.client->ChangeVisibility(lane.url, std::move(handles), time);
    // The others are moved all the same.
    Result<void> of_lane_moved;
    if (!failed) {
      of_lane_moved = core.Told(failed.error(), lane.config.queue);
    } else {
      core.Comes(lane, core.Now() + time);
      if (!failed->empty()) of_lane_moved = core.Told(failed->front().error, lane.config.queue);
    }
    if (moved && !of_lane_moved) moved = of_lane_moved;
  }
  co_return moved;
}

Async<void> SqsQueue::Extend(Receipt receipt, milliseconds visibility) {
  co_return co_await Move({receipt}, visibility);
}

Async<void> SqsQueue::ExtendAll(std::vector<Receipt> receipts, milliseconds visibility) {
  std::erase_if(receipts, [&](const Receipt& one) { return !core_->HeldOf({one}, false); });
  Result<void> moved = co_await Move(std::move(receipts), visibility);
  if (!moved && moved.error().kind == ErrorKind::kPrecondition) co_return Ok();
  co_return moved;
}

Async<void> SqsQueue::Release(Receipt receipt, milliseconds delay) {
  co_return co_await Move({receipt}, delay);
}

Async<void> SqsQueue::ReleaseAll(std::vector<Receipt> receipts) {
  co_return co_await ExtendAll(std::move(receipts), milliseconds(0));
}

Async<void> SqsQueue::Ack(std::vector<Receipt> receipts) {
  auto deliveries = core_->HeldOf(receipts, true);
  if (!deliveries) co_return deliveries.error();
  co_return co_await core_->Remove(std::move(*deliveries));
}

Async<void> SqsQueue::Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                              milliseconds delay) {
  auto sorted = core_->Sorted(std::move(messages), delay);
  if (!sorted) co_return sorted.error();
  auto deliveries = core_->HeldOf(receipts, false);
  if (!deliveries) co_return deliveries.error();
  Result<void> sent = co_await core_->Send(std::move(*sorted));
  if (!sent) co_return sent;
  co_return co_await core_->Remove(std::move(*deliveries));
}

Async<void> SqsQueue::Close() {
  Core& core = *core_;
  core.closed = true;
  core.changed.NotifyAll();
  for (Core::Lane& lane : core.lanes) co_await core.GiveBack(lane);
  co_await WaitForListeners();
  co_return Ok();
}

// SQS answers also where nobody listens any more, and hides what the answer has. So the requests
// that wait there are not cut.
asio::awaitable<void> SqsQueue::WaitForListeners() {
  Core& core = *core_;
  while (std::ranges::any_of(core.lanes, &Core::Lane::listening)) {
    co_await core.changed.WaitFor(core.runtime.clock, kKnownToCome);
  }
}

Async<std::vector<QueueMessage>> SqsQueue::CloseTaking(milliseconds visibility) {
  Core& core = *core_;
  core.keeps = true;
  core.closed = true;
  core.changed.NotifyAll();
  co_await WaitForListeners();
  const seconds hidden = std::max(Whole(visibility, kSqsVisibilityMax), seconds(1));
  std::vector<QueueMessage> last;
  for (Core::Lane& lane : core.lanes) {
    if (lane.taken.empty()) continue;
    Result<std::vector<QueueMessage>> of_lane =
        co_await core.HandOut(lane, lane.taken.size(), hidden);
    if (!of_lane) co_return of_lane.error();
    for (QueueMessage& message : *of_lane) last.push_back(std::move(message));
  }
  co_return last;
}

Async<QueueDepth> SqsQueue::Depth() {
  Core& core = *core_;
  QueueDepth depth;
  for (const Core::Lane& lane : core.lanes) {
    Result<SqsAttributes> counts = co_await core.client->Attributes(lane.url);
    if (!counts) co_return core.Told(counts.error(), lane.config.queue);
    depth.visible += NumberOf(*counts, "ApproximateNumberOfMessages");
    depth.delayed += NumberOf(*counts, "ApproximateNumberOfMessagesDelayed");
    depth.in_flight += NumberOf(*counts, "ApproximateNumberOfMessagesNotVisible");
  }
  Result<int64_t> dead = co_await DeadCount();
  if (!dead) co_return dead.error();
  depth.dead = *dead;
  if (depth.visible + depth.delayed + depth.in_flight > 0) core.busy_at = core.Now();
  depth.settled = core.Now() - core.busy_at >= core.options.settle;
  co_return depth;
}

Async<int64_t> SqsQueue::DeadCount() {
  Core& core = *core_;
  Result<SqsAttributes> counts = co_await core.client->Attributes(core.dead_url);
  if (!counts) co_return core.Told(counts.error(), core.dead_name);
  co_return NumberOf(*counts, "ApproximateNumberOfMessages") +
      NumberOf(*counts, "ApproximateNumberOfMessagesNotVisible");
}

}  // namespace longhaul
