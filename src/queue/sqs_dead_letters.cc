// The dead letters of a SqsQueue: how messages get there, are shown and come back.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "queue/sqs_body.h"
#include "queue/sqs_queue_core.h"

namespace longhaul {

using std::chrono::seconds;

namespace {

constexpr seconds kDeadVisibility{60};
constexpr int kDeadSeen = 100;

// With a reason, each byte of which may become three, and a lane.
constexpr size_t kPlainBytesMax = kSqsBatchBytesMax - 4 * kBuryReasonMaxBytes;

constexpr char kReason[] = "reason";
constexpr char kReceives[] = "receives";

// Whoever the queue belongs to reads his dead letters, and sends them again, as he wrote them.
std::string LetterOf(const std::string& body, bool own) {
  const bool plain = !own && !body.empty() && IsSqsText(body) && body.size() <= kPlainBytesMax;
  return plain ? body : EncodeSqsBody(body);
}

}  // namespace

Async<void> SqsQueue::Core::BuryBody(Lane& lane, std::string body, int receive_count,
                                     std::string reason, std::string handle) {
  std::string clean = SqsText(reason.substr(0, kBuryReasonMaxBytes));
  SqsNewMessage letter{.body = std::move(body),
                       .attributes = {{kReason, clean.empty() ? "none is given" : clean},
                                      {kReceives, std::to_string(receive_count)}}};
  if (!lane.config.lane.empty()) letter.attributes[kLane] = lane.config.lane;
  // First there, then away: a crash between doubles it.
  Result<std::vector<SqsFailure>> sent = co_await client->Send(dead_url, {std::move(letter)});
  if (!sent) co_return Told(sent.error(), dead_name);
  if (!sent->empty()) co_return Told(sent->front().error, dead_name);
  Result<std::vector<SqsFailure>> removed = co_await client->Delete(lane.url, {std::move(handle)});
  if (!removed) co_return Told(removed.error(), lane.config.queue);
  if (!removed->empty()) co_return Told(removed->front().error, lane.config.queue);
  co_return Ok();
}

Async<void> SqsQueue::Bury(QueueMessage message, std::string reason) {
  auto deliveries = core_->HeldOf({message.receipt}, false);
  if (!deliveries) co_return deliveries.error();
  const Core::Held held = core_->held.at(message.receipt.delivery);
  Result<void> buried =
      co_await core_->BuryBody(core_->lanes[held.lane], LetterOf(message.body, core_->options.own),
                               message.receive_count, std::move(reason), held.handle);
  if (!buried) co_return buried;
  core_->Forget(message.receipt.delivery);
  co_return Ok();
}

Async<std::vector<QueueMessage>> SqsQueue::DeadLetters(int count_max) {
  Core& core = *core_;
  std::vector<QueueMessage> letters;
  std::vector<std::string> handles;
  Result<void> looked;
  while (std::ssize(letters) < std::max(count_max, kDeadSeen)) {
    Result<std::vector<SqsMessage>> some = co_await core.client->Receive(
        core.dead_url, {.visibility = kDeadVisibility, .wait = seconds(1)});
    if (!some) {
      looked = core.Told(some.error(), core.dead_name);
      break;
    }
    if (some->empty()) break;
    for (SqsMessage& message : *some) {
      const int receives = std::atoi(message.attributes[kReceives].c_str());
      Result<std::string> body = DecodeSqsBody(message.body);
      letters.push_back({.body = body ? std::move(*body) : message.body,
                         .lane = message.attributes[Core::kLane],
                         .receive_count = receives > 0 ? receives : core.options.receives_max,
                         .sent = message.sent,
                         .receipt = {.id = Core::IdOf(message.id)},
                         .reason = message.attributes[kReason]});
      handles.push_back(std::move(message.handle));
    }
  }
  Result<std::vector<SqsFailure>> released =
      co_await core.client->ChangeVisibility(core.dead_url, std::move(handles), seconds(0));
  if (!looked) co_return looked.error();
  if (!released) co_return core.Told(released.error(), core.dead_name);
  std::ranges::sort(letters, {}, &QueueMessage::sent);
  if (std::ssize(letters) > count_max) letters.resize(static_cast<size_t>(std::max(count_max, 0)));
  co_return letters;
}

Async<int64_t> SqsQueue::Redrive() {
  Core& core = *core_;
  int64_t count = 0;
  std::vector<std::string> left;  // Of lanes that this configuration does not have.
  std::set<std::string> seen;     // Of those, once they come round again.
  // A message that nobody understands may be a dead letter again before this ends; by our clock or
  // by their number, whichever is later, it has been moved once.
  Result<QueueDepth> depth = co_await Depth();
  if (!depth) co_return depth.error();
  const SystemTime started = core.runtime.clock.Now();
  Result<void> result;
  bool all_met = false;
  while (result && !all_met) {
    Result<std::vector<SqsMessage>> some = co_await core.client->Receive(
        core.dead_url, {.visibility = kDeadVisibility, .wait = seconds(1)});
    if (!some) {
      result = core.Told(some.error(), core.dead_name);
      break;
    }
    if (some->empty()) break;
    std::map<size_t, std::vector<SqsNewMessage>> again;
    std::vector<std::string> handles;
    all_met = true;
    for (SqsMessage& message : *some) {
      const std::string name = message.attributes[Core::kLane];
      Core::Lane* lane = core.Find(name);
      const bool moved_before = message.sent >= started && count >= depth->dead;
      if (lane == nullptr || moved_before) {
        if (seen.insert(message.id).second && !moved_before) all_met = false;
        left.push_back(std::move(message.handle));
        continue;
      }
      all_met = false;
      SqsNewMessage sent{.body = std::move(message.body)};
      if (!name.empty()) sent.attributes[Core::kLane] = name;
      again[static_cast<size_t>(lane - core.lanes.data())].push_back(std::move(sent));
      handles.push_back(std::move(message.handle));
    }
    // First there, then away: a crash between doubles them.
    result = co_await core.Send(std::move(again));
    if (!result) break;
    count += std::ssize(handles);
    Result<std::vector<SqsFailure>> removed =
        co_await core.client->Delete(core.dead_url, std::move(handles));
    if (!removed) result = core.Told(removed.error(), core.dead_name);
    if (removed && !removed->empty()) {
      result = core.Told(removed->front().error, core.dead_name);
    }
  }
  Result<std::vector<SqsFailure>> released =
      co_await core.client->ChangeVisibility(core.dead_url, std::move(left), seconds(0));
  static_cast<void>(released);
  if (!result) co_return result.error();
  co_return count;
}

}  // namespace longhaul
