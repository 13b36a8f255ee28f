#include "tests/support/fake_queue.h"

#include <algorithm>

namespace longhaul::testing {

using std::chrono::milliseconds;

std::vector<std::string> FakeQueueBackend::Bodies() const {
  std::vector<std::string> bodies;
  for (const auto& [id, row] : rows) bodies.push_back(row.body);
  return bodies;
}

FakeQueue::FakeQueue(Runtime runtime, std::shared_ptr<FakeQueueBackend> backend, FakeFaults* faults)
    : runtime_(runtime), backend_(std::move(backend)), faults_(faults) {
  backend_->clients.insert(this);
}

FakeQueue::~FakeQueue() { backend_->clients.erase(this); }

template <class T>
Async<T> FakeQueue::Perform(std::string name, std::function<Result<T>()> effect) {
  FakeFaults::Verdict verdict;
  if (faults_ != nullptr) verdict = faults_->Next();
  if (verdict.delay_before.count() > 0) {
    co_await sleepers_.WaitFor(runtime_.clock, verdict.delay_before);
  }
  if (verdict.fails_before) co_return Retryable("fake queue: " + name + " failed before it began");
  Result<T> result = effect();
  if (verdict.delay_after.count() > 0) {
    co_await sleepers_.WaitFor(runtime_.clock, verdict.delay_after);
  }
  if (verdict.fails_after) co_return Retryable("fake queue: the answer to " + name + " was lost");
  co_return result;
}

void FakeQueue::WakeReceivers() {
  for (FakeQueue* client : backend_->clients) client->receivers_.NotifyAll();
}

void FakeQueue::Insert(NewMessage message, milliseconds delay) {
  SystemTime now = runtime_.clock.Now();
  backend_->rows.emplace(backend_->next_id++, Row{.body = std::move(message.body),
                                                  .lane = std::move(message.lane),
                                                  .sent = now,
                                                  .visible_at = now + delay});
}

bool FakeQueue::DoesHalf() { return faults_ != nullptr && faults_->Roll(faults_->halves); }

bool FakeQueue::IsDead(const Row& row) const {
  if (row.buried) return true;
  return row.receive_count >= backend_->receives_max && row.visible_at <= runtime_.clock.Now();
}

FakeQueue::Row* FakeQueue::Held(Receipt receipt) {
  auto found = backend_->rows.find(receipt.id);
  if (found == backend_->rows.end() || found->second.delivery != receipt.delivery) return nullptr;
  return &found->second;
}

namespace {

Result<void> Check(const std::vector<NewMessage>& messages) {
  for (const NewMessage& message : messages) {
    if (message.body.size() > kMessageSizeMaxBytes) {
      return InvalidInput("a message of " + std::to_string(message.body.size()) +
                          " bytes: at most 262144 are allowed");
    }
  }
  return Ok();
}

Error DeliveredAgain(Receipt receipt) {
  return PreconditionFailed("message " + std::to_string(receipt.id) +
                            " was delivered again or is gone");
}

}  // namespace

Async<void> FakeQueue::Send(std::vector<NewMessage> messages, milliseconds delay) {
  std::function<Result<void>()> effect = [&]() -> Result<void> {
    Result<void> checked = Check(messages);
    if (!checked) return checked;
    const bool half = DoesHalf();
    for (size_t i = 0; i < messages.size(); ++i) {
      if (half && i % 2 == 1) continue;
      Insert(messages[i], delay);
      if (faults_ != nullptr && faults_->Roll(faults_->duplicates)) Insert(messages[i], delay);
    }
    WakeReceivers();
    if (half) return Retryable("fake queue: some of the messages were not taken");
    return Ok();
  };
  co_return co_await Perform("Send", std::move(effect));
}

Received FakeQueue::Take(const ReceiveRequest& request) {
  SystemTime now = runtime_.clock.Now();
  std::map<std::string, std::vector<int64_t>> lanes;
  for (const auto& [id, row] : backend_->rows) {
    if (row.visible_at <= now && !IsDead(row)) lanes[row.lane].push_back(id);
  }
  std::vector<std::string> wanted;
  for (const auto& [lane, ids] : lanes) {
    if (std::ranges::find(request.without, lane) == request.without.end()) wanted.push_back(lane);
  }
  std::vector<int64_t> visible;
  if (!wanted.empty()) {
    last_lane_ = NextLane(wanted, last_lane_);
    visible = std::exchange(lanes[last_lane_], {});
  }
  std::sort(visible.begin(), visible.end(), [this](int64_t a, int64_t b) {
    return std::make_pair(backend_->rows.at(a).visible_at, a) <
           std::make_pair(backend_->rows.at(b).visible_at, b);
  });
  std::vector<QueueMessage> messages;
  while (!visible.empty() && std::cmp_less(messages.size(), request.count_max)) {
    size_t pick = 0;
    if (faults_ != nullptr && faults_->Roll(faults_->reorders)) {
      pick = faults_->Below(visible.size());
    }
    int64_t id = visible[pick];
    visible.erase(visible.begin() + static_cast<ptrdiff_t>(pick));
    Row& row = backend_->rows.at(id);
    // A second delivery is a second message: it must not use up the receives of the first.
    if (faults_ != nullptr && faults_->Roll(faults_->duplicates)) {
      Insert({.body = row.body, .lane = row.lane}, milliseconds(0));
    }
    row.visible_at = now + request.visibility;
    row.receive_count += 1;
    row.delivery = backend_->next_delivery++;
    row.in_flight = true;
    messages.push_back(QueueMessage{.body = row.body,
                                    .lane = row.lane,
                                    .receive_count = row.receive_count,
                                    .sent = row.sent,
                                    .receipt = {.id = id, .delivery = row.delivery}});
  }
  if (!visible.empty()) lanes[last_lane_] = std::move(visible);
  Received received{.messages = std::move(messages), .waiting = {}};
  for (const auto& [lane, ids] : lanes) {
    if (!ids.empty()) received.waiting.push_back(lane);
  }
  return received;
}

Async<Received> FakeQueue::Receive(ReceiveRequest request) {
  SystemTime deadline = runtime_.clock.Now() + request.wait;
  while (true) {
    SystemTime now = runtime_.clock.Now();
    SystemTime next = deadline;
    bool any = false;
    for (const auto& [id, row] : backend_->rows) {
      if (IsDead(row)) continue;
      if (std::ranges::find(request.without, row.lane) != request.without.end()) continue;
      if (row.visible_at <= now) any = true;
      if (row.visible_at > now && row.receive_count < backend_->receives_max) {
        next = std::min(next, row.visible_at);
      }
    }
    if (any || now >= deadline) break;
    co_await receivers_.WaitFor(runtime_.clock, next - now);
  }
  std::function<Result<Received>()> effect = [&]() -> Result<Received> { return Take(request); };
  co_return co_await Perform("Receive", std::move(effect));
}

Async<void> FakeQueue::Extend(Receipt receipt, milliseconds visibility) {
  std::function<Result<void>()> effect = [&]() -> Result<void> {
    Row* row = Held(receipt);
    if (row == nullptr) return DeliveredAgain(receipt);
    row->visible_at = runtime_.clock.Now() + visibility;
    row->in_flight = true;
    return Ok();
  };
  co_return co_await Perform("Extend", std::move(effect));
}

Async<void> FakeQueue::Ack(std::vector<Receipt> receipts) {
  std::function<Result<void>()> effect = [&]() -> Result<void> {
    for (const Receipt& receipt : receipts) {
      if (backend_->rows.contains(receipt.id) && Held(receipt) == nullptr) {
        return DeliveredAgain(receipt);
      }
    }
    const bool half = DoesHalf();
    const SystemTime now = runtime_.clock.Now();
    bool failed = false;
    for (size_t i = 0; i < receipts.size(); ++i) {
      auto row = backend_->rows.find(receipts[i].id);
      if (row == backend_->rows.end()) continue;
      if (half && row->second.visible_at <= now) continue;  // The handle counts no more.
      if (half && i % 2 == 1) {
        failed = true;
      } else {
        backend_->rows.erase(row);
      }
    }
    if (failed) return Retryable("fake queue: some of the messages were not removed");
    return Ok();
  };
  co_return co_await Perform("Ack", std::move(effect));
}

Async<void> FakeQueue::Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                               milliseconds delay) {
  std::function<Result<void>()> effect = [&]() -> Result<void> {
    Result<void> checked = Check(messages);
    if (!checked) return checked;
    for (const Receipt& receipt : receipts) {
      if (Held(receipt) == nullptr) return DeliveredAgain(receipt);
    }
    const bool half = DoesHalf();
    if (!half) {
      for (const Receipt& receipt : receipts) backend_->rows.erase(receipt.id);
    }
    for (const NewMessage& message : messages) Insert(message, delay);
    WakeReceivers();
    if (half) return Retryable("fake queue: what is replaced was not removed");
    return Ok();
  };
  co_return co_await Perform("Replace", std::move(effect));
}

