#include "migration/shared_lanes.h"

#include <utility>

namespace longhaul::migration {

namespace {

std::vector<NewMessage> Shared(std::vector<NewMessage> messages) {
  for (NewMessage& message : messages) {
    message.lane = IsFindLane(message.lane) ? kSharedFindLane : kSharedWorkLane;
  }
  return messages;
}

}  // namespace

bool IsFindLane(std::string_view lane) { return lane.substr(lane.rfind('/') + 1) == "find"; }

Async<void> SharedLanes::Send(std::vector<NewMessage> messages, std::chrono::milliseconds delay) {
  co_return co_await queue_->Send(Shared(std::move(messages)), delay);
}

Async<Received> SharedLanes::Receive(ReceiveRequest request) {
  std::erase_if(request.without, [](const std::string& lane) { return !IsShared(lane); });
  co_return co_await queue_->Receive(std::move(request));
}

Async<void> SharedLanes::Extend(Receipt receipt, std::chrono::milliseconds visibility) {
  co_return co_await queue_->Extend(receipt, visibility);
}

Async<void> SharedLanes::ExtendAll(std::vector<Receipt> receipts,
                                   std::chrono::milliseconds visibility) {
  co_return co_await queue_->ExtendAll(std::move(receipts), visibility);
}

Async<void> SharedLanes::Ack(std::vector<Receipt> receipts) {
  co_return co_await queue_->Ack(std::move(receipts));
}

Async<void> SharedLanes::Replace(std::vector<Receipt> receipts, std::vector<NewMessage> messages,
                                 std::chrono::milliseconds delay) {
  co_return co_await queue_->Replace(std::move(receipts), Shared(std::move(messages)), delay);
}

Async<void> SharedLanes::Release(Receipt receipt, std::chrono::milliseconds delay) {
  co_return co_await queue_->Release(receipt, delay);
}

Async<void> SharedLanes::ReleaseAll(std::vector<Receipt> receipts) {
  co_return co_await queue_->ReleaseAll(std::move(receipts));
}

Async<void> SharedLanes::Bury(QueueMessage message, std::string reason) {
  co_return co_await queue_->Bury(std::move(message), std::move(reason));
}

Async<void> SharedLanes::Close() { co_return co_await queue_->Close(); }

Async<QueueDepth> SharedLanes::Depth() { co_return co_await queue_->Depth(); }

Async<std::vector<QueueMessage>> SharedLanes::DeadLetters(int count_max) {
  co_return co_await queue_->DeadLetters(count_max);
}

Async<int64_t> SharedLanes::Redrive() { co_return co_await queue_->Redrive(); }

}  // namespace longhaul::migration
