#include "cli/sqs_place.h"

#include <utility>

#include "aws/aws_service.h"
#include "events/hint.h"
#include "queue/sqs_setup.h"

namespace longhaul {

SqsQueueOptions SqsOptionsOf(const Configuration& configuration) {
  SqsQueueOptions options{.prefix = configuration.queue.sqs->name,
                          .setup = "longhaul setup --config " + configuration.file};
  for (const Rule& rule : configuration.rules) {
    auto name = [&](const char* suffix) { return SqsQueueName(options.prefix, rule.id, suffix); };
    options.lanes.push_back({.lane = FreshLane(rule.id), .queue = name("events")});
    options.lanes.push_back(
        {.lane = BacklogLane(rule.id), .queue = name("backlog"), .listens = false});
    options.lanes.push_back(
        {.lane = SegmentLane(rule.id), .queue = name("segments"), .listens = false});
  }
  return options;
}

Result<std::shared_ptr<SqsClient>> MakeSqsClient(const Runtime& runtime, const AwsPlace& place,
                                                 int listeners, const AwsRequestHook& on_request) {
  Result<AwsJsonOptions> options =
      FindAwsService(runtime, place, "sqs", "AmazonSQS", ProcessEnvironment());
  if (!options) return options.error();
  TellRequests(*options, on_request);
  Result<std::unique_ptr<SqsClient>> client =
      SqsClient::Make(runtime, std::move(*options), listeners);
  if (!client) return client.error();
  return std::shared_ptr<SqsClient>(std::move(*client));  // shared by the queue and what it began.
}

}  // namespace longhaul
