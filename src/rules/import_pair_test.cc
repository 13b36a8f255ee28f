#include "rules/import_pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/configuration.h"
#include "rules/import.h"

namespace longhaul {
namespace {

using ::testing::HasSubstr;

constexpr char kSettings[] = R"({"stack_name": "haul", "enabled_regions": [
    {"region": "eu-west-1", "vpc_cidr": "10.20.0.0/16", "source_target": ["source"],
     "availability_zones": 2},
    {"region": "us-east-2", "vpc_cidr": "10.21.0.0/16", "source_target": ["target"],
     "availability_zones": 2}],
  "notification_emails": ["ops@acme.test"], "tags": {"team": "data"}})";

class ImportPairTest : public ::testing::Test {
 protected:
  const std::vector<Rule>& Import(const std::string& rules, const std::string& settings = "") {
    remarks_.clear();
    configuration_ = {};
    std::vector<ImportFile> files = {{"r", rules}};
    if (!settings.empty()) files.insert(files.begin(), {"s", settings});
    Result<ImportResult> imported = ImportRules(files, options_);
    EXPECT_TRUE(imported) << imported.error().message;
    if (!imported) return configuration_.rules;
    for (const ImportRemark& remark : imported->remarks) remarks_ += remark.Text() + "\n";
    Result<Configuration> read = ParseConfiguration(imported->yaml, "out.yaml", "/",
                                                    [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(read) << read.error().message << "\n" << imported->yaml;
    if (read) configuration_ = std::move(*read);
    return configuration_.rules;
  }
  std::string Fails(const std::string& rules) {
    Result<ImportResult> imported = ImportRules({{"r", rules}}, options_);
    return imported ? "" : imported.error().message;
  }
  static std::string Entry(
      const std::string& source_fields,
      const std::string& destinations = R"({"region": "us-east-2", "bucket": "acme-copy"})") {
    return R"({"source": {"region": "eu-west-1", "bucket": "acme-in")" + source_fields +
           R"(}, "destinations": [)" + destinations + "]}";
  }
  static std::string List(const std::string& entries) {
    return R"({"replication_configuration": [)" + entries + "]}";
  }

  ImportOptions options_{.staging = {{"us-east-2", {"us-east-2", "acme-staging", ""}}},
                         .now = *ParseRfc3339("2026-11-21T12:00:00Z")};
  std::string remarks_;
  Configuration configuration_;
};

TEST_F(ImportPairTest, MakesARuleOfASource) {
  const auto& rules = Import(
      List(Entry(R"(, "prefix_filter": "logs/", "suffix_filter": ".csv", "kms_key_arn": "arn:k",
                    "scaling_limit": 8, "min_capacity": 1, "cpu": 2048, "memory": 4096,
                    "ephemeral_storage": 50, "scaling_target_backlog_per_task": 30,
                    "visibility_timeout": 600)",
                 R"({"region": "us-east-2", "bucket": "acme-copy", "storage_class": "STANDARD_IA",
                     "kms_key_arn": "arn:aws:kms:us-east-2:111122223333:key/k"},
                    {"region": "us-east-2", "bucket": "acme-vault", "backup": true},
                    {"region": "us-east-2", "bucket": "acme-more", "backup": false,
                     "kms_key_arn": ""})")),
      kSettings);
  ASSERT_EQ(rules.size(), 1U);
  const Rule& rule = rules[0];
  EXPECT_EQ(rule.id, "acme-in-logs");
  EXPECT_EQ(rule.source.ToString(), "eu-west-1:acme-in/logs/");
  EXPECT_EQ(rule.filter.suffix, ".csv");
  EXPECT_FALSE(rule.deletes);
  EXPECT_TRUE(rule.filter.modified_since);
  ASSERT_EQ(rule.targets.size(), 3U);
  EXPECT_EQ(rule.targets[0].to.ToString(), "us-east-2:acme-copy/logs/");
  EXPECT_EQ(rule.targets[0].staging.ToString(), "us-east-2:acme-staging/");
  EXPECT_EQ(rule.targets[0].storage_class, "STANDARD_IA");
  EXPECT_EQ(rule.targets[0].kms_key, "arn:aws:kms:us-east-2:111122223333:key/k");
  EXPECT_FALSE(rule.targets[0].backup);
  EXPECT_EQ(rule.targets[1].to.ToString(), "us-east-2:acme-vault/");
  EXPECT_TRUE(rule.targets[1].backup);
  EXPECT_EQ(rule.targets[2].to.bucket, "acme-more");
  EXPECT_EQ(rule.targets[2].kms_key, "");
  EXPECT_EQ(configuration_.site, "eu-west-1");
  // Every field that is not in the configuration is named.
  for (const char* place :
       {"s: stack_name", "s: enabled_regions[0].vpc_cidr",
        "s: enabled_regions[1].availability_zones", "s: notification_emails", "s: tags"}) {
    EXPECT_THAT(remarks_, HasSubstr(std::string(place) + ": not carried over: "));
  }
  EXPECT_THAT(remarks_, HasSubstr("add alarms: with email:"));
  for (const char* field :
       {"source.kms_key_arn", "source.scaling_limit", "source.min_capacity", "source.cpu",
        "source.memory", "source.ephemeral_storage", "source.scaling_target_backlog_per_task",
        "source.visibility_timeout"}) {
    EXPECT_THAT(remarks_, HasSubstr("r: replication_configuration[0]." + std::string(field) +
                                    ": not carried over: "));
  }
}

// The two releases disagree on a prefix without "/"; the newer one counts, and it is said.
TEST_F(ImportPairTest, TakesPrefixesAsFolders) {
  const auto& rules = Import(List(Entry(R"(, "prefix_filter": "logs")")));
  EXPECT_EQ(rules[0].source.prefix, "logs/");
  EXPECT_EQ(rules[0].targets[0].to.prefix, "logs/");
  EXPECT_THAT(remarks_, HasSubstr("prefix_filter: differs: 'logs' is taken as a folder"));
  EXPECT_EQ(Import(List(Entry("")))[0].source.prefix, "");
  EXPECT_EQ(Import(List(Entry(R"(, "prefix_filter": "")")))[0].id, "acme-in");
  options_.existing = true;
  EXPECT_FALSE(Import(List(Entry("")))[0].filter.modified_since);
}

// Both were sent, and whatever came last stayed: here one of them carries a key.
TEST_F(ImportPairTest, OrdersSourcesThatOverlap) {
  const std::string csv = Entry(R"(, "prefix_filter": "b/", "suffix_filter": ".csv")");
  const auto& rules = Import(List(Entry("") + "," +
                                  Entry(R"(, "prefix_filter": "logs/")",
                                        R"({"region": "us-east-2", "bucket": "acme-copy",
                                  "storage_class": "GLACIER_IR"})")));
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_GT(rules[1].priority, rules[0].priority);
  EXPECT_THAT(remarks_, HasSubstr("rule acme-in-logs alone carries them now"));
  EXPECT_THAT(Fails(List(Entry("") + "," + Entry(""))), HasSubstr("carry the same keys"));
  EXPECT_THAT(Fails(List(csv + "," + csv)), HasSubstr("carry the same keys"));
  EXPECT_EQ(
      Import(List(csv + "," + Entry(R"(, "prefix_filter": "b/", "suffix_filter": ".log")"))).size(),
      2U);
}

TEST_F(ImportPairTest, TellsWhatDoesNotFit) {
  Import(List(Entry("", R"({"region": "eu-west-1", "bucket": "acme-copy"})")), kSettings);
  EXPECT_THAT(remarks_, HasSubstr("s does not give eu-west-1 the role of a target"));
  EXPECT_THAT(remarks_, HasSubstr("need a staging bucket in their region"));
  const std::string all = Fails(
      R"({"replication_configuration": [{"source": {"region": "eu-west-1"}, "destinations": []},
          {"destinations": [{"region": "us east", "bucket": "b", "backup": "yes"}], "colour": 1}]})");
  for (const char* line : {"[0].source: has no bucket", "[0].destinations: is empty",
                           "[1]: has no source", "[1].destinations[0].region: 'us east' is no name",
                           "[1].destinations[0].backup: is not true or false"}) {
    EXPECT_THAT(all, HasSubstr(line));
  }
  EXPECT_THAT(Fails(List("")), HasSubstr("is empty"));
  Import(R"({"replication_configuration": [)" + Entry(R"(, "flavour": 1)") + R"(], "x": 1})");
  EXPECT_THAT(remarks_, HasSubstr("source.'flavour': not carried over"));
  EXPECT_THAT(remarks_, HasSubstr("r: 'x': not carried over"));
}

