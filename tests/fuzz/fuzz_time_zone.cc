// A file of the time zone database (TZif), and a schedule that goes by it.

#include <cstdint>
#include <string_view>

#include "base/time_zone.h"
#include "rules/schedule.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result<TimeZone> zone = TimeZone::Parse(bytes);
  if (!zone) return 0;
  const Schedule schedule = *Schedule::Parse("30 2 * * *");
  for (const int64_t seconds : {-6'857'222'400LL, 0LL, 1'774'746'000LL, 1'793'000'000LL,
                                4'102'444'800LL, 32'503'680'000LL}) {
    const SystemTime time{std::chrono::seconds(seconds)};
    // No clock is further ahead or behind than a day and an hour (RFC 8536: -24:59 to 26:00 hours).
    const std::chrono::seconds offset = zone->OffsetAt(time);
    if (offset > std::chrono::hours(26) || offset < -std::chrono::hours(26)) __builtin_trap();
    const auto next = schedule.Next(time, *zone);
    if (next && *next <= time) __builtin_trap();
  }
  return 0;
}
