#include "rules/export_native.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "rules/configuration.h"
#include "rules/import.h"
#include "rules/native_replication.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const SystemTime kNoon = *ParseRfc3339("2026-11-21T12:00:00Z");

// A rule that S3 can do in every way, with one target.
Rule NativeEnough() {
  Rule rule;
  rule.id = "logs";
  rule.priority = 3;
  rule.source = {"eu-west-1", "acme-in", "logs/"};
  rule.filter.modified_since = kNoon;
  rule.filter.kms_encrypted = false;
  Target target;
  target.to = {"us-east-2", "acme-copy", "logs/"};
  target.name = DerivedTargetName(target.to);
  target.staging = {"us-east-2", "acme-staging", ""};
  rule.targets = {target};
  return rule;
}

std::string RemarksOf(const ExportResult& exported) {
  std::string all;
  for (const ImportRemark& remark : exported.remarks) all += remark.Text() + "\n";
  return all;
}

TEST(ExportNativeTest, WritesWhatS3Takes) {
  Rule rule = NativeEnough();
  rule.filter.tags = {{"a", "b"}, {"c", ""}};
  rule.filter.kms_encrypted = true;
  rule.threshold = std::chrono::minutes(15);
  Target& target = rule.targets[0];
  target.storage_class = "STANDARD_IA";
  target.sse = "aws:kms";  // That is what S3 does with a key.
  target.kms_key = "arn:aws:kms:us-east-2:111122223333:key/k";
  target.acl = "bucket-owner-full-control";
  target.bucket_owner = "111122223333";
  Result<ExportResult> exported =
      ExportRules({&rule}, {.role = "arn:aws:iam::111122223333:role/r", .partition = "aws"});
  ASSERT_TRUE(exported);
  EXPECT_EQ(exported->json, R"({
  "Role": "arn:aws:iam::111122223333:role/r",
  "Rules": [
    {
      "ID": "logs",
      "Priority": 3,
      "Filter": {
        "And": {
          "Prefix": "logs/",
          "Tags": [
            {
              "Key": "a",
              "Value": "b"
            },
            {
              "Key": "c",
              "Value": ""
            }
          ]
        }
      },
      "Status": "Enabled",
      "SourceSelectionCriteria": {
        "SseKmsEncryptedObjects": {
          "Status": "Enabled"
        }
      },
      "Destination": {
        "Bucket": "arn:aws:s3:::acme-copy",
        "Account": "111122223333",
        "StorageClass": "STANDARD_IA",
        "AccessControlTranslation": {
          "Owner": "Destination"
        },
        "EncryptionConfiguration": {
          "ReplicaKmsKeyID": "arn:aws:kms:us-east-2:111122223333:key/k"
        },
        "ReplicationTime": {
          "Status": "Enabled",
          "Time": {
            "Minutes": 15
          }
        },
        "Metrics": {
          "Status": "Enabled",
          "EventThreshold": {
            "Minutes": 15
          }
        }
      },
      "DeleteMarkerReplication": {
        "Status": "Disabled"
      }
    }
  ]
}
)");
  // Of what a threshold is made there: nobody may find it on a bill first.
  ASSERT_EQ(exported->remarks.size(), 1U) << RemarksOf(*exported);
  EXPECT_THAT(RemarksOf(*exported), HasSubstr("takes money for each GiB"));
}

// Whoever takes this to S3 must know what will be different there.
TEST(ExportNativeTest, TellsWhatS3CannotDo) {
  Rule rule = NativeEnough();
  rule.filter = {.suffix = ".log", .size_bytes_min = 1, .tags = {{"a", "b"}}};
  rule.deletes = true;
  rule.threshold = std::chrono::minutes(5);
  rule.seal_key = Secret("0123456789abcdef");
  rule.targets[0].to.prefix = "elsewhere/";
  rule.targets[0].acl = "public-read";
  rule.targets[0].sse = "AES256";
  rule.targets[0].bucket_key = true;
  rule.targets[0].object_lock = true;
  Result<ExportResult> exported = ExportRules({&rule}, {});
  ASSERT_TRUE(exported);
  EXPECT_THAT(exported->json, HasSubstr("FILL-IN"));
  const std::string remarks = RemarksOf(*exported);
  for (const char* words :
       {"Role: fill in: ", "no filter by suffix", "no filter by size",
        "no delete markers for a rule", "no archives to be sealed", "15 minutes",
        "keeps keys as they are", "'public-read'", "the encryption 'AES256' of its replicas",
        "bucket_key: true", "takes money for each GiB", "s3:GetObjectRetention",
        "leaves objects under KMS keys alone", "not what is there already"}) {
    EXPECT_THAT(remarks, HasSubstr(words));
  }
}

// S3 wants each priority once and keeps a configuration at each bucket.
TEST(ExportNativeTest, ExportsSeveralRules) {
  Rule one = NativeEnough();
  Target second = one.targets[0];
  second.to.bucket = "acme-far";
  one.targets.push_back(second);
  Rule two = NativeEnough();
  two.id = "logs.2";
  two.priority = 9;
  Result<ExportResult> exported = ExportRules({&one, &two}, {.role = "r", .partition = "aws-cn"});
  ASSERT_TRUE(exported);
  EXPECT_THAT(exported->json, HasSubstr("arn:aws-cn:s3:::acme-far"));
  ImportLog log;
  Result<ImportNode> node = ParseImportDocument(exported->json);
  ASSERT_TRUE(node);
  std::optional<ImportFields> fields = ImportValue(*node, "f: ", log).Fields();
  NativeConfiguration native = ReadNativeConfiguration(*fields, log);
  ASSERT_EQ(native.rules.size(), 3U);
  EXPECT_EQ(native.rules[0].id, "logs");
  EXPECT_EQ(native.rules[1].id, "logs.2");
  EXPECT_EQ(native.rules[2].id, "logs.2.2");
  EXPECT_EQ(native.rules[0].priority, 2);
  EXPECT_EQ(native.rules[1].priority, 1);
  EXPECT_EQ(native.rules[2].priority, 3);  // The highest stays the highest.
  EXPECT_THAT(RemarksOf(*exported), HasSubstr("Priority: differs: "));
  two.source.bucket = "acme-other";
  EXPECT_FALSE(ExportRules({&one, &two}, {}));
  EXPECT_FALSE(ExportRules({}, {}));
}

