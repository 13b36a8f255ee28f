#include "base/processor.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

// Two machines of one make must share what they have learnt, and no name may break a key.
TEST(Processor, IsNamedByItsMake) {
  EXPECT_EQ(ProcessorNameIn("processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.50GHz\n"),
            "intel-r-xeon-r-cpu-2-50ghz");
  EXPECT_EQ(ProcessorNameIn("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd40\n"),
            "arm-0x41-0xd40");
  EXPECT_EQ(ProcessorNameIn("model name : " + std::string(99, 'x')), std::string(48, 'x'));
  EXPECT_EQ(ProcessorNameIn("model name :  / \n"), "unknown");
  EXPECT_EQ(ProcessorNameIn(""), "unknown");
}

TEST(Processor, TimeOfAThreadGrowsWithItsWork) {
  const auto before = ThreadCpuTime();
  volatile uint64_t sum = 0;
  for (uint64_t i = 0; i < 2'000'000; ++i) sum = sum + i;
  EXPECT_GT(ThreadCpuTime(), before);
}

}  // namespace
}  // namespace longhaul
