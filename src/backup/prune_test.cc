#include "backup/prune.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <utility>

#include "backup/prune_note.h"
#include "backup/vault_check.h"
#include "storage/restores_objects.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_vault.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using backup::VaultName;
using testing::ArchiveItem;
using testing::Fault;
using testing::MemoryStoreBackend;
using testing::StoreOperation;
using testing::TestVault;
using testing::TroubledStore;

constexpr std::chrono::hours kDay{24};

struct ToldOfPrune : backup::PruneObserver {
  void OnRemoved(const std::string& key, uint64_t) override { removed.push_back(key); }
  void OnFailed(const std::string& key, const Error& error) override {
    failed.emplace_back(key, error);
  }
  void OnLost(const std::string& key) override { lost.push_back(key); }
  std::vector<std::string> removed;
  std::vector<std::pair<std::string, Error>> failed;
  std::vector<std::string> lost;
};

class PruneTest : public ::testing::Test {
 protected:
  Result<void> Prune(SystemTime cutoff) {
    backup::PruneOptions options;
    options.cutoff = cutoff;
    options.folder = "in/";
    options.guard.count_max = 1'000'000;
    return Prune(std::move(options));
  }
  Result<void> Prune(backup::PruneOptions options) {
    totals = {};
    told = {};
    backup::CatalogTroubles troubles;
    return vault->world.Run(backup::PruneVault(vault->world.runtime,
                                               vault->source(*vault->server.store),
                                               std::move(options), troubles, {}, told, totals));
  }