// S3 would put plain objects into the vault.
TEST(ExportNativeTest, LeavesBackupsOut) {
  Rule rule = NativeEnough();
  Target backup = rule.targets[0];
  backup.to.bucket = "acme-vault";
  backup.backup = BackupOptions();
  rule.targets.push_back(backup);
  Result<ExportResult> exported = ExportRules({&rule}, {.role = "r"});
  ASSERT_TRUE(exported);
  EXPECT_THAT(exported->json, ::testing::Not(HasSubstr("acme-vault")));
  EXPECT_THAT(RemarksOf(*exported), HasSubstr("the backup in acme-vault is left out"));
  rule.targets.erase(rule.targets.begin());
  EXPECT_FALSE(ExportRules({&rule}, {.role = "r"}));
}

// Rules that S3 can do come back as they were.
TEST(ExportNativeTest, ComesBackByImport) {
  SeededRandom random(11);
  auto chance = [&random] { return random.Below(2) == 0; };
  for (int round = 0; round < 300; ++round) {
    Rule rule = NativeEnough();
    rule.id = "r" + std::to_string(round);
    rule.enabled = chance();
    rule.priority = static_cast<int>(random.Below(100));
    const char* prefixes[] = {"", "a", "a/b c/", "\xc3\xa4#: ${X}\"'\\/", "1: - [\n"};
    rule.source.prefix = prefixes[random.Below(5)];
    for (uint64_t i = random.Below(4); i > 0; --i) {
      rule.filter.tags["k" + std::to_string(i)] = chance() ? "" : "v: ${W}" + std::to_string(i);
    }
    rule.deletes = rule.filter.tags.empty() && chance();
    rule.filter.kms_encrypted = chance();
    if (chance()) rule.threshold = std::chrono::minutes(15);
    if (chance()) rule.filter.modified_since.reset();
    Target target = rule.targets[0];
    rule.targets.clear();
    for (uint64_t i = 0; i <= random.Below(3); ++i) {
      target.to = {"us-east-2", "acme-copy-" + std::to_string(i), rule.source.prefix};
      target.name = DerivedTargetName(target.to);
      target.storage_class = chance() ? "GLACIER_IR" : "";
      target.kms_key = rule.filter.kms_encrypted ? "alias/k" + std::to_string(i) : "";
      target.bucket_owner = chance() ? "111122223333" : "";
      target.acl = !target.bucket_owner.empty() && chance() ? "bucket-owner-full-control" : "";
      rule.targets.push_back(target);
    }
    Result<ExportResult> exported = ExportRules({&rule}, {.role = "r", .partition = "aws"});
    ASSERT_TRUE(exported);
    ImportOptions options{.source = Address{"eu-west-1", "acme-in", ""},
                          .target_stores = {{"", "us-east-2"}},
                          .staging = {{"us-east-2", {"us-east-2", "acme-staging", ""}}},
                          .now = kNoon,
                          .existing = !rule.filter.modified_since.has_value()};
    Result<ImportResult> imported = ImportRules({{"f", exported->json}}, options);
    ASSERT_TRUE(imported) << imported.error().message;
    Result<Configuration> read = ParseConfiguration(imported->yaml, "f.yaml", "/",
                                                    [](std::string_view) { return std::nullopt; });
    ASSERT_TRUE(read) << read.error().message << imported->yaml;
    ASSERT_EQ(read->rules.size(), 1U) << exported->json;
    const Rule& back = read->rules[0];
    EXPECT_EQ(back.id, rule.id);
    EXPECT_EQ(back.enabled, rule.enabled);
    if (rule.targets.size() == 1) EXPECT_EQ(back.priority, rule.priority);
    EXPECT_EQ(back.source, rule.source);
    EXPECT_EQ(back.filter.tags, rule.filter.tags);
    EXPECT_EQ(back.filter.modified_since, rule.filter.modified_since);
    EXPECT_EQ(back.filter.kms_encrypted, rule.filter.kms_encrypted);
    EXPECT_EQ(back.deletes, rule.deletes);
    EXPECT_EQ(back.threshold, rule.threshold);
    ASSERT_EQ(back.targets.size(), rule.targets.size());
    for (size_t i = 0; i < rule.targets.size(); ++i) {
      EXPECT_EQ(back.targets[i].name, rule.targets[i].name);
      EXPECT_EQ(back.targets[i].to, rule.targets[i].to);
      EXPECT_EQ(back.targets[i].staging, rule.targets[i].staging);
      EXPECT_EQ(back.targets[i].storage_class, rule.targets[i].storage_class);
      EXPECT_EQ(back.targets[i].kms_key, rule.targets[i].kms_key);
      EXPECT_EQ(back.targets[i].acl, rule.targets[i].acl);
      EXPECT_EQ(back.targets[i].bucket_owner, rule.targets[i].bucket_owner);
    }
    if (HasFailure()) FAIL() << "round " << round << "\n" << exported->json << imported->yaml;
  }
}

}  // namespace
}  // namespace longhaul
