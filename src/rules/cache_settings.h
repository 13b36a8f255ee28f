// CacheSettings: a cache that a configuration lists (`caches:`): which prefix is kept in which
// faster bucket, for how long, filled when, and what events of the source do to it. `cache worker`
// works by it.
//
// The section is checked with the rest of the file (rules/configuration.h); its values are read by
// whoever works on caches alone. The ranges given here hold then.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/yaml.h"
#include "rules/rule.h"

namespace longhaul {

// What an event of the source does to a copy of its key.
enum class CacheEvents {
  kIgnore,
  kInvalidate,  // It is removed, where it differs from the source.
  kRefresh,     // It is copied anew, where it differs.
};

struct CacheSettings {
  std::string id;                          // As of a rule.
  Address source;                          // With the prefix that is filled; events count below it.
  Address to;                              // Its prefix stands before all keys.
  std::chrono::milliseconds ttl{0};        // One minute to 366 days.
  std::optional<uint64_t> budget_bytes{};  // None: as it is.
  std::string schedule{};                  // Of fills: five fields of cron; empty: none.
  std::string time_zone{};                 // Of the schedule: "Europe/Berlin"; empty: UTC.
  CacheEvents events = CacheEvents::kIgnore;
};

// A number alone is bytes. One that is smaller than this was meant in another unit: such a cache
// would hold nothing, and each object would fail.
inline constexpr uint64_t kCacheBudgetBareMin = 1 << 20;
// How much a cache may hold, as people write it; 0 is any amount. kInvalidInput: no size, or a
// number without a unit below kCacheBudgetBareMin.
Result<uint64_t> ParseCacheBudget(std::string_view text);

// Where a cache is to be: as ParseAddress (rules/rule.h), and directory buckets (S3 Express One
// Zone) as well. Errors as there.
Result<Address> ParseCachePlace(std::string_view text);

// Those of a configuration file, which LoadConfiguration has found right. Errors as there.
Result<std::vector<CacheSettings>> LoadCaches(const std::string& file,
                                              const Environment& environment);

}  // namespace longhaul
