// How many dead letters a Queue holds, for whoever wants to know no more. Where each lane is a
// queue of its own, as in SQS, Depth costs a request for each of them.

#pragma once

#include <cstdint>

#include "queue/queue.h"

namespace longhaul {

// A Queue that can tell for less than Depth costs.
class CountsDead {
 public:
  virtual ~CountsDead() = default;
  // Errors as those of Depth.
  virtual Async<int64_t> DeadCount() = 0;
};

// By that where the queue can, else by Depth.
Async<int64_t> CountDead(Queue& queue);

}  // namespace longhaul
