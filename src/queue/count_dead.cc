#include "queue/count_dead.h"

namespace longhaul {

Async<int64_t> CountDead(Queue& queue) {
  if (auto* counts = dynamic_cast<CountsDead*>(&queue)) co_return co_await counts->DeadCount();
  Result<QueueDepth> depth = co_await queue.Depth();
  if (!depth) co_return depth.error();
  co_return depth->dead;
}

}  // namespace longhaul
