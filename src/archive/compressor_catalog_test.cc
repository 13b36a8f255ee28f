#include "archive/compressor_catalog.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace longhaul::archive {
namespace {

constexpr char kArchive[] = "0123456789abcdef0123456789abcdef";

CompressorCatalogName Name() {
  return {.source_region = "eu-west-1",
          .source_bucket = "acme-in",
          .prefix = "logs/web",
          .date = "2026-03-02",
          .archive = kArchive};
}

std::string Line() {
  return std::string(R"({"backup_file":"logs/web/)") + kArchive +
         R"(.tar.zst","backup_timestamp":1772409600,"backup_date":"2026-03-02",)"
         R"("source_bucket":"acme-in","source_prefix":"logs/web/","object_name":"a.csv",)"
         R"("object_path":"logs/web/2026/\u00e4.csv","object_size":4096,)"
         R"("creation_time":"2026-03-01 09:30:00","creation_date":"2026-03-01",)"
         R"("target_buckets":["acme-vault"]})";
}

TEST(CompressorCatalogTest, NamesItsFiles) {
  const std::string file = std::string(kArchive) + ".jsonl";
  const std::string day = "/year=2026/month=03/day=02/";
  EXPECT_EQ(CompressorCatalogOfKey("eu-west-1/acme-in/logs/web" + day + file), Name());
  EXPECT_EQ(CompressorCatalogOfKey("eu-west-1/acme-in/logs/web/" + day + file), Name());
  CompressorCatalogName bare = Name();
  bare.prefix.clear();
  EXPECT_EQ(CompressorCatalogOfKey("eu-west-1/acme-in" + day + file), bare);
  EXPECT_EQ(
      CompressorCatalogOfKey("eu-west-1/acme-in" + day + std::string(kArchive) + ".tar.zst.jsonl"),
      bare);
  for (const std::string& other :
       {std::string(), file, "acme-in" + day + file, "/acme-in" + day + file,
        "r/b/month=03/day=02/" + file, "r/b/year=2026/month=3/day=02/" + file,
        "r/b/year=2026/day=02/month=03/" + file, "r/b/year=20x6/month=03/day=02/" + file,
        "r/b" + day + "0123.jsonl", "r/b" + day + kArchive + ".json", "r/b" + day + kArchive}) {
    EXPECT_FALSE(CompressorCatalogOfKey(other)) << other;
  }
}

TEST(CompressorCatalogTest, ReadsItsLines) {
  Result<CompressorCatalogLine> line = ParseCompressorCatalogLine(Line(), Name());
  ASSERT_TRUE(line) << line.error().Describe();
  EXPECT_EQ(line->key, "logs/web/2026/\u00e4.csv");
  EXPECT_EQ(line->size_bytes, 4096u);
  EXPECT_EQ(line->backup_seconds, 1772409600);
  EXPECT_EQ(FormatRfc3339(line->created), "2026-03-01T09:30:00Z");
  EXPECT_EQ(line->target_buckets, std::vector<std::string>{"acme-vault"});
}

// Whoever can write to the catalog's bucket can write anything: a line is of its own file, or none.
TEST(CompressorCatalogTest, RefusesWhatIsNoLineOfItsFile) {
  auto with = [](const std::string& from, const std::string& to) {
    std::string line = Line();
    const size_t at = line.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return line.replace(at, from.size(), to);
  };
  EXPECT_TRUE(ParseCompressorCatalogLine(with("1772409600", "1772409600.75"), Name()));
  EXPECT_TRUE(ParseCompressorCatalogLine(with("logs/web/0123", "0123"), Name()));
  EXPECT_TRUE(
      ParseCompressorCatalogLine(with("\"logs/web/\",\"object_name", "\"logs/web\",\"x"), Name()));
  for (const std::string& wrong :
       {std::string(), std::string("garbage"), std::string("{}"), std::string("[]"), Line() + "x",
        with("0123456789abcdef", "0123456789abcdee"), with("\"acme-in\"", "\"acme\""),
        with("\"logs/web/\",\"object_name", "\"logs/\",\"object_name"),
        with("\"2026-03-02\"", "\"2026-03-03\""), with("logs/web/2026", "logs/other/2026"),
        with("4096", "-1"), with("4096", "\"4096\""), with("1772409600", "-5"),
        with("1772409600", "1e300"), with("2026-03-01 09:30:00", "yesterday"),
        with("[\"acme-vault\"]", "\"acme-vault\""), with("[\"acme-vault\"]", "[1]"),
        with("\"object_path\"", "\"path\""), with("2026/\\u00e4.csv", std::string(1100, 'k'))}) {
    EXPECT_FALSE(ParseCompressorCatalogLine(wrong, Name())) << wrong;
  }
}

}  // namespace
}  // namespace longhaul::archive
