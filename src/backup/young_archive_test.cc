#include "backup/young_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_vault.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using backup::VaultName;
using ::testing::HasSubstr;
using testing::TestVault;

class YoungArchiveTest : public ::testing::Test {
 protected:
  YoungArchiveTest() {
    vault.Keep({TestVault::Object("a", "one", vault.now()),
                TestVault::Object("gone", "text", vault.now())});
    vault.Pass(1h);
    young = vault.Keep({TestVault::Object("a", "two", vault.now()),
                        TestVault::Object("large", testing::Noise(300'000, 1), vault.now()),
                        TestVault::Gone("gone", vault.now())});
  }
  [[nodiscard]] std::string key() const { return backup::VaultArchiveKey(vault.place, young); }
  void DropCatalog() { vault.Drop(backup::VaultCatalogKey(vault.place, young)); }
  // What ends the listing.
  Error Failure(bool passes_unread = false) {
    backup::CatalogSource source = vault.source(*vault.server.store);
    source.passes_unread = passes_unread;
    troubles = {};
    std::unique_ptr<Listing> listing =
        backup::OpenVaultHistory(vault.world.runtime, source, troubles, {});
    while (true) {
      Result<std::optional<ListedObject>> next = vault.world.Run(listing->Next());
      if (next && *next) continue;
      vault.world.Run(listing->Close());
      return next ? Error{} : next.error();
    }
  }

  TestVault vault;
  VaultName young;
  backup::CatalogTroubles troubles;
};

// A restore between the archive and its catalog would give back what was there before, and say that
// all is well.
TEST_F(YoungArchiveTest, IsReadInPlaceOfItsCatalog) {
  const std::vector<ListedObject> history = vault.History();
  const TestVault::State bytes = vault.BytesAt(SystemTime::max());
  EXPECT_EQ(bytes.at("a"), "two");
  DropCatalog();
  const std::vector<ListedObject> read = vault.History();
  ASSERT_EQ(read.size(), history.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].key, history[i].key);
    EXPECT_EQ(read[i].version_id, history[i].version_id);
    EXPECT_EQ(read[i].etag, history[i].etag) << read[i].key;
    EXPECT_EQ(read[i].size_bytes, history[i].size_bytes);
    EXPECT_EQ(read[i].is_delete_marker, history[i].is_delete_marker);
  }
  EXPECT_EQ(vault.BytesAt(SystemTime::max()), bytes);
  EXPECT_EQ(Failure().message, "");
  EXPECT_EQ(troubles.archives, 1u);
  EXPECT_EQ(troubles.count(), 0u);
  // As before: by then it should have one.
  vault.Pass(backup::kCatalogDelayMax + 1min);
  EXPECT_EQ(Failure().code, backup::kNoCatalog);
}

// To read what millions of catalogs say takes longer than an archive stays young: one whose catalog
// has come meanwhile is not one that has none.
TEST_F(YoungArchiveTest, ItsCatalogMayHaveComeSinceCatalogsWereListed) {
  const std::string catalog = backup::VaultCatalogKey(vault.place, young);
  const std::string bytes = *vault.server.backend->Find("out", catalog)->bytes;
  DropCatalog();
  vault.Pass(backup::kCatalogDelayMax + 1min);
  vault.server.decide = [&](testing::StoreOperation operation, std::string_view,
                            std::string_view of) {
    if (operation == testing::StoreOperation::kHead && of == key()) vault.Store(catalog, bytes);
    return testing::Fault();
  };
  EXPECT_EQ(Failure().Describe(), Error{}.Describe());
  EXPECT_EQ(troubles.count(), 0u);
}

// What lies in a sound frame can be given back, and what does not must not be an older state.
TEST_F(YoungArchiveTest, ThatTellsNothingIsAnError) {
  DropCatalog();
  vault.Store(key(), "no archive");
  const Error error = Failure();
  EXPECT_EQ(error.code, backup::kUnreadArchive);
  EXPECT_EQ(error.kind, ErrorKind::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr(key()));
  // A comparison does at most too much.
  EXPECT_EQ(Failure(true).message, "");
  EXPECT_EQ(troubles.archives, 1u);
}

// Whoever may write to the vault could put one there, and have it taken for the current state.
TEST_F(YoungArchiveTest, WithoutTheSealOfTheRuleItTellsNothing) {
  DropCatalog();
  backup::CatalogSource source = vault.source(*vault.direct);
  source.seal_keys = {{.id = "k1", .secret = "0123456789abcdef"}};
  Result<std::vector<backup::CatalogRecord>> read =
      vault.world.Run(backup::ReadYoungArchive(vault.world.runtime, source, young));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, backup::kUnreadArchive);
}

// Of a damaged frame nothing older is given for what lies in it, and all else as before.
TEST_F(YoungArchiveTest, WithADamagedFrameTellsWhatItStillCan) {
  young = vault.Keep({TestVault::Object("b", testing::Noise(300'000, 2), vault.now())});
  const size_t states = vault.History().size();
  DropCatalog();
  vault.server.backend->CorruptStored("out", key(), 200'000);
  EXPECT_EQ(Failure().message, "");
  EXPECT_EQ(vault.History().size(), states);
  const TestVault::State bytes = vault.BytesAt(SystemTime::max(), true);
  EXPECT_EQ(bytes.at("a"), "two");
  EXPECT_FALSE(bytes.contains("b"));
  // Keys lie in frames, too: which there are is not known any more.
  std::vector<testing::ArchiveItem> items;
  for (int i = 0; i < 12; ++i) {
    items.push_back(TestVault::Object("k/" + std::to_string(10 + i), testing::Noise(30'000, 10 + i),
                                      vault.now()));
  }
  young = vault.Keep(std::move(items));
  DropCatalog();
  vault.server.backend->CorruptStored("out", key(), 200'000);
  EXPECT_EQ(Failure().code, backup::kUnreadArchive);
}

// A store that lets nobody in says nothing of the archive.
TEST_F(YoungArchiveTest, TroubleWithTheStoreComesThrough) {
  DropCatalog();
  vault.server.decide = [](testing::StoreOperation operation, std::string_view,
                           std::string_view name) {
    return operation == testing::StoreOperation::kGet && name.ends_with(".tar.zst")
               ? testing::TroubledStore::Failing(ErrorKind::kDenied)
               : testing::Fault();
  };
  Result<std::vector<backup::CatalogRecord>> read = vault.world.Run(
      backup::ReadYoungArchive(vault.world.runtime, vault.source(*vault.server.store), young));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kDenied);
  vault.Drop(key());
  vault.server.Heal();
  read = vault.world.Run(
      backup::ReadYoungArchive(vault.world.runtime, vault.source(*vault.server.store), young));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace longhaul
