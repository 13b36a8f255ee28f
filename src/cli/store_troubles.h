// StoreTroubles: says that a store does not answer as it should when it fails for the first time,
// not after the last attempt; then nothing until that changes.
//
// A failure that is of another kind than those before is told at once, one that has been told is
// told again when the store has been away for half a minute without a break, and its return is told
// when it was away for some seconds: a server that refuses a request now and then stays one line.

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "cli/output.h"

namespace longhaul {

// Belongs to one shard. Must outlive the functions that For() returns.
class StoreTroubles {
 public:
  StoreTroubles(Output& output, Logger& log, Clock& clock)
      : output_(output), log_(log), clock_(clock) {}

  // For a process that runs until it is stopped: lines of the log instead of messages.
  void UseLog() { use_log_ = true; }

  // What S3StoreOptions::on_trouble wants. `store`: how a person knows it.
  std::function<void(const Error* failure)> For(const std::string& store);

  // What S3StoreOptions::on_clock_off wants: says it once, whichever store shows it first, or queue
  // or state.
  std::function<void(std::chrono::seconds ahead)> ClockOff(const std::string& store);

 private:
  struct Store {
    std::string name;
    bool away = false;
    SteadyTime since{};          // When it began to be away.
    bool long_told = false;      // That it has been away for long.
    std::set<std::string> told;  // Kinds of failure.
  };
  void Failed(Store& store, const Error& failure);
  void Succeeded(Store& store);

  Output& output_;
  Logger& log_;
  Clock& clock_;
  bool use_log_ = false;
  bool clock_told_ = false;
  std::map<std::string, std::unique_ptr<Store>> stores_;
};

}  // namespace longhaul
