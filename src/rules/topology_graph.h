// The topology drawn: where objects come from, where they go, by which staging.

#pragma once

#include <string>

#include "rules/topology.h"

namespace longhaul {

// For a person: a line for each step, below its source. What problems are about is marked "!", with
// the number of the problem; the problems follow.
std::string DrawTopologyText(const Configuration& configuration,
                             const std::vector<TopologyProblem>& problems);

// For Graphviz (https://graphviz.org/doc/info/lang.html): stands by itself, as in
// `longhaul rules check --graph dot | dot -Tsvg`. The steps that problems are about are red.
std::string DrawTopologyDot(const Configuration& configuration,
                            const std::vector<TopologyProblem>& problems);

}  // namespace longhaul
