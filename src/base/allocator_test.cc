#include "base/allocator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <vector>

#include "tests/support/sanitized.h"

namespace longhaul {
namespace {

long ResidentBytes() {
  long total = 0;
  long resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST(AllocatorTest, WhatHasBeenFreedGoesBackToTheSystem) {
  constexpr size_t kBlock = 4000;
  constexpr size_t kBlocks = 20'000;
  std::vector<std::unique_ptr<char[]>> blocks;
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks.push_back(std::make_unique<char[]>(kBlock));  // Zeroed, so resident.
  }
  // The last block stays: the heap cannot shrink by itself.
  auto last = std::move(blocks.back());
  blocks.clear();
  long before = ResidentBytes();
  ReleaseFreedMemory();
  long given_back = before - ResidentBytes();
  if (!testing::kSanitized) {  // They keep freed memory on purpose.
    EXPECT_GT(given_back, static_cast<long>(kBlock * kBlocks / 2));
  }
  EXPECT_EQ(last[0], 0);
}

}  // namespace
}  // namespace longhaul
