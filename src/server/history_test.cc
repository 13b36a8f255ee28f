#include "server/history.h"

#include <gtest/gtest.h>

#include "server/audit_log.h"
#include "tests/support/fake_state.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() {
    Rule rule;
    rule.id = "logs";
    rule.source = {"east", "logs", ""};
    rule.targets.push_back({.name = "west", .to = {"west", "copy", ""}});
    configuration_.rules.push_back(rule);
  }
  // What a process that runs the rule writes down.
  void Publish(uint64_t keys, double per_second, uint64_t sent) {
    RuleNow now{.beat = world_.clock.Now(), .source = true, .target = true, .keys_pending = keys};
    now.oldest = OldestKey{.heard = world_.clock.Now() - 7s, .key = "k"};
    now.targets["west"] = {.objects_per_second = per_second, .bytes_per_second = 10 * per_second};
    RuleTotals totals{.plain_bytes = 3 * sent, .sent_bytes = sent};
    ASSERT_TRUE(world_.Run(state_.Write("status", {.key = "logs/P", .value = EncodeNow(now)})));
    ASSERT_TRUE(world_.Run(state_.Write("totals", {.key = "logs", .value = EncodeTotals(totals)})));
  }
  HistoryLines Read(History& history, const std::string& rule, const std::string& target,
                    std::chrono::nanoseconds back) {
    const SystemTime now = world_.clock.Now();
    const auto from = std::chrono::floor<std::chrono::microseconds>(now - back);
    Result<HistoryLines> lines = world_.Run(history.Read(rule, target, from, now));
    EXPECT_TRUE(lines) << lines.error().Describe();
    return lines ? *lines : HistoryLines();
  }
  size_t Rows() const {
    return static_cast<size_t>(std::ranges::count_if(
        backend_->rows, [](const auto& row) { return row.first.first == "history"; }));
  }

  testing::FakeWorld world_;
  Configuration configuration_;
  std::shared_ptr<testing::FakeStateBackend> backend_ =
      std::make_shared<testing::FakeStateBackend>();
  testing::FakeState state_{world_.runtime, backend_};
};

// A chart shows what was, not what the process happens to remember.
TEST_F(HistoryTest, KeepsAValueAMinute) {
  History history(world_.runtime, state_, configuration_, "P");
  for (uint64_t minute = 0; minute < 40; ++minute) {
    Publish(minute, 2, minute * 100);
    ASSERT_TRUE(world_.Run(history.Sample()));
    world_.clock.Advance(1min);
  }
  const HistoryLines rule = Read(history, "logs", "", 2h);
  EXPECT_EQ(rule.step_seconds, 60);
  ASSERT_EQ(rule.values.size(), 40U);
  const HistoryValues& last = rule.values.rbegin()->second;
  EXPECT_DOUBLE_EQ(last[0], 7);
  EXPECT_DOUBLE_EQ(last[1], 39);
  EXPECT_DOUBLE_EQ(last[3], 20);
  EXPECT_DOUBLE_EQ(last[4], 300) << "bytes of this minute, not of all time";
  EXPECT_DOUBLE_EQ(last[5], 100);
  EXPECT_DOUBLE_EQ(Read(history, "logs", "west", 2h).values.rbegin()->second[2], 2);
  EXPECT_DOUBLE_EQ(Read(history, "", "", 2h).values.rbegin()->second[1], 39);
  EXPECT_TRUE(Read(history, "other", "", 2h).values.rbegin()->second == HistoryValues());
}

// A month of minutes would be 43,000 rows for each rule.
TEST_F(HistoryTest, IsBoundedAndGetsCoarser) {
  History history(world_.runtime, state_, configuration_, "P");
  for (int minute = 0; minute < 8 * 60; ++minute) {
    Publish(minute % 15 == 3 ? 50 : 1, 1, static_cast<uint64_t>(minute) * 10);
    ASSERT_TRUE(world_.Run(history.Sample()));
    world_.clock.Advance(1min);
  }
  EXPECT_LE(Rows(), 33U + 3U);
  const HistoryLines coarse = Read(history, "logs", "", 29h);
  EXPECT_EQ(coarse.step_seconds, 900);
  ASSERT_GE(coarse.values.size(), 30U);
  const HistoryValues& one = std::next(coarse.values.begin(), 10)->second;
  EXPECT_DOUBLE_EQ(one[1], 50) << "the most of its minutes";
  EXPECT_DOUBLE_EQ(one[2], 1) << "their mean";
  EXPECT_DOUBLE_EQ(one[5], 150) << "their sum";
}

