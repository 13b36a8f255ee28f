// Strata: what a listing holds, sorted into kinds (prefix, ending, size), each with a few runs of
// neighbouring objects that stand for it.
//
// Runs, not single objects: an archive holds neighbours side by side, and small objects shrink by
// what they have in common with those beside them. Each stratum keeps runs drawn evenly from all of
// it, whatever its length. Bounded: kinds beyond kStrataMax are told apart by ending and size, then
// not at all.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "storage/object.h"

namespace longhaul {

struct Stratum {
  static constexpr size_t kRunsKept = 16;
  static constexpr size_t kRunObjectsMax = 64;
  static constexpr uint64_t kRunBytes = 1 << 20;

  struct Run {
    std::vector<ListedObject> objects;
    uint64_t bytes = 0;
  };

  uint64_t objects = 0;
  uint64_t bytes = 0;
  uint64_t new_objects = 0;  // Written since a time.
  uint64_t new_bytes = 0;
  // Of these, objects that an archive holds alone.
  struct Large {
    uint64_t objects = 0;
    uint64_t bytes = 0;
  };
  Large large;
  Large new_large;
  std::map<std::string, uint64_t> classes;  // Objects by storage class.
  std::map<std::string, uint64_t> new_classes;
  std::vector<Run> runs;  // In no order.
  Run open;               // Not full yet.
  uint64_t runs_seen = 0;
};

class Strata {
 public:
  static constexpr size_t kStrataMax = 512;

  // `prefix`: of the listing; what follows it up to the next "/" tells kinds apart. `new_since`:
  // what was modified then or later is new.
  Strata(std::string prefix, SystemTime new_since, Random& random)
      : prefix_(std::move(prefix)), new_since_(new_since), random_(random) {}

  // In the order of keys.
  void Add(const ListedObject& object);
  // After the last one.
  std::map<std::string, Stratum> Take();

  // "logs/ .gz 64 KiB to 1 MiB"
  static std::string NameOf(std::string_view folder, std::string_view key, uint64_t size_bytes);

 private:
  void Keep(Stratum& stratum);

  std::string prefix_;
  SystemTime new_since_;
  Random& random_;
  std::map<std::string, Stratum> strata_;
};

}  // namespace longhaul
