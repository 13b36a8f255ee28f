// Listings at sizes that no test waits for, from a fake store, on a virtual clock:
//
//   listing_bench scale [KEYS]   a flat prefix in parallel (100,000,000 keys), while others come
//   and
//                                go: order right, nothing missed, nothing doubled; memory
//   listing_bench merge [KEYS]   two listings compared (1,000,000 keys): CPU for a pair; memory

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <string>

#include "base/check.h"
#include "tests/support/listed_store.h"
#include "tests/support/run.h"
#include "transfer/tree/compare_trees.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::ListedKeys;
using testing::ListedStore;

uint64_t Mixed(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x7fb5d329728ea185;
  x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44d;
  return x ^ (x >> 33);
}

// Ascending and in no pattern: 16 hex digits, a random place in each of `count` equal stretches.
ListedKeys KeysOf(uint64_t count) {
  const uint64_t stretch = ~uint64_t{0} / count;
  return {.count = count, .key = [stretch](uint64_t i) {
            return fmt::format("{:016x}", i * stretch + Mixed(i) % stretch);
          }};
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](timeval time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t PeakMib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void Scale(uint64_t count) {
  FakeWorld world;
  ListedKeys keys = KeysOf(count);
  keys.is_volatile = [](uint64_t i) { return Mixed(i) % 16 == 0; };
  ListedStore store(world.runtime, keys);
  auto began = world.clock.SteadyNow();
  auto listing = OpenListing(world.runtime, store, "b", "");
  uint64_t next = 0;  // The first key that has not been passed.
  uint64_t listed = 0;
  while (true) {
    ListedObject object;
    if (!listing->TakeReady(object)) {
      Result<std::optional<ListedObject>> more = world.Run(listing->Next());
      LH_CHECK(more.has_value());
      if (!*more) break;
      object = std::move(**more);
    }
    ++listed;
    while (next < count && keys.key(next) != object.key) {
      LH_CHECK(keys.is_volatile(next));  // Missed, doubled or out of order.
      ++next;
    }
    LH_CHECK(next < count);
    ++next;
  }
  for (; next < count; ++next) LH_CHECK(keys.is_volatile(next));
  world.Run(listing->Close());
  const double seconds = std::chrono::duration<double>(world.clock.SteadyNow() - began).count();
  const double single = 0.05 * static_cast<double>(listed) / 1000;
  fmt::print("{} of {} keys listed, in order, none missed or doubled\n", listed, count);
  fmt::print("{} requests; {:.1f} times as fast as one lister; peak RSS {} MiB; CPU {:.0f} s\n",
             store.requests, single / seconds, PeakMib(), CpuSeconds());
}

void Merge(uint64_t count) {
  FakeWorld world;
  ListedStore left(world.runtime, KeysOf(count));
  ListedStore right(world.runtime, KeysOf(count));
  for (bool roots : {false, true}) {
    CompareObserver silent;
    CompareTotals totals;
    const double before = CpuSeconds();
    Result<void> done =
        world.Run(CompareTrees(world.runtime, {.store = left, .bucket = "b", .prefix = ""},
                               {.store = right, .bucket = "b", .prefix = ""},
                               {.metadata = false, .roots = roots}, silent, totals));
    LH_CHECK(done.has_value() && totals.equal == count && totals.different == 0);
    fmt::print(
        "{} against {}{}: {:.2f} us CPU for a pair (keys and pages of the fake are in it), "
        "peak RSS {} MiB\n",
        count, count, roots ? ", with hashes" : "",
        (CpuSeconds() - before) * 1e6 / static_cast<double>(count), PeakMib());
  }
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (what == "scale") {
    longhaul::Scale(count > 0 ? count : 100'000'000);
  } else if (what == "merge") {
    longhaul::Merge(count > 0 ? count : 1'000'000);
  } else {
    fmt::print(stderr, "listing_bench scale|merge [KEYS]\n");
    return 2;
  }
  return 0;
}
