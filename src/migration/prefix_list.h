// The file of --prefix-list: a prefix of keys on each line.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace longhaul::migration {

inline constexpr size_t kPrefixListBytesMax = 64 << 20;

// Empty lines are left out. kInvalidInput: a line that can begin no key, too many lines or bytes,
// or none at all; `name` is that of the file.
Result<std::vector<std::string>> ParsePrefixList(std::string_view text, const std::string& name);

}  // namespace longhaul::migration
