// What every State does, as tests: each sentence of state/state.h. A backend instantiates the suite
// with a function that makes its harness (state_conformance_test.cc).

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "state/state.h"
#include "tests/support/any_world.h"

namespace longhaul::testing {

// One state service and the world it runs in.
class StateHarness {
 public:
  virtual ~StateHarness() = default;
  virtual AnyWorld& world() = 0;
  // Another client of the same rows. It must be destroyed before the harness.
  virtual std::unique_ptr<State> Open() = 0;
  // What a few calls surely take less than, also on a busy machine.
  [[nodiscard]] virtual std::chrono::milliseconds soon() const {
    return std::chrono::milliseconds(100);
  }
};

struct StateBackendCase {
  std::string name;
  std::function<std::unique_ptr<StateHarness>()> make;
};

class StateSuite : public ::testing::TestWithParam<StateBackendCase> {
 protected:
  StateSuite() : harness_(GetParam().make()), state_(harness_->Open()) {}
  ~StateSuite() override { state_.reset(); }

  template <class T>
  T Run(asio::awaitable<T> task) {
    return harness_->world().Run(std::move(task));
  }
  SystemTime Soon() { return harness_->world().clock().Now() + harness_->soon(); }
  void SleepPastSoon() { (void)Run(SleepOk(harness_->world().clock(), harness_->soon())); }

  int64_t Put(const std::string& key, const std::string& value, Expected expected = {},
              std::optional<SystemTime> expires = std::nullopt) {
    Result<int64_t> written = Run(
        state_->Write("p", {.key = key, .value = value, .expected = expected, .expires = expires}));
    EXPECT_TRUE(written) << written.error().Describe();
    return written ? *written : 0;
  }
  ErrorKind WriteFails(StateWrite write) {
    Result<int64_t> written = Run(state_->Write("p", std::move(write)));
    EXPECT_FALSE(written);
    return written ? ErrorKind::kCancelled : written.error().kind;
  }
  std::optional<StateRow> Get(const std::string& key, const std::string& partition = "p") {
    Result<std::optional<StateRow>> row = Run(state_->Get(partition, key));
    EXPECT_TRUE(row) << row.error().Describe();
    return row ? *row : std::nullopt;
  }
  std::string ValueOf(const std::string& key) {
    std::optional<StateRow> row = Get(key);
    return row ? row->value : "(absent)";
  }
  std::vector<std::string> ScanKeys(const std::string& after, int count_max,
                                    const std::string& partition = "p") {
    Result<std::vector<StateRow>> rows = Run(state_->Scan(partition, after, count_max));
    EXPECT_TRUE(rows) << rows.error().Describe();
    std::vector<std::string> keys;
    if (rows) {
      for (const StateRow& row : *rows) keys.push_back(row.key);
    }
    return keys;
  }
  static Async<void> SleepOk(Clock& clock, std::chrono::milliseconds soon) {
    co_await clock.Sleep(soon + std::chrono::milliseconds(50));
    co_return Ok();
  }

  std::unique_ptr<StateHarness> harness_;
  std::unique_ptr<State> state_;
};

// A row must come back as it was written, whatever bytes key, value and partition are made of.
TEST_P(StateSuite, GetSeesWhatWasWritten) {
  EXPECT_FALSE(Get("k"));
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  SystemTime expires = harness_->world().clock().Now() + std::chrono::hours(1);
  Result<int64_t> revision =
      Run(state_->Write(bytes, {.key = bytes, .value = bytes, .expires = expires}));
  ASSERT_TRUE(revision) << revision.error().Describe();
  EXPECT_GT(*revision, 0);
  std::optional<StateRow> row = Get(bytes, bytes);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->key, bytes);
  EXPECT_EQ(row->value, bytes);
  EXPECT_EQ(row->revision, *revision);
  EXPECT_EQ(row->expires, expires);
  EXPECT_FALSE(Get(bytes));  // Another partition.
  Put("empty", "");
  EXPECT_EQ(ValueOf("empty"), "");
  EXPECT_EQ(Get("empty")->expires, std::nullopt);
}

