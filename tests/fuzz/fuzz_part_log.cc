// Any bytes as the log of the parts of a download.

#include <cstdint>
#include <string_view>

#include "transfer/local/local_upload.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  Result<PartLog> log = DecodePartLog({reinterpret_cast<const char*>(data), size});
  if (!log) return 0;
  // What was read must be written as something that reads back the same.
  Result<PartLog> back = DecodePartLog(EncodePartLog(*log));
  if (!back || !(*back == *log)) __builtin_trap();
  return 0;
}
