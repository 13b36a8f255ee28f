// The Queue and the State that a configuration names.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aws/dynamodb_client.h"
#include "base/runtime.h"
#include "cli/aws_request_hook.h"
#include "net/postgres_schema.h"
#include "queue/queue.h"
#include "queue/queue_use.h"
#include "rules/rule.h"
#include "state/state.h"

namespace longhaul {

struct Backends {
  std::unique_ptr<Queue> queue;
  std::unique_ptr<State> state;
};

inline constexpr char kEventsQueue[] = "events";
inline constexpr char kMigrationsQueue[] = "migrations";

// The error says which of them cannot be opened. The runtime must outlive them. `queue`: one of the
// queues that live in one place: kEventsQueue is what rules hear of. `use`: what this process does
// with it.
Async<Backends> OpenBackends(Runtime& runtime, const Configuration& configuration,
                             std::string queue = kEventsQueue,
                             const AwsRequestHook& on_request = nullptr,
                             QueueUse use = QueueUse::kTakes);
// Of SQS the queues of rules and of migrations at once, for their dead letters, which lie in one
// queue; elsewhere that of rules.
Async<Backends> OpenBackendsWithAllLanes(Runtime& runtime, const Configuration& configuration,
                                         const AwsRequestHook& on_request = nullptr);

// Both, whatever the other one says.
struct BackendsApart {
  Result<std::unique_ptr<Queue>> queue;
  Result<std::unique_ptr<State>> state;
  // Of a queue in PostgreSQL, that it lies in, and what of it is used.
  std::shared_ptr<PostgresClient> database{};
  std::vector<PostgresPart> parts{};
};
Async<BackendsApart> OpenBackendsApart(Runtime& runtime, const Configuration& configuration,
                                       std::string queue, const AwsRequestHook& on_request,
                                       QueueUse use);

// Of a process of `replicate` with the source role or without it.
QueueUse QueueUseOf(const Configuration& configuration, bool source);

// The same for a State alone.
Async<std::unique_ptr<State>> OpenState(const Runtime& runtime, const DatabasePlace& place,
                                        const AwsRequestHook& on_request = nullptr);

// With region, endpoint and credentials as the process's environment has them.
Result<std::unique_ptr<DynamodbClient>> MakeDynamodbClient(
    const Runtime& runtime, const AwsPlace& place, const AwsRequestHook& on_request = nullptr);

}  // namespace longhaul
