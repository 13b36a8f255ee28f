#include "replication/source/pending_keys.h"

#include <gtest/gtest.h>

#include <set>

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kLargeBytes = 8 << 20;

class PendingKeysTest : public ::testing::Test {
 protected:
  static PendingKey Key(SteadyTime since, uint64_t size_bytes = 10, std::string target = "") {
    return {.since = since, .size_bytes = size_bytes, .target = std::move(target), .messages = {}};
  }
  std::set<std::string> Take(SteadyTime now, bool nothing_comes = false) {
    std::set<std::string> keys;
    std::string last;
    for (const PendingKeys::Item& item : keys_.Take(SystemTime(1h), now, nothing_comes)) {
      EXPECT_GT(item.first, last) << "a batch is in the order of keys";
      last = item.first;
      keys.insert(item.first);
    }
    return keys;
  }

  PendingKeys keys_{{.size_bytes = 1000, .count = 3, .linger = 5s}, kLargeBytes};
  const SteadyTime start_{100s};
};

using Keys = std::set<std::string>;

// A key must not be read before its time, and not later than it must.
TEST_F(PendingKeysTest, AKeySleepsUntilItMayBeRead) {
  PendingKey later = Key(start_);
  later.not_before = SystemTime(2s);
  keys_.Add("a", later);
  EXPECT_EQ(keys_.NextBatch(SystemTime(0s), start_, true), 2s);
  EXPECT_TRUE(keys_.Take(SystemTime(1s), start_, true).empty());
  EXPECT_EQ(keys_.NextBatch(SystemTime(2s), start_, true), 0s);
  EXPECT_EQ(keys_.Take(SystemTime(2s), start_, true).size(), 1u);
  EXPECT_EQ(keys_.NextBatch(SystemTime(2s), start_, true), std::nullopt);
}

// A key that changes more often than it may be read would otherwise never be read.
TEST_F(PendingKeysTest, AKeyThatChangesAllTheTimeIsRead) {
  auto change_at = [&](std::chrono::seconds second) {
    PendingKey pending = Key(start_);
    pending.not_before = SystemTime(second);
    return keys_.Add("a", std::move(pending));
  };
  EXPECT_TRUE(change_at(2s));
  EXPECT_FALSE(change_at(12s)) << "one reading for both";
  EXPECT_TRUE(change_at(13s)) << "which can wait no longer";
  EXPECT_FALSE(change_at(100s));
  auto first = keys_.Take(SystemTime(12s), start_, true);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first.front().second.not_before, SystemTime(12s));
  EXPECT_TRUE(keys_.Take(SystemTime(99s), start_, true).empty());
  EXPECT_EQ(keys_.Take(SystemTime(100s), start_ + 1s, true).size(), 1u)
      << "late enough for the last";
  EXPECT_EQ(keys_.size(), 0u);
}

// A large key that may travel without its bytes goes with the others, unless anybody says that they
// have changed.
TEST_F(PendingKeysTest, AttributesAloneAreNotLarge) {
  PendingKey tagged = Key(start_, kLargeBytes + 1);
  tagged.attributes = true;
  keys_.Add("a", tagged);
  keys_.Add("b", Key(start_));
  EXPECT_EQ(Take(start_, true), (Keys{"a", "b"}));
  for (const bool tagged_first : {true, false}) {
    keys_.Add("a", tagged_first ? tagged : Key(start_, kLargeBytes + 1));
    keys_.Add("a", tagged_first ? Key(start_, kLargeBytes + 1) : tagged);
    auto batch = keys_.Take(SystemTime(1h), start_, true);
    ASSERT_EQ(batch.size(), 1u);
    EXPECT_FALSE(batch.front().second.attributes);
  }
}

// A batch closes when it is full, when it has lingered, or when nothing more comes.
TEST_F(PendingKeysTest, ABatchClosesForThreeReasons) {
  keys_.Add("a", Key(start_));
  keys_.Add("b", Key(start_ + 1s));
  EXPECT_EQ(keys_.NextBatch(SystemTime(1h), start_ + 2s, false), 3s);
  EXPECT_EQ(Take(start_ + 2s, true), (Keys{"a", "b"}));
  keys_.Add("a", Key(start_));
  keys_.Add("b", Key(start_ + 1s));
  EXPECT_EQ(Take(start_ + 4s), Keys{});
  EXPECT_EQ(Take(start_ + 5s), (Keys{"a", "b"}));
  for (const char* key : {"a", "b", "c", "d"}) keys_.Add(key, Key(start_));
  EXPECT_EQ(Take(start_), (Keys{"a", "b", "c"}));
  EXPECT_EQ(Take(start_), Keys{});
  keys_.Add("e", Key(start_, 2000));
  EXPECT_EQ(Take(start_), (Keys{"d", "e"})) << "by bytes";
}

