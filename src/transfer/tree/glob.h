// Patterns of names as in the AWS CLI and s5cmd, over the part of the key below the source.

#pragma once

#include <string_view>

namespace longhaul {

// `*` any bytes (also '/'), `?` one byte, `[abc]`, `[a-z]`, `[!…]` one byte of a set.
bool GlobMatches(std::string_view pattern, std::string_view text);

}  // namespace longhaul
