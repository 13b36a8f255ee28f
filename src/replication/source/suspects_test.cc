#include "replication/source/suspects.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::FakeQueueBackend;
using testing::Fault;
using testing::ReplicationWorld;
using testing::StoreOperation;

class SuspectsTest : public ::testing::Test {
 protected:
  void Add(int count) {
    for (int i = 0; i < count; ++i) {
      suspects_.Add({.hints = {}, .open = std::make_shared<OpenMessage>()});
    }
  }
  size_t Take(SteadyTime now) {
    last_ = suspects_.Take(now);
    return last_.size();
  }
  void Close() {
    for (const Suspects::Suspect& suspect : last_) suspect.open->closed = true;
  }

  SeededRandom random_{1};
  Suspects suspects_{random_};
  std::vector<Suspects::Suspect> last_;
  const SteadyTime start_{100s};
};

// One, then two, then four, while all goes well; nothing is received beside them.
TEST_F(SuspectsTest, MoreTravelTogetherAsLongAsAllGoesWell) {
  EXPECT_TRUE(suspects_.MayReceive(start_));
  Add(30);
  std::vector<size_t> taken;
  std::vector<uint64_t> companies;
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(suspects_.MayReceive(start_));
    taken.push_back(Take(start_));
    companies.push_back(suspects_.company());
    EXPECT_EQ(suspects_.Take(start_).size(), 0u) << "these are under way";
    Close();
  }
  EXPECT_EQ(taken, (std::vector<size_t>{1, 2, 4, 8, 10, 5}));
  EXPECT_EQ(companies, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(suspects_.MayReceive(start_));
}

// One may be hours of work: it keeps the others waiting for a while, and then travels beside them.
TEST_F(SuspectsTest, OneThatTakesLongKeepsNobodyWaitingForEver) {
  Add(4);
  ASSERT_EQ(Take(start_), 1u);
  Close();
  ASSERT_EQ(Take(start_), 2u);
  last_.back().open->closed = true;
  EXPECT_EQ(Take(start_ + Suspects::kPatience - 1ms), 0u);
  EXPECT_FALSE(suspects_.MayReceive(start_ + Suspects::kPatience - 1ms));
  EXPECT_EQ(Take(start_ + Suspects::kPatience), 1u);
  EXPECT_FALSE(suspects_.MayReceive(start_ + Suspects::kPatience));
  EXPECT_TRUE(suspects_.MayReceive(start_ + 2 * Suspects::kPatience));
}

// Processes that die of one object, one after the other: each is killed when it reads the key.
class LivesTest : public ::testing::Test {
 protected:
  using Rows = std::map<int64_t, FakeQueueBackend::Row>;
  static constexpr int kMessages = 40;
  static constexpr int kPoison = 3;

  static std::string KeyOf(int i) { return "k" + std::to_string(100 + i); }
  // A message for each key, received so often.
  static Rows Messages(int receive_count) {
    Rows rows;
    for (int i = 0; i < kMessages; ++i) {
      const HintMessage hint{.store = "east", .bucket = "in", .hints = {{.key = KeyOf(i)}}};
      NewMessage message = EncodeHints(hint).front();
      rows[i + 1] = {.body = std::move(message.body),
                     .lane = std::move(message.lane),
                     .receive_count = receive_count};
    }
    return rows;
  }
  // The same keys in one.
  static Rows OneMessage(int receive_count) {
    HintMessage hints{.store = "east", .bucket = "in", .hints = {}};
    for (int i = 0; i < kMessages; ++i) hints.hints.push_back({.key = KeyOf(i)});
    NewMessage message = EncodeHints(hints).front();
    return {{1,
             {.body = std::move(message.body),
              .lane = std::move(message.lane),
              .receive_count = receive_count}}};
  }
  static size_t CountKeys(const Rows& rows) {
    size_t count = 0;
    for (const auto& [id, row] : rows) {
      Result<HintMessage> hints = DecodeHints(row.body);
      EXPECT_TRUE(hints);
      if (hints) count += hints->hints.size();
    }
    return count;
  }
  // The objects come when the source has been compared: hints alone tell of them.
  static void Begin(ReplicationWorld& world, Rows rows) {
    world.configuration.rules[0].intake.listing.reset();
    world.Start();
    world.RunFor(5s);
    for (int i = 0; i < kMessages; ++i) world.Put(KeyOf(i), "text");
    FakeQueueBackend& queue = *world.queue_backend;
    queue.rows = std::move(rows);
    // (What was sent in the life before has numbers too.)
    queue.next_id = std::max<int64_t>(1000, queue.rows.rbegin()->first + 1);
    queue.next_delivery = 1 + world.world.clock.SteadyNow().time_since_epoch().count();
  }

