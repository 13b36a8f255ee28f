#include "backup/catalog_record.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/json.h"

namespace longhaul::backup {
namespace {

constexpr char kRecordUlid[] = "01KAW8Z3Q0ABCDEFGHJKMNPQRS";

CatalogHead Head() {
  return {.vault = {.bucket = "vault", .prefix = "b/"},
          .name = {.folder = "in/logs/year=2025/month=11/day=24/", .ulid = kRecordUlid},
          .source = {.store = "east", .bucket = "in", .prefix = "logs/"}};
}

CatalogRecord Record() {
  return {.op = EntryOp::kPut,
          .key = "logs/a \"b\"\x80/c.csv",
          .version_id = "v7",
          .etag = "9e107d9d372bb6826bd81d3542a419d6",
          .stamp = *ParseRfc3339("2025-11-24T10:11:12.25Z"),
          .size_bytes = 4096,
          .entry = 17,
          .frame = 2,
          .offset_bytes = 512,
          .length_bytes = 4096};
}

std::string Line(const CatalogRecord& record) {
  std::string line;
  AppendCatalogLine(line, Head(), record);
  line.pop_back();
  return line;
}

TEST(CatalogRecordTest, ComesBackAsItWasWritten) {
  Result<CatalogRecord> read = ParseCatalogLine(Line(Record()), kRecordUlid);
  ASSERT_TRUE(read) << read.error().Describe();
  EXPECT_EQ(*read, Record());
  CatalogRecord segment = Record();
  segment.segment = Segment{
      .plan = kRecordUlid, .offset_bytes = 100, .object_size_bytes = 9000, .number = 1, .count = 3};
  segment.size_bytes = 9000;
  read = ParseCatalogLine(Line(segment), kRecordUlid);
  ASSERT_TRUE(read) << read.error().Describe();
  EXPECT_EQ(*read, segment);
}

// Queries that were written for the reference's catalog read its fields by these names.
TEST(CatalogRecordTest, HasTheFieldsOfTheReference) {
  CatalogRecord record = Record();
  record.key = "logs/a/c.csv";
  const std::string line = Line(record);
  for (const std::string field :
       {R"("backup_file":"b/in/logs/year=2025/month=11/day=24/01KAW8Z3Q0ABCDEFGHJKMNPQRS.tar.zst")",
        R"("source_bucket":"in")", R"("source_prefix":"logs/")", R"("object_name":"c.csv")",
        R"("object_path":"logs/a/c.csv")", R"("object_size":4096)",
        R"("creation_time":"2025-11-24 10:11:12")", R"("creation_date":"2025-11-24")",
        R"("target_buckets":["vault"])"}) {
    EXPECT_NE(line.find(field), std::string::npos) << field << "\n" << line;
  }
  EXPECT_TRUE(ParseJson(line)) << line;
}

// Whoever can write to the vault can write anything into a catalog.
TEST(CatalogRecordTest, RefusesWhatIsNoLineOfItsFile) {
  EXPECT_FALSE(ParseCatalogLine("", kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine("garbage", kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine("{}", kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(Line(Record()) + "x", kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(Line(Record()), "01KAW8Z3Q0ABCDEFGHJKMNPQRT"));
  auto with = [](std::string from, std::string to) {
    std::string line = Line(Record());
    const size_t at = line.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return line.replace(at, from.size(), to);
  };
  EXPECT_TRUE(ParseCatalogLine(with("\"put\"", "\"delete\""), kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(with("\"put\"", "\"move\""), kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(with("\"entry\":17", "\"entry\":-1"), kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(with("\"entry\":17", "\"entry\":1000000"), kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(with("\"length\":4096", "\"length\":-4096"), kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(with("2025-11-24T10:11:12.25", "yesterday"), kRecordUlid));
  EXPECT_FALSE(ParseCatalogLine(
      with("\"length\":4096",
           R"("length":4096,"segment":{"plan":"x","number":0,"count":1,"object_size":4096})"),
      kRecordUlid));
}

TEST(CatalogRecordTest, NamesVersions) {
  const VersionPlace place{.name = {.folder = "in/a@b.c/year=2025/", .ulid = kRecordUlid},
                           .entry = 12};
  Result<VersionPlace> read = ParseVersion(FormatVersion(place));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, place);
  for (const char* wrong : {"", "null", "x.1@f/", "01KAW8Z3Q0ABCDEFGHJKMNPQRS.@f/",
                            "01KAW8Z3Q0ABCDEFGHJKMNPQRS.1", "01KAW8Z3Q0ABCDEFGHJKMNPQRS.x@f/"}) {
    EXPECT_FALSE(ParseVersion(wrong)) << wrong;
  }
}

TEST(VaultPlaceTest, NamesArchivesByTheirDay) {
  const VaultPlace vault{.bucket = "vault", .prefix = "b/"};
  const std::string ulid = kRecordUlid;
  const std::string date = FormatRfc3339(TimeOfUlid(ulid)).substr(0, 10);
  const std::string folder =
      VaultFolder({.bucket = "in", .prefix = "logs"}, BackupOptions::Partition::kDaily, ulid);
  EXPECT_EQ(folder, "in/logs/year=" + date.substr(0, 4) + "/month=" + date.substr(5, 2) +
                        "/day=" + date.substr(8, 2) + "/");
  EXPECT_EQ(VaultFolder({.bucket = "in"}, BackupOptions::Partition::kMonthly, ulid),
            "in/year=" + date.substr(0, 4) + "/month=" + date.substr(5, 2) + "/");
  const VaultName name{.folder = folder, .ulid = ulid};
  EXPECT_EQ(ArchiveOfKey(vault, VaultArchiveKey(vault, name)), name);
  EXPECT_EQ(CatalogOfKey(vault, VaultCatalogKey(vault, name)), name);
  EXPECT_FALSE(ArchiveOfKey(vault, VaultCatalogKey(vault, name)));
  EXPECT_FALSE(CatalogOfKey(vault, VaultArchiveKey(vault, name)));
  EXPECT_FALSE(ArchiveOfKey(vault, "b/in/backup.tar.zst"));
  EXPECT_FALSE(ArchiveOfKey(vault, "other/" + ulid + ".tar.zst"));
}

}  // namespace
}  // namespace longhaul::backup
