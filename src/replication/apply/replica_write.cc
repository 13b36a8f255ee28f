#include "replication/apply/replica_write.h"

#include <optional>
#include <utility>

namespace longhaul {

ReplicaWrite ReplicaWriteOf(const Rule& rule, const ArchiveEntry& entry, std::string target_key,
                            const std::string& site) {
  ReplicaWrite write{
      .key = std::move(target_key),
      .stamp = entry.stamp,
      .source_etag = entry.etag,
      .size_bytes = entry.segment ? entry.segment->object_size_bytes : entry.size_bytes,
      .headers = entry.headers,
      .metadata = entry.metadata,
      .tags = entry.tags,
      .storage_class = entry.storage_class,
      .lock = entry.lock};
  // The mark that the source object itself carried tells which installations it has passed.
  if (std::optional<Mark> mark = FindMark(entry.metadata, rule.source.bucket, entry.key)) {
    write.sites_passed = mark->sites_passed;
    if (mark->site != site) write.sites_passed.push_back(mark->site);
  }
  return write;
}

}  // namespace longhaul
