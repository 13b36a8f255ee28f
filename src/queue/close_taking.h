// A Queue that hands out, when it is closed, what it has taken by then and nobody has got: for
// whoever is done with a message in a moment. What is given back has been received once more for
// nothing, and of a queue of somebody else a few receives make a dead letter.

#pragma once

#include <chrono>
#include <vector>

#include "queue/queue.h"

namespace longhaul {

class ClosesTaking {
 public:
  virtual ~ClosesTaking() = default;
  // As Queue::Close, but what was taken, also by requests that still wait at the service, is handed
  // out, hidden for `visibility`. An error: it comes back when its visibility has run out.
  virtual Async<std::vector<QueueMessage>> CloseTaking(std::chrono::milliseconds visibility) = 0;
};

}  // namespace longhaul
