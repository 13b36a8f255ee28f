// A plan: what a sync would do, written down, so that someone can look at it and have exactly that
// done later (apply_plan.h).
//
// One JSON object to a line: first what the plan is of, then copies, then removals, last a line
// that counts them, without which the file has been cut and is refused. Keys are bytes: a name that
// is not UTF-8 stands as name_base64.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace longhaul {

struct PlanHead {
  std::string source;  // Addresses as typed.
  std::string target;
  std::string backup;                  // Empty: nothing is set aside.
  std::vector<std::string> arguments;  // How to reach the stores and what copies become.
  std::string made;                    // When, RFC 3339.
  // Where the addresses led then; empty: not known, of a plan of before.
  std::string source_place;
  std::string target_place;
  std::string backup_place;

  bool operator==(const PlanHead&) const = default;
};

struct PlanStep {
  enum class Kind { kCopy, kRemove };
  Kind kind = Kind::kCopy;
  std::string name;  // Below the prefixes.
  // Of a copy those of the source; of a removal those of what is at the target.
  uint64_t size_bytes = 0;
  std::string etag;
  // Of a copy: what is at the target now; none: nothing.
  std::optional<std::string> target_etag;
  std::string reason;

  bool operator==(const PlanStep&) const = default;
};

struct PlanEnd {
  uint64_t copies = 0;
  uint64_t removals = 0;
  uint64_t failed = 0;             // Of these it has nothing.
  bool removals_withheld = false;  // Since something has failed.

  bool operator==(const PlanEnd&) const = default;
};

// Each is one line without its end.
std::string EncodePlan(const PlanHead& head);
std::string EncodePlan(const PlanStep& step);
std::string EncodePlan(const PlanEnd& end);

inline constexpr size_t kPlanLineBytesMax = 64 << 10;

// Reads lines one by one, and knows which may follow which.
class PlanParser {
 public:
  struct Line {
    std::optional<PlanHead> head;
    std::optional<PlanStep> step;
    std::optional<PlanEnd> end;
  };
  // kInvalidInput: not a line of a plan, or not one that may come here; names the line's number.
  Result<Line> Next(std::string_view line);
  // After the last line: kInvalidInput when the plan has no end.
  [[nodiscard]] Result<void> Finish() const;

  [[nodiscard]] const PlanEnd& counted() const { return counted_; }

 private:
  Result<Line> Parse(std::string_view line);

  uint64_t line_number_ = 0;
  bool ended_ = false;
  PlanEnd counted_;
};

}  // namespace longhaul
