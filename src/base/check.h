// LH_CHECK: for what only a bug can break, also in release builds; never for what comes from
// outside.

#pragma once

namespace longhaul {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace longhaul

#define LH_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::longhaul::CheckFailed(#condition, __FILE__, __LINE__))
