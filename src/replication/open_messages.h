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

#include "events/hint.h"
#include "queue/queue.h"
#include "replication/context.h"

namespace longhaul {

struct OpenMessage {
  Receipt receipt;
  std::string lane;
  int undone = 0;  // Keys (times rules) that it still waits for.
  bool closing = false;
  std::vector<HintMessage> left;  // What must go back.
  std::chrono::milliseconds delay{0};
};

class OpenMessages {
 public:
  // `lanes`: how many share what may be held.
  OpenMessages(ReplicationContext& context, int64_t lanes) : context_(context), lanes_(lanes) {}

  // A message that was received; it waits for one Finish, and for one more with each Wait.
  std::shared_ptr<OpenMessage> Open(const QueueMessage& message);
  void Wait(OpenMessage& message, int count);
  // One key of each of `messages` is done; `left` is what must go back after `delay`, if anything.
  // A message that waits for nothing more is acknowledged, or replaced by what must go back.
  asio::awaitable<void> Finish(std::vector<std::shared_ptr<OpenMessage>> messages,
                               std::vector<HintMessage> left, std::chrono::milliseconds delay);

  // Lanes of which enough is here.
  [[nodiscard]] std::vector<std::string> FullLanes() const;
  // Messages of a lane that are open.
  [[nodiscard]] int CountOf(const std::string& lane) const;
  [[nodiscard]] bool empty() const { return messages_.empty(); }

  // Keeps them from other receivers, until `stop` is set.
  asio::awaitable<void> KeepHidden(Event& stop);
  // Gives back what is open at once, instead of when its visibility runs out.
  asio::awaitable<void> Release();

 private:
  asio::awaitable<void> Close(std::shared_ptr<OpenMessage> message);

  ReplicationContext& context_;
  int64_t lanes_;
  std::vector<std::shared_ptr<OpenMessage>> messages_;  // shared with the keys that they brought.
  // Keys of messages that are not acknowledged, each as often as rules have them: by lane, and all.
  std::map<std::string, int64_t> keys_held_;
  int64_t keys_held_total_ = 0;
};

}  // namespace longhaul