  // One life; what the Queue holds when it ends. `killed`: by the reading.
  Rows Live(Rows rows, bool& killed) {
    ReplicationWorld world;
    world.world.clock.Advance(passed_);
    // No two lives go alike.
    for (auto i = passed_; i > 0s; i -= 10min) world.world.random.Next();
    FakeQueueBackend& queue = *world.queue_backend;
    std::optional<Rows> at_death;
    world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
      const bool reads = operation == StoreOperation::kGet && key == KeyOf(kPoison);
      if (reads && !at_death) at_death = queue.rows;
      return Fault();
    };
    Begin(world, std::move(rows));
    for (int i = 0; i < 300 && !at_death; ++i) world.RunFor(1s);
    killed = at_death.has_value();
    Rows left = at_death ? *at_death : queue.rows;
    // What is left of this life happens to nobody.
    world.source().Heal();
    world.Stop();
    passed_ += 10min;
    return left;
  }

  std::chrono::seconds passed_{0};
};

// All others are carried, though each life ends with it.
TEST_F(LivesTest, WhatEndsAProcessAgainAndAgainKeepsNoOtherBack) {
  Rows rows = Messages(0);
  int lives = 0;
  while (rows.size() > 1 && lives < 30) {
    bool killed = false;
    rows = Live(std::move(rows), killed);
    EXPECT_TRUE(killed);
    ++lives;
  }
  EXPECT_LT(lives, 15);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_NE(rows.begin()->second.body.find(KeyOf(kPoison)), std::string::npos);
  EXPECT_EQ(rows.begin()->second.receive_count, lives);
}

// A comparison sends a thousand keys in one message: one of them must not hold back the others.
TEST_F(LivesTest, OfAMessageOfManyKeysTheGuiltyOneIsLeft) {
  Rows rows = OneMessage(0);
  int lives = 0;
  while (CountKeys(rows) > 1 && lives < 40) {
    bool killed = false;
    rows = Live(std::move(rows), killed);
    EXPECT_TRUE(killed);
    ++lives;
  }
  EXPECT_LT(lives, 25);
  ASSERT_EQ(CountKeys(rows), 1u);
  EXPECT_NE(rows.begin()->second.body.find(KeyOf(kPoison)), std::string::npos);
}

TEST_F(LivesTest, WhatIsTakenApartIsCarriedAsAWhole) {
  ReplicationWorld world;
  Begin(world, OneMessage(Suspects::kReceives));
  world.RunFor(1min);
  EXPECT_EQ(world.Replicas().size(), static_cast<size_t>(kMessages));
  EXPECT_TRUE(world.queue_backend->rows.empty());
  EXPECT_TRUE(world.log.Has("it is taken apart"));
  EXPECT_FALSE(world.log.Has("it travels alone"));
  world.Stop();
}

// Who looks for the one that ends a process has to know which keys it may be.
TEST_F(LivesTest, TheLogNamesFirstAndLastKeyOfWhatTravelsAlone) {
  ReplicationWorld world;
  Begin(world, OneMessage(Suspects::kReceives - 1));
  world.RunFor(1min);
  const auto line =
      std::ranges::find(world.log.lines, "received for the third time or more: it travels alone");
  ASSERT_NE(line, world.log.lines.end());
  const std::string& fields = world.log.fields[static_cast<size_t>(line - world.log.lines.begin())];
  EXPECT_EQ(fields, " messages=1 rule= keys=40 key=" + KeyOf(0) + " last=" + KeyOf(kMessages - 1));
  EXPECT_EQ(world.Replicas().size(), static_cast<size_t>(kMessages));
  world.Stop();
}

// When one is read nothing else is at hand that would be received once more with it, but what has
// come with it.
TEST_F(LivesTest, AMessageThatComesForTheThirdTimeSharesNoBatch) {
  ReplicationWorld world;
  int held_max = 0;
  int archives = 0;
  world.source().decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    if (operation != StoreOperation::kGet) return Fault();
    int held = 0;
    for (const auto& [id, row] : world.queue_backend->rows) held += row.receive_count > 2 ? 1 : 0;
    held_max = std::max(held_max, held);
    return Fault();
  };
  world.target().decide = [&](StoreOperation operation, std::string_view bucket,
                              std::string_view key) {
    const bool archive = bucket == "staging" && key.ends_with(".tar.zst");
    if (archive && operation == StoreOperation::kPut) ++archives;
    return Fault();
  };
  Begin(world, Messages(2));
  world.RunFor(2min);
  EXPECT_EQ(world.Replicas().size(), static_cast<size_t>(kMessages));
  EXPECT_TRUE(world.queue_backend->rows.empty());
  EXPECT_LE(held_max, 10) << "of forty";
  // 1, 2, 4, 3 of the first ten that are received, then up to ten at a time.
  EXPECT_EQ(archives, 7);
  EXPECT_TRUE(world.log.Has("it travels alone"));
  world.Stop();
}

}  // namespace
}  // namespace longhaul
