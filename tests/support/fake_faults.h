// FakeFaults: what goes wrong with the fakes of Queue and State, decided by a seed.
//
// Rates are probabilities of each operation, all 0 as it stands. One FakeFaults may serve several
// clients of one thread; the order of their calls then decides who gets which fault.

#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/random.h"

namespace longhaul::testing {

class FakeFaults {
 public:
  explicit FakeFaults(uint64_t seed) : random_(seed) {}

  double fails_before = 0;  // kRetryable, and nothing happened.
  double fails_after = 0;   // kRetryable, although it took effect.
  double slow = 0;          // Waits for up to `delay_max` before and again after the effect.
  std::chrono::nanoseconds delay_max{0};
  double duplicates = 0;  // Queue: a sent or delivered message is there a second time.
  double reorders = 0;    // Queue: a delivery takes any visible message instead of the oldest.
  // As SQS and DynamoDB do. Queue: of several messages half are sent or removed, what is to be
  // replaced is still there, or a removal after the visibility has run out is OK and removes
  // nothing. State: some of several writes are throttled.
  double halves = 0;

  // To fail each step in turn: the operation with this number (from 1) fails; 0: none does.
  int64_t fail_before_at = 0;
  int64_t fail_after_at = 0;
  int64_t operations = 0;  // So many have been asked for.
  int64_t failures = 0;    // So many of them failed.

  struct Verdict {
    bool fails_before = false;
    bool fails_after = false;
    std::chrono::nanoseconds delay_before{0};
    std::chrono::nanoseconds delay_after{0};
  };

  // Called once for each operation.
  Verdict Next() {
    ++operations;
    Verdict verdict;
    verdict.fails_before = Roll(fails_before) || operations == fail_before_at;
    verdict.fails_after =
        !verdict.fails_before && (Roll(fails_after) || operations == fail_after_at);
    if (Roll(slow)) {
      verdict.delay_before = AnyDelay();
      verdict.delay_after = AnyDelay();
    }
    if (verdict.fails_before || verdict.fails_after) ++failures;
    return verdict;
  }

  bool Roll(double probability) { return probability > 0 && random_.Unit() < probability; }
  uint64_t Below(uint64_t bound) { return random_.Below(bound); }

 private:
  std::chrono::nanoseconds AnyDelay() {
    if (delay_max.count() <= 0) return {};
    return std::chrono::nanoseconds(random_.Below(static_cast<uint64_t>(delay_max.count()) + 1));
  }

  SeededRandom random_;
};

}  // namespace longhaul::testing
