// Patterns of names as in the AWS CLI and s5cmd, over the part of the key below the source.

#pragma once

#include <string_view>
#include <vector>

namespace longhaul {

// `*` any bytes (also '/'), `?` one byte, `[abc]`, `[a-z]`, `[!…]` one byte of a set.
bool GlobMatches(std::string_view pattern, std::string_view text);

// What is left of `pattern` behind each way of matching `head`: it matches head + TEXT exactly when
// one of these, which borrow from it, matches TEXT.
std::vector<std::string_view> GlobRests(std::string_view pattern, std::string_view head);

}  // namespace longhaul
