#include "base/units.h"

#include <gtest/gtest.h>

#include <array>

namespace longhaul {
namespace {

using namespace std::chrono_literals;

// A unit that is read wrongly makes a buffer a thousand times too small or too large.
TEST(UnitsTest, ReadsSizes) {
  EXPECT_EQ(*ParseSize("0"), 0U);
  EXPECT_EQ(*ParseSize("4096"), 4096U);
  EXPECT_EQ(*ParseSize("7B"), 7U);
  EXPECT_EQ(*ParseSize("64KB"), 64'000U);
  EXPECT_EQ(*ParseSize("64kb"), 64'000U);
  EXPECT_EQ(*ParseSize("256MiB"), 256U << 20);
  EXPECT_EQ(*ParseSize("1 GiB"), 1ULL << 30);
  EXPECT_EQ(*ParseSize("1.5GiB"), 3ULL << 29);
  EXPECT_EQ(*ParseSize("2TiB"), 2ULL << 40);
  EXPECT_EQ(FormatSizeExact(256 << 20), "256MiB");
  EXPECT_EQ(FormatSizeExact(1000), "1000");
  EXPECT_EQ(FormatSizeExact(3ULL << 29), "1536MiB");
}

TEST(UnitsTest, RefusesOtherSizes) {
  for (const char* bad : {"", "MiB", "-1", "1 ", "1.MiB", "1.5", "1MiBs", "1e6", "0x10", "1,000",
                          "9999999TiB", "1_000", "12345678901234567890"}) {
    EXPECT_FALSE(ParseSize(bad)) << bad;
  }
  EXPECT_NE(ParseSize("64k").error().message.find("KiB (of 1,024) or KB (of 1,000)"),
            std::string::npos);
}

TEST(UnitsTest, ReadsDurations) {
  EXPECT_EQ(*ParseDuration("0"), 0ms);
  EXPECT_EQ(*ParseDuration("250ms"), 250ms);
  EXPECT_EQ(*ParseDuration("5s"), 5s);
  EXPECT_EQ(*ParseDuration("1.5s"), 1500ms);
  EXPECT_EQ(*ParseDuration("10m"), 10min);
  EXPECT_EQ(*ParseDuration("10min"), 10min);
  EXPECT_EQ(*ParseDuration("1h30m"), 90min);
  EXPECT_EQ(*ParseDuration("2d"), 48h);
  EXPECT_EQ(FormatDuration(90min), "1h30m");
  EXPECT_EQ(FormatDuration(1500ms), "1s500ms");
  EXPECT_EQ(FormatDuration(0ms), "0");
  EXPECT_EQ(*ParseDuration(FormatDuration(49h + 3ms)), 49h + 3ms);
}

// "5" could be seconds or milliseconds; "1:30" is 90 to some YAML readers.
TEST(UnitsTest, RefusesOtherDurations) {
  for (const char* bad :
       {"", "5", "s", "1:30", "-5s", "5 s", "5y", "30m1h", "1s1s", "0.0001s", "999999999999d"}) {
    EXPECT_FALSE(ParseDuration(bad)) << bad;
  }
  EXPECT_NE(ParseDuration("5").error().message.find("has no unit"), std::string::npos);
}

// A guess that is far off sends people the wrong way.
TEST(UnitsTest, SuggestsOnlyWhatIsNear) {
  constexpr std::array<std::string_view, 4> kNames = {"targets", "source", "filter", "id"};
  EXPECT_EQ(ClosestName("target", kNames), "targets");
  EXPECT_EQ(ClosestName("tragets", kNames), "targets");
  EXPECT_EQ(ClosestName("Source", kNames), "source");
  EXPECT_EQ(ClosestName("fliter", kNames), "filter");
  EXPECT_EQ(ClosestName("destination", kNames), "");
  EXPECT_EQ(ClosestName("x", kNames), "");
  EXPECT_EQ(ClosestName(std::string(100'000, 'a'), kNames), "");
}

}  // namespace
}  // namespace longhaul