// Thousands of messages that come back one by one would otherwise be as many archives.
TEST_F(PendingKeysTest, KeysThatComeOneByOneShareABatch) {
  keys_.Add("a", Key(start_));
  EXPECT_EQ(Take(start_, true), Keys{"a"}) << "the first waits for nothing";
  keys_.Add("b", Key(start_ + 10ms));
  EXPECT_EQ(Take(start_ + 10ms, true), Keys{});
  EXPECT_EQ(keys_.NextBatch(SystemTime(1h), start_ + 100ms, true), 400ms);
  keys_.Add("c", Key(start_ + 100ms));
  keys_.Add("large", Key(start_ + 100ms, kLargeBytes + 1));
  EXPECT_EQ(Take(start_ + 100ms, true), Keys{"large"});
  EXPECT_EQ(Take(start_ + 500ms, true), (Keys{"b", "c"}));
  for (const char* key : {"d", "e", "f"}) keys_.Add(key, Key(start_ + 510ms));
  EXPECT_EQ(Take(start_ + 510ms, true), (Keys{"d", "e", "f"})) << "full";
}

// A large object and a key for one target alone must not starve behind a stream of small ones.
TEST_F(PendingKeysTest, NothingStarvesBehindASteadyStream) {
  keys_.Add("z-large", Key(start_, kLargeBytes + 1));
  keys_.Add("z-for-one", Key(start_ + 1s, 10, "west"));
  keys_.Add("z-small", Key(start_ + 2s));
  std::vector<Keys> batches;
  SteadyTime now = start_ + 10s;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 10; ++i) {
      keys_.Add("a" + std::to_string(round * 10 + i), Key(now));
    }
    batches.push_back(Take(now));
  }
  EXPECT_EQ(batches[0], Keys{"z-large"});
  EXPECT_EQ(batches[1], Keys{"z-for-one"});
  EXPECT_TRUE(batches[2].contains("z-small"));
  EXPECT_EQ(batches[2].size(), 3u) << "the rest goes on in the order of keys";
}

// Nor small ones behind a stream of large ones.
TEST_F(PendingKeysTest, SmallKeysDoNotStarveBehindLargeOnes) {
  keys_.Add("small", Key(start_));
  for (int i = 0; i < 5; ++i) {
    keys_.Add("large" + std::to_string(i), Key(start_ + 1s, kLargeBytes + 1));
  }
  EXPECT_EQ(Take(start_ + 2s), Keys{"large0"});
  EXPECT_EQ(Take(start_ + 5s), Keys{"small"});
}

// The segments of one giant came first, and there are thousands of them.
TEST_F(PendingKeysTest, SmallKeysAndSegmentsTakeTurns) {
  for (uint32_t number = 0; number < 100; ++number) {
    PendingKey segment = Key(start_, kLargeBytes * 64);
    segment.segment = SegmentHint{.segment = {.plan = "01JC5N0XVRKGBGSKP4ZPQE4M7T",
                                              .object_size_bytes = 100,
                                              .number = number,
                                              .count = 100}};
    EXPECT_TRUE(keys_.Add("film", std::move(segment))) << "each is a reading of its own";
  }
  keys_.Add("small", Key(start_ + 1s));
  EXPECT_EQ(Take(start_ + 6s), Keys{"film"});
  EXPECT_EQ(Take(start_ + 6s), Keys{"small"});
  EXPECT_EQ(Take(start_ + 6s), Keys{"film"});
  keys_.Add("other", Key(start_ + 2s));
  EXPECT_EQ(Take(start_ + 7s), Keys{"other"});
  EXPECT_EQ(keys_.size(), 98u);
}

// What is found by listing may be a million keys; what happens meanwhile must not wait for them.
TEST_F(PendingKeysTest, FreshKeysAndABacklogTakeTurns) {
  for (int i = 0; i < 100; ++i) {
    PendingKey listed = Key(start_);
    listed.backlog = true;
    keys_.Add("a" + std::to_string(i), std::move(listed));
    if (i < 20) keys_.Add("fresh" + std::to_string(i), Key(start_ + 1s));
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(Take(start_ + 6s).begin()->starts_with("fresh"));
    EXPECT_TRUE(Take(start_ + 6s).begin()->starts_with("a"));
  }
  // One that an event tells of as well is fresh.
  keys_.Add("a99", Key(start_ + 2s));
  for (int i = 0; i < 3; ++i) keys_.Add("fresh" + std::to_string(20 + i), Key(start_ + 3s));
  bool found = false;
  for (int i = 0; i < 3; ++i) {
    found = found || Take(start_ + 9s).contains("a99");
    Take(start_ + 9s);
  }
  EXPECT_TRUE(found);
}

