#include "queue/queue.h"

namespace longhaul {

Result<void> CheckMessageSizes(const std::vector<NewMessage>& messages) {
  for (const NewMessage& message : messages) {
    if (message.body.size() > kMessageSizeMaxBytes) {
      return InvalidInput("a message of " + std::to_string(message.body.size()) +
                          " bytes: at most " + std::to_string(kMessageSizeMaxBytes) +
                          " are allowed");
    }
  }
  return Ok();
}

}  // namespace longhaul
