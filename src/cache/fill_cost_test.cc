#include <gtest/gtest.h>

#include "cache/fill_bill.h"
#include "cost/batch_copy.h"
#include "cost/both_meters.h"
#include "cost/request_counts.h"
#include "storage/s3_bucket_name.h"
#include "tests/support/cache_world.h"

namespace longhaul::testing {
namespace {

using namespace std::chrono_literals;

// The published example, 3 million objects of 1 TB below 20 prefixes, at a thousandth.
constexpr int kPrefixes = 20;
constexpr int kObjects = 3000;
constexpr int kScale = 1000;
constexpr size_t kBytesOfEach = 2000;
constexpr double kPublishedBytes = 1e12;
constexpr double kPico = 1e12;
constexpr double kGib = 1 << 30;

RequestKind KindOf(StoreOperation operation) {
  switch (operation) {
    case StoreOperation::kHead:
    case StoreOperation::kGet:
    case StoreOperation::kGetTags:
    case StoreOperation::kBucket:
      return RequestKind::kGet;
    case StoreOperation::kList:
    case StoreOperation::kListParts:
    case StoreOperation::kListMultipartUploads:
      return RequestKind::kList;
    case StoreOperation::kRemove:
    case StoreOperation::kAbortMultipart:
      return RequestKind::kDelete;
    default:
      return RequestKind::kPut;
  }
}

class CacheFillCost : public ::testing::Test {
 protected:
  // Into a directory bucket; what the two stores were asked for was counted by themselves.
  CacheFillCost() {
    world.target->options.capabilities = DirectoryBucketQuirks().can;
    for (int i = 0; i < kObjects; ++i) {
      world.Put(std::to_string(i % kPrefixes) + "/" + std::to_string(i),
                std::string(kBytesOfEach, 'x'));
    }
    world.source->ResetCounts();
    world.target->ResetCounts();
    world.target->bytes_written = 0;
    std::vector<std::string> prefixes;
    for (int i = 0; i < kPrefixes; ++i) prefixes.push_back(std::to_string(i) + "/");
    const cache::FillResult filled = world.Fill(prefixes);
    EXPECT_EQ(filled.run.counts.copied, kObjects);
  }

  [[nodiscard]] static double Requests(const MemoryStoreBackend& store, RequestKind kind) {
    double sum = 0;
    for (const auto& [operation, count] : store.counts) {
      if (KindOf(operation) == kind) sum += count;
    }
    return sum;
  }
  // Of the whole example, in dollars: by what was counted, and by nothing of the product.
  [[nodiscard]] double Dollars(double express_put, double upload_gib, double bytes) const {
    const double source = 0.4e-6 * Requests(*world.source, RequestKind::kGet) +
                          5e-6 * (Requests(*world.source, RequestKind::kList) +
                                  Requests(*world.source, RequestKind::kPut));
    const double target = 0.03e-6 * Requests(*world.target, RequestKind::kGet) +
                          express_put * (Requests(*world.target, RequestKind::kList) +
                                         Requests(*world.target, RequestKind::kPut));
    return kScale * (source + target) + upload_gib * bytes / kGib;
  }
  // What the same takes by S3 Batch Operations.
  [[nodiscard]] static double Others(const Prices& prices, double bytes) {
    constexpr uint64_t kAll = uint64_t{kObjects} * kScale;
    return static_cast<double>(CostByBatchCopy({.jobs = kPrefixes,
                                                .copies = kAll,
                                                .bytes = static_cast<uint64_t>(bytes),
                                                .listed = kAll},
                                               prices)
                                   .total) /
           kPico;
  }