  static std::string Packed(const std::string& text) {
    std::string packed(ZSTD_compressBound(text.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
    return packed;
  }
  // The first object as of a time.
  Result<std::optional<ListedObject>> FirstAt(const std::string& prefix, SystemTime at) {
    backup::CatalogSource source = vault->source(*vault->server.store);
    source.prefix = prefix;
    backup::CatalogTroubles troubles;
    std::unique_ptr<Listing> listing =
        backup::OpenVaultListing(vault->world.runtime, std::move(source), at, troubles, {});
    Result<std::optional<ListedObject>> first = vault->world.Run(listing->Next());
    vault->world.Run(listing->Close());
    return first;
  }

  std::unique_ptr<TestVault> vault = std::make_unique<TestVault>();
  ToldOfPrune told;
  backup::PruneTotals totals;
};

TEST_F(PruneTest, TakesWhatIsSupersededLongEnoughAndNothingElse) {
  std::vector<VaultName> names;
  std::vector<SystemTime> times;
  for (const char* text : {"one", "two", "three"}) {
    times.push_back(vault->now());
    names.push_back(vault->Keep({TestVault::Object("a", text, vault->now())}));
    vault->Pass(kDay);
  }
  backup::PruneOptions options;
  // At the cutoff it is still "two" that was there.
  options.cutoff = times[1] + 1min;
  options.folder = "in/";
  options.dry_run = true;
  ASSERT_TRUE(Prune(options));
  EXPECT_EQ(totals.removed, 1u);
  EXPECT_EQ(vault->archives(), 3u) << "a dry run has removed something";
  options.folder = "in/other/";
  options.dry_run = false;
  ASSERT_TRUE(Prune(options));
  EXPECT_EQ(vault->archives(), 3u) << "an archive of another rule has gone";
  const TestVault::State before = vault->BytesAt(options.cutoff);
  ASSERT_TRUE(Prune(options.cutoff));
  EXPECT_FALSE(vault->Has(names[0]) || vault->HasCatalog(names[0]));
  EXPECT_EQ(vault->archives(), 2u);
  EXPECT_EQ(vault->BytesAt(options.cutoff), before);
  ASSERT_TRUE(Prune(times[2] + 1min));
  EXPECT_EQ(vault->archives(), 1u);
  vault->Pass(100 * kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(vault->archives(), 1u) << "what is current is needed for ever";
}

// Where a pruned state was the current one, an older one that its archive has kept would be given
// for it, and an object that was deleted by then.
TEST_F(PruneTest, StatesOfBeforeItsCutoffAreRefusedAndNotGuessed) {
  const SystemTime first = vault->now();
  const VaultName keeps = vault->Keep({TestVault::Object("a", "one", vault->now()),
                                       TestVault::Object("still", "needed", vault->now()),
                                       TestVault::Object("gone", "back", vault->now())});
  vault->Pass(50 * kDay);
  const VaultName goes = vault->Keep(
      {TestVault::Object("a", "two", vault->now()), TestVault::Gone("gone", vault->now())});
  vault->Pass(25 * kDay);
  const SystemTime then = vault->now();
  vault->Pass(25 * kDay);
  vault->Keep({TestVault::Object("a", "three", vault->now()),
               TestVault::Object("gone", "new", vault->now())});
  vault->Pass(50 * kDay);
  const TestVault::State now = vault->BytesAt(SystemTime::max());
  const SystemTime cutoff = vault->now() - 35 * kDay;
  backup::PruneOptions options{.cutoff = cutoff, .folder = "in/", .dry_run = true};
  options.guard.count_max = 10;
  ASSERT_TRUE(Prune(options));
  EXPECT_EQ(vault->BytesAt(then).at("a"), "two") << "a dry run is none";
  ASSERT_TRUE(Prune(cutoff));
  ASSERT_TRUE(vault->Has(keeps) && !vault->Has(goes));
  for (const SystemTime at : {first, then, cutoff - 1s}) {
    Result<std::optional<ListedObject>> refused = FirstAt("", at);
    ASSERT_FALSE(refused) << (*refused ? (*refused)->key : "") << " is of another time";
    EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidInput);
    EXPECT_EQ(refused.error().code, backup::kPrunedCode);
    EXPECT_NE(refused.error().message.find(FormatRfc3339(cutoff)), std::string::npos)
        << refused.error().message;
  }
  EXPECT_EQ(vault->BytesAt(cutoff), now);
  EXPECT_EQ(vault->BytesAt(SystemTime::max()), now);
  // Nobody takes it for a catalog.
  backup::VaultCheckTotals checked;
  ASSERT_TRUE(vault->world.Run(backup::CheckVault(
      vault->world.runtime, vault->source(*vault->direct), {},
      [](const backup::VaultProblem& problem) { ADD_FAILURE() << problem.file << problem.what; },
      checked)));
  backup::CatalogTroubles troubles;
  std::unique_ptr<Listing> listing =
      backup::OpenReadings(vault->world.runtime, vault->source(*vault->direct), troubles, {});
  while (true) {
    Result<std::optional<ListedObject>> next = vault->world.Run(listing->Next());
    ASSERT_TRUE(next);
    if (!*next) break;
  }
  vault->world.Run(listing->Close());
  EXPECT_EQ(troubles.count(), 0u);
}

// A prune that runs while a vault is listed takes what the listing has not read yet.
TEST_F(PruneTest, APruneUnderWayIsNoticed) {
  const SystemTime first = vault->now();
  vault->Keep({TestVault::Object("a", "one", vault->now())});
  vault->Pass(kDay);
  vault->Keep({TestVault::Object("a", "two", vault->now())});
  vault->Pass(kDay);
  bool begun = false;
  vault->server.decide = [&](StoreOperation operation, std::string_view, std::string_view) {
    if (operation == StoreOperation::kList && !std::exchange(begun, true)) {
      vault->Store(backup::PruneNoteKey(vault->place, "in"),
                   R"({"pruned":[{"prefix":"","since":")" + FormatRfc3339(first + 1h) + R"("}]})");
    }
    return Fault();
  };
  Result<std::optional<ListedObject>> refused = FirstAt("", first);
  ASSERT_TRUE(begun);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, backup::kPrunedCode);
}

// Whoever reads while a prune removes what nobody needs would be told that something is missing.
TEST_F(PruneTest, WhatIsPrunedWhileItIsReadIsNoError) {
  const backup::VaultName old = vault->Keep({TestVault::Object("a", "one", vault->now())});
  vault->Pass(kDay);
  vault->Keep({TestVault::Object("a", "two", vault->now())});
  vault->Pass(kDay);
  const std::string catalog = backup::VaultCatalogKey(vault->place, old);
  for (const bool archive_too : {false, true}) {
    bool gone = false;
    vault->server.decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
      if (operation == StoreOperation::kGet && key == catalog && !std::exchange(gone, true)) {
        vault->Drop(catalog);
        if (archive_too) vault->Drop(backup::VaultArchiveKey(vault->place, old));
      }
      return Fault();
    };
    Result<std::optional<ListedObject>> first = FirstAt("", SystemTime::max());
    EXPECT_TRUE(gone);
    if (archive_too) {
      ASSERT_TRUE(first) << first.error().Describe();
      ASSERT_TRUE(*first);
      EXPECT_EQ((*first)->key, "a");
    } else {
      ASSERT_FALSE(first);
      EXPECT_EQ(first.error().kind, ErrorKind::kCorrupt);
      vault->Store(catalog, "");
    }
  }
}