// What was moved while State could not be written is in the next minute that is, and once.
TEST_F(HistoryTest, WhatCouldNotBeWrittenIsNeitherLostNorToldTwice) {
  int64_t failures = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    backend_->rows.clear();
    testing::FakeFaults faults{seed};
    testing::FakeState troubled{world_.runtime, backend_, &faults};
    History history(world_.runtime, troubled, configuration_, "P");
    for (uint64_t minute = 0; minute < 20; ++minute) {
      Publish(1, 2, minute * 100);
      const bool calm = minute < 2 || minute > 17;
      faults.fails_before = faults.fails_after = calm ? 0 : 0.15;
      static_cast<void>(world_.Run(history.Sample()));
      world_.clock.Advance(1min);
    }
    failures += faults.failures;
    for (const char* rule : {"logs", ""}) {
      double sent = 0;
      for (const auto& [minute, values] : Read(history, rule, "", 2h).values) sent += values[5];
      ASSERT_DOUBLE_EQ(sent, 1'900) << rule << " " << seed;
    }
  }
  EXPECT_GE(failures, 100);
}

// A quarter is added to its six hours also when nobody was there as it ended.
TEST_F(HistoryTest, AQuarterBeforeAPauseIsKept) {
  History history(world_.runtime, state_, configuration_, "P");
  for (const auto pause : {std::chrono::minutes(5 * 60), std::chrono::minutes(0)}) {
    for (uint64_t minute = 0; minute < 20; ++minute) {
      Publish(1, 2, minute * 100);
      ASSERT_TRUE(world_.Run(history.Sample()));
      world_.clock.Advance(1min);
    }
    world_.clock.Advance(pause);
  }
  size_t before = 0;
  for (const auto& [second, values] : Read(history, "logs", "", 29h).values) {
    if (SystemTime(std::chrono::seconds(second)) < world_.clock.Now() - 4h) ++before;
  }
  EXPECT_GE(before, 2U) << "the second quarter was cut by the pause";
}

// Two processes of one State must not tear each other's row, nor count a minute twice.
TEST_F(HistoryTest, OneOfTwoProcessesWrites) {
  History first(world_.runtime, state_, configuration_, "P");
  History second(world_.runtime, state_, configuration_, "Q");
  for (int minute = 0; minute < 20; ++minute) {
    Publish(1, 1, 0);
    if (minute < 8) ASSERT_TRUE(world_.Run(first.Sample()));  // Then it dies.
    ASSERT_TRUE(world_.Run(second.Sample()));
    world_.clock.Advance(1min);
  }
  const size_t minutes = Read(second, "logs", "", 1h).values.size();
  EXPECT_GE(minutes, 18U) << "the other one takes over within two minutes";
  EXPECT_LE(minutes, 20U);
}

// Whoever asks what happened must find it, also after 10,000 changes and a kill between the two
// writes of one.
TEST_F(HistoryTest, AuditLogIsARing) {
  AuditLog log(world_.runtime, state_);
  for (int i = 0; i < 3; ++i) {
    Result<AuditEntry> entry = world_.Run(
        log.Begin({.who = "alice", .action = "pauseRule", .detail = std::string(20'000, 'x')}));
    ASSERT_TRUE(entry);
    if (i == 1) continue;
    entry->status = 200;
    ASSERT_TRUE(world_.Run(log.End(*entry)));
  }
  Result<AuditPage> read = world_.Run(log.Read(0, 10));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->entries.size(), 3U);
  EXPECT_EQ(read->entries[0].number, 3);
  EXPECT_EQ(read->entries[0].status, 200);
  EXPECT_FALSE(read->entries[1].status) << "nobody knows what came of it";
  EXPECT_EQ(read->entries[2].detail.size(), AuditLog::kDetailBytesMax + std::string("…").size());
  EXPECT_EQ(read->before, 0);
  EXPECT_EQ(world_.Run(log.Read(2, 10))->entries.size(), 1U);
  ASSERT_TRUE(world_.Run(state_.Add("audit", "next", AuditLog::kEntriesMax)));
  Result<AuditEntry> late = world_.Run(log.Begin({.who = "bob"}));
  ASSERT_TRUE(late);
  EXPECT_EQ(world_.Run(log.Read(0, 10))->entries.size(), 1U) << "older ones have made room";
}

// A process that ends between the number and the entry leaves a hole, behind which there is more.
TEST_F(HistoryTest, AHoleInTheAuditLogIsNoEnd) {
  AuditLog log(world_.runtime, state_);
  for (int i = 0; i < 9; ++i) {
    if (i == 4) {
      ASSERT_TRUE(world_.Run(state_.Add("audit", "next", 1)));
      continue;
    }
    ASSERT_TRUE(world_.Run(log.Begin({.who = "alice"})));
  }
  for (const int count : {1, 2, 3, 9}) {
    std::vector<int64_t> numbers;
    int64_t before = 0;
    do {
      Result<AuditPage> page = world_.Run(log.Read(before, count));
      ASSERT_TRUE(page);
      for (const AuditEntry& entry : page->entries) numbers.push_back(entry.number);
      before = page->before;
    } while (before > 0);
    EXPECT_EQ(numbers, (std::vector<int64_t>{9, 8, 7, 6, 4, 3, 2, 1})) << count;
  }
}

}  // namespace
}  // namespace longhaul