// Another process must see at once what was written: leases and tombstones rest on it.
TEST_P(StateSuite, EveryClientSeesEveryWrite) {
  std::unique_ptr<State> other = harness_->Open();
  Put("k", "1");
  EXPECT_EQ((*Run(other->Get("p", "k")))->value, "1");
  ASSERT_TRUE(Run(other->Write("p", {.key = "k", .value = "2"})));
  EXPECT_EQ(ValueOf("k"), "2");
  ASSERT_TRUE(Run(other->Write("p", {.key = "k"})));
  EXPECT_FALSE(Get("k"));
}

// The results must line up with the keys, or facts end up at the wrong objects.
TEST_P(StateSuite, GetManyKeepsTheOrderOfItsKeys) {
  Put("a", "1");
  Put("b", "2");
  std::vector<std::string> keys{"b", "missing", "a", "b"};
  Result<std::vector<std::optional<StateRow>>> rows = Run(state_->GetMany("p", keys));
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 4u);
  EXPECT_EQ((*rows)[0]->value, "2");
  EXPECT_FALSE((*rows)[1]);
  EXPECT_EQ((*rows)[2]->value, "1");
  EXPECT_EQ((*rows)[3]->value, "2");
  EXPECT_TRUE(Run(state_->GetMany("p", {}))->empty());
  std::vector<std::string> many(3000, "a");
  EXPECT_EQ(Run(state_->GetMany("p", many))->size(), 3000u);
}

// However a backend looks for many at once, it finds the rows that a look at each would find.
TEST_P(StateSuite, GetManyFindsWhatGetFinds) {
  std::vector<std::string> keys;
  for (int i = 0; i < 256; ++i) {
    keys.push_back(std::string(1, static_cast<char>(i)));
    keys.push_back("k" + std::string(1, static_cast<char>((i * 37) % 256)) + "/x");
    keys.push_back("k" + std::to_string(i));
  }
  for (size_t i = 0; i < keys.size(); i += 3) Put(keys[i * 7 % keys.size()], std::to_string(i));
  ASSERT_TRUE(Run(state_->Write("other", {.key = "k5", .value = "of another partition"})));
  Result<std::vector<std::optional<StateRow>>> rows = Run(state_->GetMany("p", keys));
  ASSERT_TRUE(rows);
  int found = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    std::optional<StateRow> row = Get(keys[i]);
    ASSERT_EQ((*rows)[i].has_value(), row.has_value()) << i;
    if (!row) continue;
    ++found;
    EXPECT_EQ((*rows)[i]->key, keys[i]);
    EXPECT_EQ((*rows)[i]->value, row->value);
    EXPECT_EQ((*rows)[i]->revision, row->revision);
  }
  EXPECT_GT(found, 100);
}

// Two processes that both believe they are first: one of them must be told that it is not.
TEST_P(StateSuite, WriteIfAbsent) {
  Put("lease", "mine", Expected::Absent());
  EXPECT_EQ(WriteFails({.key = "lease", .value = "yours", .expected = Expected::Absent()}),
            ErrorKind::kPrecondition);
  EXPECT_EQ(ValueOf("lease"), "mine");
}

// A write on top of what someone else has written since must not happen.
TEST_P(StateSuite, WriteIfRevision) {
  int64_t first = Put("k", "1");
  int64_t second = Put("k", "2", Expected::Revision(first));
  EXPECT_NE(first, second);
  EXPECT_EQ(WriteFails({.key = "k", .value = "3", .expected = Expected::Revision(first)}),
            ErrorKind::kPrecondition);
  EXPECT_EQ(WriteFails({.key = "k", .expected = Expected::Revision(first)}),
            ErrorKind::kPrecondition);
  EXPECT_EQ(WriteFails({.key = "none", .value = "3", .expected = Expected::Revision(first)}),
            ErrorKind::kPrecondition);
  EXPECT_EQ(ValueOf("k"), "2");
  EXPECT_FALSE(Get("none"));
}

// A removal is a write like any other: conditional, and repeatable where no condition was set.
TEST_P(StateSuite, Remove) {
  int64_t revision = Put("k", "1");
  Result<int64_t> removed =
      Run(state_->Write("p", {.key = "k", .expected = Expected::Revision(revision)}));
  ASSERT_TRUE(removed);
  EXPECT_EQ(*removed, 0);
  EXPECT_FALSE(Get("k"));
  EXPECT_TRUE(Run(state_->Write("p", {.key = "k"})));
  EXPECT_TRUE(Run(state_->Write("p", {.key = "k", .expected = Expected::Absent()})));
  EXPECT_EQ(WriteFails({.key = "k", .expected = Expected::Revision(revision)}),
            ErrorKind::kPrecondition);
}

