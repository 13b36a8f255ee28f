#include "transfer/tree/filter.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "base/clock.h"
#include "base/units.h"
#include "transfer/tree/decide.h"
#include "transfer/tree/glob.h"

namespace longhaul {

namespace {

constexpr size_t kPatternBytesMax = 4096;
constexpr size_t kRulesMax = 10'000;
const std::string kIncludeText = "include ";
const std::string kExcludeText = "exclude ";

// The alternatives of "{a,b{c,d}}" at pattern[at] ('{'), and where it ends.
struct Braces {
  std::vector<std::string_view> alternatives;
  size_t end = 0;  // Behind the '}'.
};

std::optional<Braces> ReadBraces(std::string_view pattern, size_t at) {
  Braces braces;
  int depth = 0;
  size_t begin = at + 1;
  for (size_t i = at; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      ++i;
    } else if (c == '{') {
      ++depth;
    } else if (c == ',' && depth == 1) {
      braces.alternatives.push_back(pattern.substr(begin, i - begin));
      begin = i + 1;
    } else if (c == '}' && --depth == 0) {
      braces.alternatives.push_back(pattern.substr(begin, i - begin));
      braces.end = i + 1;
      return braces;
    }
  }
  return std::nullopt;
}

// Backtracking. Patterns come from users, names from anyone: what takes many steps notes from where
// what is left of the pattern has been tried, so that it takes as many as there are places in both,
// and not a power of them.
class RcloneMatcher {
 public:
  explicit RcloneMatcher(std::string_view name) : name_(name) {}

  bool Matches(std::string_view pattern, size_t at) {
    ++steps_;
    size_t p = 0;
    while (p < pattern.size()) {
      const char c = pattern[p];
      if (c == '*') return MatchesStar(pattern.substr(p), at);
      if (c == '{') {
        if (Tried* tried = TriedOf(pattern.substr(p)); tried != nullptr) {
          if (tried->places[at]) return false;
          tried->places[at] = true;  // Or it matches, and nobody asks again.
        }
        std::optional<Braces> braces = ReadBraces(pattern, p);
        if (!braces) return false;
        for (std::string_view alternative : braces->alternatives) {
          std::string joined(alternative);
          joined += pattern.substr(braces->end);
          if (Matches(joined, at)) return true;
        }
        return false;
      }
      if (at == name_.size()) return false;
      if (c == '[') {
        const size_t close = SetEnd(pattern, p);
        if (close == std::string_view::npos || name_[at] == '/') return false;
        if (!GlobMatches(pattern.substr(p, close - p + 1), name_.substr(at, 1))) return false;
        p = close + 1;
        ++at;
        continue;
      }
      if (c == '\\' && p + 1 < pattern.size()) {
        ++p;
        if (pattern[p] != name_[at]) return false;
      } else if (c == '?' ? name_[at] == '/' : c != name_[at]) {
        return false;
      }
      ++p;
      ++at;
    }
    return at == name_.size();
  }

  static size_t SetEnd(std::string_view pattern, size_t at) {
    size_t i = at + 1;
    if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) ++i;
    return pattern.find(']', i + 1);
  }

 private:
  static constexpr int kStepsUnnoted = 2'000;
  // Without success, of what is left of a pattern.
  struct Tried {
    std::vector<bool> places;
    size_t from = std::string_view::npos;  // Of "**": from here to the end.
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  Tried* TriedOf(std::string_view pattern) {
    if (steps_ <= kStepsUnnoted) return nullptr;
    auto found = tried_.find(pattern);
    if (found == tried_.end()) {
      found = tried_.emplace(pattern, Tried{}).first;
      found->second.places.resize(name_.size() + 1);
    }
    return &found->second;
  }

