// The lines of --prefix-list, and what is compared of them.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "migration/plan.h"
#include "migration/prefix_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto prefixes = migration::ParsePrefixList(text, "list");
  if (!prefixes) return 0;
  const std::vector<std::string> outermost = migration::OutermostPrefixes(*prefixes);
  // Each is compared once: below one of these, and none of them below another.
  for (const std::string& prefix : *prefixes) {
    const auto below = [&](const std::string& outer) { return prefix.starts_with(outer); };
    if (std::ranges::count_if(outermost, below) != 1) __builtin_trap();
  }
  return 0;
}
