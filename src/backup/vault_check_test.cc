#include "backup/vault_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/support/test_vault.h"
#include "transfer/listing/text_lines.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using backup::VaultName;
using backup::VaultProblem;
using Kind = backup::VaultProblem::Kind;
using testing::ArchiveItem;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::TestVault;

class VaultCheckTest : public ::testing::Test {
 protected:
  VaultCheckTest() {
    for (int i = 0; i < 3; ++i) {
      std::vector<ArchiveItem> items;
      for (int j = 0; j < 12; ++j) {
        items.push_back(TestVault::Object("k/" + std::to_string(i) + "/" + std::to_string(10 + j),
                                          testing::Noise(30'000, 100 * i + j), vault.now()));
      }
      names.push_back(vault.Keep(std::move(items)));
      vault.Pass(1h);
    }
    state = vault.At(SystemTime::max());
  }

  Result<void> Check(double sample = 1) {
    problems.clear();
    totals = {};
    return vault.world.Run(backup::CheckVault(
        vault.world.runtime, vault.source(*vault.server.store), {.sample = sample},
        [this](const VaultProblem& problem) { problems.push_back(problem); }, totals));
  }
  Result<void> Rebuild(bool all = false, bool dry_run = false) {
    rebuilt = {};
    written.clear();
    return vault.world.Run(backup::RebuildCatalogs(
        vault.world.runtime, vault.source(*vault.server.store), {.all = all, .dry_run = dry_run},
        [this](const std::string& key, const Result<void>& result) {
          written.emplace_back(key, result);
        },
        rebuilt));
  }
  [[nodiscard]] std::string ArchiveKey(int i) const {
    return backup::VaultArchiveKey(vault.place, names[i]);
  }
  [[nodiscard]] std::string CatalogKey(int i) const {
    return backup::VaultCatalogKey(vault.place, names[i]);
  }

  TestVault vault;
  std::vector<VaultName> names;
  TestVault::State state;
  std::vector<VaultProblem> problems;
  backup::VaultCheckTotals totals;
  std::vector<std::pair<std::string, Result<void>>> written;
  backup::RebuildTotals rebuilt;
};

TEST_F(VaultCheckTest, ASoundVaultHasNoProblem) {
  ASSERT_TRUE(Check());
  EXPECT_TRUE(problems.empty()) << problems[0].what;
  EXPECT_EQ(totals.archives, 3u);
  EXPECT_EQ(totals.frames, totals.frames_all);
  EXPECT_EQ(totals.frames, 9u);
  // A sample reads of each archive something.
  ASSERT_TRUE(Check(0));
  EXPECT_EQ(totals.frames, 3u);
}

// Whoever is told that "something" is damaged cannot do anything about it.
TEST_F(VaultCheckTest, AFlippedByteIsNamedWithArchiveFrameAndKeys) {
  vault.server.backend->CorruptStored("out", ArchiveKey(1), 200'000);
  ASSERT_TRUE(Check());
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].kind, Kind::kArchive);
  EXPECT_EQ(problems[0].file, ArchiveKey(1));
  ASSERT_TRUE(problems[0].frame);
  EXPECT_EQ(*problems[0].frame, 1u);
  // The second 128 KiB of the tar: what ends, lies or begins there.
  EXPECT_THAT(problems[0].keys, ElementsAre("k/1/14", "k/1/15", "k/1/16", "k/1/17", "k/1/18"));
  EXPECT_EQ(totals.archives, 3u) << "a problem has ended the search";
}

// The end of an archive tells what is in it; without it the catalog does.
TEST_F(VaultCheckTest, ADamagedIndexNamesWhatTheCatalogHas) {
  const size_t size = vault.server.backend->Find("out", ArchiveKey(2))->bytes->size();
  vault.server.backend->CorruptStored("out", ArchiveKey(2), size - 30);
  ASSERT_TRUE(Check());
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].file, ArchiveKey(2));
  EXPECT_FALSE(problems[0].frame);
  EXPECT_EQ(problems[0].keys.size(), 12u);
}

