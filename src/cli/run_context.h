// RunContext: what a command runs in: the Runtime of a real run (io_context, clock, chance, pool,
// memory budget, log, metrics), the shards of its network, the signals, the output.
//
// SIGINT and SIGTERM set `stop`; the command then finishes or hands back what is in flight. After
// --grace, or at a second signal, the process exits at once: that is safe, like kill -9, and leaves
// only what the janitor cleans.

#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "base/shards.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/output.h"
#include "cli/store_troubles.h"
#include "rules/rule.h"

namespace longhaul {

// Flags that every asynchronous command takes.
struct CommonFlags {
  std::string config_path;
  std::optional<uint64_t> memory_bytes;
  std::optional<int64_t> shards;
  std::chrono::milliseconds grace = std::chrono::seconds(25);
  std::string log_level = "info";
  std::string log_format = "auto";
  bool json = false;
  bool s5cmd = false;  // With `json`: the lines of s5cmd.
  bool quiet = false;
  // The command's name, and what it was given by words and environment.
  std::string command;
  GivenWords given;

  void Declare(FlagSet& flags);
};

class RunContext {
 public:
  // Nothing runs yet. The console must outlive it. `configuration`: what --config names.
  RunContext(CommonFlags flags, std::optional<Configuration> configuration, Console& console);
  ~RunContext();
  RunContext(const RunContext&) = delete;
  RunContext& operator=(const RunContext&) = delete;

  // Runs `work` to its end on the calling thread, with signals handled.
  Result<ExitCode> Run(Async<ExitCode> work);

  [[nodiscard]] Runtime& runtime();
  [[nodiscard]] Output& output();
  [[nodiscard]] Console& console();
  [[nodiscard]] const CommonFlags& flags() const;
  // nullptr: there was no --config.
  [[nodiscard]] const Configuration* configuration() const;

  // Where stores tell that they fail.
  [[nodiscard]] StoreTroubles& troubles();

  // Where the connections of S3 stores are.
  [[nodiscard]] Shards& shards();

  // Set by the first SIGINT or SIGTERM. A role watches it; a loop looks at it.
  [[nodiscard]] Event& stop();
  // The signal's exit code, when there was one.
  [[nodiscard]] std::optional<ExitCode> stopped_by() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A quarter of what this process may use: the machine's memory, or the cgroup's limit where that is
// less (cgroup v2 memory.max, v1 memory.limit_in_bytes), and at least 64 MiB.
uint64_t DefaultMemoryBytes();
// The same from given texts, for tests. `cgroup_limits`: contents of the files that exist.
uint64_t MemoryBytesFrom(uint64_t machine_bytes, const std::vector<std::string>& cgroup_limits);

}  // namespace longhaul