// Without its note, or with one that another prune has made younger, nothing would tell of it.
TEST_F(PruneTest, TheNoteComesFirstAndIsNeverMadeEarlier) {
  const std::string key = backup::PruneNoteKey(vault->place, "in");
  std::vector<SystemTime> times;
  for (const char* text : {"one", "two", "three", "four"}) {
    times.push_back(vault->now());
    vault->Keep({TestVault::Object("a", text, vault->now())});
    vault->Pass(kDay);
  }
  bool denied = true;
  int writes = 0;
  vault->server.decide = [&](StoreOperation operation, std::string_view, std::string_view of) {
    if (operation != StoreOperation::kPut || of != key) return Fault();
    if (denied) return TroubledStore::Failing(ErrorKind::kDenied);
    if (++writes == 1) {
      // Another one writes its own just now.
      vault->Store(key, R"({"pruned":[{"prefix":"","since":")" + FormatRfc3339(times[3]) +
                            R"("},{"prefix":"b","since":"2031-01-01T00:00:00Z"}],"more":[1]})");
    }
    return Fault();
  };
  EXPECT_FALSE(Prune(times[2]));
  EXPECT_EQ(vault->archives(), 4u) << "an archive has gone without a note";
  denied = false;
  ASSERT_TRUE(Prune(times[2]));
  EXPECT_EQ(writes, 1);
  EXPECT_EQ(vault->archives(), 2u);
  EXPECT_FALSE(FirstAt("a", times[3] - 1s)) << "the note was made earlier";
  EXPECT_TRUE(FirstAt("a", times[3]));
  ASSERT_TRUE(Prune(times[3]));
  EXPECT_EQ(vault->archives(), 1u);
  vault->Store(key, "{");
  EXPECT_FALSE(FirstAt("a", times[3]));
  vault->Pass(100 * kDay);
  vault->Keep({TestVault::Object("a", "five", vault->now())});
  EXPECT_FALSE(Prune(vault->now()));
  EXPECT_EQ(vault->archives(), 2u);
}

// Two rules keep in one vault: what the one has pruned says nothing of the other's keys.
TEST_F(PruneTest, TheNoteIsOfTheKeysThatWerePruned) {
  vault->from.prefix = "logs/";
  const SystemTime first = vault->now();
  for (const char* text : {"one", "two"}) {
    vault->Keep({TestVault::Object("logs/a", text, vault->now())});
    vault->Pass(kDay);
  }
  vault->from.prefix = "other/";
  vault->Keep({TestVault::Object("other/a", "one", first)});
  backup::PruneOptions options{.cutoff = vault->now(), .folder = "in/logs/year="};
  options.guard.count_max = 10;
  ASSERT_TRUE(Prune(options));
  ASSERT_EQ(totals.removed, 1u);
  EXPECT_TRUE(FirstAt("other/", first));
  for (const char* prefix : {"", "lo", "logs/", "logs/a", "logs"}) {
    EXPECT_FALSE(FirstAt(prefix, first)) << prefix;
  }
}

// A machine whose clock is ahead would take for old what was current yesterday, and remove it for
// good.
TEST_F(PruneTest, DoesNotGoByAClockThatIsAhead) {
  vault->Keep({TestVault::Object("a", "one", vault->now())});
  vault->Pass(1h);
  vault->Keep({TestVault::Object("a", "two", vault->now())});
  vault->Pass(45min);
  MemoryStoreBackend& backend = *vault->server.backend;
  // The store's clock stands where it was.
  for (const auto ahead : {std::chrono::minutes(30), std::chrono::minutes(40 * 24 * 60)}) {
    vault->Pass(ahead + backend.options.clock_offset);
    backend.options.clock_offset = -ahead;
    Result<void> pruned = Prune(vault->now() - 1h);
    EXPECT_EQ(pruned.has_value(), ahead < 1h);
    EXPECT_EQ(vault->archives(), 2u);
  }
  Result<void> pruned = Prune(vault->now() - 1h);
  ASSERT_FALSE(pruned);
  EXPECT_EQ(pruned.error().kind, ErrorKind::kPrecondition);
  EXPECT_NE(pruned.error().message.find("minutes ahead"), std::string::npos)
      << pruned.error().message;
  // The store has the time of this machine.
  backend.options.clock_offset = 0s;
  ASSERT_TRUE(Prune(vault->now() - 1h));
  EXPECT_EQ(vault->archives(), 1u);
}

