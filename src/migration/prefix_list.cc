#include "migration/prefix_list.h"

#include <algorithm>

namespace longhaul::migration {

namespace {

constexpr size_t kPrefixesMax = 100'000;
constexpr size_t kPrefixBytesMax = 1'024;  // S3 User Guide, "Naming objects".

}  // namespace

Result<std::vector<std::string>> ParsePrefixList(std::string_view text, const std::string& name) {
  if (text.size() > kPrefixListBytesMax) {
    return InvalidInput(name + ": more than 64 MiB; split the file, or give shorter prefixes");
  }
  std::vector<std::string> prefixes;
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (line.size() > kPrefixBytesMax || line.contains('\0')) {
      return InvalidInput(name + ":" + std::to_string(number) + ": is no prefix of keys");
    }
    if (prefixes.size() == kPrefixesMax) {
      return InvalidInput(name + ":" + std::to_string(number) +
                          ": more than 100,000 prefixes; split the file, or give shorter ones");
    }
    prefixes.emplace_back(line);
  }
  if (prefixes.empty()) return InvalidInput(name + " names no prefix");
  return prefixes;
}

}  // namespace longhaul::migration
