// Filters by name, as in the AWS CLI and s5cmd: patterns over the part of the key below the source.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

// `*` any bytes (also '/'), `?` one byte, `[abc]`, `[a-z]`, `[!…]` one byte of a set.
bool GlobMatches(std::string_view pattern, std::string_view text);

struct NameFilter {
  std::vector<std::string> include;  // Not empty: only what one of these matches.
  std::vector<std::string> exclude;  // And none of these.

  [[nodiscard]] bool Matches(std::string_view name) const;
};

}  // namespace longhaul