// Who took all that waits would have the other processes stand idle.
TEST_F(PendingKeysTest, ABatchOfABacklogIsEnoughAtHand) {
  auto add = [&](const std::string& key, uint64_t size_bytes, bool backlog, SystemTime when = {}) {
    PendingKey pending = Key(start_, size_bytes);
    pending.backlog = backlog;
    pending.not_before = when;
    keys_.Add(key, std::move(pending));
  };
  // What is new, and what travels alone, is none.
  for (const char* key : {"n1", "n2", "n3"}) add(key, 500, false);
  add("large", kLargeBytes + 1, true);
  add("b1", 10, true);
  add("b2", 10, true, SystemTime(2h));  // Its time has not come.
  EXPECT_FALSE(keys_.HasBacklog());
  add("b3", 10, true);
  EXPECT_TRUE(keys_.HasBacklog());
  add("b3", 10, false);  // An event has told of it as well.
  EXPECT_FALSE(keys_.HasBacklog());
  add("b4", 980, true);
  EXPECT_TRUE(keys_.HasBacklog()) << "by its bytes";
  EXPECT_EQ(keys_.size_bytes(), 3 * 500 + kLargeBytes + 1 + 3 * 10 + 980);
  while (!Take(start_ + 10s, true).empty()) {
  }
  EXPECT_FALSE(keys_.HasBacklog());
  EXPECT_EQ(keys_.size_bytes(), 10u);
}

// What may have ended a process shares no batch with others, and waits for none; its batches are
// forgotten, however many there are.
TEST_F(PendingKeysTest, KeysOfOneCompanyTravelWithNoOthers) {
  const auto with = [&](uint64_t company) {
    PendingKey key = Key(start_ + 1s);
    key.company = company;
    return key;
  };
  keys_.Add("a", with(7));
  keys_.Add("b", Key(start_));
  keys_.Add("c", with(7));
  keys_.Add("d", with(8));
  EXPECT_EQ(Take(start_ + 1s), (Keys{"a", "c"})) << "while the others linger";
  EXPECT_EQ(Take(start_ + 1s), Keys{"d"});
  EXPECT_EQ(Take(start_ + 1s), Keys{});
  keys_.Add("b", with(9));
  EXPECT_EQ(Take(start_ + 1s), Keys{"b"}) << "whoever else has heard of the key";
  keys_.Add("e", Key(start_ + 1s));
  EXPECT_EQ(Take(start_ + 1s, true), Keys{"e"}) << "no batch of small keys was before it";
}

// Two hints of one key are one reading: late enough for both, and as old as the older one.
TEST_F(PendingKeysTest, HintsOfOneKeyAreOneReading) {
  PendingKey first = Key(start_);
  first.tries = 2;
  first.messages.resize(1);
  PendingKey second = Key(start_ + 3s, 20);
  second.not_before = SystemTime(9s);
  second.messages.resize(1);
  EXPECT_TRUE(keys_.Add("a", first));
  EXPECT_EQ(keys_.NextBatch(SystemTime(0s), start_, true), 0s);
  EXPECT_FALSE(keys_.Add("a", second));
  EXPECT_TRUE(keys_.Add("a", Key(start_, 10, "west"))) << "for one target: another reading";
  EXPECT_EQ(keys_.Take(SystemTime(0s), start_ + 1min, true).size(), 1u) << "that of the one target";
  std::vector<PendingKeys::Item> items = keys_.Take(SystemTime(30min), start_, true);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].first, "a");
  EXPECT_EQ(items[0].second.since, start_);
  EXPECT_EQ(items[0].second.size_bytes, 20u);
  EXPECT_EQ(items[0].second.tries, 2);
  EXPECT_EQ(items[0].second.messages.size(), 2u);
  EXPECT_EQ(keys_.size(), 0u);
}

// A full queue of hints and small batches: taking one must not look at all that wait.
TEST_F(PendingKeysTest, ABatchCostsNothingForThoseThatWait) {
  for (int i = 0; i < 100'000; ++i) keys_.Add(std::to_string(i), Key(start_));
  size_t taken = 0;
  for (SteadyTime now = start_; keys_.size() > 0; now += 1s) {
    taken += keys_.Take(SystemTime(1h), now, true).size();
  }
  EXPECT_EQ(taken, 100'000u);
}

}  // namespace
}  // namespace longhaul
