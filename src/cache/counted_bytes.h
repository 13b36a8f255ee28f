// CountedBytes: how many bytes a cache holds, as one number in State that all who fill or empty it
// change in atomic steps.
//
// Each row says how many bytes are counted for its key. They are added before the row is written
// that says so, and taken away after that is gone, so whoever dies in between leaves the number too
// large, never too small; a number that is too large removes copies early. Recount mends it when
// nobody else is at work.

#pragma once

#include <cstdint>

#include "base/runtime.h"
#include "cache/run_book.h"

namespace longhaul::cache {

class CountedBytes {
 public:
  CountedBytes(Runtime runtime, State& state, Place place)
      : runtime_(runtime), state_(state), place_(std::move(place)) {}

  // The new number. What State may or may not have done is asked for again.
  Async<int64_t> Take(int64_t bytes);
  // What State may or may not have done stays.
  Async<void> Give(int64_t bytes);
  Async<int64_t> Now();
  // Writes the sum of what rows say, unless another run than `own` is at work, or begins to be.
  Async<void> Recount(int64_t own);

 private:
  Runtime runtime_;
  State& state_;
  Place place_;
};

}  // namespace longhaul::cache
