// Any bytes as JSON: what is accepted is written and read back as the same value.

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto value = longhaul::ParseJson({reinterpret_cast<const char*>(data), size});
  if (!value) return 0;
  // What is written can be longer: 1e5 becomes 1E5, and names are escaped anew.
  auto again = longhaul::ParseJson(longhaul::WriteJson(*value), {.size_bytes_max = 8 << 20});
  if (!again || *again != *value) __builtin_trap();
  return 0;
}
