// Any bytes as an answer of SQS, and as a message's body: no crash, and nothing beyond the limits
// comes out; what goes in as a body comes out. What it names as a task of a migration is a name.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "aws/sqs_client.h"
#include "base/check.h"
#include "migration/task.h"
#include "queue/queue.h"
#include "queue/sqs_body.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<SqsReceived> received = ParseSqsMessages(text);
  for (const SqsMessage& message : received ? received->messages : std::vector<SqsMessage>()) {
    LH_CHECK(!message.id.empty() && !message.handle.empty() && message.receive_count >= 0);
    Result<std::string> body = DecodeSqsBody(message.body);
    if (body) LH_CHECK(body->size() <= kMessageSizeMaxBytes);
  }
  Result<SqsBatchAnswer> batch = ParseSqsBatch(text);
  static_cast<void>(batch);
  Result<std::string> decoded = DecodeSqsBody(text);
  if (decoded) LH_CHECK(decoded->size() <= kMessageSizeMaxBytes);
  LH_CHECK(IsSqsText(SqsText(text)));
  Result<migration::TaskName> task = migration::ReadMessage(text);
  if (task) LH_CHECK(task->run.size() <= 128 && task->id.size() <= 128);
  if (size > kMessageSizeMaxBytes) return 0;
  const std::string encoded = EncodeSqsBody(text);
  LH_CHECK(IsSqsText(encoded) && !encoded.empty());
  decoded = DecodeSqsBody(encoded);
  LH_CHECK(decoded && *decoded == text);
  return 0;
}