  // `pattern` begins with '*'.
  bool MatchesStar(std::string_view pattern, size_t at) {
    const bool across = pattern.size() > 1 && pattern[1] == '*';
    const std::string_view rest = pattern.substr(across ? 2 : 1);
    Tried* tried = TriedOf(pattern);
    size_t end = name_.size() + 1;
    if (across && tried != nullptr) {
      end = std::min(end, tried->from);
      tried->from = std::min(tried->from, at);
    }
    for (size_t i = at; i < end; ++i) {
      const bool known = !across && tried != nullptr && tried->places[i];
      if (!known && Matches(rest, i)) return true;
      if (!across && tried != nullptr) tried->places[i] = true;
      if (i == name_.size() || (!across && name_[i] == '/')) return false;
    }
    return false;
  }

  std::string_view name_;
  int steps_ = 0;
  std::unordered_map<std::string, Tried, Hash, std::equal_to<>> tried_;
};

}  // namespace

Result<void> CheckRclonePattern(std::string_view pattern) {
  if (pattern.empty()) return InvalidInput("a pattern is missing");
  if (pattern.size() > kPatternBytesMax) return InvalidInput("a pattern of more than 4,096 bytes");
  if (pattern.find("{{") != std::string_view::npos) {
    return InvalidInput("regular expressions ({{…}}) are not known here");
  }
  if (pattern.find("***") != std::string_view::npos) return InvalidInput("'***' means nothing");
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (pattern[i] == '[') {
      i = RcloneMatcher::SetEnd(pattern, i);
      if (i == std::string_view::npos) return InvalidInput("a '[' without its ']'");
    } else if (pattern[i] == '{' && !ReadBraces(pattern, i)) {
      return InvalidInput("a '{' without its '}'");
    } else if (pattern[i] == ']') {
      return InvalidInput("a ']' without its '['");
    }
  }
  return Ok();
}

bool RclonePatternMatches(std::string_view pattern, std::string_view name) {
  std::string whole(pattern);
  if (whole.ends_with('/')) whole += "**";
  const bool rooted = whole.starts_with('/');
  const std::string_view text = rooted ? std::string_view(whole).substr(1) : whole;
  RcloneMatcher matcher(name);
  if (matcher.Matches(text, 0)) return true;
  if (rooted) return false;
  for (size_t slash = name.find('/'); slash != std::string_view::npos;
       slash = name.find('/', slash + 1)) {
    if (RcloneMatcher(name.substr(slash + 1)).Matches(text, 0)) return true;
  }
  return false;
}

void ObjectFilter::AddGlob(bool include, std::string pattern, std::string rule) {
  if (include) others_out_ = true;
  rules_.push_back({.include = include, .pattern = std::move(pattern), .text = std::move(rule)});
}

Result<void> ObjectFilter::AddRule(std::string_view text, std::string rule) {
  if (text == "!") {
    rules_.clear();
    others_out_ = false;
    return Ok();
  }
  if (text.size() < 2 || (text[0] != '+' && text[0] != '-') || text[1] != ' ') {
    return InvalidInput("'" + std::string(text) + "' is no rule: write '+ PATTERN' or '- PATTERN'");
  }
  std::string_view pattern = text.substr(2);
  while (pattern.starts_with(' ')) pattern.remove_prefix(1);
  Result<void> good = CheckRclonePattern(pattern);
  if (!good) return good.error().In("'" + std::string(text) + "'");
  if (rules_.size() == kRulesMax) return InvalidInput("more than 10,000 rules");
  rules_.push_back({.include = text[0] == '+',
                    .rclone = true,
                    .pattern = std::string(pattern),
                    .text = std::move(rule)});
  return Ok();
}

Result<void> ObjectFilter::AddRules(std::string_view text, std::string_view name) {
  int line_number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
      line.remove_suffix(1);
    }
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    const std::string place = std::string(name) + ":" + std::to_string(line_number);
    Result<void> added = AddRule(line, place + " '" + std::string(line) + "'");
    if (!added) return added.error().In(place);
  }
  return Ok();
}

bool ObjectFilter::empty() const {
  return rules_.empty() && !others_out_ && !size_bytes_min && !size_bytes_max && !modified_after &&
         !modified_before;
}