// A backup that became a copy would be deleted with its source; one that was left out would end.
TEST_F(ImportPairTest, KeepsBackups) {
  const char* vault =
      R"({"region": "us-east-2", "bucket": "acme-vault", "storage_class": "GLACIER_IR",
                          "kms_key_arn": "arn:k", "backup": true})";
  const auto& rules = Import(List(Entry(R"(, "prefix_filter": "logs/")", vault) + "," +
                                  Entry(R"(, "prefix_filter": "new/")", vault)));
  ASSERT_EQ(rules.size(), 2U);
  for (const Rule& rule : rules) {
    ASSERT_EQ(rule.targets.size(), 1U);
    const Target& target = rule.targets[0];
    EXPECT_EQ(target.to.ToString(), "us-east-2:acme-vault/");
    ASSERT_TRUE(target.backup);
    EXPECT_EQ(target.backup->storage_class, "GLACIER_IR");
    EXPECT_EQ(target.storage_class, "");
    EXPECT_EQ(target.kms_key, "arn:k");
    EXPECT_TRUE(rule.deletes);
  }
  EXPECT_THAT(remarks_, HasSubstr("destinations[0]: differs: archives get the storage class"));
  EXPECT_THAT(remarks_, HasSubstr("destinations[0].backup: differs: deletes are recorded too"));
  const char* deep =
      R"({"region": "us-east-2", "bucket": "acme-vault", "storage_class": "DEEP_ARCHIVE",
                         "backup": true})";
  EXPECT_EQ(Import(List(Entry("", deep)))[0].targets[0].backup->storage_class, "");
  EXPECT_THAT(remarks_, HasSubstr("nothing can be read from DEEP_ARCHIVE within hours"));
}

// What is on its way at the cut-over is neither lost nor carried twice; but the files do not name
// the account, so nobody can name the bucket.
TEST_F(ImportPairTest, OffersToTakeOverWhatIsLeft) {
  auto yaml = [&](const std::string& source_fields, bool settings) {
    std::vector<ImportFile> files;
    if (settings) files.push_back({"s", kSettings});
    files.push_back({"r", List(Entry(source_fields))});
    Result<ImportResult> imported = ImportRules(files, options_);
    EXPECT_TRUE(imported) << imported.error().message;
    return imported ? imported->yaml : "";
  };
  EXPECT_THAT(yaml("", true),
              HasSubstr(R"(take_over: { from: "us-east-2:haul-ACCOUNT-us-east-2-inbound/" })"));
  EXPECT_THAT(yaml(R"(, "kms_key_arn": "arn:k")", false),
              HasSubstr(R"("us-east-2:STACK-ACCOUNT-us-east-2-inbound/", etags: opaque })"));
}

}  // namespace
}  // namespace longhaul
