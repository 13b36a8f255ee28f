#include "cli/backends.h"

#include <utility>

#include "aws/aws_service.h"
#include "aws/dynamodb_client.h"
#include "base/sqlite.h"
#include "cli/sqs_place.h"
#include "migration/shared_lanes.h"
#include "queue/postgres_queue.h"
#include "queue/sqlite_queue.h"
#include "queue/sqs_queue.h"
#include "rules/iam_policy.h"
#include "state/dynamodb_state.h"
#include "state/postgres_state.h"
#include "state/sqlite_state.h"

namespace longhaul {

namespace {

// Hints that keep coming back are not parked: what they name may be carried later. A message is
// received once more by every process that dies with it in its hands, so this must be large.
constexpr int kReceivesMax = 1000;

// An opened database: one of these.
struct Opened {
  std::shared_ptr<SqliteDatabase> sqlite;
  std::shared_ptr<PostgresClient> postgres;
  std::shared_ptr<DynamodbClient> dynamodb;
  AwsRequestHook hook{};
};

// What of `configuration` lies at `place`, with the rights that `use` of the queue needs.
std::vector<PostgresPart> PartsAt(const Configuration& configuration, const DatabasePlace& place,
                                  QueueUse use) {
  std::vector<PostgresPart> parts;
  if (!configuration.queue.sqs && configuration.queue == place) {
    parts.push_back(PostgresQueuePartFor(use));
    parts.push_back(PostgresDeadLettersPart());
  }
  if (configuration.state == place) parts.push_back(PostgresStatePart());
  return parts;
}

// `parts`: those of a PostgreSQL database that are worked with.
Async<Opened> Open(const Runtime& runtime, const DatabasePlace& place,
                   const AwsRequestHook& on_request, std::vector<PostgresPart> parts) {
  Opened opened;
  opened.hook = on_request;
  if (!place.postgres_url.empty()) {
    Result<std::shared_ptr<PostgresClient>> client = PostgresClient::Make(
        runtime,
        {.url = place.postgres_url,
         .grants = [parts = std::move(parts)](const std::string& schema, std::string_view role) {
           return PostgresGrants(schema, role, parts);
         }});
    if (!client) co_return client.error();
    opened.postgres = std::move(*client);
  } else if (place.dynamodb) {
    Result<std::unique_ptr<DynamodbClient>> client =
        MakeDynamodbClient(runtime, *place.dynamodb, on_request);
    if (!client) co_return client.error();
    opened.dynamodb = std::move(*client);
  } else {
    Result<std::shared_ptr<SqliteDatabase>> file =
        co_await SqliteDatabase::Open({.path = place.sqlite_path});
    if (!file) co_return file.error();
    opened.sqlite = std::move(*file);
  }
  co_return opened;
}

Async<std::unique_ptr<State>> OpenState(const Runtime& runtime, const Opened& opened) {
  if (opened.postgres) {
    std::function<void(std::chrono::seconds ahead)> on_clock_off;
    if (opened.hook.on_clock_off) {
      on_clock_off = [tell = opened.hook.on_clock_off](std::chrono::seconds ahead) {
        tell("postgresql", ahead);
      };
    }
    co_return co_await PostgresState::Open(runtime, opened.postgres, std::move(on_clock_off));
  }
  if (opened.dynamodb) co_return co_await DynamodbState::Open(runtime, opened.dynamodb);
  co_return co_await SqliteState::Open(runtime, opened.sqlite);
}

// What is missing is mended by `longhaul setup`, which needs to be told of what.
Error NamingTheFile(Error error, const Configuration& configuration) {
  constexpr std::string_view kCommand = "'longhaul setup'";
  const size_t at = error.message.find(kCommand);
  if (at == std::string::npos) return error;
  error.message.replace(at, kCommand.size(),
                        "'longhaul setup --config " + configuration.file + "'");
  return error;
}

// `opened`: where it is, unless in SQS.
Async<std::unique_ptr<Queue>> OpenQueue(const Runtime& runtime, const Configuration& configuration,
                                        const Opened& opened, std::string name,
                                        const AwsRequestHook& on_request, QueueUse use,
                                        bool all_lanes) {
  if (opened.postgres) {
    co_return co_await PostgresQueue::Open(runtime, opened.postgres,
                                           {.name = std::move(name), .receives_max = kReceivesMax});
  }
  if (!configuration.queue.sqs) {
    co_return co_await SqliteQueue::Open(runtime, opened.sqlite,
                                         {.name = std::move(name), .receives_max = kReceivesMax});
  }
  const bool migrations = name != kEventsQueue;
  const SqsQueueOptions options = all_lanes    ? AllSqsOptionsOf(configuration)
                                  : migrations ? SqsMigrationOptionsOf(configuration, use)
                                               : SqsOptionsOf(configuration, use);
  Result<std::shared_ptr<SqsClient>> client = MakeSqsClient(
      runtime, *configuration.queue.sqs, static_cast<int>(options.lanes.size()), on_request);
  if (!client) co_return client.error();
  Result<std::unique_ptr<Queue>> queue = co_await SqsQueue::Open(runtime, *client, options);
  if (!queue || !migrations) co_return queue;
  co_return std::make_unique<migration::SharedLanes>(std::move(*queue));
}

Async<Backends> OpenAll(const Runtime& runtime, const Configuration& configuration,
                        std::string queue_name, const AwsRequestHook& on_request, QueueUse use,
                        bool all_lanes = false) {
  Result<Opened> queue_place = Opened();
  if (!configuration.queue.sqs) {
    queue_place = co_await Open(runtime, configuration.queue, on_request,
                                PartsAt(configuration, configuration.queue, use));
  }
  if (!queue_place) co_return queue_place.error().In("queue");
  Result<Opened> state_place = *queue_place;
  if (configuration.state != configuration.queue) {
    state_place = co_await Open(runtime, configuration.state, on_request, {PostgresStatePart()});
    if (!state_place) co_return state_place.error().In("state");
  }
  Result<std::unique_ptr<Queue>> queue = co_await OpenQueue(
      runtime, configuration, *queue_place, std::move(queue_name), on_request, use, all_lanes);
  if (!queue) co_return queue.error().In("queue");
  Result<std::unique_ptr<State>> state = co_await OpenState(runtime, *state_place);
  if (!state) co_return state.error().In("state");
  co_return Backends{.queue = std::move(*queue), .state = std::move(*state)};
}

}  // namespace

Async<std::unique_ptr<State>> OpenState(const Runtime& runtime, const DatabasePlace& place,
                                        const AwsRequestHook& on_request) {
  Result<Opened> opened = co_await Open(runtime, place, on_request, {PostgresStatePart()});
  if (!opened) co_return opened.error();
  co_return co_await OpenState(runtime, *opened);
}

QueueUse QueueUseOf(const Configuration& configuration, bool source) {
  if (source) return QueueUse::kTakes;
  return ServesApi(configuration, false) ? QueueUse::kSends : QueueUse::kLooks;
}

Async<BackendsApart> OpenBackendsApart(Runtime& runtime, const Configuration& configuration,
                                       std::string queue, const AwsRequestHook& on_request,
                                       QueueUse use) {
  BackendsApart apart;
  Result<Opened> opened = Opened();
  if (!configuration.queue.sqs) {
    apart.parts = PartsAt(configuration, configuration.queue, use);
    opened = co_await Open(runtime, configuration.queue, on_request, apart.parts);
  }
  if (opened) {
    apart.database = opened->postgres;
    apart.queue = co_await OpenQueue(runtime, configuration, *opened, std::move(queue), on_request,
                                     use, false);
  } else {
    apart.queue = opened.error();
  }
  if (!apart.queue) apart.queue = NamingTheFile(apart.queue.error(), configuration);
  apart.state = co_await OpenState(runtime, configuration.state, on_request);
  if (!apart.state) apart.state = NamingTheFile(apart.state.error(), configuration);
  co_return apart;
}

Async<Backends> OpenBackends(Runtime& runtime, const Configuration& configuration,
                             std::string queue_name, const AwsRequestHook& on_request,
                             QueueUse use) {
  Result<Backends> all =
      co_await OpenAll(runtime, configuration, std::move(queue_name), on_request, use);
  if (!all) co_return NamingTheFile(all.error(), configuration);
  co_return all;
}

Async<Backends> OpenBackendsWithAllLanes(Runtime& runtime, const Configuration& configuration,
                                         const AwsRequestHook& on_request) {
  Result<Backends> all =
      co_await OpenAll(runtime, configuration, kEventsQueue, on_request, QueueUse::kTakes, true);
  if (!all) co_return NamingTheFile(all.error(), configuration);
  co_return all;
}

Result<std::unique_ptr<DynamodbClient>> MakeDynamodbClient(const Runtime& runtime,
                                                           const AwsPlace& place,
                                                           const AwsRequestHook& on_request) {
  Result<AwsJsonOptions> options =
      FindAwsService(runtime, place, "dynamodb", "DynamoDB_20120810", ProcessEnvironment());
  if (!options) return options.error();
  TellRequests(*options, on_request);
  Result<std::unique_ptr<AwsJsonClient>> service =
      AwsJsonClient::Make(runtime, std::move(*options));
  if (!service) return service.error();
  return std::make_unique<DynamodbClient>(std::move(*service), place.name);
}

}  // namespace longhaul