// A holder from before a remove and a new put must not match: the row is another one.
TEST_P(StateSuite, ARevisionIsNeverUsedAgain) {
  std::set<int64_t> seen;
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(seen.insert(Put("k", "same")).second);
    EXPECT_TRUE(seen.insert(Put("k", "same")).second);
    ASSERT_TRUE(Run(state_->Write("p", {.key = "k"})));
    state_ = harness_->Open();  // Nor by another process.
  }
  int64_t old = Put("k", "same", {}, Soon());
  SleepPastSoon();
  EXPECT_NE(Put("k", "same", Expected::Absent()), old);
}

// A lease that nobody renews must end, and then count as absent everywhere.
TEST_P(StateSuite, AnExpiredRowReadsAsAbsent) {
  SystemTime soon = Soon();
  int64_t revision = Put("lease", "mine", {}, soon);
  Put("other", "stays");
  EXPECT_EQ(ValueOf("lease"), "mine");
  SleepPastSoon();
  EXPECT_FALSE(Get("lease"));
  EXPECT_FALSE((*Run(state_->GetMany("p", {"lease"})))[0]);
  EXPECT_EQ(ScanKeys("", 10), std::vector<std::string>{"other"});
  EXPECT_EQ(WriteFails({.key = "lease", .value = "late", .expected = Expected::Revision(revision)}),
            ErrorKind::kPrecondition);
  Put("lease", "yours", Expected::Absent());
  EXPECT_EQ(ValueOf("lease"), "yours");
  // An expiry in the past is a row that is never seen; a rewrite without one lasts.
  Put("past", "x", {}, harness_->world().clock().Now() - std::chrono::hours(1));
  EXPECT_FALSE(Get("past"));
  Put("past", "y");
  EXPECT_EQ(ValueOf("past"), "y");
}

