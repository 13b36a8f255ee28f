// The queues of SQS that the stores of a configuration's rules send events to, read beside the
// roles.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aws/sqs_client.h"
#include "base/runtime.h"
#include "cli/aws_request_hook.h"
#include "events/queue_intake.h"
#include "events/rule_events.h"
#include "queue/queue.h"
#include "replication/life/outcome.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

// Messages of event queues that have been set aside lately: what the alarm is of.
//
//   partition "set_aside", key QUEUE   the reason of one of them; expires
Async<void> NoteSetAside(State& state, SystemTime now, std::string queue, std::string reason);
// Reasons by queue.
Async<std::map<std::string, std::string>> ReadSetAside(State& state);

class QueueIntakes {
 public:
  // Borrowed until Stop has returned. `hints`: where what rules hear of waits. `observer`: told as
  // "events of rule R" of queues that cannot be read. `on_request`: told of each request.
  QueueIntakes(Runtime& runtime, const Configuration& configuration, Queue& hints, State& state,
               Observer& observer, AwsRequestHook on_request = nullptr);

  using MakeClient = std::function<Result<std::shared_ptr<SqsClient>>(const AwsPlace& place)>;
  // kInvalidInput: a queue is missing, closed to us, or has no dead letters; with the command that
  // mends it. `make`: null for clients of AWS.
  Async<void> Open(MakeClient make = nullptr);
  // They end when `stop` is set, which must live until Join has returned: at once, and not when
  // others have done what they have begun, as what a last request brings is waited for.
  void Start(Event& stop);
  asio::awaitable<void> Join();

 private:
  struct One {
    std::optional<SteadyTime> noted{};  // That something was set aside.
    std::unique_ptr<Queue> queue;
    std::unique_ptr<RuleEvents> taker;
    std::unique_ptr<QueueIntake> intake;
  };
  // A queue, and how rules write it.
  struct Found {
    std::shared_ptr<SqsClient> client;  // shared by the queue and what it began.
    std::string url;
    std::vector<AwsPlace> places;
  };
  Async<std::vector<Found>> Find(const MakeClient& make);
  Async<void> OpenOne(Found found);
  // Once in a while.
  asio::awaitable<void> Note(One& one, std::string queue, std::string reason);

  Runtime& runtime_;
  const Configuration& configuration_;
  Queue& hints_;
  State& state_;
  Observer& observer_;
  AwsRequestHook on_request_;
  std::vector<std::unique_ptr<One>> all_;
  TaskGroup running_;
};

}  // namespace longhaul
