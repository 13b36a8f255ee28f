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
  Result<std::vector<AuditEntry>> read = world_.Run(log.Read(0, 10));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 3U);
  EXPECT_EQ((*read)[0].number, 3);
  EXPECT_EQ((*read)[0].status, 200);
  EXPECT_FALSE((*read)[1].status) << "nobody knows what came of it";
  EXPECT_EQ((*read)[2].detail.size(), AuditLog::kDetailBytesMax + std::string("…").size());
  EXPECT_EQ(world_.Run(log.Read(2, 10))->size(), 1U);
  ASSERT_TRUE(world_.Run(state_.Add("audit", "next", AuditLog::kEntriesMax)));
  Result<AuditEntry> late = world_.Run(log.Begin({.who = "bob"}));
  ASSERT_TRUE(late);
  EXPECT_EQ(world_.Run(log.Read(0, 10))->size(), 1U) << "older ones have made room";
}

}  // namespace
}  // namespace longhaul
