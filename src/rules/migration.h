// A migration: what is moved or mirrored from where to where, when, and how. Listed by the section
// `migrations:` of a configuration, or made by `migrate start` from its arguments.
//
// The section is checked with the rest of the file (rules/configuration.h); its values are read by
// whoever works on migrations alone. The ranges given here hold then.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/yaml.h"
#include "rules/rule.h"
#include "transfer/tree/decide.h"
#include "transfer/tree/filter.h"

namespace longhaul {

struct MigrationOptions {
  ObjectFilter filter{};  // Over the names below the source.
  // Ages as they are when the run is started: CountAges makes times of the filter of them.
  std::optional<std::chrono::milliseconds> age_min{};
  std::optional<std::chrono::milliseconds> age_max{};
  // Events name objects of it, too, in any order: whoever copies one looks at the source
  // afterwards.
  bool events = false;
  CompareRules compare{.etags = true};  // What makes two objects the same.
  std::string storage_class{};          // Empty: that of the source object.
  std::string kms_key{};
  int tries_max = 5;  // Of one object, 1 to 100; then it has failed.
  // A task that takes longer is given up, and counts as a try. 10 s to 7 days.
  std::chrono::milliseconds timeout = std::chrono::hours(1);
  // A task of small objects holds at most so many and so much.
  int batch_count = 500;                // 1 to 1,000
  uint64_t batch_bytes = 256ULL << 20;  // 1 MiB to 64 GiB
  uint64_t giant_bytes = 256ULL << 20;  // From this size on, workers share an object. Over 5 MiB.
  uint64_t range_bytes = 256ULL << 20;  // What one of them carries at a time, in whole parts.
  // Of the parts of giants; 0: that of the source's where it keeps the ETag, else by size.
  uint64_t part_bytes = 0;

  void CountAges(SystemTime now);
  bool operator==(const MigrationOptions&) const = default;
};

// When a migration is started besides by command.
struct MigrationTriggers {
  std::string schedule{};   // Five fields of cron; empty: none.
  std::string time_zone{};  // Of the schedule: "Europe/Berlin"; empty: UTC.
  std::string after{};      // The id of another one: when that has finished. Empty: none.

  bool operator==(const MigrationTriggers&) const = default;
};

struct Migration {
  std::string id;  // As of a rule.
  Address source;
  Address target;
  MigrationOptions options;
  MigrationTriggers triggers;
};

// nullptr: there is none.
const Migration* FindMigration(const std::vector<Migration>& migrations, std::string_view id);

// Those of a configuration file, which LoadConfiguration has found right. Errors as there.
Result<std::vector<Migration>> LoadMigrations(const std::string& file,
                                              const Environment& environment);

}  // namespace longhaul
