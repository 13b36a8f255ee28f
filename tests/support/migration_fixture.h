// MigrationTest: a MigrationWorld with objects to carry, and a store that fails for one of them.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tests/support/migration_world.h"

namespace longhaul::testing {

class MigrationTest : public ::testing::Test {
 protected:
  void Fill(int count) {
    for (int i = 0; i < count; ++i) {
      world.PutSource(std::to_string(i / 10) + "/" + std::to_string(i),
                      "object " + std::to_string(i));
    }
  }
  void ExpectDone() {
    EXPECT_EQ(world.AtTarget(), world.AtSource());
    EXPECT_THAT(world.Leftovers(), ::testing::IsEmpty());
    EXPECT_TRUE(world.target->buckets["to"].uploads.empty());
  }
  MigrationWorld world;
};

// Errors for one key, for as long as somebody likes.
class KeyFault : public FaultPlan {
 public:
  Fault Next(StoreOperation operation, std::string_view, std::string_view key) override {
    ++calls[operation];
    Fault fault;
    fault.delay = delay;
    if (operation == at && key == bad_key && times-- > 0) fault.error = error;
    return fault;
  }
  StoreOperation at = StoreOperation::kGet;
  std::string bad_key;
  int times = INT32_MAX;
  Error error = Retryable("lost");
  std::chrono::nanoseconds delay{0};
  std::map<StoreOperation, int> calls;
};

}  // namespace longhaul::testing
