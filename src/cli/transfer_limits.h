// Limits that a user sets to a run: bandwidth, requests, bytes and time.

#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "transfer/limits/limited_store.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

struct LimitFlags {
  BandwidthTable bandwidth;
  bool has_bandwidth = false;
  double requests_per_second = 0;
  std::optional<uint64_t> bytes_max;
  std::optional<std::chrono::milliseconds> duration_max;

  // `may_end`: also what ends a run before all is done.
  void Declare(FlagSet& flags, bool may_end = true);
  // What the run itself keeps to.
  void Apply(SyncOptions& options, SteadyTime now) const;
};

// Slows the stores of a run down to the limits. Must outlive what uses them.
class LimitedStores {
 public:
  LimitedStores(RunContext& context, const LimitFlags& flags);
  // Puts the slower store in place of `end`'s; the same for two ends of one store, so that a copy
  // within it can still be left to its server.
  void Wrap(OpenedAddress& end);

 private:
  bool any_;
  TransferLimits limits_;
  std::vector<std::pair<Store*, std::unique_ptr<LimitedStore>>> stores_;
};

}  // namespace longhaul
