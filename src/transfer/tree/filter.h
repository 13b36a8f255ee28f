// ObjectFilter: which objects of a tree are meant, by name, size and age.
//
// The rules for names are tried in the order in which they were given; the first that matches
// decides. A name that none matches is in, unless there is an --include: then it is out. Sizes and
// ages are looked at after that. Two dialects of patterns:
//   globs, of --include and --exclude as in the AWS CLI and s5cmd: they match the whole name, and
//   `*` matches any bytes, also '/';
//   rclone's, of --filter and --filter-from: `*` stays within a folder, `**` does not, a pattern
//   without a leading '/' may begin in any folder, and one that ends with '/' is all of a folder.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/object.h"

namespace longhaul {

struct FilterVerdict {
  bool in = true;
  std::string rule;  // What decided, as given: "--exclude '*.tmp'", "--max-size 1MiB"; or empty.
};

class ObjectFilter {
 public:
  // `pattern`: a glob. `rule`: what to call it.
  void AddGlob(bool include, std::string pattern, std::string rule);
  // "+ PATTERN" or "- PATTERN" of rclone; "!" forgets the rules so far. kInvalidInput says what is
  // wrong with it.
  Result<void> AddRule(std::string_view text, std::string rule);
  // Lines of AddRule; empty lines and those that begin with '#' or ';' are left out. `name`: of the
  // file, for messages, which name the line.
  Result<void> AddRules(std::string_view text, std::string_view name);

  std::optional<uint64_t> size_bytes_min;
  std::optional<uint64_t> size_bytes_max;
  // An object without a time (HasNoTime) is in neither.
  std::optional<SystemTime> modified_after;   // This or later.
  std::optional<SystemTime> modified_before;  // This or earlier.

  // Whether there is anything that could leave an object out.
  [[nodiscard]] bool empty() const;
  // Whether names alone tell.
  [[nodiscard]] bool of_names() const {
    return !size_bytes_min && !size_bytes_max && !modified_after && !modified_before;
  }
  // `name`: of the object below the prefix.
  [[nodiscard]] bool Matches(std::string_view name, const ListedObject& object) const;
  // The same, with the rule that decided.
  [[nodiscard]] FilterVerdict Explain(std::string_view name, const ListedObject& object) const;
  // Whether the rules for names let it in, whatever its size and age.
  [[nodiscard]] bool MatchesName(std::string_view name) const;
  // Whether no name that begins with `folder`, which ends in '/', can be in. False where that would
  // take more than a look at the rules: only "--exclude 'a/*'", "- a/**", "- a/" and "- /a/" tell.
  [[nodiscard]] bool LeavesOutFolder(std::string_view folder) const;

  // The rules for names as texts, in their order: "include GLOB", "exclude GLOB", "+ PATTERN",
  // "- PATTERN". AddText of each makes the same rules again.
  [[nodiscard]] std::vector<std::string> Texts() const;
  // kInvalidInput: none of these.
  Result<void> AddText(std::string_view text);

  bool operator==(const ObjectFilter&) const = default;

 private:
  struct Rule {
    bool include = true;
    bool rclone = false;
    std::string pattern;
    std::string text;

    bool operator==(const Rule&) const = default;
  };
  // The rule that decides; null: none matches.
  [[nodiscard]] const Rule* Find(std::string_view name) const;

  std::vector<Rule> rules_;
  bool others_out_ = false;
};

// rclone's patterns; `pattern` is one that CheckRclonePattern let pass.
bool RclonePatternMatches(std::string_view pattern, std::string_view name);
// kInvalidInput: unbalanced brackets, or a regular expression ("{{…}}"), which is not known here.
Result<void> CheckRclonePattern(std::string_view pattern);

}  // namespace longhaul
