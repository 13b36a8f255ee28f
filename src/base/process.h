// ProcessName: which process a lease or a record in State belongs to, so that another process of
// the same machine can tell at once that it is gone, without waiting for a lease to run out.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longhaul {

struct ProcessName {
  std::string host;  // With the boot, and the pid namespace: within it, pids tell apart.
  int64_t pid = 0;
  int64_t started = 0;  // In ticks since the boot: a pid may come again.

  bool operator==(const ProcessName&) const = default;
};

ProcessName ThisProcess();

enum class ProcessLife {
  kLives,
  kGone,
  kUnknown,  // It is, or was, on another machine.
};
ProcessLife LifeOf(const ProcessName& process);

// "<host> <pid> <started>", for State. Anything else reads as a process without a name, of which
// nothing is known.
std::string ProcessText(const ProcessName& process);
ProcessName ParseProcess(std::string_view text);

}  // namespace longhaul
