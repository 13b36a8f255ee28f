#include "cli/sqs_place.h"

#include <utility>

#include "aws/aws_service.h"
#include "events/hint.h"
#include "migration/shared_lanes.h"
#include "queue/sqs_setup.h"

namespace longhaul {

namespace {

SqsQueueOptions WithoutLanes(const Configuration& configuration, QueueUse use) {
  return {.prefix = configuration.queue.sqs->name,
          .setup = "longhaul setup --config " + configuration.file,
          .use = use};
}

}  // namespace

SqsQueueOptions SqsOptionsOf(const Configuration& configuration, QueueUse use) {
  SqsQueueOptions options = WithoutLanes(configuration, use);
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

SqsQueueOptions SqsMigrationOptionsOf(const Configuration& configuration, QueueUse use) {
  SqsQueueOptions options = WithoutLanes(configuration, use);
  options.part = "runs";
  for (const std::string lane : {migration::kSharedFindLane, migration::kSharedWorkLane}) {
    const std::string name = lane.substr(lane.rfind('/') + 1);
    options.lanes.push_back(
        {.lane = lane, .queue = SqsQueueName(options.prefix, "migrations", name)});
  }
  return options;
}

SqsQueueOptions AllSqsOptionsOf(const Configuration& configuration) {
  SqsQueueOptions options = SqsOptionsOf(configuration);
  options.part = "queues";
  SqsQueueOptions migrations = SqsMigrationOptionsOf(configuration);
  for (SqsLane& lane : migrations.lanes) options.lanes.push_back(std::move(lane));
  return options;
}

SqsQueueOptions IntakeOptionsOf(const AwsPlace& place) {
  return {.prefix = place.name, .lanes = {{.lane = "", .queue = place.name}}, .own = false};
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
