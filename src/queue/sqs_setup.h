// What a SqsQueue needs at SQS: names, what makes the queues, and what to do where one is missing.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aws/sqs_client.h"
#include "queue/sqs_queue.h"

namespace longhaul {

inline constexpr size_t kSqsNameBytesMax = 80;
// The maxReceiveCount that the queue of somebody else is told to have.
inline constexpr int kForeignReceivesMax = 100;

// Whether it can name a standard queue: [A-Za-z0-9_-], 1 to 80.
bool IsSqsName(std::string_view name);
// Whether it may stand before the names of queues: [A-Za-z0-9_-], 1 to 40.
bool IsSqsPrefix(std::string_view prefix);

// "PREFIX-NAME-SUFFIX". What SQS takes in no name becomes "_"; where that, or the length, could
// make two names one, a hash follows.
std::string SqsQueueName(const std::string& prefix, const std::string& name,
                         const std::string& suffix);

// Makes what is missing and changes what is different, the dead letters first; may run twice at
// once. The names of the queues that it made or changed. kInvalidInput: a queue has other dead
// letters, and so is not ours; it is left as it is.
Async<std::vector<std::string>> SetUpSqs(SqsClient& client, SqsQueueOptions options);

// The same as commands of the AWS CLI for a shell. An empty `endpoint`: that of AWS.
std::string SqsSetupCommands(const std::string& endpoint, const std::string& region,
                             const SqsQueueOptions& options);

// kInvalidInput: something is not as SetUpSqs makes it; has the command that mends it, but where
// the queue is not ours.
Async<std::string> FindSqsQueue(SqsClient& client, const SqsQueueOptions& options,
                                std::string name);

// Of a queue of somebody else, `options.prefix`. kInvalidInput: it is missing, or has no dead
// letters.
struct SqsRedrive {
  std::string dead_letters;  // The name of that queue.
  int receives_max = 0;
};
Async<SqsRedrive> RedriveOfSqsQueue(SqsClient& client, const SqsQueueOptions& options);

// `error` of `queue` with the command that mends it, where one does: kInvalidInput then. Of a queue
// of somebody else any other than `options.prefix` is its dead letters.
enum class SqsNeed { kUse, kSetUp };
Error WithRemedy(Error error, const std::string& queue, const std::string& region,
                 const SqsQueueOptions& options, SqsNeed need = SqsNeed::kUse);

}  // namespace longhaul
