// The queues of SQS that a configuration's rules and migrations wait in, and the client for them.

#pragma once

#include <memory>

#include "aws/sqs_client.h"
#include "base/runtime.h"
#include "cli/aws_request_hook.h"
#include "queue/sqs_queue.h"
#include "rules/rule.h"

namespace longhaul {

// A queue for each lane of each rule: PREFIX-RULE-events, -backlog and -segments.
// Configuration::queue is in SQS.
SqsQueueOptions SqsOptionsOf(const Configuration& configuration, QueueUse use = QueueUse::kTakes);

// What the runs of all migrations share: PREFIX-migrations-find and -work. What is dead goes where
// that of rules does.
SqsQueueOptions SqsMigrationOptionsOf(const Configuration& configuration,
                                      QueueUse use = QueueUse::kTakes);

// All of them, for whoever makes or looks at the queues themselves.
SqsQueueOptions AllSqsOptionsOf(const Configuration& configuration);

// Of a queue of events, which is somebody else's.
SqsQueueOptions IntakeOptionsOf(const AwsPlace& place);

// `listeners`: requests that wait at SQS beside all others. kInvalidInput: no region, no profile.
Result<std::shared_ptr<SqsClient>> MakeSqsClient(const Runtime& runtime, const AwsPlace& place,
                                                 int listeners,
                                                 const AwsRequestHook& on_request = nullptr);

}  // namespace longhaul