TEST_F(VaultCheckTest, CatalogsThatAreMissingWrongOrAloneAreNamed) {
  vault.Drop(CatalogKey(0));
  vault.StoreCatalog(names[1], {{.key = "k/1/10",
                                 .version_id = {},
                                 .etag = {},
                                 .stamp = vault.now(),
                                 .size_bytes = 30'000,
                                 .length_bytes = 30'000}});
  vault.Drop(ArchiveKey(2));
  ASSERT_TRUE(Check());
  std::vector<std::pair<Kind, std::string>> found;
  for (const VaultProblem& problem : problems) found.emplace_back(problem.kind, problem.file);
  EXPECT_EQ(found.size(), 3u);
  EXPECT_THAT(found, Contains(std::pair(Kind::kCatalog, ArchiveKey(0))));
  EXPECT_THAT(found, Contains(std::pair(Kind::kCatalog, CatalogKey(1))));
  EXPECT_THAT(found, Contains(std::pair(Kind::kOrphan, CatalogKey(2))));
  for (const char* text : {"garbage\n", ""}) {
    vault.Store(CatalogKey(1), text);
    ASSERT_TRUE(Check());
    EXPECT_EQ(problems.size(), 3u);
  }
}

// Between an archive and its catalog there is a moment, which is no problem.
TEST_F(VaultCheckTest, AnArchiveThatHasJustComeMayWaitForItsCatalog) {
  names.push_back(vault.Keep({TestVault::Object("new", "text", vault.now())}));
  vault.Drop(CatalogKey(3));
  ASSERT_TRUE(Check());
  EXPECT_TRUE(problems.empty());
}

// A store that lets nobody in says nothing of the vault.
TEST_F(VaultCheckTest, TroubleWithTheStoreIsNoDamage) {
  vault.server.Fails(ErrorKind::kDenied);
  Result<void> checked = Check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kDenied);
  EXPECT_TRUE(problems.empty());
}

TEST_F(VaultCheckTest, CatalogsAreMadeAnewAsTheyWere) {
  std::vector<std::string> before;
  for (int i = 0; i < 3; ++i) {
    before.push_back(*vault.server.backend->Find("out", CatalogKey(i))->bytes);
  }
  vault.Drop(CatalogKey(0));
  vault.Store(CatalogKey(1), "garbage\n");
  ASSERT_TRUE(Rebuild(false, true));
  EXPECT_EQ(rebuilt.written, 2u);
  EXPECT_FALSE(vault.HasCatalog(names[0])) << "a dry run has written";
  ASSERT_TRUE(Rebuild());
  EXPECT_EQ(rebuilt.archives, 3u);
  EXPECT_EQ(rebuilt.sound, 1u);
  EXPECT_EQ(rebuilt.written, 2u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(*vault.server.backend->Find("out", CatalogKey(i))->bytes, before[i]) << i;
  }
  EXPECT_EQ(vault.At(SystemTime::max()), state);
  ASSERT_TRUE(Rebuild());
  EXPECT_EQ(rebuilt.written, 0u);
  ASSERT_TRUE(Rebuild(true));
  EXPECT_EQ(rebuilt.written, 3u);
}

// A catalog that leaves an object out can be read, and is wrong all the same.
TEST_F(VaultCheckTest, CatalogsThatLeaveSomethingOutAreMadeAnew) {
  vault.StoreCatalog(names[1], {});
  EXPECT_EQ(vault.At(SystemTime::max()).size(), 24u);
  ASSERT_TRUE(Rebuild());
  EXPECT_EQ(rebuilt.written, 1u);
  EXPECT_EQ(vault.At(SystemTime::max()), state);
}

// The bytes of two objects that are equal lie in an archive once, and their ETags need not be: one
// of KMS in the other's line has the comparison send it again, each time.
TEST_F(VaultCheckTest, ASmallObjectHasItsOwnETag) {
  ArchiveItem opaque = TestVault::Object("opaque", "the same bytes", vault.now());
  opaque.entry.etag = "00112233445566778899aabbccddeeff";
  opaque.entry.etag_is_md5 = false;
  vault.Keep({opaque, TestVault::Object("plain", "the same bytes", vault.now()),
              TestVault::Object("plain too", "the same bytes", vault.now())});
  const TestVault::State found = vault.At(SystemTime::max());
  EXPECT_EQ(found.at("opaque"), opaque.entry.etag);
  EXPECT_EQ(found.at("plain"), HexEncode(Md5("the same bytes")));
  EXPECT_EQ(found.at("plain too"), HexEncode(Md5("the same bytes")));
}

// One frame that is damaged must not keep everything else from being restored, also where keys lie
// in it.
TEST_F(VaultCheckTest, OfADamagedArchiveTheOthersComeBack) {
  vault.server.backend->CorruptStored("out", ArchiveKey(1), 200'000);
  const TestVault::State bytes = vault.BytesAt(SystemTime::max(), true);
  EXPECT_EQ(bytes.size(), 36u - 5);
  EXPECT_EQ(bytes.at("k/1/13"), testing::Noise(30'000, 103));
  // The catalog says more than is left of the archive.
  ASSERT_TRUE(Rebuild(true));
  EXPECT_EQ(rebuilt.damaged, 1u);
  EXPECT_EQ(rebuilt.written, 2u);
  EXPECT_EQ(vault.At(SystemTime::max()), state);
  // And when it is lost as well, what is left is listed.
  vault.Drop(CatalogKey(1));
  ASSERT_TRUE(Rebuild());
  EXPECT_EQ(rebuilt.written, 1u);
  EXPECT_EQ(rebuilt.damaged, 1u);
  ASSERT_EQ(written.size(), 1u);
  ASSERT_FALSE(written[0].second);
  EXPECT_EQ(written[0].second.error().code, backup::kDamagedArchive);
  EXPECT_EQ(vault.At(SystemTime::max()).size(), 36u - 4) << "one only ends in that frame";
  EXPECT_EQ(vault.BytesAt(SystemTime::max(), true), bytes);
}

// A catalog with one bad line, or one that lacks a line, still tells keys that a damaged archive
// has lost. Without them an older state of such an object would be given back.
TEST_F(VaultCheckTest, KeysThatOnlyTheCatalogTellsStay) {
  const auto zstd = [](const std::string& text) {
    std::string packed(ZSTD_compressBound(text.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
    return packed;
  };
  vault.server.backend->CorruptStored("out", ArchiveKey(1), 200'000);
  std::vector<std::string> lines;
  auto text = vault.world.Run(TextLines::Open(
      vault.world.runtime,
      {.store = vault.direct.get(), .bucket = "out", .key = CatalogKey(1), .name = CatalogKey(1)}));
  ASSERT_TRUE(text);
  while (true) {
    auto line = vault.world.Run((*text)->Next());
    ASSERT_TRUE(line);
    if (!*line) break;
    lines.push_back(std::string(**line) + "\n");
  }
  text->reset();
  ASSERT_EQ(lines.size(), 12u);
  for (const bool lacks : {false, true}) {
    lines[0] = lacks ? "" : "garbage\n";
    std::string all;
    for (const std::string& line : lines) all += line;
    vault.Store(CatalogKey(1), zstd(all));
    ASSERT_TRUE(Rebuild());
    EXPECT_EQ(rebuilt.written, 1u);
    EXPECT_EQ(rebuilt.damaged, 1u);
    EXPECT_EQ(vault.At(SystemTime::max()).size(), 36u) << "keys are told by nothing any more";
    EXPECT_EQ(vault.BytesAt(SystemTime::max(), true).size(), 36u - 5);
  }
}

}  // namespace
}  // namespace longhaul
