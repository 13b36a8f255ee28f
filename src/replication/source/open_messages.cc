#include "replication/source/open_messages.h"

#include <algorithm>
#include <utility>

namespace longhaul {

std::shared_ptr<OpenMessage> OpenMessages::Open(const QueueMessage& message) {
  // shared by the keys that it brought.
  auto open = std::make_shared<OpenMessage>();
  open->receipt = message.receipt;
  open->lane = message.lane;
  open->hidden_at = runtime_.clock.SteadyNow();
  Wait(*open, 1);
  messages_.push_back(open);
  return open;
}

void OpenMessages::Wait(OpenMessage& message, int count) {
  message.undone += count;
  keys_held_total_ += count;
  auto held = keys_held_.try_emplace(message.lane).first;
  held->second += count;
  if (held->second == 0) keys_held_.erase(held);
}

asio::awaitable<void> OpenMessages::Finish(std::vector<std::shared_ptr<OpenMessage>> messages,
                                           std::vector<HintMessage> left,
                                           std::chrono::milliseconds delay) {
  // What goes back goes back with every message that waited for it: one of them may have been
  // delivered to another process since, which read the key too early for the others.
  for (const std::shared_ptr<OpenMessage>& message : messages) {
    if (!left.empty()) message->delay = std::max(message->delay, delay);
    for (const HintMessage& hints : left) {
      auto same =
          std::find_if(message->left.begin(), message->left.end(), [&](const HintMessage& other) {
            return other.rule == hints.rule && other.target == hints.target;
          });
      if (same == message->left.end()) {
        message->left.push_back(hints);
      } else {
        same->hints.push_back(hints.hints.front());
      }
    }
    Wait(*message, -1);
    if (message->undone == 0) co_await Close(message);
  }
}

asio::awaitable<void> OpenMessages::Close(std::shared_ptr<OpenMessage> message) {
  message->closing = true;
  if (message->left.empty()) {
    done_.push_back(std::move(message));
    co_return;
  }
  std::vector<NewMessage> left;
  for (const HintMessage& hints : message->left) {
    for (NewMessage& encoded : EncodeHints(hints)) {
      // Where it was; but what comes from the lane without a name gets one now.
      if (!message->lane.empty()) encoded.lane = message->lane;
      left.push_back(std::move(encoded));
    }
  }
  Result<void> closed =
      co_await queue_.Replace({message->receipt}, std::move(left), message->delay);
  NoteClosed(closed);
  message->closed = true;
  std::erase(messages_, message);
}

asio::awaitable<void> OpenMessages::Flush() {
  const std::vector<std::shared_ptr<OpenMessage>> done = std::exchange(done_, {});
  if (done.empty()) co_return;
  std::vector<Receipt> receipts;
  for (const std::shared_ptr<OpenMessage>& message : done) receipts.push_back(message->receipt);
  Result<void> acked = co_await queue_.Ack(receipts);
  if (!acked && acked.error().kind == ErrorKind::kPrecondition && receipts.size() > 1) {
    // One of them was delivered again: that is no reason to do the others twice.
    for (const Receipt& receipt : receipts) NoteClosed(co_await queue_.Ack({receipt}));
  } else {
    NoteClosed(acked);
  }
  for (const std::shared_ptr<OpenMessage>& message : done) message->closed = true;
  std::erase_if(messages_, [](const auto& message) { return message->closed; });
}

// Not acknowledged: it comes again when its visibility runs out, and doing it again is harmless.
void OpenMessages::NoteClosed(const Result<void>& closed) {
  if (closed || closed.error().kind == ErrorKind::kPrecondition) return;
  runtime_.log.Warning("a message could not be acknowledged", {closed.error()});
}

asio::awaitable<void> OpenMessages::Bury(QueueMessage message, std::string reason) {
  const std::string lane = message.lane;
  Result<void> buried = co_await queue_.Bury(std::move(message), std::move(reason));
  // Else it comes again, or somebody else has it.
  if (buried || buried.error().kind == ErrorKind::kPrecondition) co_return;
  runtime_.log.Warning("a message could not be set aside", {{"lane", lane}, buried.error()});
}

// Half of what may be held is for whoever comes first; of the other half each lane has its part.
std::vector<std::string> OpenMessages::FullLanes() const {
  const int64_t max = limits_.hints_pending_max;
  std::vector<std::string> full;
  if (keys_held_total_ < max / 2) return full;
  const int64_t part = max / 2 / std::max<int64_t>(1, lanes_);
  for (const auto& [lane, held] : keys_held_) {
    if (held >= std::max<int64_t>(part, 1)) full.push_back(lane);
  }
  return full;
}

int OpenMessages::CountOf(const std::string& lane) const {
  return static_cast<int>(std::ranges::count(
      messages_, lane, [](const std::shared_ptr<OpenMessage>& message) { return message->lane; }));
}

asio::awaitable<void> OpenMessages::KeepHidden(Event& stop) {
  const auto visibility = limits_.visibility;
  // Between a third and a half of their time, many together.
  while (!co_await stop.WaitFor(runtime_.clock, visibility / 6)) {
    const SteadyTime now = runtime_.clock.SteadyNow();
    std::vector<Receipt> receipts;
    std::vector<std::shared_ptr<OpenMessage>> late;
    for (const std::shared_ptr<OpenMessage>& message : messages_) {
      if (message->closing || now - message->hidden_at < visibility / 3) continue;
      receipts.push_back(message->receipt);
      late.push_back(message);
    }
    if (receipts.empty()) continue;
    // Lost: another process works on the same keys, which is harmless. Not answered: next time.
    Result<void> extended = co_await queue_.ExtendAll(std::move(receipts), visibility);
    if (!extended) continue;
    for (const std::shared_ptr<OpenMessage>& message : late) message->hidden_at = now;
  }
}

asio::awaitable<void> OpenMessages::Release() {
  co_await Flush();
  std::vector<Receipt> receipts;
  for (const std::shared_ptr<OpenMessage>& message : messages_) {
    receipts.push_back(message->receipt);
  }
  Result<void> released = co_await queue_.ReleaseAll(std::move(receipts));
  static_cast<void>(released);
  messages_.clear();
}

}  // namespace longhaul
