#include "cost/strata.h"

#include <gtest/gtest.h>

#include "cost/estimate.h"

namespace longhaul {
namespace {

ListedObject Object(std::string key, uint64_t size_bytes, SystemTime modified = {}) {
  ListedObject object;
  object.key = std::move(key);
  object.size_bytes = size_bytes;
  object.last_modified = modified;
  return object;
}

TEST(StrataTest, TellKindsApartByFolderEndingAndSize) {
  EXPECT_EQ(Strata::NameOf("logs/", "logs/a.gz", 100), "logs/ .gz below 4 KiB");
  EXPECT_EQ(Strata::NameOf("", "a.b/c", 1 << 20), "  1 to 8 MiB");
  EXPECT_EQ(Strata::NameOf("", "a.%41", 9 << 20), "  over 8 MiB");
  SeededRandom random(1);
  const SystemTime since = SystemTime{} + std::chrono::hours(1);
  Strata strata("in/", since, random);
  for (int i = 0; i < 1000; ++i) {
    strata.Add(Object("in/logs/" + std::to_string(i) + ".log", 1000, since));
  }
  strata.Add(Object("in/x.png", 5000));
  std::map<std::string, Stratum> all = strata.Take();
  ASSERT_EQ(all.size(), 2u);
  const Stratum& logs = all.at("logs/ .log below 4 KiB");
  EXPECT_EQ(logs.objects, 1000u);
  EXPECT_EQ(logs.new_bytes, 1'000'000u);
  EXPECT_EQ(logs.runs.size(), 16u);  // 1,000 in runs of 64.
  EXPECT_EQ(all.at(" .png 4 to 64 KiB").new_objects, 0u);
}

// A run that only the beginning of a bucket fills would say nothing of the rest.
TEST(StrataTest, RunsComeFromEverywhere) {
  SeededRandom random(7);
  Strata strata("", SystemTime{}, random);
  constexpr int kObjects = 64 * 4000;
  for (int i = 0; i < kObjects; ++i) strata.Add(Object(std::to_string(1'000'000 + i), 10));
  const Stratum stratum = strata.Take().begin()->second;
  ASSERT_EQ(stratum.runs.size(), Stratum::kRunsKept);
  int late = 0;
  for (const Stratum::Run& run : stratum.runs) {
    EXPECT_EQ(run.objects.size(), Stratum::kRunObjectsMax);
    late += std::stoi(run.objects.front().key) - 1'000'000 >= kObjects / 2 ? 1 : 0;
  }
  EXPECT_GT(late, 2);
  EXPECT_LT(late, 14);
}

TEST(StrataTest, KindsAreBounded) {
  SeededRandom random(1);
  Strata strata("", SystemTime{}, random);
  for (int i = 0; i < 20'000; ++i) {
    strata.Add(Object("f" + std::to_string(i) + "/x.e" + std::to_string(i % 7000), 10));
  }
  std::map<std::string, Stratum> all = strata.Take();
  EXPECT_LE(all.size(), 2 * Strata::kStrataMax + 5);
  uint64_t objects = 0;
  for (const auto& [name, stratum] : all) objects += stratum.objects;
  EXPECT_EQ(objects, 20'000u);
}

TEST(EstimateTest, SmallObjectsAreCheaperByNativeReplicationAndLargeOnesAreNot) {
  const Prices prices;
  const auto cheaper_native = [&](uint64_t mean_bytes) {
    const EstimateVolume volume{.objects = 1'000'000,
                                .bytes = 1'000'000 * mean_bytes,
                                .packed_bytes = 1'000'000 * mean_bytes / 3,
                                .packing_us = mean_bytes * 20'000};
    const EstimateWays ways = EstimateOf(volume, "us-east-1", {"eu-west-1"});
    EXPECT_TRUE(ways.longhaul.Reckon(prices).unknown.empty());
    EXPECT_LT(ways.native.Reckon(prices).total, ways.native_rtc.Reckon(prices).total);
    return ways.native.Reckon(prices).total <= ways.longhaul.Reckon(prices).total;
  };
  EXPECT_TRUE(cheaper_native(2 << 10));
  EXPECT_FALSE(cheaper_native(1 << 20));
}

// Without it: the advice for a bucket of a few files a day would be longhaul, and its looks into an
// empty staging would cost more than all of S3's own replication.
TEST(EstimateTest, AMonthHoldsWhatIsPaidWhileNothingComes) {
  const Prices prices;
  const EstimateVolume volume{
      .objects = 100, .bytes = 100 << 20, .packed_bytes = 30 << 20, .packing_us = 1'000'000};
  const EstimateWays once = EstimateOf(volume, "us-east-1", {"eu-west-1"});
  const EstimateWays month = EstimateOf(volume, "us-east-1", {"eu-west-1"}, EstimateSpan::kMonth);
  EXPECT_FALSE(once.longhaul.Reckon(prices).items.contains("looks at the staging"));
  // A look every ten seconds by each of the two roles, for 30 days.
  EXPECT_EQ(month.longhaul.Reckon(prices).items.at("looks at the staging"),
            2 * 259'200 * *prices.Find("request/eu-west-1/list/STANDARD"));
  EXPECT_LT(once.longhaul.Reckon(prices).total, once.native.Reckon(prices).total);
  EXPECT_GT(month.longhaul.Reckon(prices).total, month.native.Reckon(prices).total);
  EXPECT_EQ(once.native.Reckon(prices).total, month.native.Reckon(prices).total);
}

// An object over 8 MiB has an archive of its own: reckoned as if 256 MiB of them shared one, what
// its requests cost would be said to be saved.
TEST(EstimateTest, LargeObjectsHaveArchivesOfTheirOwn) {
  const Prices prices;
  EstimateVolume volume{.objects = 1000,
                        .bytes = uint64_t{1000} * (20 << 20),
                        .packed_bytes = uint64_t{1000} * (18 << 20),
                        .large_objects = 1000,
                        .large_bytes = uint64_t{1000} * (20 << 20),
                        .large_packed_bytes = uint64_t{1000} * (18 << 20),
                        .packing_us = 0};
  const Prices puts({{"request/w/put/STANDARD", 1}});
  const auto staging = [&](const EstimateVolume& some) {
    return EstimateOf(some, "e", {"w"}, EstimateSpan::kMonth)
        .longhaul.Reckon(puts)
        .items.at("requests at the staging");
  };
  // Each is created, filled by three parts and completed, and has a receipt.
  EXPECT_EQ(staging(volume), 6'000);
  // One that fits into a part is put.
  volume.packed_bytes = volume.large_packed_bytes = uint64_t{1000} * (2 << 20);
  EXPECT_EQ(staging(volume), 2'000);
  // Beside them others share archives: 3 requests, and 7 parts of 50 MiB.
  volume.objects += 9'000;
  volume.bytes += 100 << 20;
  volume.packed_bytes += 50 << 20;
  EXPECT_EQ(staging(volume), 2'010);
}

// S3 takes more for a PUT or a GET of a cold class, whoever sends it.
TEST(EstimateTest, RequestsAreOfTheClassOfTheObjects) {
  const Prices prices({{"request/e/get/STANDARD", 1},
                       {"request/e/get/COLD", 100},
                       {"request/w/put/STANDARD", 10'000},
                       {"request/w/put/COLD", 1'000'000}});
  const EstimateVolume volume{.objects = 3,
                              .bytes = 3,
                              .packed_bytes = 3,
                              .packing_us = 0,
                              .classes = {{"", 1}, {"COLD", 1}}};
  const EstimateWays ways = EstimateOf(volume, "e", {"w"});
  EXPECT_EQ(ways.native.Reckon(prices).items.at("requests"), 1'020'000);
  EXPECT_EQ(ways.copy.Reckon(prices).items.at("requests"), 1'020'102);
  EXPECT_EQ(ways.longhaul.Reckon(prices).items.at("requests at the source"), 102);
  EXPECT_EQ(ways.longhaul.Reckon(prices).items.at("requests at the target"), 1'020'000);
}

TEST(EstimateTest, EachRegionIsPaidFor) {
  const Prices prices;
  const EstimateVolume volume{.objects = 10,
                              .bytes = uint64_t{10} << 30,
                              .packed_bytes = uint64_t{5} << 30,
                              .packing_us = 0};
  const auto transfer = [&](const std::vector<std::string>& to) {
    return EstimateOf(volume, "us-east-1", to).longhaul.Reckon(prices).items.at("transfer");
  };
  EXPECT_EQ(transfer({"eu-west-1"}), 5 * 20'000'000'000);
  EXPECT_EQ(transfer({"eu-west-1", "us-east-2"}), 5 * 30'000'000'000);
  const EstimateWays moon = EstimateOf(volume, "us-east-1", {"moon-1"});
  EXPECT_TRUE(moon.native.Reckon(prices).unknown.contains("transfer/us-east-1/moon-1"));
}

}  // namespace
}  // namespace longhaul