// One refused write must not take the others with it, nor hide behind them.
TEST_P(StateSuite, WriteManyAnswersForEachWrite) {
  int64_t revision = Put("taken", "1");
  std::vector<StateWrite> writes{
      {.key = "new", .value = "n", .expected = Expected::Absent()},
      {.key = "taken", .value = "x", .expected = Expected::Absent()},
      {.key = "", .value = "x"},
      {.key = "taken", .value = "2", .expected = Expected::Revision(revision)},
      {.key = "taken", .value = "3", .expected = Expected::Revision(revision)},
      {.key = "new", .expected = Expected::Anything()},
      {.key = "long", .value = std::string(kStateValueSizeMaxBytes + 1, 'x')},
  };
  Result<std::vector<Result<int64_t>>> results = Run(state_->WriteMany("p", writes));
  ASSERT_TRUE(results) << results.error().Describe();
  ASSERT_EQ(results->size(), writes.size());
  EXPECT_TRUE((*results)[0]);
  EXPECT_EQ((*results)[1].error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ((*results)[2].error().kind, ErrorKind::kInvalidInput);
  EXPECT_TRUE((*results)[3]);
  EXPECT_EQ((*results)[4].error().kind, ErrorKind::kPrecondition);
  EXPECT_EQ(*(*results)[5], 0);
  EXPECT_EQ((*results)[6].error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(ScanKeys("", 10), std::vector<std::string>{"taken"});
  EXPECT_EQ(ValueOf("taken"), "2");
  EXPECT_TRUE(Run(state_->WriteMany("p", {}))->empty());
}

// What is too long must be refused with the reason, and the longest allowed must fit.
TEST_P(StateSuite, Limits) {
  std::string key(kStateKeySizeMaxBytes, 'k');
  std::string value(kStateValueSizeMaxBytes, 'v');
  Put(key, value);
  EXPECT_EQ(ValueOf(key), value);
  EXPECT_EQ(WriteFails({.key = key + "k", .value = "v"}), ErrorKind::kInvalidInput);
  EXPECT_EQ(WriteFails({.key = "k", .value = value + "v"}), ErrorKind::kInvalidInput);
  EXPECT_EQ(WriteFails({.key = "", .value = "v"}), ErrorKind::kInvalidInput);
}

TEST_P(StateSuite, AddCountsFromAbsent) {
  EXPECT_EQ(*Run(state_->Add("p", "n", 5)), 5);
  EXPECT_EQ(*Run(state_->Add("p", "n", -7)), -2);
  EXPECT_EQ(ValueOf("n"), "-2");
  EXPECT_EQ(*Run(state_->Add("p", "n", 2)), 0);
  EXPECT_EQ(ValueOf("n"), "0");
  Put("n", "40");
  int64_t before = Get("n")->revision;
  EXPECT_EQ(*Run(state_->Add("p", "n", 2)), 42);
  EXPECT_NE(Get("n")->revision, before);
}

// Text that is no number must not be overwritten by a count that starts at 0.
TEST_P(StateSuite, AddRefusesWhatIsNoNumber) {
  for (const char* text : {"", "x", "1x", "1.5", " 1", "99999999999999999999"}) {
    Put("n", text);
    Result<int64_t> sum = Run(state_->Add("p", "n", 1));
    ASSERT_FALSE(sum) << text;
    EXPECT_EQ(sum.error().kind, ErrorKind::kInvalidInput);
    EXPECT_EQ(ValueOf("n"), text);
  }
  Put("n", "9223372036854775807");
  EXPECT_FALSE(Run(state_->Add("p", "n", 1)));
  EXPECT_EQ(*Run(state_->Add("p", "n", -1)), 9223372036854775806);
}

TEST_P(StateSuite, AddKeepsTheExpiry) {
  SystemTime soon = Soon();
  Put("n", "1", {}, soon);
  EXPECT_EQ(*Run(state_->Add("p", "n", 1)), 2);
  EXPECT_EQ(Get("n")->expires, soon);
  SleepPastSoon();
  EXPECT_EQ(*Run(state_->Add("p", "n", 1)), 1);
  EXPECT_EQ(Get("n")->expires, std::nullopt);
}

// A hundred adders at once: no count may be lost.
TEST_P(StateSuite, ConcurrentAddsAllCount) {
  struct Adder {
    static Async<void> Run(State& state) {
      for (int i = 0; i < 4; ++i) {
        Result<int64_t> sum = co_await state.Add("p", "n", 1);
        if (!sum) co_return sum.error();
      }
      co_return Ok();
    }
    static Async<void> All(std::vector<std::unique_ptr<State>>& states, Runtime& runtime) {
      TaskGroup group(runtime.executor);
      for (auto& state : states) {
        for (int i = 0; i < 25; ++i) group.Spawn(Run(*state));
      }
      co_return co_await group.Join();
    }
  };
  std::vector<std::unique_ptr<State>> states;
  for (int i = 0; i < 4; ++i) states.push_back(harness_->Open());
  Result<void> added = Run(Adder::All(states, harness_->world().runtime()));
  ASSERT_TRUE(added) << added.error().Describe();
  EXPECT_EQ(ValueOf("n"), "400");
}

// Many who want one lease at once: exactly one gets it.
TEST_P(StateSuite, ConcurrentWritersOneWins) {
  struct Racer {
    static Async<void> Run(State& state, int* wins) {
      Result<int64_t> won = co_await state.Write(
          "p", {.key = "lease", .value = "mine", .expected = Expected::Absent()});
      if (won) ++*wins;
      if (!won && won.error().kind != ErrorKind::kPrecondition) co_return won.error();
      co_return Ok();
    }
    static Async<void> All(std::vector<std::unique_ptr<State>>& states, Runtime& runtime,
                           int* wins) {
      TaskGroup group(runtime.executor);
      for (auto& state : states) {
        for (int i = 0; i < 5; ++i) group.Spawn(Run(*state, wins));
      }
      co_return co_await group.Join();
    }
  };
  std::vector<std::unique_ptr<State>> states;
  for (int i = 0; i < 3; ++i) states.push_back(harness_->Open());
  int wins = 0;
  Result<void> raced = Run(Racer::All(states, harness_->world().runtime(), &wins));
  ASSERT_TRUE(raced) << raced.error().Describe();
  EXPECT_EQ(wins, 1);
}

// Pages of a scan meet without gap or overlap only if keys are ordered as bytes everywhere.
TEST_P(StateSuite, ScanGoesInByteOrderOfKeys) {
  std::vector<std::string> keys{std::string("\0", 1),
                                std::string("\0\0", 2),
                                "\x01",
                                "A",
                                "B",
                                "a",
                                std::string("a\0b", 3),
                                "a/",
                                "aa",
                                "b",
                                "\x7f",
                                "\x80",
                                "\xc3\xa9",
                                "\xff",
                                "\xff\xff"};
  std::vector<std::string> shuffled = keys;
  std::reverse(shuffled.begin(), shuffled.end());
  for (const std::string& key : shuffled) Put(key, "v");
  ASSERT_TRUE(Run(state_->Write("o", {.key = "other partition", .value = "v"})));
  ASSERT_TRUE(Run(state_->Write("q", {.key = "other partition", .value = "v"})));
  EXPECT_EQ(ScanKeys("", 100), keys);
  EXPECT_EQ(ScanKeys("", 3), std::vector<std::string>(keys.begin(), keys.begin() + 3));
  std::vector<std::string> paged;
  while (true) {
    std::vector<std::string> page = ScanKeys(paged.empty() ? "" : paged.back(), 4);
    if (page.empty()) break;
    paged.insert(paged.end(), page.begin(), page.end());
  }
  EXPECT_EQ(paged, keys);
  EXPECT_EQ(ScanKeys("a", 2), (std::vector<std::string>{std::string("a\0b", 3), "a/"}));
  EXPECT_EQ(ScanKeys("", 10, "o"), std::vector<std::string>{"other partition"});
  EXPECT_TRUE(ScanKeys("", 10, "none").empty());
}

// Keys that differ only far behind are rows of their own, found by a scan at their place: a backend
// may have to keep long keys elsewhere.
TEST_P(StateSuite, LongKeysAreKeysLikeOthers) {
  std::vector<std::string> keys{"a", std::string(1022, 'k'), std::string(1023, 'k')};
  for (const size_t size : {1024, 1025, 1026, 1500, 2047, 2048}) {
    keys.emplace_back(size, 'k');
    keys.push_back(std::string(size - 1, 'k') + std::string(1, '\0'));
    keys.push_back(std::string(size - 1, 'k') + "\xff");
  }
  keys.push_back(std::string(1500, 'j'));
  keys.push_back(std::string(1023, 'k') + "m" + std::string(500, 'k'));
  keys.push_back("l");
  std::ranges::sort(keys);
  ASSERT_EQ(std::ranges::adjacent_find(keys), keys.end());
  for (size_t i = 0; i < keys.size(); ++i) Put(keys[(i * 7) % keys.size()], "v");
  ASSERT_TRUE(Run(state_->Write("o", {.key = std::string(1500, 'k'), .value = "of another"})));
  ASSERT_EQ(*Run(state_->Add("p", std::string(1023, 'z') + "counted", 3)), 3);
  keys.push_back(std::string(1023, 'z') + "counted");
  EXPECT_EQ(ScanKeys("", 1000), keys);
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::vector<std::string> rest(keys.begin() + static_cast<ptrdiff_t>(i) + 1, keys.end());
    EXPECT_EQ(ScanKeys(keys[i], 1000), rest) << i;
    EXPECT_EQ(ScanKeys(keys[i], 2),
              std::vector<std::string>(
                  rest.begin(),
                  rest.begin() + std::min<ptrdiff_t>(2, static_cast<ptrdiff_t>(rest.size()))))
        << i;
  }
  Result<std::vector<std::optional<StateRow>>> rows = Run(state_->GetMany("p", keys));
  ASSERT_TRUE(rows) << rows.error().Describe();
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE((*rows)[i]) << i;
    EXPECT_EQ((*rows)[i]->key, keys[i]);
  }
  ASSERT_TRUE(Run(state_->Write("p", {.key = std::string(1500, 'k')})));
  EXPECT_FALSE(Get(std::string(1500, 'k')));
  EXPECT_EQ(ScanKeys("", 1000).size(), keys.size() - 1);
}

// Expired rows must not use up the count: a page of them would look like the end.
TEST_P(StateSuite, ScanSkipsExpiredRowsWithoutEndingEarly) {
  SystemTime past = harness_->world().clock().Now() - std::chrono::hours(1);
  for (int i = 0; i < 20; ++i) Put("a" + std::to_string(i), "v", {}, past);
  Put("b", "v");
  EXPECT_EQ(ScanKeys("", 2), std::vector<std::string>{"b"});
}

}  // namespace longhaul::testing
