// The queues of SQS that the stores of a configuration's rules send events to, read beside the
// roles.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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

  // kInvalidInput: a queue is missing, closed to us, or has no dead letters; with the command that
  // mends it.
  Async<void> Open();
  void Start();
  asio::awaitable<void> Stop();

 private:
  struct One {
    std::optional<SteadyTime> noted{};  // That something was set aside.
    std::unique_ptr<Queue> queue;
    std::unique_ptr<RuleEvents> taker;
    std::unique_ptr<QueueIntake> intake;
  };
  // Once in a while.
  asio::awaitable<void> Note(One& one, std::string queue, std::string reason);

  Runtime& runtime_;
  const Configuration& configuration_;
  Queue& hints_;
  State& state_;
  Observer& observer_;
  AwsRequestHook on_request_;
  Event stop_;
  std::vector<std::unique_ptr<One>> all_;
  TaskGroup running_;
};

}  // namespace longhaul
