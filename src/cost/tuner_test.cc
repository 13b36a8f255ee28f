#include "cost/tuner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "cost/tuner_prices.h"
#include "cost/tuner_share.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

constexpr size_t kFrameBytes = 8 << 20;
constexpr double kGib = 1024.0 * 1024 * 1024;

Rule OneRule(int min = 1, int max = 19) {
  Rule rule;
  rule.id = "r";
  rule.tuner = TunerBounds{.level_min = min, .level_max = max};
  rule.compression_level = std::clamp(6, min, max);
  return rule;
}

// A kind of content as a model: bytes and seconds at each level.
struct Content {
  std::string label;
  double packed = 0.3;   // At level 6, of 1.
  double shrink = 0.01;  // What each level more takes off, of what is left.
  double seconds = 16;   // For a GiB at level 6.
  double slower = 1.5;   // By each level more.

  [[nodiscard]] double Packed(int level) const { return packed * std::pow(1 - shrink, level - 6); }
  [[nodiscard]] double Seconds(int level) const { return seconds * std::pow(slower, level - 6); }
  [[nodiscard]] double Dollars(int level, const TunerPrices& prices) const {
    return prices.transfer_gib * Packed(level) + prices.cpu_second * Seconds(level);
  }
  [[nodiscard]] int Best(const TunerPrices& prices, int min, int max) const {
    int best = min;
    for (int level = min; level <= max; ++level) {
      if (Dollars(level, prices) < Dollars(best, prices)) best = level;
    }
    return best;
  }
};

const TunerPrices kPrices{.transfer_gib = 0.02, .cpu_second = 0.0000131, .unknown = ""};

std::vector<std::byte> TextFrame() {
  std::vector<std::byte> frame(kFrameBytes);
  for (size_t i = 0; i < frame.size(); ++i) frame[i] = static_cast<std::byte>('a' + i % 16);
  return frame;
}

struct Fed {
  uint64_t raw = 0;
  uint64_t trials = 0;
  double dollars = 0;        // Of frames and trials.
  double trial_dollars = 0;  // Of trials alone.
  int level = 0;             // Taken last.
  std::set<int> tried;
};

// `frames` of it; `speed`: of the machine, in seconds for one.
Fed Feed(RuleTuner& tuner, const Content& content, int frames, double speed = 1,
         const TunerPrices& prices = kPrices) {
  static const std::vector<std::byte> raw = TextFrame();
  auto made = [&](int level, size_t bytes) {
    const double share = static_cast<double>(bytes) / kGib;
    return Compressed{
        .packed_bytes = static_cast<uint64_t>(static_cast<double>(bytes) * content.Packed(level)),
        .cpu = std::chrono::nanoseconds(
            static_cast<int64_t>(share * content.Seconds(level) * speed * 1e9)),
        .passed = {}};
  };
  auto dollars = [&](const Compressed& done) {
    return std::chrono::duration<double>(done.cpu).count() * prices.cpu_second;
  };
  Fed run;
  for (int i = 0; i < frames; ++i) {
    const LevelChoice choice = tuner.Choose({.label = content.label, .raw = raw});
    FrameOutcome outcome{.raw_bytes = raw.size(), .frame = made(choice.level, raw.size())};
    run.raw += raw.size();
    run.level = choice.level;
    run.dollars += dollars(outcome.frame) +
                   static_cast<double>(outcome.frame.packed_bytes) / kGib * prices.transfer_gib;
    if (choice.trial) {
      outcome.trial = made(choice.trial->level, choice.trial->size_bytes);
      outcome.reference = made(choice.trial->reference_level, choice.trial->size_bytes);
      run.trials += 2 * choice.trial->size_bytes;
      run.tried.insert(choice.trial->level);
      run.trial_dollars += dollars(outcome.trial) + dollars(outcome.reference);
    }
    tuner.OnFrame(choice, outcome);
  }
  run.dollars += run.trial_dollars;
  return run;
}

