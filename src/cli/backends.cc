#include "cli/backends.h"

#include <utility>

#include "base/sqlite.h"
#include "queue/sqlite_queue.h"
#include "state/sqlite_state.h"

namespace longhaul {

namespace {

// Hints that keep coming back are not parked: what they name may be carried later. A message is
// received once more by every process that dies with it in its hands, so this must be large.
constexpr int kReceivesMax = 1000;

}  // namespace

Async<Backends> OpenBackends(Runtime& runtime, const Configuration& configuration) {
  Result<std::shared_ptr<SqliteDatabase>> queue_file =
      co_await SqliteDatabase::Open({.path = configuration.queue_path});
  if (!queue_file) co_return queue_file.error().In("queue");
  Result<std::shared_ptr<SqliteDatabase>> state_file = *queue_file;
  if (configuration.state_path != configuration.queue_path) {
    state_file = co_await SqliteDatabase::Open({.path = configuration.state_path});
    if (!state_file) co_return state_file.error().In("state");
  }
  Result<std::unique_ptr<Queue>> queue =
      co_await SqliteQueue::Open(runtime, *queue_file, {.receives_max = kReceivesMax});
  if (!queue) co_return queue.error().In("queue");
  Result<std::unique_ptr<State>> state = co_await SqliteState::Open(runtime, *state_file);
  if (!state) co_return state.error().In("state");
  Backends backends;
  backends.queue = std::move(*queue);
  backends.state = std::move(*state);
  co_return backends;
}

}  // namespace longhaul