// No listing tells that an archive lies in such a tier: it stays, nothing goes for its sake, and
// all else does.
TEST_F(PruneTest, ArchiveTiersKeepNothingElseFromGoing) {
  std::vector<VaultName> names;
  for (const char* text : {"one", "two", "three", "four"}) {
    names.push_back(vault->Keep({TestVault::Object("a", text, vault->now())}));
    vault->Pass(kDay);
  }
  std::set<std::string> away;
  vault->server.decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    Fault fault;
    if (operation == StoreOperation::kGet && away.contains(std::string(key))) {
      fault.error = Error{.kind = ErrorKind::kDenied, .message = "away", .code = kArchivedCode};
    }
    return fault;
  };
  away = {backup::VaultArchiveKey(vault->place, names[1]),
          backup::VaultArchiveKey(vault->place, names[3])};
  Result<void> pruned = Prune(vault->now());
  ASSERT_TRUE(pruned) << pruned.error().Describe();
  EXPECT_EQ(told.removed.size(), 1u);
  EXPECT_FALSE(vault->Has(names[0]));
  EXPECT_TRUE(vault->Has(names[1]) && vault->Has(names[2]) && vault->Has(names[3]));
  away.clear();
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(vault->archives(), 1u);
}

// Whatever such an archive says may be needed, and what it supersedes is nobody's guess.
TEST_F(PruneTest, StopsAtAYoungArchiveThatTellsNothing) {
  vault->Keep({TestVault::Object("a", "one", vault->now())});
  vault->Pass(100 * kDay);
  vault->Keep({TestVault::Object("a", "two", vault->now())});
  vault->Pass(100 * kDay);
  const VaultName young = vault->Keep({TestVault::Object("a", "three", vault->now())});
  vault->Drop(backup::VaultCatalogKey(vault->place, young));
  const std::string key = backup::VaultArchiveKey(vault->place, young);
  const std::string bytes = *vault->server.backend->Find("out", key)->bytes;
  vault->Store(key, "no archive");
  Result<void> pruned = Prune(vault->now());
  ASSERT_FALSE(pruned);
  EXPECT_EQ(pruned.error().code, backup::kUnreadArchive);
  EXPECT_EQ(vault->archives(), 3u);
  // One that can be read counts as if its catalog were there, and stays.
  vault->Store(key, bytes);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_TRUE(vault->Has(young));
  EXPECT_EQ(vault->BytesAt(SystemTime::max()).at("a"), "three");
}

