#include "replication/staging/staging.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

constexpr char kUlid[] = "01KJM000000000000000000000";
constexpr char kLater[] = "01KJM000000000000000000001";

// A receipt that loses a key would lose what must be read anew; keys are bytes.
TEST(ReceiptTest, ComesBackAsItWasWritten) {
  ArchiveReceipt receipt{.state = ArchiveReceipt::State::kCorrupt,
                         .archive = kUlid,
                         .rule = "r",
                         .target = "t",
                         .reason = "frame 3: \xff digest",
                         .written = SystemTime(std::chrono::seconds(1'772'357'400)),
                         .stamp_oldest = SystemTime(std::chrono::seconds(1'772'357'300)),
                         .entries = 12,
                         .applied = 3,
                         .conflicts = 2,
                         .keys_known = true,
                         .reread = {"a b", "\x01%\xff", "ü/\"x\""},
                         .transfer = kLater,
                         .transfer_key = "\x01%\xff"};
  Result<ArchiveReceipt> decoded = DecodeReceipt(EncodeReceipt(receipt));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->reread, receipt.reread);
  EXPECT_EQ(decoded->transfer, receipt.transfer);
  EXPECT_EQ(decoded->transfer_key, receipt.transfer_key);
  EXPECT_EQ(decoded->reason, receipt.reason);
  EXPECT_EQ(decoded->state, receipt.state);
  EXPECT_EQ(decoded->written, receipt.written);
  EXPECT_EQ(decoded->stamp_oldest, receipt.stamp_oldest);
  EXPECT_EQ(decoded->applied, 3u);
}

// Staging is a bucket that others may write to.
TEST(ReceiptTest, RefusesNonsense) {
  for (const char* text : {"", "{}", "[1]", R"({"version":2})", R"({"version":1,"state":"fine"})",
                           R"({"version":1,"state":"done","written":"x","stamp_oldest":"y"})"}) {
    EXPECT_FALSE(DecodeReceipt(text)) << text;
  }
}

Async<std::vector<StagedArchive>> PutAndList(Store& store, std::vector<std::string> keys) {
  for (std::string& key : keys) {
    Result<PutResult> put =
        co_await PutText(store, {.bucket = "staging", .key = std::move(key)}, "x");
    if (!put) co_return put.error();
  }
  co_return co_await ListStaging(store, "staging", "in/rule/");
}

// What is not an archive or a receipt is nobody's business here; archives come oldest first.
TEST(StagingTest, ListsArchivesWithTheirReceipts) {
  testing::FakeWorld world;
  auto backend = std::make_shared<testing::MemoryStoreBackend>();
  backend->buckets["staging"].created = world.clock.Now();
  testing::MemoryStore store(world.runtime, backend);
  Result<std::vector<StagedArchive>> staged = world.Run(
      PutAndList(store, {ArchiveKey("in/rule/", kLater), ArchiveKey("in/rule/", kUlid),
                         ReceiptKey("in/rule/", kUlid, "a.b"), ReceiptKey("in/rule/", kUlid, "c"),
                         ArchiveKey("in/other/", kUlid), "in/rule/readme.txt", "in/rule/x.tar.zst",
                         std::string("in/rule/") + kUlid + ".tar.zst.part"}));
  ASSERT_TRUE(staged);
  ASSERT_EQ(staged->size(), 2u);
  EXPECT_EQ((*staged)[0].ulid, kUlid);
  EXPECT_TRUE((*staged)[0].archive);
  EXPECT_TRUE((*staged)[0].HasReceipt("a.b"));
  EXPECT_TRUE((*staged)[0].HasReceipt("c"));
  EXPECT_FALSE((*staged)[0].HasReceipt("a"));
  EXPECT_EQ((*staged)[1].ulid, kLater);
}

// Each value takes many times its own two bytes of text.
TEST(StagingTest, AReceiptOfMillionsOfValuesIsNone) {
  ArchiveReceipt receipt{.archive = kUlid, .rule = "r", .target = "t"};
  receipt.reread.assign(10'000, "a,b");
  const std::string text = EncodeReceipt(receipt);
  Result<ArchiveReceipt> decoded = DecodeReceipt(text);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->reread.size(), 10'000u);
  receipt.reread.assign(300'000, "");
  decoded = DecodeReceipt(EncodeReceipt(receipt));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace longhaul
