// Flags that sync, cp, mv, rm, check, ls and du have in common, under the names that rclone, s5cmd
// and the AWS CLI have for them.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "cli/output.h"
#include "transfer/object/copy_object.h"
#include "transfer/tree/decide.h"
#include "transfer/tree/filter.h"

namespace longhaul {

// A moment as people type it: "2d" (ago), "2026-03-01", "2026-03-01T09:30:00Z".
struct TimeBound {
  std::optional<std::chrono::milliseconds> ago;
  SystemTime at{};
  [[nodiscard]] SystemTime From(SystemTime now) const { return ago ? now - *ago : at; }
};
Result<TimeBound> ParseTimeBound(std::string_view text);

// As ParseSize, and rclone's "64k", "50M" (of 1,024).
Result<uint64_t> ParseTransferSize(std::string_view text);

// Which objects: names, sizes, ages.
class FilterFlags {
 public:
  void Declare(FlagSet& flags);
  // Ages are counted from `now`.
  [[nodiscard]] ObjectFilter Make(SystemTime now) const;

 private:
  void DeclarePatterns(FlagSet& flags, bool include, std::string_view name, std::string_view help);

  ObjectFilter filter_;
  bool others_out_ = false;  // There was an --include-from.
  std::optional<TimeBound> age_min_;
  std::optional<TimeBound> age_max_;
  std::optional<TimeBound> newer_than_;
};

// What makes two objects the same.
struct CompareFlags {
  CompareRules rules;
  bool download = false;
  void Declare(FlagSet& flags);
};

// The source as it was.
struct AtFlag {
  std::optional<TimeBound> at;
  void Declare(FlagSet& flags);
};

// All versions, in place of what is current.
struct VersionsFlag {
  bool versions = false;
  void Declare(FlagSet& flags);
};

// What copies become at the target, and how many at once.
struct CopyFlags {
  std::string storage_class;
  std::string sse;
  std::string kms_key;
  std::string acl;
  uint64_t part_size_bytes = 0;
  std::optional<uint64_t> multipart_threshold_bytes;
  int64_t parts_in_flight = 4;
  int64_t in_flight = 64;

  void Declare(FlagSet& flags);
  [[nodiscard]] CopyOptions Options() const;
  // What makes a FlagSet give the same again.
  [[nodiscard]] std::vector<std::string> Arguments() const;
};

// How much a run says: -v names what was done, -vv also what was not, and why.
struct VerboseFlag {
  int level = 0;
  void Declare(FlagSet& flags);
  // Of a command that changes nothing: what it says there.
  void Declare(FlagSet& flags, std::string_view help);
};

// "excluded KEY by --exclude '*.tmp'", of what a filter leaves out, for -vv of commands that change
// nothing; on standard error, where what was asked for is no list of these.
void TellExcluded(Output& output, std::string_view name, const ObjectFilter& filter,
                  const ListedObject& object);
// How many there were, for -v; nothing where there were none.
void TellExcludedCount(Output& output, uint64_t count);

}  // namespace longhaul
