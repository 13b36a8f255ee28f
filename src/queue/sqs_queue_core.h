// What a SqsQueue and its requests that wait at SQS share; for the files of SqsQueue alone.
//
// sqs_queue.cc has all of it but dead letters: sqs_dead_letters.cc.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "queue/sqs_queue.h"
#include "queue/sqs_setup.h"

namespace longhaul {

struct SqsQueue::Core : std::enable_shared_from_this<SqsQueue::Core> {
  // From so many held on, those that nobody acknowledges are forgotten.
  static constexpr size_t kHeldMin = 1000;
  // The attribute of a message that has its lane.
  static constexpr char kLane[] = "lane";

  // Received by a request that waited at SQS, for whoever comes next.
  struct Taken {
    SqsMessage message;
    SteadyTime at;
    std::chrono::seconds visibility;
  };
  struct Lane {
    SqsLane config;
    std::string url;
    bool waits = false;        // As far as is known something can be received now.
    bool listening = false;    // A request waits at SQS.
    SteadyTime next{};         // Not asked again before that…
    std::set<SteadyTime> due;  // …unless something comes back: times of ours.
    std::chrono::seconds idle{0};
    std::deque<Taken> taken;
    std::optional<Error> error;
  };
  struct Held {
    size_t lane = 0;
    int64_t id = 0;
    std::string handle;
    SteadyTime until{};
  };

  Core(Runtime runtime, std::shared_ptr<SqsClient> client, SqsQueueOptions options)
      : runtime(runtime), client(std::move(client)), options(std::move(options)) {}

  [[nodiscard]] SteadyTime Now() const { return runtime.clock.SteadyNow(); }
  [[nodiscard]] Error Told(const Error& error, const std::string& queue) const {
    return WithRemedy(error, queue, client->region(), options);
  }
  // One number for each message, the same for each of its deliveries.
  static int64_t IdOf(const std::string& message_id);
  Lane* Find(const std::string& name) {
    for (Lane& lane : lanes) {
      if (lane.config.lane == name) return &lane;
    }
    return nullptr;
  }
  // Something can be received of it at `at`.
  void Comes(Lane& lane, SteadyTime at);
  [[nodiscard]] SteadyTime NextAsk(const Lane& lane) const {
    return lane.due.empty() ? lane.next : std::min(lane.next, *lane.due.begin());
  }
  // What an answer of `count` messages, where `wanted` were asked for, says about when to ask
  // again.
  void Note(Lane& lane, size_t count, size_t wanted, std::chrono::milliseconds visibility);

  Async<void> Ask(Lane& lane, size_t wanted, std::chrono::seconds visibility);
  static asio::awaitable<void> Listen(std::shared_ptr<Core> self, size_t index, size_t wanted,
                                      std::chrono::seconds visibility);
  // Up to `count_max` of what was taken of a lane, hidden for `visibility` from now.
  Async<std::vector<QueueMessage>> HandOut(Lane& lane, size_t count_max,
                                           std::chrono::seconds visibility);
  asio::awaitable<void> GiveBack(Lane& lane);
  Async<void> BuryBody(Lane& lane, std::string body, int receive_count, std::string reason,
                       std::string handle);
  // The deliveries that `receipts` name. kPrecondition: one of them is not the last, or is unknown.
  Result<std::map<size_t, std::vector<int64_t>>> HeldOf(const std::vector<Receipt>& receipts,
                                                        bool gone_is_fine) const;
  // Their handles. Leaves out those of which a later delivery was acknowledged while the caller
  // waited for a request.
  std::vector<std::string> StillHeld(std::vector<int64_t>& deliveries) const;
  void Forget(int64_t delivery);
  Result<std::map<size_t, std::vector<SqsNewMessage>>> Sorted(std::vector<NewMessage> messages,
                                                              std::chrono::milliseconds delay);
  Async<void> Send(std::map<size_t, std::vector<SqsNewMessage>> messages);
  Async<void> Remove(std::map<size_t, std::vector<int64_t>> deliveries);

  Runtime runtime;
  std::shared_ptr<SqsClient> client;
  SqsQueueOptions options;
  std::vector<Lane> lanes;  // By name.
  std::string dead_name;
  std::string dead_url;
  std::string last_lane;
  std::map<int64_t, Held> held;              // By delivery.
  std::map<int64_t, int64_t> last_delivery;  // By message.
  std::multimap<int64_t, int64_t> older;     // Deliveries before that one, by message.
  int64_t next_delivery = 1;
  size_t held_looked_at = kHeldMin;
  SteadyTime busy_at{};
  bool closed = false;
  bool keeps = false;  // What comes after that is handed out.
  WaitList changed;
};

}  // namespace longhaul
