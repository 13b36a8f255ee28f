#include "transfer/tree/glob.h"

#include <algorithm>
#include <set>
#include <utility>

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

// Whether `c` is matched by what stands at `at`, which is no star; moves `at` behind it.
bool MatchOne(std::string_view pattern, size_t& at, char c) {
  const char one = pattern[at++];
  return one == '[' ? MatchSet(pattern, at, c) : one == '?' || one == c;
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
    size_t next = p;
    if (p < pattern.size() && MatchOne(pattern, next, text[t])) {
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

std::vector<std::string_view> GlobRests(std::string_view pattern, std::string_view head) {
  std::set<size_t> at{0};
  for (char c : head) {
    std::set<size_t> next;
    for (size_t p : at) {
      for (; p < pattern.size() && pattern[p] == '*'; ++p) next.insert(p);
      if (p < pattern.size() && MatchOne(pattern, p, c)) next.insert(p);
    }
    at = std::move(next);
  }
  std::vector<std::string_view> rests;
  for (size_t p : at) rests.push_back(pattern.substr(p));
  return rests;
}

}  // namespace longhaul
