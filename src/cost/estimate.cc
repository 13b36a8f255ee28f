#include "cost/estimate.h"

#include <algorithm>

namespace longhaul {

namespace {

using Unit = Bill::Unit;

// To find out what a staging can do takes so many requests, once; counted on longhaul's own
// endpoint.
constexpr uint64_t kFirstPuts = 58;
constexpr uint64_t kFirstLists = 14;
constexpr uint64_t kFirstGets = 30;

// While nothing comes, source and target each look into a staging every ten seconds; while
// something does, up to every second, and that is not in it.
constexpr uint64_t kMonthLooks = uint64_t{2} * 30 * 24 * 3600 / 10;

uint64_t Parts(uint64_t amount, uint64_t part) { return (amount + part - 1) / part; }

// What each of `count` things of `amount` together takes of parts, where all are alike.
uint64_t PartsOfEach(uint64_t amount, uint64_t count, uint64_t part) {
  return count == 0 ? 0 : std::max<uint64_t>(1, Parts(amount / count, part));
}

std::map<std::string, uint64_t> ByClass(const EstimateVolume& volume) {
  std::map<std::string, uint64_t> classes;
  uint64_t left = volume.objects;
  for (const auto& [name, objects] : volume.classes) {
    const uint64_t some = std::min(left, objects);
    classes[name.empty() ? "STANDARD" : name] += some;
    left -= some;
  }
  if (left > 0) classes["STANDARD"] += left;
  return classes;
}

}  // namespace

EstimateWays EstimateOf(const EstimateVolume& volume, const std::string& from,
                        const std::vector<std::string>& to, EstimateSpan span) {
  EstimateWays ways;
  if (volume.objects == 0) return ways;
  const auto request = [](const std::string& region, const char* kind) {
    return "request/" + region + "/" + kind + "/STANDARD";
  };
  const auto of_class = [](const std::string& region, const char* kind, const std::string& name) {
    return "request/" + region + "/" + kind + "/" + name;
  };
  const std::map<std::string, uint64_t> classes = ByClass(volume);
  // A GET for each object, and the listing that finds it.
  for (const auto& [name, objects] : classes) {
    ways.longhaul.Add("requests at the source", of_class(from, "get", name), Unit::kEach, objects);
  }
  ways.longhaul.Add("requests at the source", request(from, "list"), Unit::kEach,
                    Parts(volume.objects, 1000));
  ways.longhaul.Add("processor", "vcpu_second/" + from, Unit::kMicrosecond, volume.packing_us);
  const uint64_t large = volume.large_objects;
  const uint64_t bundles = std::max(Parts(volume.bytes - volume.large_bytes, kEstimateArchiveBytes),
                                    Parts(volume.objects - large, kEstimateArchiveObjects));
  const uint64_t archives = bundles + large;
  // One that fits into a part is put at once; else it is created, filled and completed.
  const uint64_t large_parts = PartsOfEach(volume.large_packed_bytes, large, kEstimateFrameBytes);
  const uint64_t large_puts = large * (large_parts == 1 ? 1 : large_parts + 2);
  for (const std::string& region : to) {
    const std::string transfer = "transfer/" + from + "/" + region;
    const std::string put = request(region, "put");
    ways.longhaul.Add("transfer", transfer, Unit::kByte, volume.packed_bytes);
    // An archive is created, filled part by part and completed; its receipt is looked for, put and
    // read; both are found by listings. Of an archive its tail is read (twice: it is asked for its
    // size) and each frame.
    ways.longhaul.Add(
        "requests at the staging", put, Unit::kEach,
        2 * bundles + archives + large_puts +
            Parts(volume.packed_bytes - volume.large_packed_bytes, kEstimateFrameBytes));
    // One listing finds all that came since the last one: it is time that makes them, not archives.
    ways.longhaul.Add("requests at the staging", request(region, "list"), Unit::kEach,
                      4 * (bundles + Parts(volume.large_bytes, kEstimateArchiveBytes)));
    ways.longhaul.Add("requests at the staging", request(region, "get"), Unit::kEach,
                      4 * archives + Parts(volume.bytes - volume.large_bytes, kEstimateFrameBytes) +
                          large * PartsOfEach(volume.large_bytes, large, kEstimateFrameBytes));
    if (span == EstimateSpan::kOnce) {
      ways.longhaul.Add("requests at the staging", put, Unit::kEach, kFirstPuts);
      ways.longhaul.Add("requests at the staging", request(region, "list"), Unit::kEach,
                        kFirstLists);
      ways.longhaul.Add("requests at the staging", request(region, "get"), Unit::kEach, kFirstGets);
    } else {
      ways.longhaul.Add("looks at the staging", request(region, "list"), Unit::kEach, kMonthLooks);
    }
    // An hour there is much.
    ways.longhaul.Add("storage of archives", "storage/" + region + "/STANDARD", Unit::kKibSecond,
                      Bill::Quantity{Parts(volume.packed_bytes, 1024)} * 3600);
    for (const auto& [name, objects] : classes) {
      const std::string replica_put = of_class(region, "put", name);
      ways.longhaul.Add("requests at the target", replica_put, Unit::kEach, objects);
      for (Bill* bill : {&ways.native, &ways.native_rtc, &ways.copy}) {
        bill->Add("requests", replica_put, Unit::kEach, objects);
      }
      ways.copy.Add("requests", of_class(from, "get", name), Unit::kEach, objects);
    }
    // Applying is taken to need as much as packing does.
    ways.longhaul.Add("processor", "vcpu_second/" + region, Unit::kMicrosecond, volume.packing_us);

    for (Bill* bill : {&ways.native, &ways.native_rtc, &ways.copy}) {
      bill->Add("transfer", transfer, Unit::kByte, volume.bytes);
    }
    ways.native_rtc.Add("time control", "rtc_gib/" + from, Unit::kByte, volume.bytes);
    ways.copy.Add("requests", request(from, "list"), Unit::kEach, Parts(volume.objects, 1000));
    ways.copy.Add("requests", request(region, "list"), Unit::kEach, Parts(volume.objects, 1000));
  }
  return ways;
}

}  // namespace longhaul
