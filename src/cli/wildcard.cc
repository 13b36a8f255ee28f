#include "cli/wildcard.h"

#include <string>

#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {
constexpr std::string_view kWildcards = "*?";
}  // namespace

bool LooksLikeWildcard(const CommandAddress& address) {
  return address.key.find_first_of(kWildcards) != std::string::npos;
}

Error WithWildcardRemedy(Error error, std::string_view command, const CommandAddress& address,
                         std::string_view rest) {
  if (error.kind != ErrorKind::kNotFound || IsStoreWide(error) || !LooksLikeWildcard(address)) {
    return error;
  }
  // --include matches whole names below a folder, and its '*' a '/' as well.
  const std::string_view key = address.key;
  const size_t slash = key.substr(0, key.find_first_of(kWildcards)).rfind('/');
  const size_t cut = slash == std::string_view::npos ? 0 : slash + 1;
  const std::string pattern(key.substr(cut));
  error.message += "; an address has no wildcards, to take what matches: `longhaul ";
  error.message += command;
  if (pattern != "*") error.message += " --include '" + pattern + "'";
  error.message += " " + address.WithKey(key.substr(0, cut));
  error.message += rest;
  error.message += '`';
  return error;
}

}  // namespace longhaul
