#include "tests/support/fake_copier.h"

#include <algorithm>
#include <utility>

namespace longhaul::testing {

namespace {

constexpr std::chrono::milliseconds kInterval{200};

void Arrive(MemoryStoreBackend& server, const std::string& bucket, const std::string& key,
            MemoryStoreBackend::Version version, SystemTime now) {
  auto& place = server.buckets[bucket];
  auto& versions = place.objects[key];
  version.info.last_modified = now;
  if (place.versioning != MemoryStoreBackend::Versioning::kEnabled) {
    versions.clear();
    version.info.version_id.clear();
  } else {
    std::erase_if(versions, [&](const auto& there) {
      return there.info.version_id == version.info.version_id;
    });
  }
  versions.push_back(std::move(version));
}

}  // namespace

FakeCopier::FakeCopier(Clock& clock, std::shared_ptr<MemoryStoreBackend> source, std::string bucket,
                       std::vector<Destination> destinations)
    : clock_(clock),
      source_(std::move(source)),
      bucket_(std::move(bucket)),
      destinations_(std::move(destinations)) {
  LookSoon();
}

void FakeCopier::LookSoon() {
  timer_ = clock_.StartTimer(kInterval, [this] {
    Look();
    LookSoon();
  });
}

void FakeCopier::Look() {
  for (const auto& [key, versions] : source_->buckets[bucket_].objects) {
    for (const MemoryStoreBackend::Version& version : versions) {
      if (version.is_delete_marker) continue;
      if (!seen_
               .insert(key + "\n" + version.info.version_id + "\n" + version.info.etag + "\n" +
                       FormatRfc3339(version.info.last_modified))
               .second) {
        continue;
      }
      for (size_t i = 0; i < destinations_.size(); ++i) {
        const Destination& destination = destinations_[i];
        std::vector<std::chrono::nanoseconds> when{std::chrono::nanoseconds(1)};
        if (delays) when = delays(key, i);
        for (std::chrono::nanoseconds delay : when) {
          destination.backend->Later(
              clock_, delay,
              [server = destination.backend.get(), bucket = destination.bucket, key = key, version,
               copies = copies_, &clock = clock_] {
                Arrive(*server, bucket, key, version, clock.Now());
                ++*copies;
              });
        }
      }
    }
  }
}

}  // namespace longhaul::testing
