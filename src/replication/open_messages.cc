#include "replication/open_messages.h"

#include <algorithm>
#include <utility>

namespace longhaul {

std::shared_ptr<OpenMessage> OpenMessages::Open(const QueueMessage& message) {
  // shared by the keys that it brought.
  auto open = std::make_shared<OpenMessage>();
  open->receipt = message.receipt;
  open->lane = message.lane;
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
  std::vector<NewMessage> left;
  for (const HintMessage& hints : message->left) {
    for (NewMessage& encoded : EncodeHints(hints)) {
      // Where it was; but what comes from the lane without a name gets one now.
      if (!message->lane.empty()) encoded.lane = message->lane;
      left.push_back(std::move(encoded));
    }
  }
  Result<void> closed;
  if (left.empty()) {
    closed = co_await context_.queue.Ack({message->receipt});
  } else {
    closed = co_await context_.queue.Replace({message->receipt}, std::move(left), message->delay);
  }
  // Not acknowledged: it comes again when its visibility runs out, and doing it again is harmless.
  if (!closed && closed.error().kind != ErrorKind::kPrecondition) {
    context_.runtime.log.Warning("a message could not be acknowledged", {closed.error()});
  }
  std::erase(messages_, message);
}

// Half of what may be held is for whoever comes first; of the other half each lane has its part.
std::vector<std::string> OpenMessages::FullLanes() const {
  const int64_t max = context_.limits.hints_pending_max;
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
  const auto visibility = context_.limits.visibility;
  while (!co_await stop.WaitFor(context_.runtime.clock, visibility / 3)) {
    const std::vector<std::shared_ptr<OpenMessage>> messages = messages_;
    for (const std::shared_ptr<OpenMessage>& message : messages) {
      if (message->closing) continue;
      // Lost: another process works on the same keys, which is harmless.
      Result<void> extended = co_await context_.queue.Extend(message->receipt, visibility);
      static_cast<void>(extended);
    }
  }
}

asio::awaitable<void> OpenMessages::Release() {
  for (const std::shared_ptr<OpenMessage>& message : messages_) {
    Result<void> released = co_await context_.queue.Release(message->receipt, {});
    static_cast<void>(released);
  }
  messages_.clear();
}

}  // namespace longhaul
