// Parks objects, as the roles do: what dashboard_load.py and `bench/run.py dashboard` look at,
// where it would take a real run too long to fail so often.
//
//   parked_rows DATABASE TARGET KEYS RULE...
//
// DATABASE: the SQLite file of a configuration, of which no process may be running that parks
// there. Each RULE gets KEYS keys that are parked at its target TARGET, "-": at the source.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/cpu_pool.h"
#include "base/metrics.h"
#include "base/sqlite.h"
#include "replication/life/parked.h"
#include "state/sqlite_state.h"

namespace longhaul {
namespace {

constexpr int kTogether = 200;  // Are committed in one transaction.

class NoLogger : public Logger {
  void Log(LogLevel, std::string_view, Fields) override {}
};

struct Work {
  std::string database;
  std::string target;
  int keys = 0;
  std::vector<std::string> rules;
  int64_t next = 0;
};

// What the target role finds where somebody else's object lies under a key: a person is to look.
ParkedKey Conflict(const Work& work, int64_t number, SystemTime now) {
  char key[64];
  std::snprintf(key, sizeof key, "2026/11/%08lld.json", static_cast<long long>(number));
  return {.key = key,
          .target = work.target,
          .archive = work.target.empty() ? "" : "01KAV5ZJ0Q5V1N8W8T7C2M4R6X",
          .op = "put",
          .reason = "conflict: an object that longhaul did not write lies there and differs",
          .when = now,
          .since = now};
}

Async<void> ParkSome(State& state, Work& work, SystemTime now) {
  const int64_t count = work.keys * std::ssize(work.rules);
  while (work.next < count) {
    const int64_t number = work.next++;
    const std::string& rule = work.rules[static_cast<size_t>(number / work.keys)];
    Result<void> written = co_await WriteParked(state, rule, Conflict(work, number, now));
    if (!written) co_return written.error();
  }
  co_return Ok();
}

Async<void> ParkAll(Runtime& runtime, Work& work) {
  Result<std::shared_ptr<SqliteDatabase>> database =
      co_await SqliteDatabase::Open({.path = work.database});
  if (!database) co_return database.error();
  Result<std::unique_ptr<State>> state = co_await SqliteState::Open(runtime, *database);
  if (!state) co_return state.error();
  TaskGroup group(runtime.executor);
  for (int i = 0; i < kTogether; ++i) group.Spawn(ParkSome(**state, work, runtime.clock.Now()));
  co_return co_await group.Join();
}

asio::awaitable<void> Run(Runtime& runtime, Work& work, int& code) {
  Result<void> parked = co_await ParkAll(runtime, work);
  if (!parked) std::fprintf(stderr, "%s\n", parked.error().Describe().c_str());
  code = parked ? 0 : 1;
}

int Main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: parked_rows DATABASE TARGET KEYS RULE...\n");
    return 2;
  }
  Work work{.database = argv[1],
            .target = std::string(argv[2]) == "-" ? "" : argv[2],
            .keys = std::atoi(argv[3]),
            .rules = {argv + 4, argv + argc}};
  asio::io_context io(1);
  RealClock clock(io.get_executor());
  SystemRandom random;
  CpuPool pool(1);
  MemoryBudget memory(64 << 20);
  NoLogger log;
  Metrics metrics;
  Runtime runtime{io.get_executor(), clock, random, pool, memory, log, metrics};
  int code = 1;
  bool done = false;
  asio::co_spawn(io, Run(runtime, work, code), [&](std::exception_ptr) { done = true; });
  while (!done) io.run_one();
  return code;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) { return longhaul::Main(argc, argv); }
