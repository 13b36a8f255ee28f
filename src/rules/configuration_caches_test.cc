#include <gtest/gtest.h>

#include <fstream>

#include "rules/cache_settings.h"
#include "rules/configuration.h"
#include "tests/support/temp_dir.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class ConfigurationCaches : public ::testing::Test {
 protected:
  Result<std::vector<CacheSettings>> Load(const std::string& caches) {
    const std::string file = dir_.path() + "/longhaul.yaml";
    std::ofstream(file) << "version: 1\nsite: s\nstores:\n"
                           "  a: { type: s3, endpoint: \"http://127.0.0.1:1\", region: r }\n"
                           "  b: { type: s3, endpoint: \"http://127.0.0.1:2\", region: r }\n"
                           "caches:\n"
                        << caches;
    return LoadCaches(file, [](std::string_view) { return std::nullopt; });
  }
  void ExpectMistake(const std::string& caches, const std::string& says) {
    Result<std::vector<CacheSettings>> loaded = Load(caches);
    ASSERT_FALSE(loaded) << caches;
    EXPECT_NE(loaded.error().message.find(says), std::string::npos) << loaded.error().message;
  }
  testing::TempDir dir_;
};

// A field that is read wrongly would fill another bucket, or at another time.
TEST_F(ConfigurationCaches, ReadsAllFields) {
  Result<std::vector<CacheSettings>> loaded = Load(
      "  - { id: logs, source: \"a:logs/2026/\", to: \"b:fast/x/\", ttl: 24h, "
      "budget: 10GiB, schedule: \"0 5 * * 1\", time_zone: Europe/Berlin, "
      "events: refresh }\n");
  ASSERT_TRUE(loaded) << loaded.error().message;
  const CacheSettings& cache = loaded->front();
  EXPECT_EQ(cache.id, "logs");
  EXPECT_EQ(cache.source.prefix, "2026/");
  EXPECT_EQ(cache.to.bucket, "fast");
  EXPECT_EQ(cache.to.prefix, "x/");
  EXPECT_EQ(cache.ttl, 24h);
  EXPECT_EQ(cache.budget_bytes, 10ULL << 30);
  EXPECT_EQ(cache.schedule, "0 5 * * 1");
  EXPECT_EQ(cache.time_zone, "Europe/Berlin");
  EXPECT_EQ(cache.events, CacheEvents::kRefresh);
}

// 0 takes an earlier budget away; none leaves it as it is.
TEST_F(ConfigurationCaches, ABudgetOfZeroIsNotNoBudget) {
  const std::string ends = "source: \"a:x\", to: \"b:y\", ttl: 1h";
  Result<std::vector<CacheSettings>> loaded = Load("  - { id: c, " + ends + ", budget: 0 }\n");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->front().budget_bytes, std::optional<uint64_t>(0));
  loaded = Load("  - { id: c, " + ends + " }\n");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->front().budget_bytes, std::nullopt);
}

// A directory bucket is what a cache is for; as a source it cannot be compared in order.
TEST_F(ConfigurationCaches, TakesDirectoryBuckets) {
  Result<std::vector<CacheSettings>> loaded = Load(
      "  - { id: l, source: \"a:logs/\", to: \"b:fast--use1-az4--x-s3/x/\", ttl: 24h }\n"
      "  - { id: m, source: \"a:logs/\", to: \"b:other--use1-az4--x-s3\", ttl: 24h }\n");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->at(0).to, (Address{"b", "fast--use1-az4--x-s3", "x/"}));
  EXPECT_EQ(loaded->at(1).to, (Address{"b", "other--use1-az4--x-s3", ""}));
  ExpectMistake("  - { id: l, source: \"a:fast--use1-az4--x-s3/\", to: \"b:fast\", ttl: 24h }\n",
                "directory bucket");
  ExpectMistake("  - { id: l, source: \"a:logs/\", to: \"c:fast--use1-az4--x-s3\", ttl: 24h }\n",
                "no store");
}

