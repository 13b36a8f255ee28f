#include "cli/queue_intakes.h"

#include <algorithm>
#include <utility>

#include "cli/sqs_place.h"
#include "queue/sqs_queue.h"

namespace longhaul {

QueueIntakes::QueueIntakes(Runtime& runtime, const Configuration& configuration, Queue& hints,
                           AwsRequestHook on_request)
    : runtime_(runtime),
      configuration_(configuration),
      hints_(hints),
      on_request_(std::move(on_request)),
      running_(runtime.executor) {}

Async<void> QueueIntakes::Open() {
  // Rules may share a queue: one reader hands each event to all of them.
  std::vector<AwsPlace> places;
  for (const Rule& rule : configuration_.rules) {
    const std::optional<AwsPlace>& place = rule.intake.sqs;
    if (rule.enabled && place && std::ranges::find(places, *place) == places.end()) {
      places.push_back(*place);
    }
  }
  for (const AwsPlace& place : places) {
    Result<std::shared_ptr<SqsClient>> client = MakeSqsClient(runtime_, place, 1, on_request_);
    if (!client) co_return client.error().In("intake from " + place.name);
    SqsQueueOptions options{
        .prefix = place.name, .lanes = {{.lane = "", .queue = place.name}}, .own = false};
    Result<std::unique_ptr<Queue>> queue =
        co_await SqsQueue::Open(runtime_, std::move(*client), std::move(options));
    if (!queue) co_return queue.error().In("intake from " + place.name);
    One one{.queue = std::move(*queue)};
    one.taker = std::make_unique<RuleEvents>(
        runtime_, configuration_, hints_, "sqs",
        [place](const Rule& rule) { return rule.intake.sqs == place; });
    one.intake = std::make_unique<QueueIntake>(runtime_, *one.queue, *one.taker, place.name);
    all_.push_back(std::move(one));
  }
  co_return Ok();
}

void QueueIntakes::Start() {
  struct Runner {
    static Async<void> Run(QueueIntake& intake, Event& stop) {
      co_await intake.Run(stop);
      co_return Ok();
    }
  };
  for (const One& one : all_) running_.Spawn(Runner::Run(*one.intake, stop_));
}

asio::awaitable<void> QueueIntakes::Stop() {
  stop_.Set();
  Result<void> joined = co_await running_.Join();
  static_cast<void>(joined);
}

}  // namespace longhaul
