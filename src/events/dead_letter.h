// DeadLetter: a message of the queue that nobody could carry, and what it was about.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "events/hint.h"
#include "queue/queue.h"

namespace longhaul {

struct DeadLetter {
  QueueMessage message;
  std::optional<HintMessage> hints;  // None: nobody understands it.
  std::string reason;                // Why it is here, for people.
};

DeadLetter ReadDeadLetter(QueueMessage message);
// Where hints come from, for people: "events", "a listing".
std::string_view Describe(HintOrigin origin);

}  // namespace longhaul
