#include "cli/counted_store.h"

#include <utility>

#include "cost/both_meters.h"

namespace longhaul {

Result<cache::CountedStore> OpenStoreCounted(RunContext& context, const std::string& name,
                                             const std::string& bucket,
                                             std::chrono::milliseconds timeout,
                                             StoreConnections& connections,
                                             std::shared_ptr<RequestMeter> also) {
  const auto settings = context.configuration()->stores.find(name);
  if (settings == context.configuration()->stores.end()) {
    return InvalidInput("the configuration has no store '" + name + "'");
  }
  const BucketKind buckets = KindOf(bucket);
  auto counts = std::make_shared<RequestCounts>();
  std::shared_ptr<RequestMeter> meter = counts;
  if (also) meter = std::make_shared<BothMeters>(counts, std::move(also));
  Result<std::unique_ptr<Store>> made = OpenConfiguredStore(
      context, settings->second, timeout, true, {}, std::move(meter), buckets, &connections[name]);
  if (!made) return made.error();
  return cache::CountedStore{.store = std::move(*made),
                             .counted = {.counts = counts,
                                         .name = name,
                                         .region = RegionOfStore(context, settings->second),
                                         .directory = buckets == BucketKind::kDirectory}};
}

}  // namespace longhaul
