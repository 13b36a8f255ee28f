#include "transfer/tree/glob.h"

#include <algorithm>

namespace longhaul {

namespace {

// Whether `c` is in the set that starts behind '['; moves `at` behind its ']'. A set without an end
// is a plain '['.
bool MatchSet(std::string_view pattern, size_t& at, char c) {
  size_t i = at;
  bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  size_t close = pattern.find(']', i + 1);
  if (close == std::string_view::npos) return c == '[';
  bool found = false;
  auto byte = [](char value) { return static_cast<unsigned char>(value); };
  while (i < close) {
    if (i + 2 < close && pattern[i + 1] == '-') {
      found = found || (byte(c) >= byte(pattern[i]) && byte(c) <= byte(pattern[i + 2]));
      i += 3;
    } else {
      found = found || c == pattern[i];
      ++i;
    }
  }
  at = close + 1;
  return found != negated;
}

}  // namespace

// Linear backtracking: only the last star is ever tried again.
bool GlobMatches(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    size_t next = p + 1;
    bool matches = false;
    if (p < pattern.size()) {
      if (pattern[p] == '[') {
        matches = MatchSet(pattern, next, text[t]);
      } else {
        matches = pattern[p] == '?' || pattern[p] == text[t];
      }
    }
    if (matches) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace longhaul
