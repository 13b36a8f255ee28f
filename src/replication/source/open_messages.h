// OpenMessages: the messages of the Queue that a source role works on.
//
// A message is open until every key that it brought is done, for every rule that carries the key;
// then it is acknowledged, with what is left to be done of it as new messages. Meanwhile it is kept
// from other receivers. What a lane may hold here is bounded.
//
// Belongs to one shard.

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "events/hint.h"
#include "queue/queue.h"
#include "replication/context/limits.h"

namespace longhaul {

struct OpenMessage {
  Receipt receipt;
  std::string lane;
  int undone = 0;          // Keys (times rules) that it still waits for.
  SteadyTime hidden_at{};  // Or a little before.
  bool closing = false;
  bool closed = false;            // Done with here, whatever came of it.
  std::vector<HintMessage> left;  // What must go back.
  std::chrono::milliseconds delay{0};
};

class OpenMessages {
 public:
  // `lanes`: how many share what may be held.
  OpenMessages(Runtime& runtime, Queue& queue, const ReplicationLimits& limits, int64_t lanes)
      : runtime_(runtime), queue_(queue), limits_(limits), lanes_(lanes) {}

  // A message that was received; it waits for one Finish, and for one more with each Wait.
  std::shared_ptr<OpenMessage> Open(const QueueMessage& message);
  void Wait(OpenMessage& message, int count);
  // One key of each of `messages` is done; `left` is what must go back after `delay`, if anything.
  // A message that waits for nothing more is replaced by what must go back, or acknowledged by the
  // next Flush.
  asio::awaitable<void> Finish(std::vector<std::shared_ptr<OpenMessage>> messages,
                               std::vector<HintMessage> left, std::chrono::milliseconds delay);
  // Acknowledges all that is done, together: a request costs as much as its answer takes.
  asio::awaitable<void> Flush();

  // Lanes of which enough is here.
  [[nodiscard]] std::vector<std::string> FullLanes() const;
  // Messages of a lane that are open.
  [[nodiscard]] int CountOf(const std::string& lane) const;
  [[nodiscard]] bool empty() const { return messages_.empty(); }

  // Keeps them from other receivers, until `stop` is set.
  asio::awaitable<void> KeepHidden(Event& stop);
  // What nobody can ever do, with the reason.
  asio::awaitable<void> Bury(QueueMessage message, std::string reason);
  // Gives back what is open at once, instead of when its visibility runs out.
  asio::awaitable<void> Release();

 private:
  asio::awaitable<void> Close(std::shared_ptr<OpenMessage> message);
  void NoteClosed(const Result<void>& closed);

  Runtime& runtime_;
  Queue& queue_;
  const ReplicationLimits& limits_;
  int64_t lanes_;
  std::vector<std::shared_ptr<OpenMessage>> done_;      // To be acknowledged.
  std::vector<std::shared_ptr<OpenMessage>> messages_;  // shared with the keys that they brought.
  // Keys of messages that are not acknowledged, each as often as rules have them: by lane, and all.
  std::map<std::string, int64_t> keys_held_;
  int64_t keys_held_total_ = 0;
};

}  // namespace longhaul
