// Sizes, durations and names as people write them: in the configuration and in flags.

#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

// "4096", "64KB" (1,000), "256MiB" (1,024), "1.5GiB", up to TB and TiB; any case. Refused, as it
// means different things to different tools: "64K". kInvalidInput tells what to write instead.
Result<uint64_t> ParseSize(std::string_view text);

// "250ms", "5s", "90m" (also "min"), "1h", "2d", "1h30m", "1.5s" and "0". A number alone has no
// unit and is refused.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

// "256MiB" where that is exact, else bytes; "1h30m"; what the functions above read back.
std::string FormatSizeExact(uint64_t size_bytes);
std::string FormatDuration(std::chrono::milliseconds duration);

// The candidate that was probably meant by `name`; "" when none is near.
std::string_view ClosestName(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace longhaul
