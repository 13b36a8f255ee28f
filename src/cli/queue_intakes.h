// The queues of SQS that the stores of a configuration's rules send events to, read beside the
// roles.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cli/aws_request_hook.h"
#include "events/queue_intake.h"
#include "events/rule_events.h"
#include "queue/queue.h"
#include "rules/rule.h"

namespace longhaul {

class QueueIntakes {
 public:
  // Borrowed until Stop has returned. `hints`: where what rules hear of waits. `on_request`: told
  // of each request.
  QueueIntakes(Runtime& runtime, const Configuration& configuration, Queue& hints,
               AwsRequestHook on_request = nullptr);

  // kInvalidInput: a queue is missing, closed to us, or has no dead letters; with the command that
  // mends it.
  Async<void> Open();
  void Start();
  asio::awaitable<void> Stop();

 private:
  struct One {
    std::unique_ptr<Queue> queue;
    std::unique_ptr<RuleEvents> taker;
    std::unique_ptr<QueueIntake> intake;
  };

  Runtime& runtime_;
  const Configuration& configuration_;
  Queue& hints_;
  AwsRequestHook on_request_;
  Event stop_;
  std::vector<One> all_;
  TaskGroup running_;
};

}  // namespace longhaul