// Money is lost at every level but one, and which it is depends on the content and on the price.
TEST(Tuner, TakesTheLevelAtWhichAGibCostsLeast) {
  const Rule rule = OneRule();
  for (const double transfer : {0.02, 0.06, 0.147}) {
    for (const Content& content :
         {Content{.label = "log", .packed = 0.06, .shrink = 0.03},
          Content{.label = "csv", .packed = 0.25, .shrink = 0.004},
          Content{.label = "bin", .packed = 0.5, .shrink = 0.02, .seconds = 30, .slower = 1.4},
          Content{.label = "flat", .packed = 0.9, .shrink = 0.0001}}) {
      const TunerPrices prices{.transfer_gib = transfer, .cpu_second = 0.0000131, .unknown = ""};
      RuleTuner tuner(rule, prices, "here", nullptr);
      tuner.LimitLevel(19);
      Feed(tuner, content, 256, 1, prices);  // 2 GiB.
      const Fed after = Feed(tuner, content, 128, 1, prices);
      const double best = content.Dollars(content.Best(prices, 1, 19), prices);
      EXPECT_LE(after.dollars, best * static_cast<double>(after.raw) / kGib * 1.01)
          << content.label << " at " << transfer << ": level " << after.level << ", not "
          << content.Best(prices, 1, 19);
    }
  }
}

// Exploring must not cost what it cannot win.
TEST(Tuner, TriesLittleAndNothingThatIsDearInItself) {
  const Rule rule = OneRule(1, 22);
  RuleTuner tuner(rule, kPrices, "here", nullptr);
  tuner.LimitLevel(22);
  const Content content{.label = "log"};
  const Fed run = Feed(tuner, content, 512);
  EXPECT_GT(run.trials, 0U);
  EXPECT_EQ(run.trials, tuner.trial_bytes());
  EXPECT_LE(static_cast<double>(run.trials), 0.02 * static_cast<double>(run.raw));
  EXPECT_LT(run.trial_dollars, 0.003 * run.dollars);
  const double best = content.Dollars(content.Best(kPrices, 1, 22), kPrices);
  for (const int level : run.tried) {
    EXPECT_LE(content.Seconds(level) * kPrices.cpu_second, best) << level;
  }
}

TEST(Tuner, StaysWithinItsBoundsAndItsMemory) {
  const Rule rule = OneRule(8, 10);
  RuleTuner tuner(rule, kPrices, "here", nullptr);
  tuner.LimitLevel(22);
  EXPECT_EQ(tuner.level_max(), 10);
  EXPECT_EQ(Feed(tuner, {.label = "a", .shrink = 0}, 64).level, 8);
  EXPECT_EQ(Feed(tuner, {.label = "b", .packed = 0.9, .shrink = 0.1}, 200).level, 10);
  tuner.LimitLevel(9);
  EXPECT_EQ(Feed(tuner, {.label = "b", .packed = 0.9, .shrink = 0.1}, 4).level, 9);
  tuner.LimitLevel(0);  // Its own level there is always room for.
  EXPECT_EQ(tuner.level_max(), 8);
}

// A guess about money where a price is missing would look like knowledge.
TEST(Tuner, WithoutAPriceTheLevelStaysAndThePriceIsNamed) {
  const Rule rule = OneRule();
  RuleTuner tuner(rule, {.transfer_gib = 0, .cpu_second = 0, .unknown = "transfer/a/b"}, "here",
                  nullptr);
  EXPECT_EQ(tuner.level_wanted(), 6);
  const Fed run = Feed(tuner, {.label = "csv"}, 100);
  EXPECT_EQ(run.level, 6);
  EXPECT_EQ(run.trials, 0U);
  ASSERT_EQ(tuner.Levels(5).size(), 1U);
  EXPECT_NE(tuner.Levels(5)[0].why.find("transfer/a/b"), std::string::npos);
  EXPECT_TRUE(tuner.TakeNew().empty());
}

