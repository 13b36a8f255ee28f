// The queues of SQS that a configuration's rules wait in, and the client for them.

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
SqsQueueOptions SqsOptionsOf(const Configuration& configuration);

// `listeners`: requests that wait at SQS beside all others. kInvalidInput: no region, no profile.
Result<std::shared_ptr<SqsClient>> MakeSqsClient(const Runtime& runtime, const AwsPlace& place,
                                                 int listeners,
                                                 const AwsRequestHook& on_request = nullptr);

}  // namespace longhaul
