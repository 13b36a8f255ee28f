// SamplePack: reads some objects and packs them as replication would, to see what they shrink to
// and what that takes. Nothing is kept.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

// Of larger objects a piece from the middle stands for all.
inline constexpr uint64_t kSampleObjectBytesMax = 8 << 20;
inline constexpr uint64_t kSamplePieceBytes = 4 << 20;
uint64_t SampleBytesOf(uint64_t object_bytes);

struct SamplePack {
  uint64_t objects = 0;
  uint64_t bytes = 0;         // That were read.
  uint64_t packed_bytes = 0;  // What they take in an archive, with framing and metadata.
  uint64_t cpu_us = 0;        // Of reading and packing.
  uint64_t failed = 0;        // Could not be read: gone, denied, or under keys that nobody gave.
  std::optional<Error> failure{};  // Of the first of these.
};

// `objects`: in the order of their keys. `level` as in Rule::compression_level. `cpu_seconds`: of
// the process so far. Errors: those of memory; of the store none.
Async<SamplePack> PackSample(Runtime& runtime, Store& store, std::string bucket,
                             std::vector<ListedObject> objects, int level,
                             std::function<double()> cpu_seconds);

}  // namespace longhaul
