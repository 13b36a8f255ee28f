#include "backup/catalog_lines.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "archive/entry.h"
#include "backup/catalog.h"
#include "backup/vault_versions.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"
#include "transfer/listing/text_lines.h"

namespace longhaul::backup {
namespace {

using testing::MemoryStore;
using testing::MemoryStoreBackend;

constexpr char kUlid[] = "01KAW8Z3Q0ABCDEFGHJKMNPQRS";
constexpr char kFolder[] = "in/year=2025/month=11/day=24/";

class CatalogLinesTest : public ::testing::Test {
 protected:
  explicit CatalogLinesTest(int64_t memory_bytes = 256 << 20) : world(1, memory_bytes) {
    backend->buckets["vault"].created = world.clock.Now();
  }

  std::string Line(const std::string& key, uint64_t entry) {
    std::string line;
    AppendCatalogLine(line, {.vault = place, .name = name, .source = {.bucket = "in"}},
                      {.key = key,
                       .stamp = *ParseRfc3339("2025-11-24T10:11:12Z"),
                       .size_bytes = 5,
                       .entry = entry,
                       .length_bytes = 5});
    return line;
  }
  static std::string Packed(const std::string& text) {
    std::string packed(ZSTD_compressBound(text.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
    return packed;
  }
  // Into the vault, as it is.
  void Keep(std::string catalog) {
    for (auto& [key, text] : {std::pair(VaultArchiveKey(place, name), std::string("an archive")),
                              std::pair(VaultCatalogKey(place, name), std::move(catalog))}) {
      ASSERT_TRUE(world.Run(PutText(store, {.bucket = "vault", .key = key}, text)));
    }
  }
  // How many readings the vault has.
  Result<uint64_t> Count() {
    troubles = {};
    std::unique_ptr<Listing> listing =
        OpenReadings(world.runtime, {.store = &store, .vault = place, .source_bucket = "in"},
                     troubles, [this](const std::string& what) { told.push_back(what); });
    Result<uint64_t> count = world.Run(CountAll(*listing));
    world.Run(listing->Close());
    return count;
  }

  static Async<uint64_t> CountAll(Listing& listing) {
    for (uint64_t count = 0;; ++count) {
      ListedObject object;
      if (listing.TakeReady(object)) continue;
      Result<std::optional<ListedObject>> next = co_await listing.Next();
      if (!next) co_return next.error();
      if (!*next) co_return count;
    }
  }

  asio::awaitable<void> WantAll() {
    while (world.memory.reserved_bytes() == 0) co_await world.clock.Sleep(std::chrono::seconds(1));
    Result<Reservation> all = co_await world.memory.Reserve(world.memory.limit_bytes());
    got_all = all.has_value();
  }

  testing::FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore store{world.runtime, backend};
  VaultPlace place{.bucket = "vault", .prefix = ""};
  VaultName name{.folder = kFolder, .ulid = kUlid};
  CatalogTroubles troubles;
  std::vector<std::string> told;
  bool got_all = false;
};

// Whoever can write to the vault can write anything into it: it is named and counted, and what is
// right beside it is listed all the same.
TEST_F(CatalogLinesTest, CountsWhatIsNoLine) {
  Keep(Packed(Line("a", 0) + "garbage\n{}\n" + Line("b", 1) + "\n" + Line("c", 1'000'000) +
              Line("d", 2)));
  Result<uint64_t> count = Count();
  ASSERT_TRUE(count) << count.error().Describe();
  EXPECT_EQ(*count, 3u);
  EXPECT_EQ(troubles.lines, 4u);
  ASSERT_EQ(told.size(), 4u);
  EXPECT_NE(told[0].find("line 2"), std::string::npos) << told[0];
}

// A line that no memory is kept for, and lines without end, end the listing: what follows them is
// not known, and what is not known must not pass for what is not there.
TEST_F(CatalogLinesTest, DoesNotBelieveWhatHasNoEnd) {
  Keep(Packed(Line("a", 0) + std::string(2 << 20, 'x') + "\n" + Line("b", 1)));
  Result<uint64_t> count = Count();
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code, kNoCatalog);
  std::string lines;
  for (uint64_t i = 0; i <= kArchiveEntriesMax; ++i) lines += "x\n";
  Keep(Packed(lines));
  count = Count();
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code, kNoCatalog);
  EXPECT_EQ(troubles.lines, kArchiveEntriesMax);
}

// Cut off to nothing, or to whole lines of plain text, a catalog would say that all is there is.
TEST_F(CatalogLinesTest, OneThatIsNotCompressedIsNoCatalog) {
  for (const std::string& text : {std::string(), std::string("\n"), Line("a", 0)}) {
    Keep(text);
    Result<uint64_t> count = Count();
    ASSERT_FALSE(count) << *count << " objects of '" << text << "'";
    EXPECT_EQ(count.error().code, kNoCatalog);
  }
  Keep(Packed(""));
  Result<uint64_t> count = Count();
  ASSERT_TRUE(count) << count.error().Describe();
  EXPECT_EQ(*count, 0u);
}

// Zstd makes gigabytes of a file that looks small: such a catalog is read on piece by piece, and
// none of it is left out.
TEST_F(CatalogLinesTest, ReadsAllOfACatalogWithMoreLinesThanItShouldHave) {
  std::vector<CatalogRecord> records(60'000, {.key = "k"});
  for (size_t i = 0; i < records.size(); ++i) records[i].entry = i;
  std::string packed =
      world.Run(PackCatalog(world.runtime, {.vault = place, .name = name, .source = {}}, records));
  ASSERT_LT(packed.size(), 1u << 20);
  Keep(std::move(packed));
  Result<uint64_t> count = Count();
  ASSERT_TRUE(count) << count.error().Describe();
  EXPECT_EQ(*count, 60'000u);
}

// A line that no store's object can be of is none: in a few KiB of zstd there is room for gigabytes
// of keys.
TEST_F(CatalogLinesTest, RefusesNamesThatNothingHas) {
  std::vector<CatalogRecord> records(20, {.key = std::string(400'000, 'k')});
  records.push_back({.key = std::string(1025, 'k')});
  records.push_back({.key = std::string(1024, 'k')});
  records.push_back({.key = "k", .version_id = std::string(1025, 'v')});
  records.push_back({.key = "k", .etag = std::string(1025, 'e')});
  for (size_t i = 0; i < records.size(); ++i) records[i].entry = i;
  Keep(
      world.Run(PackCatalog(world.runtime, {.vault = place, .name = name, .source = {}}, records)));
  Result<uint64_t> count = Count();
  ASSERT_TRUE(count) << count.error().Describe();
  EXPECT_EQ(*count, 1u);
  EXPECT_EQ(troubles.lines, 23u);
}

// What a catalog says is held until it is sorted: one that says much more than its size promises
// is not read as a whole.
TEST_F(CatalogLinesTest, HoldsNoMoreOfACatalogThanItsSizePromises) {
  std::vector<CatalogRecord> records(10'000, {.key = std::string(1000, 'k')});
  for (size_t i = 0; i < records.size(); ++i) records[i].entry = i;
  Keep(
      world.Run(PackCatalog(world.runtime, {.vault = place, .name = name, .source = {}}, records)));
  backend->ResetCounts();
  Result<uint64_t> count = Count();
  ASSERT_TRUE(count) << count.error().Describe();
  EXPECT_EQ(*count, 10'000u);
  EXPECT_EQ(backend->count(testing::StoreOperation::kGet), 2) << "all of it was held at once";
}

// Many lines in a random order of keys: the window of its compression is as large as they come.
std::vector<CatalogRecord> ManyRecords(size_t count) {
  SeededRandom random(7);
  std::vector<CatalogRecord> records(count);
  for (size_t i = 0; i < count; ++i) {
    records[i].key = "logs/" + std::to_string(random.Below(1ULL << 60)) + ".json";
    records[i].entry = i;
  }
  return records;
}

// A store whose answers take a second.
struct Slow : testing::FaultPlan {
  testing::Fault Next(testing::StoreOperation, std::string_view, std::string_view) override {
    testing::Fault fault;
    fault.delay = std::chrono::seconds(1);
    return fault;
  }
};

class LittleMemoryTest : public CatalogLinesTest {
 protected:
  LittleMemoryTest() : CatalogLinesTest(64 << 20) {}
};

// That there is no memory for a moment says nothing of a catalog.
TEST_F(LittleMemoryTest, CatalogsWaitForMemory) {
  const std::vector<CatalogRecord> records = ManyRecords(4000);
  for (char c = '0'; c <= '9'; ++c) {
    const VaultName one{.folder = kFolder, .ulid = std::string(kUlid).replace(25, 1, 1, c)};
    for (auto& [key, text] :
         {std::pair(VaultArchiveKey(place, one), std::string("an archive")),
          std::pair(VaultCatalogKey(place, one),
                    world.Run(PackCatalog(
                        world.runtime, {.vault = place, .name = one, .source = {}}, records)))}) {
      ASSERT_TRUE(world.Run(PutText(store, {.bucket = "vault", .key = key}, text)));
    }
  }
  Slow slow;
  MemoryStore away(world.runtime, backend, &slow);
  std::unique_ptr<Listing> listing = OpenVaultHistory(
      world.runtime, {.store = &away, .vault = place, .source_bucket = "in"}, troubles, {});
  Result<uint64_t> count = world.Run(CountAll(*listing));
  world.Run(listing->Close());
  ASSERT_TRUE(count) << count.error().Describe();
  EXPECT_EQ(*count, 40'000u);
}

// Nor that somebody else waits for memory.
TEST_F(CatalogLinesTest, ACatalogAsksOnceForItsMemory) {
  Keep(world.Run(
      PackCatalog(world.runtime, {.vault = place, .name = name, .source = {}}, ManyRecords(4000))));
  Slow slow;
  MemoryStore away(world.runtime, backend, &slow);
  world.Start(WantAll());
  {
    auto lines = world.Run(TextLines::Open(world.runtime, {.store = &away,
                                                           .bucket = "vault",
                                                           .key = VaultCatalogKey(place, name),
                                                           .name = "catalog"}));
    ASSERT_TRUE(lines) << lines.error().Describe();
    world.Run(world.clock.Sleep(std::chrono::seconds(5)));
    uint64_t count = 0;
    while (true) {
      Result<std::optional<std::string_view>> line = world.Run((*lines)->Next());
      ASSERT_TRUE(line) << line.error().Describe();
      if (!*line) break;
      ++count;
    }
    EXPECT_EQ(count, 4000u);
    EXPECT_FALSE(got_all);
  }
  world.Drive([this] { return got_all; });
}

class Repeated : public Listing {
 public:
  Repeated(ListedObject object, int count) : object_(std::move(object)), left_(count) {}
  Async<std::optional<ListedObject>> Next() override {
    if (left_-- == 0) co_return std::nullopt;
    co_return object_;
  }
  asio::awaitable<void> Close() override { co_return; }

 private:
  ListedObject object_;
  int left_;
};

// All entries of one state are held at once: how many is not for the catalog to say.
TEST_F(CatalogLinesTest, HoldsNoMoreOfOneStateThanThereCanBe) {
  const ListedObject object{.key = "k", .version_id = std::string(kUlid) + ".1@" + kFolder};
  auto first = [&](int count) {
    std::unique_ptr<Listing> versions = FoldVersions(std::make_unique<Repeated>(object, count));
    return world.Run(versions->Next());
  };
  EXPECT_TRUE(first(1'000));
  Result<std::optional<ListedObject>> refused = first(100'001);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace longhaul::backup