// The sweeper removes what a cache holds: replicas, archives and live objects must not lie there.
TEST_F(ConfigurationCaches, RefusesAPlaceThatRulesUse) {
  const auto load = [this](const std::string& to, const std::string& status) {
    const std::string file = dir_.path() + "/rules.yaml";
    std::ofstream(file)
        << "version: 1\nsite: s\nstores:\n"
           "  a: { type: s3, endpoint: \"http://127.0.0.1:1\", region: r }\n"
           "  b: { type: s3, endpoint: \"http://127.0.0.1:2\", region: r }\n"
           "  b2: { type: s3, endpoint: \"https://127.0.0.1:2\", region: r }\n"
           "rules:\n  - id: r\n    source: a:in/x/\n    filter: { suffix: .log }\n    status: "
        << status
        << "\n    targets:\n"
           "      - { to: 'b:out/y/', staging: 'b:stage/z/' }\n"
           "      - { to: 'b:vault/v/', staging: 'b:stage/z/', backup: {} }\n"
           "caches:\n  - { id: c, source: \"a:other/\", to: \""
        << to << "\", ttl: 24h }\n";
    return LoadCaches(file, [](std::string_view) { return std::nullopt; });
  };
  for (const char* status : {"enabled", "disabled"}) {
    for (const auto& [to, says] : {std::pair("b:out", "the target b:out/y/ of rule r"),
                                   {"b:out/y/k/", "the target"},
                                   {"b2:out", "the target"},
                                   {"b:stage", "the staging b:stage/z/"},
                                   {"b:stage/z/r/", "the staging"},
                                   {"b:vault", "the vault b:vault/v/"},
                                   {"b:vault/v/q/", "the vault"},
                                   {"a:in", "the source a:in/x/"},
                                   {"a:in/x/", "the source"}}) {
      Result<std::vector<CacheSettings>> loaded = load(to, status);
      ASSERT_FALSE(loaded) << to;
      EXPECT_NE(loaded.error().message.find("caches[0].to: overlaps " + std::string(says)),
                std::string::npos)
          << loaded.error().message;
    }
    for (const char* to : {"b:outer", "b:out/x/", "b:fast", "a:out", "b:in/x/"}) {
      Result<std::vector<CacheSettings>> loaded = load(to, status);
      EXPECT_TRUE(loaded) << loaded.error().message;
    }
  }
}

// What makes no sense would be found out when the fill is due.
TEST_F(ConfigurationCaches, NamesMistakes) {
  const std::string ends = "source: \"a:logs/\", to: \"b:fast\"";
  ExpectMistake("  - { id: c, " + ends + " }\n", "ttl");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 1s }\n", "ttl");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 3650d }\n", "ttl");
  ExpectMistake("  - { id: c, source: \"a:x\", to: \"a:x\", ttl: 1h }\n", "its own cache");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 1h, schedule: \"61 * * * *\" }\n", "schedule");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 1h, time_zone: Europe/Berlin }\n", "schedule");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 1h, events: maybe }\n", "invalidate or refresh");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 1h }\n  - { id: c, " + ends + ", ttl: 1h }\n",
                "taken");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 1h, other: 1 }\n", "other");
  ExpectMistake("  - { id: c, " + ends + ", ttl: 1h, budget: 10 }\n", "10GiB");
}

// "10" was meant to be GiB, and every object of a fill would fail.
TEST_F(ConfigurationCaches, ABudgetHasAUnit) {
  for (const char* wrong : {"10", "1048575", "GiB", "-1"}) EXPECT_FALSE(ParseCacheBudget(wrong));
  const Result<uint64_t> bare = ParseCacheBudget("10");
  ASSERT_FALSE(bare);
  EXPECT_NE(bare.error().message.find("10GiB"), std::string::npos) << bare.error().message;
  EXPECT_EQ(*ParseCacheBudget("10GiB"), 10ULL << 30);
  EXPECT_EQ(*ParseCacheBudget("4000B"), 4000U);
  EXPECT_EQ(*ParseCacheBudget("1048576"), 1048576U);
  EXPECT_EQ(*ParseCacheBudget("0"), 0U);
}

}  // namespace
}  // namespace longhaul