  CacheWorld world;
};

// Each request more for an object costs up to a dollar for a million of them.
TEST_F(CacheFillCost, IsAGetAndAPutForAnObject) {
  EXPECT_EQ(world.source->count(StoreOperation::kGet), kObjects);
  EXPECT_EQ(world.target->count(StoreOperation::kPut), kObjects);
  EXPECT_LE(Requests(*world.source, RequestKind::kGet), kObjects + kPrefixes);
  // The last page of a prefix may be found empty.
  EXPECT_LE(Requests(*world.source, RequestKind::kList), 2 * kPrefixes);
  EXPECT_EQ(world.target->total_count(), kObjects);
}

// It is what the cache is for: at less than half of what the other way costs.
TEST_F(CacheFillCost, IsLessThanHalfOfThatOfBatchOperations) {
  constexpr double kSmallBytes = double{kObjects} * kScale * kBytesOfEach;
  const double small = Dollars(1.13e-6, 0.0032, kSmallBytes);
  EXPECT_LT(small, 0.5 * Others(Prices(), kSmallBytes)) << small;
  const double published = Dollars(1.13e-6, 0.0032, kPublishedBytes);
  EXPECT_LT(published, 0.5 * Others(Prices(), kPublishedBytes)) << published;
  // By the guide's own prices, which asked nothing for bytes of objects of this size.
  const Prices guide(PriceList{{"request/us-east-1/put/EXPRESS_ONEZONE", 2'500'000},
                               {"state_write/us-east-1", 1'250'000},
                               {"express_upload_gib/us-east-1", 0}});
  const double then = Dollars(2.5e-6, 0, kPublishedBytes);
  EXPECT_LT(then, 0.5 * Others(guide, kPublishedBytes)) << then;
  EXPECT_NEAR(Others(guide, kPublishedBytes), 20.465, 0.001);
}

// A bill that differs from what the stores counted is a promise that is not kept.
TEST_F(CacheFillCost, IsWhatTheBillSaysToTheCent) {
  RequestCounts source;
  RequestCounts target;
  const auto tell = [](const MemoryStoreBackend& store, RequestCounts& counts) {
    for (const auto& [operation, count] : store.counts) {
      counts.OnRequests(0, KindOf(operation), "STANDARD", count * kScale);
    }
  };
  tell(*world.source, source);
  tell(*world.target, target);
  const auto place = [&](const char* key, RequestKind kind) {
    return target.PlaceOf("cache", key, kind);
  };
  target.OnSent(place("1/1", RequestKind::kPut), world.target->bytes_written * kScale);
  // What is no object costs nothing.
  target.OnReceived(place("1/", RequestKind::kList), 1 << 30);
  target.OnReceived(place("", RequestKind::kGet), 1 << 30);
  target.OnSent(place("", RequestKind::kPut), 1 << 30);
  Bill bill;
  source.AddTo(bill, "us-east-1", "east");
  target.AddExpressTo(bill, "us-east-1", "fast");
  const Bill::Sum sum = bill.Reckon(Prices());
  EXPECT_TRUE(sum.unknown.empty());
  EXPECT_EQ(world.target->bytes_written, kObjects * kBytesOfEach);
  const double counted =
      Dollars(1.13e-6, 0.0032, static_cast<double>(world.target->bytes_written) * kScale);
  EXPECT_NEAR(static_cast<double>(sum.total) / kPico, counted, 0.005);
  EXPECT_EQ(sum.items.at("requests at fast"), int64_t{kObjects} * kScale * 1'130'000);
  EXPECT_GT(counted, 4);
}

// What S3 Batch Operations would ask is of the work that was done, not of what was asked for.
TEST(CacheRunCost, IsInTheRowOfTheRun) {
  CacheWorld world;
  for (const char* key : {"1/a", "1/b", "2/c"}) world.Put(key, "text");
  world.Fill({"2/"});
  auto source = std::make_shared<RequestCounts>();
  auto target = std::make_shared<RequestCounts>();
  const cache::FillBill bill({.counts = source, .name = "east", .region = "us-east-1"},
                             {.counts = target, .name = "fast", .region = "eu-north-1"}, Prices());
  world.bill = &bill;
  source->OnRequests(0, RequestKind::kGet, "STANDARD", 10);
  source->OnReceived(0, uint64_t{1} << 30);
  target->OnRequests(0, RequestKind::kPut, "STANDARD", 20);
  const cache::FillResult filled = world.Fill({"1/", "2/"});
  FakeState rows(world.base.runtime, world.state);
  const Result<cache::Run> row =
      world.Run(cache::RunBook(world.base.runtime, rows, world.Where()).Find(filled.run.number));
  ASSERT_TRUE(row);
  ASSERT_TRUE(row->cost);
  EXPECT_EQ(row->cost, filled.run.cost);
  EXPECT_EQ(row->cost->items, (cache::RunCost::Items{{"requests at east", 4'000'000},
                                                     {"requests at fast", 100'000'000},
                                                     {"transfer", 20'000'000'000}}));
  EXPECT_TRUE(row->cost->unknown.empty());
  EXPECT_EQ(row->cost->batch,
            CostByBatchCopy({.jobs = 1, .copies = 2, .bytes = 8, .listed = 3}, Prices()).items);
  EXPECT_TRUE(row->cost->storage);
}

// A sum without what nobody knows would be told as the whole.
TEST(CacheRunCost, NamesWhatNobodyKnows) {
  auto source = std::make_shared<RequestCounts>();
  auto target = std::make_shared<RequestCounts>();
  source->OnRequests(0, RequestKind::kGet, "STANDARD", 10);
  target->OnRequests(0, RequestKind::kPut, "STANDARD", 20);
  const cache::FillBill bill(
      {.counts = source, .name = "east"},
      {.counts = target, .name = "fast", .region = "eu-north-1", .directory = true}, Prices());
  const cache::RunCost cost =
      bill.Reckon({.jobs = 1, .copies = 20, .bytes = 1 << 30, .listed = 20}, 24h);
  EXPECT_TRUE(cost.items.empty());
  EXPECT_EQ(cost.unknown, (std::vector<std::string>{"request/eu-north-1/put/EXPRESS_ONEZONE",
                                                    "the region of east"}));
  EXPECT_EQ(cost.storage, std::nullopt);
  EXPECT_FALSE(cost.batch.empty());
}

// Nobody counts a store of two twice, nor a run of which nobody counted anything as free.
TEST(CacheRunCost, IsCountedOnceOrNotAtAll) {
  auto both = std::make_shared<RequestCounts>();
  both->OnRequests(0, RequestKind::kPut, "STANDARD", 1);
  const cache::FillBill::End end{.counts = both, .name = "east", .region = "us-east-1"};
  const cache::RunCost cost = cache::FillBill(end, end, Prices()).Reckon({}, 24h);
  EXPECT_EQ(cost.items, (cache::RunCost::Items{{"requests at east", 5'000'000}}));
  CacheWorld world;
  world.Put("a", "text");
  EXPECT_EQ(world.Fill({""}).run.cost, std::nullopt);
}

// Each of the two would miss what the other has heard.
TEST(CacheRunCost, IsHeardBesideTheLedger) {
  auto one = std::make_shared<RequestCounts>();
  auto other = std::make_shared<RequestCounts>();
  BothMeters meters(one, other);
  const int get = meters.PlaceOf("b", "k", RequestKind::kGet);
  const int put = meters.PlaceOf("b", "k", RequestKind::kPut);
  EXPECT_EQ(meters.PlaceOf("b", "k", RequestKind::kGet), get);
  meters.OnRequests(put, RequestKind::kPut, "STANDARD", 3);
  meters.OnReceived(get, 7);
  meters.OnSent(put, uint64_t{1} << 30);
  for (const auto& counts : {one, other}) {
    EXPECT_EQ(counts->received_bytes(), 7);
    Bill bill;
    counts->AddExpressTo(bill, "us-east-1", "fast");
    const Bill::Sum sum = bill.Reckon(Prices());
    EXPECT_EQ(sum.items.at("requests at fast"), 3 * 1'130'000);
    EXPECT_EQ(sum.items.at("bytes into fast"), 3'200'000'000);
  }
}

}  // namespace
}  // namespace longhaul::testing
