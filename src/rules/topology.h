// Topology: what cannot be seen in one rule alone. Where do objects end up when all rules run?
//
// Found: cycles of any length (also of one rule), two writers of one target key space (unless they
// are rivals of different priority, rules/priority.h), and staging that lies in the way of sources,
// targets or other staging. Key spaces overlap when one prefix
// begins with the other and their suffix filters can both match; size and tag filters are not
// trusted to keep things apart. Two stores with one endpoint are one place, and so are folders of
// `file` stores whose roots lie inside each other. Disabled rules are left out.
//
// This is cautious: some chains that would come to rest are refused. What is not seen here (another
// installation that replicates back) is stopped by the mark at run time.

#pragma once

#include <string>
#include <vector>

#include "rules/rule.h"

namespace longhaul {

// From the source of a rule to one of its targets; indexes into the configuration.
struct TopologyStep {
  int rule = 0;
  int target = 0;
  auto operator<=>(const TopologyStep&) const = default;
};

struct TopologyProblem {
  enum class Part { kSource, kTarget, kStaging, kLocalStaging };
  // Where the last of the addresses in question stands in the configuration.
  int rule = 0;
  int target = 0;
  Part part = Part::kTarget;
  std::string what;  // Names the path: "app-logs (east:a/ -> west:b/), back (west:b/ -> east:a/)".
  std::string remedy;
  std::vector<TopologyStep> path;  // The steps in question, in order.
};

std::vector<TopologyProblem> CheckTopology(const Configuration& configuration);

// Whether what `step` writes is read by `rule`.
bool Feeds(const Configuration& configuration, TopologyStep step, int rule);

}  // namespace longhaul
