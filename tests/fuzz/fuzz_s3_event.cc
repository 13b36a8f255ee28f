// Any bytes as an event message: no crash, and nothing beyond the limits comes out.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "events/s3_event.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  longhaul::Result<longhaul::S3Events> events =
      longhaul::ParseS3Events({reinterpret_cast<const char*>(data), size});
  if (!events) return 0;
  LH_CHECK(events->records.size() <= longhaul::kEventRecordsMax);
  for (const longhaul::S3EventRecord& record : events->records) {
    LH_CHECK(!record.key.empty() && record.key.size() <= 1024);
    LH_CHECK(!record.bucket.empty());
  }
  return 0;
}