Async<void> FakeQueue::Release(Receipt receipt, milliseconds delay) {
  std::function<Result<void>()> effect = [&]() -> Result<void> {
    Row* row = Held(receipt);
    if (row == nullptr) return DeliveredAgain(receipt);
    row->visible_at = runtime_.clock.Now() + delay;
    row->in_flight = false;
    WakeReceivers();
    return Ok();
  };
  co_return co_await Perform("Release", std::move(effect));
}

Async<void> FakeQueue::Bury(QueueMessage message, std::string reason) {
  std::function<Result<void>()> effect = [&]() -> Result<void> {
    Row* row = Held(message.receipt);
    if (row == nullptr) return DeliveredAgain(message.receipt);
    Row letter = *row;
    letter.buried = true;
    letter.reason = reason.substr(0, kBuryReasonMaxBytes);
    letter.in_flight = false;
    letter.delivery = backend_->next_delivery++;  // Of nobody.
    if (DoesHalf()) {
      backend_->rows.emplace(backend_->next_id++, std::move(letter));
      return Retryable("fake queue: what is buried was not removed");
    }
    *row = std::move(letter);
    return Ok();
  };
  co_return co_await Perform("Bury", std::move(effect));
}

Async<QueueDepth> FakeQueue::Depth() {
  std::function<Result<QueueDepth>()> effect = [&]() -> Result<QueueDepth> {
    QueueDepth depth;
    for (const auto& [id, row] : backend_->rows) {
      if (IsDead(row)) {
        ++depth.dead;
      } else if (row.visible_at <= runtime_.clock.Now()) {
        ++depth.visible;
      } else if (row.in_flight) {
        ++depth.in_flight;
      } else {
        ++depth.delayed;
      }
    }
    return depth;
  };
  co_return co_await Perform("Depth", std::move(effect));
}

