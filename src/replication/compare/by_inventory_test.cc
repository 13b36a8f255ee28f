#include "replication/compare/by_inventory.h"

#include <gmock/gmock.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "replication/compare/comparisons.h"
#include "tests/support/replication_world.h"
#include "transfer/listing/newest_inventory.h"

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ReplicationWorld;

constexpr char kFolder[] = "inv/in/daily/";
constexpr char kFirst[] = "2026-11-23T01-00Z";
constexpr char kSecond[] = "2026-11-24T01-00Z";

class ByInventoryTest : public ::testing::Test {
 protected:
  ByInventoryTest() {
    world.AddStore("reports", {"reports"});
    world.configuration.rules[0].intake.inventory =
        Address{.store = "reports", .bucket = "reports", .prefix = kFolder};
  }

  void Write(const std::string& store, const std::string& bucket, const std::string& key,
             std::string text) {
    testing::MemoryStore direct(world.runtime, world.store(store).backend);
    ASSERT_TRUE(world.world.Run(PutText(direct, {.bucket = bucket, .key = key}, std::move(text))));
  }
  std::string EtagOf(const std::string& key) {
    return world.source().backend->Find("in", key)->info.etag;
  }
  static std::string Row(const std::string& key, const std::string& etag) {
    return "\"in\",\"" + key + "\",\"4\",\"2020-11-01T00:00:00.000Z\",\"" + etag + "\"\n";
  }
  // A delivery. `given`: in place of the manifest; `cut`: of the bytes of its data.
  void Deliver(const std::string& time, const std::string& rows, const std::string& given = "",
               size_t cut = 0,
               const std::string& schema = "Bucket, Key, Size, LastModifiedDate, ETag",
               const std::string& format = "CSV", const std::string& bucket = "in") {
    const std::string data = std::string(kFolder) + "data/" + time + ".csv";
    Write("reports", "reports", data, rows.substr(0, rows.size() - cut));
    const std::string md5 =
        HexEncode(Digest(HashKind::kMd5, std::as_bytes(std::span<const char>(rows))));
    const std::string manifest =
        R"({"sourceBucket":")" + bucket + R"(","destinationBucket":"arn:aws:s3:::reports",)" +
        R"("fileFormat":")" + format + R"(","fileSchema":")" + schema + R"(","files":[{"key":")" +
        data + R"(","size":1,"MD5checksum":")" + md5 + "\"}]}";
    Write("reports", "reports", std::string(kFolder) + time + "/manifest.json",
          given.empty() ? manifest : given);
  }
  // In a process of its own: what it knows is in State.
  Result<void> Compare(bool by_listing = false) {
    world.MakeContext();
    RuleContext& rule = *world.context->rules.front();
    rule.source_found = true;
    EXPECT_TRUE(world.world.Run(world.context->control->Refresh()));
    for (const auto& target : rule.targets) target->target_found = target->compare_due = true;
    Comparisons comparisons(*world.context);
    if (by_listing) comparisons.SoonByListing("r");
    return world.world.Run(comparisons.CompareDue(rule, nullptr));
  }
  std::vector<std::string> TakeHints() {
    std::set<std::string> keys;
    for (const std::string& body : world.queue_backend->Bodies()) {
      for (const Hint& hint : DecodeHints(body)->hints) keys.insert(hint.key);
    }
    world.queue_backend->rows.clear();
    return {keys.begin(), keys.end()};
  }

  void RunOnce() {
    const OnceResult result = world.RunOnce();
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  }

  ReplicationWorld world;
};

TEST(NewestInventoryTest, ManifestsAreKnownByTheirFolder) {
  EXPECT_EQ(DeliveryTimeOfManifest("a/b/2026-11-24T01-00Z/manifest.json"), "2026-11-24T01-00Z");
  EXPECT_EQ(DeliveryTimeOfManifest("2026-11-24T01-00Z/manifest.json"), "2026-11-24T01-00Z");
  for (const char* other :
       {"", "manifest.json", "a/manifest.json", "a/x2026-11-24T01-00Z/manifest.json",
        "a/2026-11-24T01-00Z/manifest.checksum", "a/hive/dt=2026-11-24-01-00/symlink.txt",
        "a/2026-11-24T0x-00Z/manifest.json", "a/2026-11-24T01-00Z/x-manifest.json"}) {
    EXPECT_EQ(DeliveryTimeOfManifest(other), "") << other;
  }
}

// The source is not listed, and an inventory that has been compared is not read again.
TEST_F(ByInventoryTest, TheNewestIsComparedOnce) {
  world.Put("old", "text");
  world.Put("in-both", "text");
  world.Put("not-in-any", "text");
  Deliver(kFirst, Row("old", EtagOf("old")));
  Deliver(kSecond, Row("in-both", EtagOf("in-both")));
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("in-both"));
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), IsEmpty());
  Deliver("2026-11-25T01-00Z", Row("in-both", EtagOf("in-both")) + Row("old", EtagOf("old")));
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("in-both", "old"));
}