const ObjectFilter::Rule* ObjectFilter::Find(std::string_view name) const {
  for (const Rule& rule : rules_) {
    if (rule.rclone ? RclonePatternMatches(rule.pattern, name) : GlobMatches(rule.pattern, name)) {
      return &rule;
    }
  }
  return nullptr;
}

bool ObjectFilter::LeavesOutFolder(std::string_view folder) const {
  for (const Rule& rule : rules_) {
    if (rule.include) return false;  // It might let one of its names in, before any other decides.
    std::string_view stem = rule.pattern;
    if (rule.rclone) {
      if (stem.ends_with("/**")) stem.remove_suffix(2);
      if (!stem.ends_with('/')) continue;
    } else {
      if (!stem.ends_with('*')) continue;
      stem.remove_suffix(1);
    }
    if (stem.find_first_of("*?[]{}\\") != stem.npos) continue;
    const bool rooted = !rule.rclone || stem.starts_with('/');
    if (rule.rclone && rooted) stem.remove_prefix(1);
    if (folder.starts_with(stem)) return true;
    if (!rooted && folder.contains("/" + std::string(stem))) return true;
  }
  return false;
}

bool ObjectFilter::Matches(std::string_view name, const ListedObject& object) const {
  if (size_bytes_min && object.size_bytes < *size_bytes_min) return false;
  if (size_bytes_max && object.size_bytes > *size_bytes_max) return false;
  if ((modified_after || modified_before) && HasNoTime(object)) return false;
  if (modified_after && object.last_modified < *modified_after) return false;
  if (modified_before && object.last_modified > *modified_before) return false;
  return MatchesName(name);
}

bool ObjectFilter::MatchesName(std::string_view name) const {
  if (rules_.empty()) return !others_out_;
  const Rule* rule = Find(name);
  return rule != nullptr ? rule->include : !others_out_;
}

std::vector<std::string> ObjectFilter::Texts() const {
  std::vector<std::string> texts;
  for (const Rule& rule : rules_) {
    texts.push_back((rule.rclone ? (rule.include ? "+ " : "- ")
                                 : (rule.include ? kIncludeText : kExcludeText)) +
                    rule.pattern);
  }
  return texts;
}

Result<void> ObjectFilter::AddText(std::string_view text) {
  for (const bool include : {true, false}) {
    const std::string& begins = include ? kIncludeText : kExcludeText;
    if (!text.starts_with(begins)) continue;
    const std::string glob(text.substr(begins.size()));
    AddGlob(include, glob, (include ? "--include '" : "--exclude '") + glob + "'");
    return Ok();
  }
  return AddRule(text, "--filter '" + std::string(text) + "'");
}

FilterVerdict ObjectFilter::Explain(std::string_view name, const ListedObject& object) const {
  const Rule* rule = Find(name);
  if (rule != nullptr && !rule->include) return {.in = false, .rule = rule->text};
  if (rule == nullptr && others_out_) return {.in = false, .rule = "no --include matches"};
  if (size_bytes_min && object.size_bytes < *size_bytes_min) {
    return {.in = false, .rule = "--min-size " + FormatSizeExact(*size_bytes_min)};
  }
  if (size_bytes_max && object.size_bytes > *size_bytes_max) {
    return {.in = false, .rule = "--max-size " + FormatSizeExact(*size_bytes_max)};
  }
  if ((modified_after || modified_before) && HasNoTime(object)) {
    return {.in = false, .rule = "its age, which nobody tells"};
  }
  if (modified_after && object.last_modified < *modified_after) {
    return {.in = false, .rule = "older than " + FormatRfc3339(*modified_after)};
  }
  if (modified_before && object.last_modified > *modified_before) {
    return {.in = false, .rule = "newer than " + FormatRfc3339(*modified_before)};
  }
  return {.in = true, .rule = rule != nullptr ? rule->text : ""};
}

}  // namespace longhaul
