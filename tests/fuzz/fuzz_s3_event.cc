// Any bytes as an event message: no crash, and nothing beyond the limits comes out.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "events/s3_event.h"

namespace {

void Try(std::string_view body, std::string_view only_bucket) {
  longhaul::Result<longhaul::S3Events> events = longhaul::ParseS3Events(body, only_bucket);
  if (!events) return;
  LH_CHECK(events->records.size() <= longhaul::kEventRecordsMax);
  for (const longhaul::S3EventRecord& record : events->records) {
    LH_CHECK(!record.key.empty() && record.key.size() <= 1024);
    LH_CHECK(!record.bucket.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  Try(body, "");
  Try(body, "acme-in");
  return 0;
}