Async<std::vector<QueueMessage>> FakeQueue::DeadLetters(int count_max) {
  std::function<Result<std::vector<QueueMessage>>()> effect =
      [&]() -> Result<std::vector<QueueMessage>> {
    std::vector<QueueMessage> messages;
    for (const auto& [id, row] : backend_->rows) {
      if (std::cmp_greater_equal(messages.size(), count_max)) break;
      if (!IsDead(row)) continue;
      messages.push_back(QueueMessage{.body = row.body,
                                      .lane = row.lane,
                                      .receive_count = row.receive_count,
                                      .sent = row.sent,
                                      .receipt = {.id = id, .delivery = row.delivery},
                                      .reason = row.reason});
    }
    return messages;
  };
  co_return co_await Perform("DeadLetters", std::move(effect));
}

Async<int64_t> FakeQueue::Redrive() {
  std::function<Result<int64_t>()> effect = [&]() -> Result<int64_t> {
    int64_t count = 0;
    for (auto& [id, row] : backend_->rows) {
      if (!IsDead(row)) continue;
      row.receive_count = 0;
      row.in_flight = false;
      row.visible_at = std::min(row.visible_at, runtime_.clock.Now());
      row.buried = false;
      row.reason.clear();
      ++count;
    }
    WakeReceivers();
    return count;
  };
  co_return co_await Perform("Redrive", std::move(effect));
}

}  // namespace longhaul::testing