// Without the delete an object of old would come back.
TEST_F(PruneTest, ADeleteStaysAsLongAsWhatItHides) {
  vault->Keep(
      {TestVault::Object("gone", "text", vault->now()), TestVault::Object("k", "1", vault->now())});
  vault->Pass(kDay);
  const VaultName deletes = vault->Keep({TestVault::Gone("gone", vault->now())});
  vault->Pass(100 * kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(vault->archives(), 2u);
  // When that archive may go, it does; the delete follows a run later.
  vault->Keep({TestVault::Object("k", "2", vault->now())});
  vault->Pass(kDay);
  for (const bool stays : {true, false}) {
    ASSERT_TRUE(Prune(vault->now()));
    EXPECT_EQ(vault->Has(deletes), stays);
    EXPECT_EQ(vault->At(SystemTime::max()).size(), 1u);
  }
}

// Two archives that were packed in one second: the later one counts, so it hides the other.
TEST_F(PruneTest, ADeleteHidesWhatHasItsVeryStamp) {
  const SystemTime stamp = vault->now();
  vault->Keep({TestVault::Object("gone", "text", stamp), TestVault::Object("k", "1", stamp)});
  vault->Pass(1s);
  const VaultName deletes = vault->Keep({TestVault::Gone("gone", stamp)});
  vault->Pass(100 * kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_TRUE(vault->Has(deletes));
  EXPECT_EQ(vault->At(SystemTime::max()).size(), 1u);
}

// An archive may wait in a queue for days. What was deleted before it came stays deleted.
TEST_F(PruneTest, ADeleteWaitsForArchivesThatComeLate) {
  const std::string late = vault->NewId();
  const ArchiveItem object = TestVault::Object("gone", "text", vault->now());
  vault->Pass(kDay);
  const VaultName deletes = vault->Keep({TestVault::Gone("gone", vault->now())});
  vault->Pass(10 * kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_TRUE(vault->Has(deletes));
  vault->Keep({object}, late);
  EXPECT_TRUE(vault->At(SystemTime::max()).empty());
}

// Part of an object is nothing: all its segments stay, or none is needed; and what is not whole
// supersedes nothing.
TEST_F(PruneTest, SegmentsBelongTogether) {
  vault->Keep({TestVault::Object("film", "first", vault->now())});
  vault->Pass(kDay);
  const std::string plan = vault->NewId();
  const SystemTime stamp = vault->now();
  vault->Keep({TestVault::Part("film", "abc", stamp, plan, 0, 3)});
  vault->Pass(1h);
  vault->Keep({TestVault::Part("film", "abc", stamp, plan, 2, 3)});
  vault->Pass(kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(vault->archives(), 3u) << "a segment is missing: it is still the first one";
  vault->Keep({TestVault::Part("film", "abc", stamp, plan, 1, 3)});
  vault->Pass(kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(vault->archives(), 3u) << "the first one is superseded, and the segments are not";
  EXPECT_EQ(vault->BytesAt(vault->now())["film"], "abcabcabc");
  // Of the next one a segment never comes.
  vault->Keep({TestVault::Part("film", "def", vault->now(), vault->NewId(), 1, 2)});
  vault->Pass(100 * kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(vault->archives(), 3u) << "what never became whole is not kept for ever";
  EXPECT_EQ(vault->BytesAt(vault->now())["film"], "abcabcabc");
}

// Histories with all that can be in them: late archives, archives that are there twice, stamps that
// are alike, segments of which one never comes. Whatever request fails, whether or not it had its
// effect, and whatever comes after it does not happen: every state inside `keep` is there, at once
// and when pruning has been done again.
TEST_F(PruneTest, NothingInsideKeepIsLostWhereverItBreaksOff) {
  uint64_t removed = 0;
  for (uint64_t seed = 1; seed <= (testing::kSanitized ? 1 : 5); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    vault = std::make_unique<TestVault>(seed);
    SeededRandom random(seed);
    const SystemTime begin = vault->now();
    struct Late {
      std::string id;
      std::vector<ArchiveItem> items;
    };
    std::vector<Late> late;
    std::string plan;
    SystemTime plan_stamp{};
    SystemTime stamp{};
    for (int i = 0; i < 18; ++i) {
      if (random.Below(5) != 0) stamp = vault->now();
      std::vector<ArchiveItem> items;
      for (int key = 0; key < 5; ++key) {
        const std::string name = "k" + std::to_string(key);
        const uint64_t kind = random.Below(9);
        if (kind < 3) {
          items.push_back(
              TestVault::Object(name, "text " + std::to_string(random.Below(99)), stamp));
        } else if (kind < 6) {
          items.push_back(TestVault::Gone(name, stamp));
        }
      }
      if (plan.empty() && random.Below(2) == 0) {
        plan = vault->NewId();
        plan_stamp = stamp;
        items.push_back(TestVault::Part("film", "xx", stamp, plan, 0, 2));
      } else if (!plan.empty()) {
        const uint32_t number = random.Below(3) == 0 ? 0 : 1;
        const std::string text = items.empty() ? "yy" : "zz";
        items.push_back(TestVault::Part("film", text, plan_stamp, plan, number, 2));
        if (random.Below(2) == 0) plan.clear();
      }
      if (items.empty()) items.push_back(TestVault::Object("k9", "text", stamp));
      const std::string id = vault->NewId();
      if (random.Below(6) == 0) {
        late.push_back({.id = id, .items = std::move(items)});
      } else {
        if (random.Below(8) == 0) vault->Keep(items, id, BackupOptions::Partition::kMonthly);
        vault->Keep(std::move(items), id);
      }
      // The last one comes when all is pruned.
      if (late.size() > 1) {
        vault->Keep(std::move(late.front().items), late.front().id);
        late.erase(late.begin());
      }
      vault->Pass(std::chrono::hours(random.Below(60)));
    }
    const SystemTime end = vault->now();
    const SystemTime cutoff = begin + (end - begin) / 3 * 2;
    std::map<SystemTime, TestVault::State> states;
    auto remember = [&] {
      const std::vector<ListedObject> history = vault->History();
      for (int i = 0; i <= 12; ++i) {
        const SystemTime time = cutoff + (end - cutoff) / 12 * i;
        states[time] = TestVault::StateAt(history, time);
      }
    };
    remember();
    MemoryStoreBackend::Bucket& bucket = vault->server.backend->buckets.at("out");
    const auto whole_vault = bucket.objects;
    auto expect_all = [&](const std::string& where) {
      const std::vector<ListedObject> history = vault->History();
      for (const auto& [time, state] : states) {
        ASSERT_EQ(TestVault::StateAt(history, time), state) << where << ", " << FormatRfc3339(time);
      }
    };
    // Requests before the first that looks whether something is still there, to remove it.
    int looks = 0;
    int all = 0;
    vault->server.decide = [&](StoreOperation operation, std::string_view, std::string_view) {
      if (operation == StoreOperation::kHead && looks == 0) looks = all;
      ++all;
      return Fault();
    };
    ASSERT_TRUE(Prune(cutoff));
    vault->server.Heal();
    for (const Fault::Effect effect : {Fault::Effect::kAsUsual, Fault::Effect::kDone}) {
      for (int failing = 0;; failing += failing < looks - 9 ? 9 : 1) {
        bucket.objects = whole_vault;
        int count = 0;
        bool failed = false;
        // From that request on nothing works: the process has ended.
        vault->server.decide = [&](StoreOperation, std::string_view, std::string_view) {
          if (count++ < failing) return Fault();
          Fault fault = TroubledStore::Failing(ErrorKind::kDenied);
          if (!failed) fault.effect = effect;
          failed = true;
          return fault;
        };
        Result<void> pruned = Prune(cutoff);
        vault->server.Heal();
        if (failed && bucket.objects.size() == whole_vault.size()) continue;
        const std::string where = "request " + std::to_string(failing);
        expect_all(where);
        ASSERT_TRUE(Prune(cutoff)) << where;
        EXPECT_EQ(totals.lost, 0u) << where;
        expect_all(where + ", and again");
        if (failed) continue;
        ASSERT_TRUE(pruned) << pruned.error().Describe();
        break;
      }
    }
    removed += (whole_vault.size() - bucket.objects.size()) / 2;
    // What comes late finds the same in the vault as if nothing had been pruned.
    if (!late.empty()) {
      const auto pruned_vault = bucket.objects;
      bucket.objects = whole_vault;
      vault->Keep(late.front().items, late.front().id);
      remember();
      bucket.objects = pruned_vault;
      vault->Keep(late.front().items, late.front().id);
      expect_all("late");
    }
    // And what is listed can be read.
    EXPECT_EQ(vault->BytesAt(end).size(), states.at(end).size());
  }
  EXPECT_GT(removed, testing::kSanitized ? 1u : 8u) << "little was pruned: the test shows little";
}

// What a catalog does not say would be taken for not needed, and what it says too much would let
// others go.
TEST_F(PruneTest, NothingGoesOnTheWordOfABrokenCatalog) {
  const SystemTime one = vault->now();
  const VaultName first =
      vault->Keep({TestVault::Object("a", "one", one), TestVault::Object("b", "one", one)});
  vault->Pass(kDay);
  const SystemTime two = vault->now();
  const VaultName second = vault->Keep({TestVault::Object("a", "two", two)});
  vault->Pass(kDay);
  const backup::CatalogRecord a{
      .key = "a", .version_id = {}, .etag = {}, .stamp = one, .size_bytes = 3, .length_bytes = 3};
  auto expect_refused = [&](const char* word) {
    Result<void> pruned = Prune(vault->now());
    ASSERT_FALSE(pruned);
    EXPECT_EQ(pruned.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(pruned.error().message.find(word), std::string::npos) << pruned.error().message;
    EXPECT_EQ(vault->archives(), 2u);
  };
  const std::string key = backup::VaultCatalogKey(vault->place, first);
  const std::string sound = *vault->server.backend->Find("out", key)->bytes;
  vault->Store(key, Packed("garbage\n"));
  expect_refused("line");
  vault->StoreCatalog(first, {a});  // "b" is left out.
  expect_refused("does not say");
  vault->Drop(key);
  expect_refused("no catalog");
  vault->Store(key, sound);
  // As if the second had "b" as well.
  backup::CatalogRecord forged = a;
  forged.stamp = two;
  std::vector<backup::CatalogRecord> records{forged, forged};
  records[1].key = "b";
  records[1].entry = 1;
  vault->StoreCatalog(second, records);
  expect_refused("does not say");
}

// A catalog without an archive is what a run left that broke off, or all that tells of a loss.
TEST_F(PruneTest, CatalogsOfLostArchivesStay) {
  const VaultName first = vault->Keep({TestVault::Object("a", "one", vault->now())});
  vault->Pass(kDay);
  const VaultName second = vault->Keep({TestVault::Object("a", "two", vault->now())});
  vault->Pass(kDay);
  vault->Drop(backup::VaultArchiveKey(vault->place, first));
  vault->Drop(backup::VaultArchiveKey(vault->place, second));
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_FALSE(vault->HasCatalog(first)) << "nobody needed that archive";
  EXPECT_TRUE(vault->HasCatalog(second));
  EXPECT_EQ(totals.catalogs, 1u);
  EXPECT_EQ(totals.lost, 1u);
  EXPECT_EQ(told.lost, (std::vector{backup::VaultCatalogKey(vault->place, second)}));
}

// Nobody knows what an archive held that is gone, with a catalog of no bytes.
TEST_F(PruneTest, AnEmptyCatalogOfWhatIsGoneStays) {
  const VaultName gone = vault->Keep({TestVault::Object("a", "one", vault->now())});
  vault->Pass(kDay);
  vault->Keep({TestVault::Object("b", "two", vault->now())});
  vault->Drop(backup::VaultArchiveKey(vault->place, gone));
  vault->Store(backup::VaultCatalogKey(vault->place, gone), "");
  vault->Pass(100 * kDay);
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(totals.lost, 1u);
  EXPECT_TRUE(vault->HasCatalog(gone));
}

TEST_F(PruneTest, TheGuardStopsWhatIsMore) {
  for (int i = 0; i < 4; ++i) {
    vault->Keep({TestVault::Object("a", std::to_string(i), vault->now())});
    vault->Pass(kDay);
  }
  backup::PruneOptions options;
  options.cutoff = vault->now();
  options.folder = "in/";
  options.guard.count_max = 2;
  Result<void> pruned = Prune(options);
  ASSERT_FALSE(pruned);
  EXPECT_EQ(pruned.error().code, kDeleteGuardCode);
  EXPECT_EQ(vault->archives(), 4u);
}

// A delete marker would free nothing, and would hide what a lock holds.
TEST_F(PruneTest, InABucketWithVersionsAllOfThemGo) {
  ASSERT_TRUE(vault->world.Run(vault->direct->SetVersioning("out", true)));
  const std::string twice = vault->NewId();
  std::vector<ArchiveItem> items{TestVault::Object("a", "one", vault->now())};
  vault->Keep(items, twice);
  vault->Keep(items, twice);
  vault->Pass(kDay);
  const VaultName locked = vault->Keep({TestVault::Object("a", "two", vault->now())});
  vault->Pass(kDay);
  vault->Keep({TestVault::Object("a", "three", vault->now())});
  vault->Pass(kDay);
  vault->server.decide = [&](StoreOperation operation, std::string_view, std::string_view key) {
    const bool refused = operation == StoreOperation::kRemove &&
                         key == backup::VaultArchiveKey(vault->place, locked);
    return refused ? TroubledStore::Failing(ErrorKind::kDenied) : Fault();
  };
  ASSERT_TRUE(Prune(vault->now()));
  EXPECT_EQ(totals.removed, 1u);
  EXPECT_EQ(totals.failed, 1u);
  ASSERT_EQ(told.failed.size(), 1u);
  EXPECT_EQ(told.failed[0].first, backup::VaultArchiveKey(vault->place, locked));
  EXPECT_TRUE(vault->HasCatalog(locked));
  EXPECT_EQ(vault->server.backend->buckets.at("out").objects.size(), 5u)
      << "beside two archives, their catalogs and the note, versions or delete markers are left";
}

}  // namespace
}  // namespace longhaul
