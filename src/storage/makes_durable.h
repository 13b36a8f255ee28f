// MakesDurable: what a store is besides, whose writes need not be on the disk when they return.
//
// Copies are fast that way, and lose nothing: their source is still there. Whoever removes it asks
// first.

#pragma once

#include <string>
#include <utility>

#include "storage/store.h"

namespace longhaul {

// What such a store is, and what stands before one that may be.
class MakesDurable {
 public:
  virtual ~MakesDurable() = default;
  // OK: what is under the key outlives a machine that goes down, and so does its name. Errors are
  // those of the disk.
  virtual Async<void> MakeDurable(std::string bucket, std::string key) = 0;
  // The same of all that has been written to `bucket` before the call, at once.
  virtual Async<void> MakeAllDurable(std::string bucket) = 0;
};

// Other stores have nothing to do: what they have answered is durable.
inline Async<void> MakeDurable(Store& store, std::string bucket, std::string key) {
  auto* makes = dynamic_cast<MakesDurable*>(&store);
  if (makes == nullptr) co_return Ok();
  co_return co_await makes->MakeDurable(std::move(bucket), std::move(key));
}

inline Async<void> MakeAllDurable(Store& store, std::string bucket) {
  auto* makes = dynamic_cast<MakesDurable*>(&store);
  if (makes == nullptr) co_return Ok();
  co_return co_await makes->MakeAllDurable(std::move(bucket));
}

}  // namespace longhaul
