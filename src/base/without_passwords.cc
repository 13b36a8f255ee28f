#include "base/without_passwords.h"

#include <algorithm>

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
  const auto name = std::ranges::search(shown, kName, {}, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (name.empty()) return shown;
  const auto equals = static_cast<size_t>(name.end() - shown.begin());
  const size_t value = shown.find_first_not_of(" \t", equals);
  // The rest of it as well: where the value ends nobody knows.
  if (value != shown.npos && shown[value] == '=') shown.replace(value + 1, shown.npos, "…");
  return shown;
}

}  // namespace longhaul
