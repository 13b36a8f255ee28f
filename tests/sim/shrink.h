// Shrinking: from a seed that fails to the least of its story that still does.

#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace longhaul::sim {

// What of a story is left out.
struct Cut {
  std::vector<std::string> without;  // Troubles (Plan::Troubles).
  std::set<int> left_out;            // Events, by their numbers.

  // Arguments that replay it: " --without slow,pauses --leave-out 0-17,19"
  [[nodiscard]] std::string ToString() const;
};

// "0-17,19"; false: that is none.
bool ParseNumbers(const std::string& text, std::set<int>& numbers);

Plan PlanOf(uint64_t seed, const Cut& cut);

// Runs the seed again and again, each time in a child process, with ever less in it. Prints what it
// tries to get rid of, and at the end how to replay what is left. Exit code: 1 when the seed fails,
// 0 when it does not.
int Shrink(uint64_t seed);

}  // namespace longhaul::sim
