#include "replication/target/staging_queue.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

using std::chrono::seconds;

SteadyTime At(int second) { return SteadyTime(seconds(second)); }

StagedArchive Staged(const std::string& ulid, uint64_t size_bytes = 1000, int written = 0) {
  return {.ulid = ulid,
          .archive = ListedObject{.key = ulid + ".tar.zst",
                                  .size_bytes = size_bytes,
                                  .last_modified = SystemTime(seconds(written))},
          .receipts = {}};
}

std::vector<std::string> Order(StagingQueue& queue) {
  std::vector<std::string> ulids;
  for (const StagingWork* work : queue.InOrder()) ulids.push_back(work->staged.ulid);
  return ulids;
}

// Large archives may have to wait for memory: what is small must not wait behind them.
TEST(StagingQueueTest, SmallOnesComeFirstThenTheOldest) {
  StagingQueue queue("west");
  queue.Saw({Staged("b"), Staged("a", 100 << 20), Staged("c")}, At(1));
  EXPECT_EQ(Order(queue), (std::vector<std::string>{"b", "c", "a"}));
  queue.InOrder()[0]->needs_much = true;
  EXPECT_EQ(Order(queue), (std::vector<std::string>{"c", "a", "b"}));
}

// What has been applied must not be taken up again because a listing was slow, and what somebody
// else has removed must not be waited for.
TEST(StagingQueueTest, AListingBringsWhatIsNewAndTakesWhatIsGone) {
  StagingQueue queue("west");
  queue.Saw({Staged("a", 1000, 7), Staged("b", 1000, 5), Staged("c", 1000, 3)}, At(1));
  EXPECT_EQ(queue.CountLeft(), 3u);
  EXPECT_EQ(queue.OldestLeft(), SystemTime(seconds(3)));
  std::vector<StagingWork*> works = queue.InOrder();
  works[1]->under_way = true;
  StagingQueue::Done(*works[2], At(10));
  EXPECT_EQ(queue.CountLeft(), 2u);
  queue.Saw({Staged("c", 1000, 3), Staged("d")}, At(9));
  EXPECT_EQ(queue.Archives(), (std::set<std::string>{"b", "c", "d"})) << "b is under way";
  EXPECT_TRUE(queue.IsSettled(*queue.InOrder()[1])) << "it was there when the listing began";
  queue.Saw({Staged("c", 1000, 3)}, At(11));
  EXPECT_FALSE(queue.IsSettled(*queue.InOrder()[1])) << "it is there still, without a receipt";
  StagedArchive settled = Staged("c");
  settled.receipts.push_back({.target = "west", .key = "c.west.receipt.json"});
  queue.Saw({settled}, At(12));
  EXPECT_TRUE(queue.IsSettled(*queue.InOrder()[1]));
}

// A try that waits for its time comes back by itself, whether or not staging is listed before.
TEST(StagingQueueTest, TheNextTryIsKnown) {
  StagingQueue queue("west");
  EXPECT_EQ(queue.NextDue(At(0)), std::nullopt);
  queue.Saw({Staged("a"), Staged("b"), Staged("c"), Staged("d")}, At(1));
  EXPECT_EQ(queue.NextDue(At(0)), std::nullopt) << "all are due now";
  std::vector<StagingWork*> works = queue.InOrder();
  works[0]->due = At(30);
  works[1]->due = At(20);
  works[1]->under_way = true;
  works[2]->due = At(40);
  works[2]->parked = true;
  StagingQueue::Done(*works[3], At(2));
  EXPECT_EQ(queue.NextDue(At(10)), At(30));
  EXPECT_EQ(queue.NextDue(At(30)), At(40));
  queue.RetryParked();
  EXPECT_EQ(queue.NextDue(At(30)), std::nullopt);
  EXPECT_EQ(works[2]->due, SteadyTime{});
  EXPECT_EQ(works[0]->due, At(30)) << "it is not parked";
}

}  // namespace
}  // namespace longhaul
