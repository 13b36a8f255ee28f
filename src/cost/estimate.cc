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

}  // namespace

EstimateWays EstimateOf(const EstimateVolume& volume, const std::string& from,
                        const std::vector<std::string>& to, EstimateSpan span) {
  EstimateWays ways;
  if (volume.objects == 0) return ways;
  const auto request = [](const std::string& region, const char* kind) {
    return "request/" + region + "/" + kind + "/STANDARD";
  };
  // A GET for each object, and the listing that finds it.
  ways.longhaul.Add("requests at the source", request(from, "get"), Unit::kEach, volume.objects);
  ways.longhaul.Add("requests at the source", request(from, "list"), Unit::kEach,
                    Parts(volume.objects, 1000));
  ways.longhaul.Add("processor", "vcpu_second/" + from, Unit::kMicrosecond, volume.packing_us);
  const uint64_t archives = std::max(Parts(volume.bytes, kEstimateArchiveBytes),
                                     Parts(volume.objects, kEstimateArchiveObjects));
  for (const std::string& region : to) {
    const std::string transfer = "transfer/" + from + "/" + region;
    const std::string put = request(region, "put");
    ways.longhaul.Add("transfer", transfer, Unit::kByte, volume.packed_bytes);
    // An archive is created, filled part by part and completed; its receipt is put and read; both
    // are found by listings. Of an archive its tail is read (twice: it is asked for its size) and
    // each frame.
    ways.longhaul.Add("requests at the staging", put, Unit::kEach,
                      3 * archives + Parts(volume.packed_bytes, kEstimateFrameBytes));
    ways.longhaul.Add("requests at the staging", request(region, "list"), Unit::kEach,
                      4 * archives);
    ways.longhaul.Add("requests at the staging", request(region, "get"), Unit::kEach,
                      3 * archives + Parts(volume.bytes, kEstimateFrameBytes));
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
                      Parts(volume.packed_bytes, 1024) * 3600);
    ways.longhaul.Add("requests at the target", put, Unit::kEach, volume.objects);
    // Applying is taken to need as much as packing does.
    ways.longhaul.Add("processor", "vcpu_second/" + region, Unit::kMicrosecond, volume.packing_us);

    for (Bill* bill : {&ways.native, &ways.native_rtc, &ways.copy}) {
      bill->Add("transfer", transfer, Unit::kByte, volume.bytes);
      bill->Add("requests", put, Unit::kEach, volume.objects);
    }
    ways.native_rtc.Add("time control", "rtc_gib/" + from, Unit::kByte, volume.bytes);
    ways.copy.Add("requests", request(from, "get"), Unit::kEach, volume.objects);
    ways.copy.Add("requests", request(from, "list"), Unit::kEach, Parts(volume.objects, 1000));
    ways.copy.Add("requests", request(region, "list"), Unit::kEach, Parts(volume.objects, 1000));
  }
  return ways;
}

}  // namespace longhaul
