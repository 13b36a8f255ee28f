#include "archive/compressor_manifest.h"

#include <gtest/gtest.h>

namespace longhaul::archive {
namespace {

constexpr std::string_view kManifest = R"({
 "targets": [
  {"region": "us-east-2", "bucket": "acme-copy", "storage_class": "GLACIER_IR", "backup": false},
  {"region": "us-east-2", "bucket": "acme-vault", "kms_key_arn": "arn:k", "backup": true},
  {"region": "ap-south-1", "bucket": "far"}],
 "objects": [
  {"source_bucket": "acme-in", "source_region": "eu-west-1", "source_prefix": "logs/",
   "object_name": "a.csv", "relative_key": "2026/a.csv", "tags": [{"owner": "ann"}, {"tier": ""}],
   "creation_time": "2026-03-01 09:30:00", "etag": "9e107d9d372bb6826bd81d3542a419d6",
   "size": 4096, "storage_class": "STANDARD"},
  {"source_bucket": "acme-in", "source_prefix": "", "object_name": "b", "tags": {},
   "creation_time": "2026-03-01 09:30:01", "etag": "x-2", "size": 0}]})";

TEST(CompressorManifestTest, ReadsWhatTheCompressorWrites) {
  Result<CompressorManifest> manifest = ParseCompressorManifest(kManifest);
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->targets, (std::vector<CompressorTarget>{{"us-east-2", "acme-copy", false},
                                                              {"us-east-2", "acme-vault", true},
                                                              {"ap-south-1", "far", false}}));
  ASSERT_EQ(manifest->objects.size(), 2U);
  const SystemTime time = *ParseRfc3339("2026-03-01T09:30:00Z");
  EXPECT_EQ(manifest->objects[0], (CompressorObject{.source_bucket = "acme-in",
                                                    .source_region = "eu-west-1",
                                                    .source_prefix = "logs/",
                                                    .relative_key = "2026/a.csv",
                                                    .tags = Tags{{"owner", "ann"}, {"tier", ""}},
                                                    .created = time,
                                                    .etag = "9e107d9d372bb6826bd81d3542a419d6",
                                                    .size_bytes = 4096,
                                                    .storage_class = "STANDARD"}));
  // Without a relative key: the name. Tags that could not be read are not "none".
  EXPECT_EQ(manifest->objects[1].relative_key, "b");
  EXPECT_FALSE(manifest->objects[1].tags);
}

TEST(CompressorManifestTest, RefusesWhatIsNone) {
  auto with = [](std::string_view what, std::string_view instead) {
    std::string text(kManifest);
    text.replace(text.find(what), what.size(), instead);
    return text;
  };
  const std::string broken[] = {"",
                                "[]",
                                "{}",
                                R"({"targets": []})",
                                with(R"("2026-03-01 09:30:00")", R"("2026-03-01T09:30:00Z")"),
                                with(R"("2026-03-01 09:30:00")", R"("2026-02-31 09:30:00")"),
                                with(R"("size": 4096)", R"("size": -1)"),
                                with(R"("size": 4096)", R"("size": "4096")"),
                                with(R"({"owner": "ann"})", R"({"owner": 1})"),
                                with(R"({"owner": "ann"})", R"({"a": "b", "c": "d"})"),
                                with(R"("tags": {})", R"("tags": {"a": "b"})"),
                                with(R"("2026/a.csv")", "\"" + std::string(1025, 'k') + "\""),
                                with(R"("backup": false)", R"("backup": "no")")};
  for (const std::string& text : broken) {
    Result<CompressorManifest> manifest = ParseCompressorManifest(text);
    ASSERT_FALSE(manifest) << text;
    EXPECT_EQ(manifest.error().kind, ErrorKind::kCorrupt) << text;
  }
}

TEST(CompressorManifestTest, TimesAreOfUtcAndWholeSeconds) {
  EXPECT_EQ(CompressorTime("2026-03-01 09:30:00"), *ParseRfc3339("2026-03-01T09:30:00Z"));
  for (std::string_view text : {"", "2026-03-01", "2026-03-01 09:30:00Z", "2026-03-01 25:30:00",
                                "2026-03-01T09:30:00", "2026-03-01 09:30:0x"}) {
    EXPECT_FALSE(CompressorTime(text)) << text;
  }
}

}  // namespace
}  // namespace longhaul::archive
