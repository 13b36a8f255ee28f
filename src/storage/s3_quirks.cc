#include "storage/s3_quirks.h"

#include <algorithm>

namespace longhaul {

Capabilities WithinQuirks(Capabilities probed, const S3Quirks& quirks) {
  const Capabilities& can = quirks.can;
  for (bool Capabilities::* ability :
       {&Capabilities::sorted_listing, &Capabilities::versions, &Capabilities::tags,
        &Capabilities::checksums, &Capabilities::trailing_checksums, &Capabilities::storage_classes,
        &Capabilities::lists_uploads, &Capabilities::heads_parts, &Capabilities::create_if_absent,
        &Capabilities::replace_if_match, &Capabilities::complete_if_absent,
        &Capabilities::complete_if_match, &Capabilities::delete_if_match,
        &Capabilities::copy_conditions}) {
    probed.*ability = probed.*ability && can.*ability;
  }
  probed.copy_size_bytes_max = std::min(probed.copy_size_bytes_max, can.copy_size_bytes_max);
  probed.put_size_bytes_max = std::min(probed.put_size_bytes_max, can.put_size_bytes_max);
  probed.part_size_bytes_min = std::max(probed.part_size_bytes_min, can.part_size_bytes_min);
  return probed;
}

}  // namespace longhaul
