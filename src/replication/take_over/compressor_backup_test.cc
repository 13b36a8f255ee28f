#include "replication/take_over/compressor_backup.h"

#include <gtest/gtest.h>

#include "tests/support/compressor_archive.h"
#include "tests/support/memory_store.h"
#include "tests/support/run.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::CompressorArchive;
using testing::MemoryStore;
using testing::MemoryStoreBackend;

class CompressorBackupTest : public ::testing::Test {
 protected:
  CompressorBackupTest() {
    backend->buckets["vault"].created = world.clock.Now();
    backend->buckets["catalog"].created = world.clock.Now();
  }

  void Put(const std::string& bucket, const std::string& key, std::string text) {
    ASSERT_TRUE(world.Run(PutText(store, {.bucket = bucket, .key = key}, std::move(text))));
  }
  static std::string NameOf(int number) {
    std::string name(32, '0');
    name[31] = static_cast<char>('0' + number);
    return name;
  }
  // An archive of one object and its catalog. `created`: as the catalog has it.
  void Keep(int number, CompressorArchive::Object object, std::optional<SystemTime> created = {}) {
    const SystemTime said = created.value_or(object.created);
    std::string line = R"({"backup_file":")" + NameOf(number) + R"(.tar.zst","backup_timestamp":)" +
                       std::to_string(1772409600 + number) +
                       R"(,"backup_date":"2026-03-02","source_bucket":"in","source_prefix":"p/",)"
                       R"("object_name":"x","object_path":"p/)" +
                       object.relative_key + R"(","object_size":)" +
                       std::to_string(object.content.size()) + R"(,"creation_time":")" +
                       testing::CompressorTimeText(said) +
                       R"(","creation_date":"2026-03-01","target_buckets":["vault"]})";
    CompressorArchive archive;
    archive.source_prefix = "p/";
    archive.objects = {std::move(object)};
    Put("vault", "p/" + NameOf(number) + ".tar.zst", archive.Bytes());
    Put("catalog", "east/in/p/year=2026/month=03/day=02/" + NameOf(number) + ".jsonl", line + "\n");
  }

  CompressorBackup Open(bool etags_are_md5 = true) {
    return {world.runtime,
            {.archives = &store,
             .kept = {.bucket = "vault", .prefix = ""},
             .catalogs = &store,
             .catalog = {.bucket = "catalog", .prefix = ""},
             .source_bucket = "in",
             .etags_are_md5 = etags_are_md5},
            32 << 20};
  }
  std::vector<ListedObject> Versions(CompressorBackup& backup, const std::string& key) {
    troubles = {};
    std::unique_ptr<Listing> listing = backup.OpenVersions(key, troubles, {});
    std::vector<ListedObject> versions;
    while (true) {
      Result<std::optional<ListedObject>> next = world.Run(listing->Next());
      EXPECT_TRUE(next) << next.error().Describe();
      if (!next || !*next) break;
      versions.push_back(std::move(**next));
    }
    world.Run(listing->Close());
    return versions;
  }
  Result<std::string> Read(CompressorBackup& backup, const ListedObject& version) {
    return world.Run(GetAll(
        backup,
        {.bucket = "in", .key = version.key, .version_id = version.version_id, .if_match = {}},
        1 << 20));
  }

  testing::FakeWorld world;
  std::shared_ptr<MemoryStoreBackend> backend = std::make_shared<MemoryStoreBackend>();
  MemoryStore store{world.runtime, backend};
  backup::CatalogTroubles troubles;
  const SystemTime noon = *ParseRfc3339("2026-03-01T12:00:00Z");
};

