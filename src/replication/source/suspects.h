// Suspects: messages that have been received again and again, and travel apart from all others.
//
// What a message asks for may end the process that works on it: it takes all memory, or meets a
// bug. Whatever else that process held is received once more as well, and what has been received
// too often goes to the dead letters. So from the third receive on a message waits here for its
// turn: it travels alone, in batches that no other message shares, and until it is done nothing is
// received that could go down with it. When one has gone well two may travel together, then four;
// the next process begins with one again. In no certain order: what travels before the one that
// ends the process is saved.
//
// A message may hold a thousand keys of which one is to blame. So what comes again after that is
// taken apart into new messages, and these again, until the key has one for itself.
//
// Belongs to one shard; nothing here waits.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "events/hint.h"
#include "queue/queue.h"
#include "replication/source/open_messages.h"

namespace longhaul {

class Suspects {
 public:
  static constexpr int kReceives = 3;
  static constexpr size_t kTogetherMax = 10;
  static constexpr size_t kParts = 10;
  // Most are done in less. Who has lived for so long with some need not keep all else waiting: they
  // may be hours of work.
  static constexpr std::chrono::seconds kPatience{10};

  struct Suspect {
    HintMessage hints;
    SystemTime sent{};
    std::shared_ptr<OpenMessage> open;  // shared with the keys that it brings.
  };

  explicit Suspects(Random& random) : random_(random) {}

  [[nodiscard]] static bool Is(const QueueMessage& message) {
    return message.receive_count >= kReceives;
  }
  // It has been one, and is here again.
  [[nodiscard]] static bool IsToBeTakenApart(const QueueMessage& message, size_t keys) {
    return message.receive_count > kReceives && keys > 1;
  }
  // It is open, so that nobody else receives it while it waits.
  void Add(Suspect suspect) { waiting_.push_back(std::move(suspect)); }
  // Those whose turn it is; none while others are under way. They travel together, as `company`.
  std::vector<Suspect> Take(SteadyTime now);
  // Of those that were taken last; never 0.
  [[nodiscard]] uint64_t company() const { return company_; }
  // Whether more messages may be received: none waits here or is under way.
  [[nodiscard]] bool MayReceive(SteadyTime now);

 private:
  // Whether those that were taken are done with, as far as others are concerned.
  bool AreDone(SteadyTime now);

  Random& random_;
  std::vector<Suspect> waiting_;  // As many as one Receive brings.
  std::vector<std::shared_ptr<OpenMessage>> under_way_;
  SteadyTime until_{};
  size_t together_ = 1;
  uint64_t company_ = 0;
};

}  // namespace longhaul
