// Letters of ASCII, whatever the locale: what protocols compare without regard to case.

#pragma once

#include <string>
#include <string_view>

namespace longhaul {

constexpr char LowerAscii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string LowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = LowerAscii(c);
  return lower;
}

}  // namespace longhaul