TEST(Tuner, KindsAreToldApartByWhatTheyHold) {
  const Rule rule = OneRule();
  RuleTuner tuner(rule, kPrices, "here", nullptr);
  std::vector<std::byte> dense(kFrameBytes);
  uint64_t state = 1;
  for (std::byte& byte : dense) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<std::byte>(state >> 56);
  }
  EXPECT_EQ(tuner.Choose({.label = "csv", .raw = TextFrame()}).kind, "csv text");
  EXPECT_EQ(tuner.Choose({.label = "csv", .raw = dense}).kind, "csv dense");
  EXPECT_EQ(tuner.Choose({.label = "", .raw = dense}).kind, "dense");
  // Endings may be anything: there must be an end to them.
  for (int i = 0; i < 200; ++i) {
    tuner.Choose({.label = "e" + std::to_string(i), .raw = std::span(dense).first(1024)});
  }
  EXPECT_EQ(tuner.Choose({.label = "late", .raw = dense}).kind, "other dense");
}

class TunerPace : public ::testing::Test {
 protected:
  // Five seconds later: all threads have compressed for `share` of them.
  void Look(std::optional<std::chrono::seconds> fresh_age, double share) {
    now += std::chrono::seconds(5);
    const std::vector<std::byte> raw(1 << 20, std::byte{'a'});
    RuleTuner& one = *tuner.Of("r");
    const LevelChoice choice = one.Choose({.label = "log", .raw = raw});
    FrameOutcome outcome{.raw_bytes = raw.size(), .frame = {}};
    outcome.frame.packed_bytes = static_cast<uint64_t>(300'000 * std::pow(1.013, 6 - choice.level));
    outcome.frame.cpu =
        std::chrono::microseconds(static_cast<int64_t>(16'000 * std::pow(1.3, choice.level - 6)));
    outcome.frame.passed = std::chrono::milliseconds(static_cast<int64_t>(5000 * 2 * share));
    one.OnFrame(choice, outcome);
    const SystemTime time = SystemTime(now.time_since_epoch());
    tuner.Look(time, SteadyTime(now.time_since_epoch()), [&](const std::string&) {
      TunerSight sight;
      if (fresh_age) sight.oldest = sight.oldest_fresh = time - *fresh_age;
      return sight;
    });
  }
  [[nodiscard]] int Level() {
    const std::vector<std::byte> raw(1 << 20, std::byte{'a'});
    return tuner.Of("r")->Choose({.label = "log", .raw = raw}).level;
  }

  // To a level that is as cheap: what was seen meanwhile may have made another one of them best.
  void ExpectBack(int cheapest, int hurried) {
    const int level = Level();
    const RuleTuner& one = *tuner.Of("r");
    EXPECT_GT(level, hurried);
    EXPECT_LE(one.CostOf("log text", level), 1.003 * one.CostOf("log text", cheapest)) << level;
    EXPECT_GT(one.CostOf("log text", hurried), 1.003 * one.CostOf("log text", cheapest));
  }

  Rule rule = OneRule();
  Tuner tuner{2, "here"};
  std::chrono::sys_time<std::chrono::microseconds> now{std::chrono::hours(1000)};
};

// Money must not make an object late that a faster level would bring in time; nor must a slow store
// make the tuner waste money on speed that helps nobody.
TEST_F(TunerPace, HurriesWhereCpuBindsAndAThresholdIsInDanger) {
  rule.threshold = std::chrono::minutes(2);
  tuner.Add(rule, kPrices);
  tuner.Of("r")->LimitLevel(19);
  for (int i = 0; i < 10; ++i) Look(std::chrono::seconds(10), 1);
  const int cheapest = Level();
  for (int i = 0; i < 10; ++i) Look(std::chrono::seconds(70), 0.3);
  EXPECT_EQ(Level(), cheapest);  // Late, and not for want of processors.
  Look(std::chrono::seconds(70), 1);
  const int hurried = Level();
  EXPECT_LT(hurried, cheapest);
  EXPECT_NE(tuner.Of("r")->Levels(1)[0].why.find("threshold is in danger"), std::string::npos);
  for (int i = 0; i < 10; ++i) Look(std::chrono::seconds(70), 1);
  EXPECT_LE(Level(), hurried);
  EXPECT_LE(Level(), 2);  // It gets worse: the fastest.
  for (int i = 0; i < 100; ++i) Look(std::chrono::seconds(5), 0.4);
  ExpectBack(cheapest, hurried);
}

TEST_F(TunerPace, HurriesWhereEventsPileUpAndComesBack) {
  tuner.Add(rule, kPrices);
  tuner.Of("r")->LimitLevel(19);
  for (int i = 0; i < 10; ++i) Look(std::chrono::seconds(100), 1);  // Old, and not older.
  const int cheapest = Level();
  for (int i = 1; i < 20; ++i) Look(std::chrono::seconds(100 + i), 1);
  const int hurried = Level();
  EXPECT_LT(hurried, cheapest);
  for (int i = 0; i < 100; ++i) Look(std::nullopt, 0);
  ExpectBack(cheapest, hurried);
}

class TunerShareTest : public ::testing::Test {
 protected:
  TrialMap All() {
    testing::FakeState state(world.runtime, backend);
    Result<TrialMap> all = world.Run(ReadTrials(state, "r"));
    EXPECT_TRUE(all);
    return all ? *all : TrialMap();
  }
  Async<void> PublishAll(std::vector<std::unique_ptr<TunerShare>>& shares) {
    TaskGroup group(world.runtime.executor);
    for (auto& share : shares) group.Spawn(share->Publish());
    co_return co_await group.Join();
  }

  Rule rule = OneRule();
  testing::FakeWorld world;
  std::shared_ptr<testing::FakeStateBackend> backend =
      std::make_shared<testing::FakeStateBackend>();
};

// What one process has paid to find out, another must not lose by writing at the same time.
TEST_F(TunerShareTest, NoneOfAHundredWritersLosesASample) {
  testing::FakeState state(world.runtime, backend);
  std::vector<std::unique_ptr<Tuner>> tuners;
  std::vector<std::unique_ptr<TunerShare>> shares;
  TrialMap expected;
  uint64_t trials = 0;
  for (int i = 0; i < 100; ++i) {
    auto tuner = std::make_unique<Tuner>(1, "machine-" + std::to_string(i % 2));
    tuner->Add(rule, kPrices);
    RuleTuner& one = *tuner->Of("r");
    one.LimitLevel(12);
    trials += Feed(one, {.label = "log"}, 60 + i % 3).trials;
    Tuner same(1, "machine-" + std::to_string(i % 2));
    same.Add(rule, kPrices);
    same.Of("r")->LimitLevel(12);
    Feed(*same.Of("r"), {.label = "log"}, 60 + i % 3);
    for (const auto& [place, sums] : same.Of("r")->TakeNew()) expected[place] += sums;
    shares.push_back(std::make_unique<TunerShare>(state, world.clock, *tuner));
    tuners.push_back(std::move(tuner));
  }
  ASSERT_GT(trials, 0U);
  ASSERT_TRUE(world.Run(PublishAll(shares)));
  EXPECT_EQ(All(), expected);
  ASSERT_TRUE(world.Run(PublishAll(shares)));  // Nothing new, nothing added.
  EXPECT_EQ(All(), expected);
  for (const auto& [key, row] : backend->rows) EXPECT_TRUE(row.expires) << key.second;
}

// An add that may have been made counts once or not at all.
TEST_F(TunerShareTest, UnderFaultsNothingCountsTwice) {
  uint64_t arrived = 0;
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    backend = std::make_shared<testing::FakeStateBackend>();
    testing::FakeFaults faults(seed);
    faults.fails_before = 0.1;
    faults.fails_after = 0.1;
    testing::FakeState state(world.runtime, backend, &faults);
    Tuner tuner(1, "here");
    tuner.Add(rule, kPrices);
    tuner.Of("r")->LimitLevel(12);
    TunerShare share(state, world.clock, tuner);
    int64_t tried = 0;
    for (int i = 0; i < 20; ++i) {
      tried += static_cast<int64_t>(Feed(*tuner.Of("r"), {.label = "log"}, 20).trials) / 2;
      static_cast<void>(world.Run(share.Publish()));
    }
    int64_t raw = 0;
    for (const auto& [place, sums] : All()) raw += sums.raw_bytes;
    ASSERT_LE(raw, tried) << seed;
    arrived += raw == 0 ? 0 : 1;
  }
  EXPECT_GT(arrived, 10U);
}

// A new process begins with what others know, and with its own machine's speed.
TEST_F(TunerShareTest, WhatOthersHaveTriedIsKnownAtOnceAndMeasuredByThisMachine) {
  testing::FakeState state(world.runtime, backend);
  const Content content{.label = "log", .packed = 0.9, .shrink = 0.03, .seconds = 8};
  const int best = content.Best(kPrices, 1, 12);
  ASSERT_NE(best, 6);
  for (const char* machine : {"fast", "slow"}) {
    Tuner tuner(1, machine);
    tuner.Add(rule, kPrices);
    tuner.Of("r")->LimitLevel(12);
    TunerShare share(state, world.clock, tuner);
    Feed(*tuner.Of("r"), content, 400, machine[0] == 's' ? 4 : 1);
    ASSERT_TRUE(world.Run(share.Publish()));
    // What it has tried itself is no other's.
    ASSERT_TRUE(world.Run(share.Read()));
    ASSERT_TRUE(world.Run(share.Publish()));
  }
  Tuner tuner(1, "slow");
  tuner.Add(rule, kPrices);
  RuleTuner& one = *tuner.Of("r");
  one.LimitLevel(12);
  TunerShare share(state, world.clock, tuner);
  ASSERT_TRUE(world.Run(share.Read()));
  // Four times the seconds of the fast one: both machines' trials speak of the slow one here.
  const TunerPrices cpu_alone{.transfer_gib = 0, .cpu_second = 1, .unknown = ""};
  RuleTuner seconds(rule, cpu_alone, "slow", nullptr);
  seconds.LimitLevel(12);
  seconds.SetOthers(All());
  EXPECT_NEAR(seconds.CostOf("log text", 6), 4 * content.Seconds(6), 0.1 * 4 * content.Seconds(6));
  RuleTuner fast(rule, cpu_alone, "fast", nullptr);
  fast.LimitLevel(12);
  fast.SetOthers(All());
  EXPECT_NEAR(fast.CostOf("log text", 6), content.Seconds(6), 0.1 * content.Seconds(6));
}

// Counted as somebody else's besides, its own trials would weigh twice.
TEST_F(TunerShareTest, WhatAProcessHasSharedComesBackAsNothingNew) {
  testing::FakeState state(world.runtime, backend);
  Tuner tuner(1, "here");
  tuner.Add(rule, kPrices);
  RuleTuner& one = *tuner.Of("r");
  one.LimitLevel(12);
  TunerShare share(state, world.clock, tuner);
  Feed(one, {.label = "log", .packed = 0.9, .shrink = 0.03}, 100);
  const double before = one.CostOf("log text", 9);
  ASSERT_TRUE(world.Run(share.Publish()));
  ASSERT_TRUE(world.Run(share.Read()));
  EXPECT_EQ(one.CostOf("log text", 9), before);
}

// A row that ends while its maker lives is made anew, with an end.
TEST_F(TunerShareTest, RowsThatEndAreMadeAnewWithAnEnd) {
  testing::FakeState state(world.runtime, backend);
  Tuner tuner(1, "here");
  tuner.Add(rule, kPrices);
  RuleTuner& one = *tuner.Of("r");
  one.LimitLevel(12);
  TunerShare share(state, world.clock, tuner);
  Feed(one, {.label = "log"}, 100);
  ASSERT_TRUE(world.Run(share.Publish()));
  ASSERT_FALSE(All().empty());
  // Somebody else's, of rows that were there.
  Tuner other_tuner(1, "here");
  other_tuner.Add(rule, kPrices);
  other_tuner.Of("r")->LimitLevel(12);
  TunerShare other(state, world.clock, other_tuner);
  world.clock.Advance(24h);
  Feed(*other_tuner.Of("r"), {.label = "log"}, 100);
  ASSERT_TRUE(world.Run(other.Publish()));
  // Rows that are about to end are left alone.
  world.clock.Advance(TunerShare::kKept - 24h - 30s);
  const TrialMap before = All();
  Feed(one, {.label = "log"}, 100);
  Feed(*other_tuner.Of("r"), {.label = "log"}, 100);
  ASSERT_TRUE(world.Run(share.Publish()));
  ASSERT_TRUE(world.Run(other.Publish()));
  for (const auto& [place, sums] : before) EXPECT_EQ(All()[place], sums);
  world.clock.Advance(1min);
  ASSERT_TRUE(world.Run(other.Publish()));
  ASSERT_TRUE(world.Run(share.Publish()));
  ASSERT_FALSE(All().empty());
  for (const auto& [key, row] : backend->rows) EXPECT_TRUE(row.expires) << key.second;
}

// What a process had in rows that have ended is taken off nobody's sums: they would fall below 0,
// and what others have tried would count for nothing.
TEST_F(TunerShareTest, WhatHasEndedIsTakenOffNothing) {
  testing::FakeState state(world.runtime, backend);
  Tuner tuner(1, "here");
  tuner.Add(rule, kPrices);
  RuleTuner& one = *tuner.Of("r");
  one.LimitLevel(12);
  TunerShare share(state, world.clock, tuner);
  const Content content{.label = "log", .packed = 0.9, .shrink = 0.03};
  Feed(one, content, 400);
  ASSERT_TRUE(world.Run(share.Publish()));
  world.clock.Advance(TunerShare::kKept + 1min);
  Feed(one, content, 20);
  ASSERT_TRUE(world.Run(share.Publish()));
  Tuner other_tuner(1, "here");
  other_tuner.Add(rule, kPrices);
  other_tuner.Of("r")->LimitLevel(12);
  TunerShare other(state, world.clock, other_tuner);
  Feed(*other_tuner.Of("r"), content, 20, 3);
  ASSERT_TRUE(world.Run(other.Publish()));
  const double before = one.CostOf("log text", 9);
  ASSERT_TRUE(world.Run(share.Read()));
  EXPECT_GT(one.CostOf("log text", 9), before);
}

// State holds what other versions and other people have written.
TEST_F(TunerShareTest, RowsThatMakeNoSenseAreLeftOut) {
  testing::FakeState state(world.runtime, backend);
  for (const char* key : {"r/log text/6/x/here/raw", "r/log text", "r/log text/6/7/here/raw/more",
                          "r/log text/6/7/here/weight"}) {
    ASSERT_TRUE(world.Run(state.Add("tuner", key, 5)));
  }
  ASSERT_TRUE(world.Run(state.Add("tuner", "r/log text/6/7/here/raw", -5)));
  EXPECT_TRUE(All().empty() || All().begin()->second == TrialSums());
  // Half a sample, and one of a level that is none.
  TrialMap odd;
  odd[{.rule = "r", .kind = "log text", .level = 7, .reference_level = 6, .processor = "x"}] = {
      .raw_bytes = 1 << 30};
  odd[{.rule = "r", .kind = "log text", .level = 99, .reference_level = 6, .processor = "x"}] = {
      1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20};
  RuleTuner tuner(rule, kPrices, "here", nullptr);
  tuner.LimitLevel(12);
  const double before = tuner.CostOf("log text", 7);
  tuner.SetOthers(odd);
  EXPECT_EQ(tuner.CostOf("log text", 7), before);
}

// A byte in an archive that a vault keeps costs what it is to send it and what it is to keep it.
TEST(Tuner, WhatIsKeptCountsAsWhatIsSent) {
  Rule rule = OneRule();
  RuleTuner sent(rule, {.transfer_gib = 0.05, .cpu_second = 0.0000131, .unknown = ""}, "here",
                 nullptr);
  RuleTuner kept(rule, {.kept_gib = 0.05, .cpu_second = 0.0000131, .unknown = ""}, "here", nullptr);
  RuleTuner neither(rule, {.cpu_second = 0.0000131, .unknown = ""}, "here", nullptr);
  for (const int level : {1, 6, 9}) {
    EXPECT_DOUBLE_EQ(kept.CostOf("log text", level), sent.CostOf("log text", level));
    EXPECT_GT(kept.CostOf("log text", level), neither.CostOf("log text", level));
  }
}

TEST(TunerPricesTest, EachStagingIsPaidOnceAndWhatIsUnknownIsNamed) {
  Rule rule = OneRule();
  rule.source = {.store = "east", .bucket = "in", .prefix = ""};
  for (const char* staging : {"west", "west", "south"}) {
    Target target;
    target.staging = {.store = staging, .bucket = "staging", .prefix = ""};
    rule.targets.push_back(target);
  }
  StoreRegions regions{{"east", "us-east-1"}, {"west", "eu-west-1"}, {"south", "cellar"}};
  PriceList list{{"transfer/us-east-1/eu-west-1", 20'000'000'000},
                 {"vcpu_second/us-east-1", 13'100'000}};
  EXPECT_EQ(TunerPricesOf(rule, regions, Prices(list)).unknown, "transfer/us-east-1/cellar");
  list["transfer/us-east-1/cellar"] = 50'000'000'000;
  const TunerPrices prices = TunerPricesOf(rule, regions, Prices(list));
  EXPECT_EQ(prices.unknown, "");
  EXPECT_NEAR(prices.transfer_gib, 0.07, 1e-9);
  EXPECT_NEAR(prices.cpu_second, 0.0000131, 1e-12);
  // What a vault keeps is paid for every month.
  Rule backup = rule;
  backup.targets[0].to = {.store = "south", .bucket = "vault", .prefix = ""};
  backup.targets[0].backup = BackupOptions{.keep = std::chrono::hours(3 * 730)};
  EXPECT_EQ(TunerPricesOf(backup, regions, Prices(list)).unknown, "storage/cellar/STANDARD");
  list["storage/cellar/STANDARD"] = 23'000'000'000;
  list["storage/cellar/GLACIER_IR"] = 4'000'000'000;
  EXPECT_NEAR(TunerPricesOf(backup, regions, Prices(list)).kept_gib, 3 * 0.023, 1e-9);
  EXPECT_NEAR(TunerPricesOf(backup, regions, Prices(list)).transfer_gib, 0.07, 1e-9);
  backup.targets[0].backup = BackupOptions{.storage_class = "GLACIER_IR"};
  EXPECT_NEAR(TunerPricesOf(backup, regions, Prices(list)).kept_gib, 12 * 0.004, 1e-9);
  EXPECT_EQ(TunerPricesOf(rule, regions, Prices(list)).kept_gib, 0);
  regions["east"] = "";
  EXPECT_EQ(TunerPricesOf(rule, regions, Prices(list)).unknown,
            "transfer: store east has no region");
  // The store copies from the local staging; each copy is paid.
  rule.transport = Transport::kS3Replication;
  rule.local_staging = Address{.store = "west", .bucket = "local", .prefix = ""};
  regions["east"] = "us-east-1";
  list["transfer/eu-west-1/eu-west-1"] = 0;
  list["transfer/eu-west-1/cellar"] = 30'000'000'000;
  EXPECT_NEAR(TunerPricesOf(rule, regions, Prices(list)).transfer_gib, 0.03, 1e-9);
}

}  // namespace
}  // namespace longhaul
