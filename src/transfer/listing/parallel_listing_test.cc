#include "transfer/listing/parallel_listing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/listed_store.h"
#include "tests/support/run.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_dir.h"
#include "transfer/limits/limited_store.h"
#include "transfer/local/local_folder.h"

namespace longhaul {
namespace {

using testing::FakeWorld;
using testing::ListedKeys;
using testing::ListedStore;

// Keys in no pattern.
std::string Uuid(uint64_t i) {
  std::string hex = HexEncode(Md5(std::to_string(i)));
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

ListedKeys Uuids(uint64_t count) {
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < count; ++i) keys.push_back(Uuid(i));
  return ListedKeys::Of(std::move(keys));
}

struct Outcome {
  std::vector<std::string> keys;
  std::optional<Error> error;
  double seconds = 0;  // Of virtual time.
};

Outcome ListAll(FakeWorld& world, ListedStore& store, ListingOptions options = {},
                std::string prefix = "", uint64_t stop_after = UINT64_MAX) {
  Outcome outcome;
  auto began = world.clock.SteadyNow();
  auto listing = OpenListing(world.runtime, store, "b", std::move(prefix), std::move(options));
  while (outcome.keys.size() < stop_after) {
    ListedObject object;
    if (!listing->TakeReady(object)) {
      auto next = world.Run(listing->Next());
      if (!next) outcome.error = next.error();
      if (!next || !*next) break;
      object = std::move(**next);
    }
    outcome.keys.push_back(std::move(object.key));
  }
  outcome.seconds = std::chrono::duration<double>(world.clock.SteadyNow() - began).count();
  world.Run(listing->Close());
  return outcome;
}

std::vector<std::string> KeysOf(const ListedKeys& keys) {
  std::vector<std::string> all;
  for (uint64_t i = 0; i < keys.count; ++i) all.push_back(keys.key(i));
  return all;
}

// A bucket of one or two pages is the most common one, and lists are paid for by request.
TEST(ParallelListing, SmallBucketCostsNoMoreRequests) {
  for (auto [keys, pages] : {std::pair{0, 1}, {1, 1}, {1000, 1}, {1001, 2}, {2000, 2}}) {
    FakeWorld world;
    ListedStore store(world.runtime, Uuids(static_cast<uint64_t>(keys)));
    Outcome outcome = ListAll(world, store);
    EXPECT_EQ(outcome.keys.size(), static_cast<size_t>(keys));
    EXPECT_EQ(store.requests, pages);
  }
}

// Where pages come at once there is nothing to win, and requests to lose.
TEST(ParallelListing, FastPagesAreAskedForOneByOne) {
  FakeWorld world;
  ListedStore store(world.runtime, Uuids(30'000));
  store.page_delay = std::chrono::milliseconds(1);
  EXPECT_EQ(ListAll(world, store).keys.size(), 30'000u);
  EXPECT_EQ(store.requests, 30);
  EXPECT_LE(store.under_way_max, 1);
}

// A folder that answers slowly, as one on NFS.
class SlowFolder : public LocalFolder {
 public:
  explicit SlowFolder(Runtime runtime) : LocalFolder(runtime), clock_(runtime.clock) {}
  Async<ListPage> List(ListRequest request) override {
    if (!request.start_after.empty()) ++walks_from_a_place;
    co_await clock_.Sleep(2 * ListingOptions().parallel_from);
    co_return co_await LocalFolder::List(std::move(request));
  }
  int walks_from_a_place = 0;

 private:
  Clock& clock_;
};

Async<int> CountAndClose(Listing& listing) {
  Result<std::optional<ListedObject>> next = co_await listing.Next();
  int count = 0;
  for (; next && *next; next = co_await listing.Next()) ++count;
  co_await listing.Close();
  if (!next) co_return next.error();
  co_return count;
}

// Each lister of a folder reads all names behind the place where it begins, and holds them.
TEST(ParallelListing, AFolderHasOneListerBehindLimitsToo) {
  testing::RealWorld world;
  testing::TempDir folder;
  for (int i = 0; i < 12'000; ++i) std::ofstream(folder.file(Uuid(static_cast<uint64_t>(i))));
  SlowFolder files(world.runtime);
  TransferLimits limits(world.runtime.clock);
  LimitedStore limited(files, limits);
  for (Store* store : {static_cast<Store*>(&files), static_cast<Store*>(&limited)}) {
    auto listing = OpenListing(world.runtime, *store, folder.path(), "");
    Result<int> count = world.Run(CountAndClose(*listing));
    ASSERT_TRUE(count) << count.error().Describe();
    EXPECT_EQ(*count, 12'000);
    EXPECT_EQ(files.walks_from_a_place, 0);
  }
}

struct Shape {
  const char* name;
  std::function<std::string(uint64_t)> key;
  double faster;           // Than one lister, at least.
  double requests = 1.35;  // Of those of one lister, at most.
};

const Shape kShapes[] = {
    {"uuids", Uuid, 20},
    {"numbers", [](uint64_t i) { return fmt::format("key-{:09}.log", i); }, 18},
    {"200 bytes in common",
     [](uint64_t i) { return std::string(200, 'p') + fmt::format("{:07x}", i * 7); }, 15},
    {"200 bytes in common, uuids", [](uint64_t i) { return std::string(200, 'q') + Uuid(i); }, 15},
    {"dates",
     [](uint64_t i) {
       return fmt::format("logs/2026-{:02}-{:02}/{:02}:{:02}/{}", i / 9000 + 1, i / 300 % 30 + 1,
                          i / 12 % 24, i % 60, Uuid(i).substr(0, 12));
     },
     5, 1.6},
    {"one hot subtree",
     [](uint64_t i) {
       if (i % 50 == 0) return fmt::format("{}/small/{}", Uuid(i).substr(0, 2), i);
       return fmt::format("a/very/deep/hot/tree/of/things/{}", Uuid(i));
     },
     15},
    {"names in Greek",
     [](uint64_t i) {
       std::string name;
       for (char c : Uuid(i).substr(0, 8))
         name += std::string("\xCE") + static_cast<char>(0x90 + c % 32);
       return name + std::to_string(i);
     },
     15},
    {"bytes that are no text", [](uint64_t i) { return "bin/\xFF\xFE" + Md5(std::to_string(i)); },
     0.9},
    {"text and bytes",
     [](uint64_t i) { return Uuid(i).substr(0, 8) + "\xFF\x01" + std::to_string(i); }, 15},
};

// Order, nothing missed, nothing doubled; and it must pay, whatever the keys look like.
TEST(ParallelListing, AnyShapeOfKeys) {
  for (const Shape& shape : kShapes) {
    if (testing::kSanitized && (&shape - kShapes) % 5 != 0) continue;
    SCOPED_TRACE(shape.name);
    FakeWorld world;
    std::vector<std::string> made;
    for (uint64_t i = 0; i < 50'000; ++i) made.push_back(shape.key(i));
    ListedKeys keys = ListedKeys::Of(std::move(made));
    ListedStore store(world.runtime, keys);
    store.page_keys = 50;
    Outcome outcome = ListAll(world, store);
    EXPECT_FALSE(outcome.error) << outcome.error->Describe();
    EXPECT_TRUE(outcome.keys == KeysOf(keys));
    EXPECT_LE(store.under_way_max, 64);
    double single = 0.05 * static_cast<double>(keys.count) / 50;
    double requests = static_cast<double>(store.requests) / (static_cast<double>(keys.count) / 50);
    fmt::print("{}: {:.1f} times as fast, {:.2f} times the requests\n", shape.name,
               single / outcome.seconds, requests);
    EXPECT_GE(single / outcome.seconds, shape.faster);
    EXPECT_LE(requests, shape.requests);
  }
}

// A listing far larger than what may wait: still in parallel, and what waits stays bounded.
TEST(ParallelListing, BoundedAndStillFast) {
  FakeWorld world;
  ListedKeys keys = Uuids(200'000);
  ListedStore store(world.runtime, keys);
  store.page_keys = 100;
  ListingOptions options{.waiting_bytes_max = 2 << 20};  // 300 pages of 2,000.
  Outcome outcome = ListAll(world, store, options);
  EXPECT_TRUE(outcome.keys == KeysOf(keys));
  fmt::print("{:.1f} times as fast, {} requests\n", 100 / outcome.seconds, store.requests);
  EXPECT_GE(100 / outcome.seconds, 12);

  // Nobody reads: the listers stop.
  store.requests = 0;
  auto listing = OpenListing(world.runtime, store, "b", "", options);
  for (int i = 0; i < 1000; ++i) {
    ListedObject object;
    if (!listing->TakeReady(object)) ASSERT_TRUE(world.Run(listing->Next()));
  }
  world.Run(world.clock.Sleep(std::chrono::hours(1)));
  // 420 whole pages are what may wait; those where ranges meet are not whole.
  EXPECT_LE(store.requests, 700);
  EXPECT_LE(world.memory.reserved_bytes(), 5 << 19);
  world.Run(listing->Close());
}

TEST(ParallelListing, PrefixAndBounds) {
  FakeWorld world;
  std::vector<std::string> made = {"a", "b", "b/", "c"};
  std::vector<std::string> wanted;
  for (uint64_t i = 0; i < 20'000; ++i) {
    made.push_back("b/" + Uuid(i));
    made.push_back("c/" + Uuid(i));
  }
  ListedKeys keys = ListedKeys::Of(std::move(made));
  ListedStore store(world.runtime, keys);
  store.page_keys = 100;
  for (const std::string& key : KeysOf(keys)) {
    if (key.starts_with("b/") && key > "b/3" && key <= "b/d8") wanted.push_back(key);
  }
  Outcome outcome = ListAll(world, store, {.start_after = "b/3", .up_to = "b/d8"}, "b/");
  EXPECT_TRUE(outcome.keys == wanted);
  EXPECT_GT(store.under_way_max, 8);
}

TEST(ParallelListing, InNoOrderForWhoeverCounts) {
  FakeWorld world;
  ListedKeys keys = Uuids(50'000);
  ListedStore store(world.runtime, keys);
  store.page_keys = 100;
  Outcome outcome = ListAll(world, store, {.ordered = false});
  EXPECT_FALSE(std::ranges::is_sorted(outcome.keys));
  std::ranges::sort(outcome.keys);
  EXPECT_TRUE(outcome.keys == KeysOf(keys));
}

// Keys come and go behind its back; those that stay must be there once, and no other twice.
TEST(ParallelListing, NothingMissedOrDoubledWhileKeysComeAndGo) {
  for (uint64_t seed = 1; seed <= (testing::kSanitized ? 4 : 12); ++seed) {
    SCOPED_TRACE(seed);
    FakeWorld world(seed);
    const Shape& shape = kShapes[seed % std::size(kShapes)];
    std::vector<std::string> made;
    for (uint64_t i = 0; i < 15'000; ++i) made.push_back(shape.key(i));
    ListedKeys keys = ListedKeys::Of(std::move(made));
    keys.is_volatile = [seed](uint64_t i) { return (i * 2654435761U + seed) % 3 == 0; };
    ListedStore store(world.runtime, keys);
    store.page_keys = 1 + world.random.Below(60);
    uint64_t failures = seed % 2 == 0 ? 20 : 0;
    store.tamper = [&](const ListRequest&, Result<ListPage>& page) {
      if (failures > 0 && world.random.Below(40) == 0) {
        --failures;
        page = Error{.kind = ErrorKind::kThrottled, .message = "SlowDown"};
      }
    };
    const bool ordered = seed % 4 != 3;
    Outcome outcome =
        ListAll(world, store, {.ordered = ordered, .waiting_bytes_max = 1 << (16 + seed % 6)});
    ASSERT_FALSE(outcome.error) << outcome.error->Describe();
    if (!ordered) std::ranges::sort(outcome.keys);
    size_t at = 0;
    for (uint64_t i = 0; i < keys.count; ++i) {
      const std::string key = keys.key(i);
      if (at < outcome.keys.size() && outcome.keys[at] == key) {
        ++at;
      } else {
        ASSERT_TRUE(keys.is_volatile(i)) << "missing: " << key;
      }
    }
    EXPECT_EQ(at, outcome.keys.size()) << "doubled or in no order: " << outcome.keys[at];
  }
}

// Half as many where the server asks for rest, and the listing still ends well.
TEST(ParallelListing, ThrottlingHalvesTheListers) {
  FakeWorld world;
  ListedKeys keys = Uuids(40'000);
  ListedStore store(world.runtime, keys);
  store.page_keys = 100;
  store.tamper = [&](const ListRequest&, Result<ListPage>& page) {
    if (store.under_way >= 8) page = Error{.kind = ErrorKind::kThrottled, .message = "SlowDown"};
  };
  Outcome outcome = ListAll(world, store);
  EXPECT_FALSE(outcome.error);
  EXPECT_TRUE(outcome.keys == KeysOf(keys));
  // What was refused is a small part: it did not go on with 64.
  EXPECT_LE(store.requests, 900);
}

TEST(ParallelListing, ThrottledForEverIsAnError) {
  FakeWorld world;
  ListedStore store(world.runtime, Uuids(5000));
  store.tamper = [&](const ListRequest&, Result<ListPage>& page) {
    if (store.requests > 2) page = Error{.kind = ErrorKind::kThrottled, .message = "SlowDown"};
  };
  Outcome outcome = ListAll(world, store);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->kind, ErrorKind::kThrottled);
}

// A store that is away would otherwise be waited for nine times as long as it waits by itself, and
// nobody would be told meanwhile.
TEST(ParallelListing, StoreThatHasWaitedByItselfIsNotAskedAgain) {
  FakeWorld world;
  ListedStore store(world.runtime, Uuids(5000));
  store.page_delay = std::chrono::seconds(30);
  store.tamper = [&](const ListRequest&, Result<ListPage>& page) {
    page = Error{.kind = ErrorKind::kThrottled, .message = "SlowDown"};
  };
  Outcome outcome = ListAll(world, store);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(store.requests, 1);
}

// Servers that know no start-after, or none inside a name: the listing is right all the same.
TEST(ParallelListing, ServerThatIgnoresStartAfter) {
  FakeWorld world;
  ListedKeys keys = Uuids(30'000);
  ListedStore store(world.runtime, keys);
  store.page_keys = 100;
  store.tamper = [&](const ListRequest& request, Result<ListPage>& page) {
    if (request.token.empty() && !request.start_after.empty()) page->objects[0].key = "0";
  };
  Outcome outcome = ListAll(world, store);
  EXPECT_FALSE(outcome.error);
  EXPECT_TRUE(outcome.keys == KeysOf(keys));
}

// The versions of a key may lie on two pages, one of them delivered when it becomes known.
TEST(ParallelListing, ServerThatIgnoresTheStartOfVersions) {
  FakeWorld world;
  ListedKeys keys{.count = 9'000, .key = [](uint64_t i) {
                    std::string number = std::to_string(100'000 + i / 7);
                    return number + "#" + std::to_string(i % 7);
                  }};
  ListedStore store(world.runtime, keys);
  store.page_keys = 100;
  store.tamper = [](const ListRequest& request, Result<ListPage>& page) {
    for (ListedObject& object : page->objects) {
      const size_t end = object.key.find('#');
      object.version_id = object.key.substr(end + 1);
      object.key.resize(end);
      object.last_modified = {};  // S3 lists the newest version of a key first.
    }
    if (page->objects.empty() || !request.token.empty()) return;
    if (request.start_after > "1008") page->objects[0].key = "0";
  };
  auto listing = OpenVersionListing(world.runtime, store, "b", "", {});
  std::vector<std::string> listed;
  while (true) {
    auto next = world.Run(listing->Next());
    ASSERT_TRUE(next) << next.error().Describe();
    if (!*next) break;
    listed.push_back((*next)->key + "#" + (*next)->version_id);
  }
  world.Run(listing->Close());
  EXPECT_TRUE(listed == KeysOf(keys)) << listed.size();
}

TEST(ParallelListing, ServerThatRefusesStartAfter) {
  FakeWorld world;
  ListedKeys keys = Uuids(30'000);
  ListedStore store(world.runtime, keys);
  store.page_keys = 100;
  store.tamper = [&](const ListRequest& request, Result<ListPage>& page) {
    // Late: much has been delivered by then.
    if (request.start_after > "8") page = InvalidInput("no such marker");
  };
  Outcome outcome = ListAll(world, store);
  EXPECT_FALSE(outcome.error);
  EXPECT_TRUE(outcome.keys == KeysOf(keys));
}

// Whoever deletes by a listing must hear of everything that is wrong with it, and it must end.
TEST(ParallelListing, HostileListingsAreErrors) {
  using Tamper = std::function<void(const ListRequest&, ListPage&, int)>;
  const std::pair<const char*, Tamper> kCases[] = {
      {"not in order",
       [](const ListRequest&, ListPage& page, int n) {
         if (n == 3) std::swap(page.objects[5], page.objects[7]);
       }},
      {"not in order",
       [](const ListRequest&, ListPage& page, int n) {
         if (n == 3) page.objects[7].key = page.objects[6].key;
       }},
      {"is not below the prefix",
       [](const ListRequest&, ListPage& page, int n) {
         if (n == 3) page.objects.back().key = "y/out";
       }},
      {"does not move on",
       [](const ListRequest& request, ListPage& page, int n) {
         if (n == 3) page.next_token = request.token;
       }},
      {"",  // Tokens in a circle: an error, unless nobody had to go on by them.
       [](const ListRequest&, ListPage& page, int n) {
         if (n >= 3 && !page.next_token.empty()) page.next_token = "x/0";
       }},
      {"pages were empty",
       [](const ListRequest&, ListPage& page, int n) {
         if (n >= 3) page.objects.clear(), page.next_token = "x/" + std::to_string(n);
       }},
      {"the size of",
       [](const ListRequest&, ListPage& page, int n) {
         if (n == 3) page.objects[1].size_bytes = UINT64_MAX;
       }},
      {"without a key",
       [](const ListRequest&, ListPage& page, int n) {
         if (n == 3) page.objects[0].key.clear();
       }},
      {"a key of 5000 bytes",
       [](const ListRequest&, ListPage& page, int n) {
         if (n == 3) page.objects.back().key = "x/" + std::string(4998, 'z');
       }},
  };
  std::vector<std::string> made;
  const uint64_t count = testing::kSanitized ? 1000 : 3000;
  for (uint64_t i = 0; i < count; ++i) made.push_back("x/" + Uuid(i));
  ListedKeys keys = ListedKeys::Of(std::move(made));
  for (int listers : {1, 64}) {
    if (testing::kSanitized && listers == 1) continue;
    for (const auto& [message, tamper] : kCases) {
      SCOPED_TRACE(message);
      FakeWorld world;
      ListedStore store(world.runtime, keys);
      store.page_keys = 50;
      store.page_delay = std::chrono::milliseconds(10);
      // Once, at a full page; those that go on for ever from there on.
      int tampered = 2;
      store.tamper = [&](const ListRequest& request, Result<ListPage>& page) {
        if (store.requests < 3 || (tampered == 2 && page->objects.size() < 50)) return;
        tamper(request, *page, ++tampered);
      };
      Outcome outcome = ListAll(world, store, {.listers_max = listers}, "x/");
      if (*message == '\0' && !outcome.error) {
        EXPECT_EQ(outcome.keys, KeysOf(keys));
        continue;
      }
      ASSERT_TRUE(outcome.error);
      EXPECT_EQ(outcome.error->kind, ErrorKind::kCorrupt);
      EXPECT_NE(outcome.error->message.find(message), std::string::npos) << outcome.error->message;
      EXPECT_NE(outcome.error->message.find("page "), std::string::npos);
    }
  }
}

// A store that answers without a wait: one without credentials, with an address that is refused, or
// in memory. Whoever reads would wait for an answer that has been there already.
TEST(ParallelListing, AnswersAtOnceAreHeard) {
  FakeWorld world;
  ListedStore store(world.runtime, Uuids(5'000));
  store.page_delay = {};
  store.page_keys = 100;
  EXPECT_EQ(ListAll(world, store).keys.size(), 5'000u);
  store.tamper = [](const ListRequest&, Result<ListPage>& page) {
    page = Error{.kind = ErrorKind::kDenied, .message = "no credentials"};
  };
  for (const int listers : {1, 64}) {
    Outcome outcome = ListAll(world, store, {.listers_max = listers});
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->kind, ErrorKind::kDenied);
    EXPECT_TRUE(outcome.keys.empty());
  }
}

// Closed in the middle: nothing of it may be left running.
TEST(ParallelListing, ClosedEarly) {
  FakeWorld world;
  ListedStore store(world.runtime, Uuids(50'000));
  store.page_keys = 100;
  Outcome outcome = ListAll(world, store, {}, "", 12'345);
  EXPECT_EQ(outcome.keys.size(), 12'345u);
  EXPECT_EQ(store.under_way, 0);
}

// Directory buckets list as they like.
TEST(ParallelListing, UnsortedStoreIsSortedOnDisk) {
  FakeWorld world;
  ListedKeys keys = Uuids(20'000);
  ListedStore store(world.runtime, keys);
  store.sorted = false;
  store.tamper = [&](const ListRequest&, Result<ListPage>& page) {
    std::ranges::reverse(page->objects);
  };
  Outcome outcome = ListAll(world, store);
  EXPECT_FALSE(outcome.error);
  EXPECT_TRUE(outcome.keys == KeysOf(keys));
  EXPECT_EQ(store.requests, 20);
}

}  // namespace
}  // namespace longhaul