// What an event told after the inventory, and nobody carried, no inventory knows yet.
TEST_F(ByInventoryTest, WhoAsksForAListingGetsOne) {
  world.Put("in-both", "text");
  Deliver(kFirst, Row("in-both", EtagOf("in-both")));
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("in-both"));
  world.Put("later", "text");
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), IsEmpty());
  ASSERT_TRUE(Compare(true));
  EXPECT_THAT(TakeHints(), ElementsAre("in-both", "later"));
}

// A target that is another one now, or objects that belong to the rule now, have not been compared.
TEST_F(ByInventoryTest, AChangedRuleIsComparedAgain) {
  world.Put("a.txt", "text");
  world.Put("b.log", "text");
  Deliver(kFirst, Row("a.txt", EtagOf("a.txt")) + Row("b.log", EtagOf("b.log")));
  Rule& rule = world.configuration.rules[0];
  rule.filter.suffix = ".txt";
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("a.txt"));
  rule.filter.suffix.clear();
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("a.txt", "b.log"));
  rule.targets[0].to.prefix = "elsewhere/";
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("a.txt", "b.log"));
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), IsEmpty());
}

// What it lacks may have been written since; what it has may be gone.
TEST_F(ByInventoryTest, WhatItLacksStaysAndWhatIsGoneGoes) {
  world.Put("kept", "text");
  world.Put("gone", "text");
  world.Put("newer", "text");
  world.configuration.rules[0].intake.inventory.reset();
  RunOnce();
  ASSERT_THAT(world.Replicas(), ElementsAre("gone", "kept", "newer"));
  world.configuration.rules[0].intake.inventory =
      Address{.store = "reports", .bucket = "reports", .prefix = kFolder};
  Deliver(kFirst, Row("gone", "0123") + Row("kept", EtagOf("kept")));
  world.source().backend->buckets["in"].objects.erase("gone");
  // Not even looked at: a delete that comes of a comparison is of what was just listed.
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("gone"));
  Deliver(kSecond, Row("gone", "0123") + Row("kept", EtagOf("kept")));
  world.world.clock.Advance(std::chrono::seconds(10));
  RunOnce();
  EXPECT_THAT(world.Replicas(), ElementsAre("kept", "newer"));
}

// A comparison by half an inventory must not pass for a whole one, nor delete anything.
TEST_F(ByInventoryTest, WhatIsWrongWithItIsSaidAndNothingIsDeleted) {
  world.Put("a", "text");
  Write("west0", "out", "b", "replica");
  const std::string rows = Row("a", EtagOf("a"));
  struct Case {
    std::string what;
    std::function<void()> deliver;
    std::string says;
  };
  const std::string some = R"({"sourceBucket":"in","fileFormat":"CSV","fileSche)";
  const Case cases[] = {
      {"none", [] {}, "there is no manifest.json"},
      {"garbage", [&] { Deliver(kSecond, rows, "\x01 nonsense"); }, kSecond},
      {"cut", [&] { Deliver(kSecond, rows, some); }, kSecond},
      {"Parquet", [&] { Deliver(kSecond, rows, "", 0, "x", "Parquet"); }, "only CSV can be read"},
      {"ORC", [&] { Deliver(kSecond, rows, "", 0, "x", "ORC"); }, "only CSV can be read"},
      {"other bucket",
       [&] {
         Deliver(kSecond, rows, "", 0, "Bucket, Key, Size, LastModifiedDate, ETag", "CSV", "x");
       },
       "it is the inventory of the bucket 'x'"},
      {"cut data", [&] { Deliver(kSecond, rows + rows, "", rows.size()); }, "MD5"},
      {"no ETag", [&] { Deliver(kSecond, "\"in\",\"a\",\"4\"\n", "", 0, "Bucket, Key, Size"); },
       "needs the field ETag"},
      {"no data",
       [&] {
         Deliver(kSecond, rows);
         world.store("reports").backend->buckets["reports"].objects.erase(
             std::string(kFolder) + "data/" + kSecond + ".csv");
       },
       "data/"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    one.deliver();
    Result<void> compared = Compare();
    ASSERT_FALSE(compared);
    EXPECT_THAT(compared.error().Describe(), HasSubstr(one.says));
    EXPECT_THAT(compared.error().Describe(), HasSubstr("nothing was deleted"));
    EXPECT_THAT(compared.error().Describe(), HasSubstr("inventory reports:reports/inv/in/daily/"));
    EXPECT_THAT(TakeHints(), ::testing::Not(::testing::Contains("b")));
  }
  // It was not taken for compared.
  Deliver(kSecond, rows);
  ASSERT_TRUE(Compare());
  EXPECT_THAT(TakeHints(), ElementsAre("a"));
}

}  // namespace
}  // namespace longhaul