// An object that is given back as it never was, or as it was at another time, is worse than none.
TEST_F(CompressorBackupTest, GivesBackEachState) {
  Keep(1, {.relative_key = "a", .content = "one", .created = noon, .tags = R"([{"t":"1"}])"});
  Keep(2, {.relative_key = "a", .content = "two", .created = noon + 1h});
  // Of one second: what was packed later is the newer.
  Keep(3, {.relative_key = "a", .content = "three", .created = noon + 1h});
  CompressorBackup backup = Open();
  std::vector<ListedObject> versions = Versions(backup, "p/a");
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_TRUE(versions[0].is_latest);
  const char* wanted[] = {"three", "two", "one"};
  for (int i = 0; i < 3; ++i) {
    Result<std::string> read = Read(backup, versions[i]);
    ASSERT_TRUE(read) << read.error().Describe();
    EXPECT_EQ(*read, wanted[i]);
  }
  Result<Tags> tags = world.Run(backup.GetTags("in", "p/a", versions[2].version_id));
  ASSERT_TRUE(tags);
  EXPECT_EQ(*tags, (Tags{{"t", "1"}}));
  Result<ObjectInfo> info =
      world.Run(backup.Head({.bucket = "in", .key = "p/a", .version_id = versions[2].version_id}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->last_modified, noon);
  EXPECT_EQ(info->etag, HexEncode(Md5("one")));
  std::unique_ptr<Listing> listing = backup.OpenAt("", noon + 30min, troubles, {});
  Result<std::optional<ListedObject>> then = world.Run(listing->Next());
  world.Run(listing->Close());
  ASSERT_TRUE(then && *then);
  EXPECT_EQ((*then)->version_id, versions[2].version_id);
  // A range, of any of them.
  ObjectStream stream = *world.Run(backup.Get({.bucket = "in",
                                               .key = "p/a",
                                               .version_id = versions[0].version_id,
                                               .range = ByteRange{1, 3},
                                               .if_match = {}}));
  EXPECT_EQ(*world.Run(ReadAll(*stream.body, 100)), "hre");
}

// A catalog is anybody's text: what it says of time has to be what the archive says.
TEST_F(CompressorBackupTest, BelievesNoCatalogInMattersOfTime) {
  Keep(1, {.relative_key = "a", .content = "one", .created = noon}, noon + 1h);
  CompressorBackup backup = Open();
  std::vector<ListedObject> versions = Versions(backup, "p/a");
  ASSERT_EQ(versions.size(), 1u);
  Result<std::string> read = Read(backup, versions[0]);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
}

// Its zstd has no checksum: the ETag alone tells that a byte has changed.
TEST_F(CompressorBackupTest, RefusesOtherBytesThanThoseOfTheEtag) {
  Keep(1,
       {.relative_key = "a", .content = "one", .created = noon, .etag = HexEncode(Md5("another"))});
  CompressorBackup backup = Open();
  EXPECT_FALSE(Read(backup, Versions(backup, "p/a")[0]));
  CompressorBackup opaque = Open(false);
  Result<std::string> read = Read(opaque, Versions(opaque, "p/a")[0]);
  ASSERT_TRUE(read) << read.error().Describe();
  EXPECT_EQ(*read, "one");
}

// The object was replaced while it was packed: the time is that of what came after the bytes.
TEST_F(CompressorBackupTest, RefusesBytesOfAnotherTime) {
  Keep(1, {.relative_key = "a",
           .content = "one",
           .created = noon,
           .etag = HexEncode(Md5("longer")),
           .size_bytes = 6});
  for (bool etags_are_md5 : {true, false}) {
    CompressorBackup backup = Open(etags_are_md5);
    Result<std::string> read = Read(backup, Versions(backup, "p/a")[0]);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find("older state"), std::string::npos);
  }
}

// Years of catalogs of other prefixes are not asked for one object; none that may have it is left
// out.
TEST_F(CompressorBackupTest, ReadsTheCatalogsOfThePrefixAlone) {
  Keep(1, {.relative_key = "a/b", .content = "one", .created = noon});
  Put("catalog", "east/in/other/year=2026/month=03/day=02/" + NameOf(3) + ".jsonl", "garbage");
  CompressorBackup backup = Open();
  for (const char* wanted : {"p", "p/", "p/a", "p/a/b"}) {
    EXPECT_EQ(Versions(backup, wanted).size(), 1u) << wanted;
    EXPECT_EQ(troubles.count(), 0u) << wanted;
  }
  EXPECT_EQ(Versions(backup, "").size(), 1u);
  EXPECT_EQ(troubles.lines, 1u);
  EXPECT_EQ(Versions(backup, "pq").size(), 0u);
}

TEST_F(CompressorBackupTest, CountsWhatIsNoneOfIt) {
  Keep(1, {.relative_key = "a", .content = "one", .created = noon});
  Keep(2, {.relative_key = "b", .content = "two", .created = noon});
  backend->buckets.at("vault").objects.erase("p/" + NameOf(2) + ".tar.zst");
  Put("catalog", "readme.txt", "hello");
  Put("catalog", "east/in/p/year=2026/month=03/day=02/" + NameOf(3) + ".jsonl",
      "garbage\n" + std::string(2 << 20, 'x'));
  Put("catalog", "east/other/p/year=2026/month=03/day=02/" + NameOf(4) + ".jsonl", "garbage");
  CompressorBackup backup = Open();
  EXPECT_EQ(Versions(backup, "").size(), 1u);
  EXPECT_EQ(troubles.files, 1u);
  EXPECT_EQ(troubles.orphans, 1u);
  EXPECT_EQ(troubles.lines, 2u);
  // An archive that is damaged, or gone since: no missing object.
  backend->CorruptStored("vault", "p/" + NameOf(1) + ".tar.zst", 20);
  Result<std::string> read = Read(backup, Versions(backup, "")[0]);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
  for (const char* wrong : {"", "x", "1-2-3.4@", "000000000001-000000000002-x.99@p/y"}) {
    Result<ObjectInfo> info =
        world.Run(backup.Head({.bucket = "in", .key = "p/a", .version_id = wrong}));
    EXPECT_FALSE(info) << wrong;
  }
}

}  // namespace
}  // namespace longhaul
