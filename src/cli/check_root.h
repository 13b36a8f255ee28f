// `check --root`: the hash of one side, its tree in a file, and what differs from such a file.

#pragma once

#include <memory>
#include <string>

#include "cli/check_report.h"
#include "cli/stores.h"
#include "transfer/tree/tree_root.h"

namespace longhaul {

struct RootCheckOptions {
  TreeRootOptions tree;
  std::string save;
  std::string against;
  bool one_way = false;  // What `against` does not have is no difference.
  int64_t depth = 0;
  CommandAddress typed{};          // SOURCE.
  int verbose = 0;                 // 2: what the filter leaves out is named.
  const ListGaps* gaps = nullptr;  // Borrowed; read at the end.
};

// kDifferences: `against` has another tree. kNotFound as TellNothingChecked: no hash of nothing.
// The stores are the opener's.
Async<ExitCode> CheckRoot(RunContext& context, StoreOpener& opener, OpenedAddress source,
                          std::unique_ptr<Listing> listing, RootCheckOptions options,
                          DifferenceReport& report);

}  // namespace longhaul
