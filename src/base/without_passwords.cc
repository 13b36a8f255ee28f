#include "base/without_passwords.h"

#include <algorithm>

#include "base/ascii.h"

namespace longhaul {

std::string WithoutPasswords(std::string_view text) {
  std::string shown(text);
  // A password that nobody escaped may hold any of these characters, so the last '@' counts.
  const size_t at = shown.rfind('@');
  const size_t colon = shown.find(':');
  if (at != shown.npos && colon < at) {
    const size_t begin = shown.substr(colon, 3) == "://" ? colon + 3 : colon + 1;
    if (begin < at) shown.replace(begin, at - begin, "…");
  }
  constexpr std::string_view kName = "password";
  std::string lower(shown);
  std::ranges::transform(lower, lower.begin(), [](char c) { return LowerAscii(c); });
  // The word may stand elsewhere too, as in the name of a host.
  for (size_t name = 0; (name = lower.find(kName, name)) != lower.npos;) {
    name += kName.size();
    const size_t value = lower.find_first_not_of(" \t", name);
    if (value == lower.npos || lower[value] != '=') continue;
    // The rest of it as well: where the value ends nobody knows.
    shown.replace(value + 1, shown.npos, "…");
    break;
  }
  return shown;
}

}  // namespace longhaul
