#include "rules/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/configuration.h"

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const SystemTime kNoon = *ParseRfc3339("2026-11-21T12:00:00Z");

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() {
    options_.source = Address{"eu-west-1", "acme-in", ""};
    options_.target_stores = {{"", "us-east-2"}};
    options_.staging = {{"us-east-2", {"us-east-2", "acme-staging", ""}}};
    options_.now = kNoon;
  }

  // Imports; what comes out is read as `replicate` would read it.
  const std::vector<Rule>& Import(const std::string& text) {
    remarks_.clear();
    configuration_ = {};
    Result<ImportResult> imported = ImportRules({{"f", text}}, options_);
    EXPECT_TRUE(imported) << imported.error().message;
    if (!imported) return configuration_.rules;
    yaml_ = imported->yaml;
    for (const ImportRemark& remark : imported->remarks) remarks_.push_back(remark.Text());
    Result<Configuration> read =
        ParseConfiguration(yaml_, "out.yaml", "/", [](std::string_view) { return std::nullopt; });
    EXPECT_TRUE(read) << read.error().message << "\n" << yaml_;
    if (read) configuration_ = std::move(*read);
    return configuration_.rules;
  }
  // A rule of the newer kind with one destination.
  static std::string Rule(const std::string& fields, const std::string& destination = "") {
    return R"({"Role": "", "Rules": [{"ID": "r", "Status": "Enabled", )" + fields +
           R"("Destination": {"Bucket": "arn:aws:s3:::acme-copy")" + destination + "}}]}";
  }
  std::string Fails(const std::string& text) {
    Result<ImportResult> imported = ImportRules({{"f", text}}, options_);
    return imported ? "" : imported.error().message;
  }
  bool Said(std::string_view words) const {
    return std::ranges::any_of(remarks_, [&](const std::string& remark) {
      return remark.find(words) != std::string::npos;
    });
  }

  ImportOptions options_;
  std::string yaml_;
  std::vector<std::string> remarks_;
  Configuration configuration_;
};

// The older kind: the prefix stands in the rule, and delete markers go without being asked for.
TEST_F(ImportTest, ReadsV1) {
  const auto& rules = Import(R"({"Role": "arn:aws:iam::111122223333:role/r", "Rules": [
      {"ID": "tax", "Status": "Enabled", "Prefix": "tax/",
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": "off", "Status": "Disabled", "Prefix": "pay/",
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy", "StorageClass": "GLACIER_IR"}}]})");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].id, "tax");
  EXPECT_TRUE(rules[0].enabled);
  EXPECT_EQ(rules[0].source.ToString(), "eu-west-1:acme-in/tax/");
  EXPECT_EQ(rules[0].targets[0].to.ToString(), "us-east-2:acme-copy/tax/");
  EXPECT_EQ(rules[0].targets[0].staging.ToString(), "us-east-2:acme-staging/");
  EXPECT_TRUE(rules[0].deletes);
  EXPECT_FALSE(rules[0].filter.kms_encrypted);
  EXPECT_EQ(rules[0].filter.modified_since, kNoon);
  EXPECT_EQ(rules[0].targets[0].storage_class, "");
  EXPECT_FALSE(rules[1].enabled);
  EXPECT_EQ(rules[1].targets[0].storage_class, "GLACIER_IR");
  EXPECT_EQ(configuration_.site, "eu-west-1");
  EXPECT_EQ(configuration_.stores.at("us-east-2").region, "us-east-2");
  EXPECT_TRUE(Said("f: Role: not carried over: "));
  EXPECT_TRUE(Said("f: Rules[0].DeleteMarkerReplication: differs: "));
  EXPECT_TRUE(Said("f: Rules[1].ExistingObjectReplication: differs: "));
}

// What `aws s3api get-bucket-replication` prints has an object around it.
TEST_F(ImportTest, TakesTheOuterObject) {
  const auto& rules =
      Import(R"({"ReplicationConfiguration": )" + Rule(R"("Filter": {"Prefix": "a/"}, )") + "}");
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].source.prefix, "a/");
  EXPECT_FALSE(rules[0].deletes);  // The newer kind has to be asked to replicate deletes.
}

// All that the newer kind has.
TEST_F(ImportTest, ReadsV2) {
  const auto& rules = Import(R"({"Role": "arn:aws:iam::111122223333:role/r", "Rules": [
      {"ID": "hot", "Status": "Enabled", "Priority": 7,
       "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "tier", "Value": "hot"},
                                                      {"Key": "kept ${x}", "Value": ""}]}},
       "DeleteMarkerReplication": {"Status": "Disabled"},
       "ExistingObjectReplication": {"Status": "Enabled"},
       "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"},
                                   "ReplicaModifications": {"Status": "Enabled"}},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy", "Account": "111122223333",
         "StorageClass": "STANDARD_IA", "AccessControlTranslation": {"Owner": "Destination"},
         "EncryptionConfiguration": {"ReplicaKmsKeyID": "arn:aws:kms:us-east-2:111122223333:key/k"},
         "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
         "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}}}]})");
  ASSERT_EQ(rules.size(), 1U);
  const longhaul::Rule& rule = rules[0];
  EXPECT_EQ(rule.priority, 7);
  EXPECT_EQ(rule.source.prefix, "logs/");
  EXPECT_EQ(rule.filter.tags, (Tags{{"tier", "hot"}, {"kept ${x}", ""}}));
  EXPECT_FALSE(rule.deletes);
  EXPECT_FALSE(rule.filter.modified_since);
  EXPECT_TRUE(rule.filter.kms_encrypted);
  EXPECT_EQ(rule.threshold, std::chrono::minutes(15));
  const Target& target = rule.targets[0];
  EXPECT_EQ(target.storage_class, "STANDARD_IA");
  EXPECT_EQ(target.kms_key, "arn:aws:kms:us-east-2:111122223333:key/k");
  EXPECT_EQ(target.acl, "bucket-owner-full-control");
  EXPECT_EQ(target.bucket_owner, "111122223333");
  EXPECT_EQ(remarks_.size(), 6U);
  EXPECT_TRUE(Said("f: differs: S3 leaves replicas alone"));
  EXPECT_TRUE(Said("f: Role: not carried over"));
  EXPECT_TRUE(Said("f: Rules[0].SourceSelectionCriteria.ReplicaModifications: not carried over"));
  EXPECT_TRUE(Said("f: Rules[0].Destination.ReplicationTime: differs"));
  EXPECT_TRUE(Said("f: Rules[0].Destination.EncryptionConfiguration: differs"));
  EXPECT_TRUE(Said("f: Rules[0].Destination.AccessControlTranslation: differs"));
}

// The same in XML, as the API has it.
TEST_F(ImportTest, ReadsXml) {
  const auto& rules = Import(R"(<?xml version="1.0" encoding="UTF-8"?>
<ReplicationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Role>arn:aws:iam::111122223333:role/r</Role>
  <Rule>
    <ID>all</ID><Status>Enabled</Status><Priority>1</Priority><Filter/>
    <DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication>
    <Destination><Bucket>arn:aws:s3:::acme-copy</Bucket></Destination>
  </Rule>
  <Rule>
    <ID>tagged</ID><Status>Enabled</Status><Priority>2</Priority>
    <Filter><And><Prefix>a&amp;b/</Prefix><Tag><Key>k</Key><Value>1</Value></Tag>
      <Tag><Key>l</Key><Value>2</Value></Tag></And></Filter>
    <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
    <Destination><Bucket>arn:aws:s3:::acme-copy</Bucket><StorageClass>ONEZONE_IA</StorageClass>
    </Destination>
  </Rule>
</ReplicationConfiguration>)");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].source.prefix, "");
  EXPECT_TRUE(rules[0].deletes);
  EXPECT_EQ(rules[0].priority, 1);
  EXPECT_EQ(rules[1].source.prefix, "a&b/");
  EXPECT_EQ(rules[1].filter.tags, (Tags{{"k", "1"}, {"l", "2"}}));
  EXPECT_EQ(rules[1].targets[0].storage_class, "ONEZONE_IA");
  EXPECT_TRUE(Said("f: Rule[0].DeleteMarkerReplication: differs"));
  EXPECT_THAT(configuration_.warnings, IsEmpty());
}

TEST_F(ImportTest, ReadsEveryFilter) {
  EXPECT_EQ(Import(Rule(R"("Filter": {}, )"))[0].source.prefix, "");
  EXPECT_EQ(Import(Rule(R"("Filter": {"Prefix": ""}, )"))[0].source.prefix, "");
  EXPECT_EQ(Import(Rule(R"("Filter": {"Prefix": "a"}, )"))[0].source.prefix, "a");
  EXPECT_EQ(Import(Rule(R"("Filter": {"Tag": {"Key": "k", "Value": "v"}}, )"))[0].filter.tags,
            (Tags{{"k", "v"}}));
  EXPECT_EQ(Import(Rule(R"("Filter": {"And": {"Tags": [{"Key": "k", "Value": "v"},
                                                       {"Key": "l", "Value": "w"}]}}, )"))[0]
                .filter.tags,
            (Tags{{"k", "v"}, {"l", "w"}}));
  EXPECT_EQ(Import(Rule(""))[0].source.prefix, "");  // Neither Prefix nor Filter: everything.
}

// What a key may hold must come through YAML as it is.
TEST_F(ImportTest, KeepsStrangePrefixes) {
  for (const char* prefix : {"a: b", "#x/", "${HOME}/", "$${x}", "'\\\"", "tab\t\nline", " lead ",
                             "\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\x80/", "//a/./../", "{[*&!|>%@`",
                             "\xe2\x80\xa8\xc2\x85\xef\xbb\xbf", "\x7f\x01"}) {
    std::string json;
    for (const char* c = prefix; *c != 0; ++c) {
      if (*c == '"' || *c == '\\') json += '\\';
      if (*c == '\n') {
        json += "\\n";
      } else if (*c == '\t') {
        json += "\\t";
      } else if (*c == '\x01') {
        json += "\\u0001";
      } else {
        json += *c;
      }
    }
    const auto& rules = Import(Rule(R"("Filter": {"Prefix": ")" + json + R"("}, )"));
    ASSERT_EQ(rules.size(), 1U) << prefix;
    EXPECT_EQ(rules[0].source.prefix, prefix);
    EXPECT_EQ(rules[0].targets[0].to.prefix, prefix);
  }
}

// Of an object that is gone nobody knows the tags.
TEST_F(ImportTest, DoesNotReplicateDeletesByTag) {
  const auto& rules = Import(Rule(R"("Filter": {"Tag": {"Key": "k", "Value": "v"}},
                                     "DeleteMarkerReplication": {"Status": "Enabled"}, )"));
  EXPECT_FALSE(rules[0].deletes);
  EXPECT_TRUE(Said("f: Rules[0].DeleteMarkerReplication: not carried over"));
}

TEST_F(ImportTest, CarriesExistingObjectsWhenAsked) {
  const std::string filter = R"("Filter": {}, )";
  EXPECT_EQ(Import(Rule(filter))[0].filter.modified_since, kNoon);
  EXPECT_EQ(Import(Rule(filter + R"("ExistingObjectReplication": {"Status": "Disabled"}, )"))[0]
                .filter.modified_since,
            kNoon);
  EXPECT_FALSE(Import(Rule(filter + R"("ExistingObjectReplication": {"Status": "Enabled"}, )"))[0]
                   .filter.modified_since);
  options_.existing = true;
  EXPECT_FALSE(Import(Rule(filter))[0].filter.modified_since);
  EXPECT_FALSE(Said("ExistingObjectReplication"));
}

// Rules that differ in where they go alone are packed once.
TEST_F(ImportTest, JoinsRulesThatDifferInTheirDestination) {
  auto two = [](const std::string& fields_of_second, const std::string& bucket, int priority) {
    return R"({"Role": "", "Rules": [
      {"ID": "one", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": "a/"},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": "two", "Status": "Enabled", "Priority": )" +
           std::to_string(priority) + R"(, "Filter": {"Prefix": "a/"}, )" + fields_of_second +
           R"("Destination": {"Bucket": "arn:aws:s3:::)" + bucket +
           R"(", "StorageClass": "STANDARD_IA"}}]})";
  };
  ASSERT_EQ(Import(two("", "acme-far", 2)).size(), 1U);
  ASSERT_EQ(configuration_.rules[0].targets.size(), 2U);
  EXPECT_EQ(configuration_.rules[0].id, "one");
  EXPECT_EQ(configuration_.rules[0].targets[1].to.ToString(), "us-east-2:acme-far/a/");
  EXPECT_EQ(configuration_.rules[0].targets[1].storage_class, "STANDARD_IA");
  EXPECT_THAT(yaml_, HasSubstr("'two'"));
  // Another kind of objects, or one bucket for both: priorities have a say.
  EXPECT_EQ(
      Import(two(R"("DeleteMarkerReplication": {"Status": "Enabled"}, )", "acme-far", 2)).size(),
      2U);
  EXPECT_EQ(Import(two("", "acme-copy", 2)).size(), 2U);
  // With one priority nobody knows which rule is to carry an object. S3 does not take it either.
  EXPECT_THAT(Fails(two("", "acme-copy", 1)),
              HasSubstr("f: Rules[1] (rule two): two rules carry the same keys"));
}

TEST_F(ImportTest, MakesIdsOfIds) {
  auto with_ids = [](const std::string& one, const std::string& two) {
    return R"({"Role": "", "Rules": [
      {"ID": ")" +
           one + R"(", "Status": "Enabled", "Filter": {"Prefix": "a/"},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": ")" +
           two + R"(", "Status": "Enabled", "Filter": {"Prefix": "b/"},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}}]})";
  };
  Import(with_ids("all my logs", "all/my/logs"));
  EXPECT_EQ(configuration_.rules[0].id, "all-my-logs");
  EXPECT_EQ(configuration_.rules[1].id, "all-my-logs-2");
  EXPECT_TRUE(Said("f: Rules[0].ID: differs: 'all my logs' is all-my-logs here"));
  Import(with_ids("probe", std::string(255, 'x')));
  EXPECT_EQ(configuration_.rules[0].id, "rule-probe");
  EXPECT_EQ(configuration_.rules[1].id, std::string(64, 'x'));
  Import(with_ids("", ".."));
  EXPECT_EQ(configuration_.rules[0].id, "rule-1");
  EXPECT_EQ(configuration_.rules[1].id, "rule-..");
}

// What the file does not say a person has to: it is named, and stands in the file.
TEST_F(ImportTest, LeavesPlacesToFillIn) {
  options_ = {.now = kNoon};
  const auto& rules = Import(Rule(R"("Filter": {}, )"));
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].source.ToString(), "source:fill-in-source-bucket/");
  EXPECT_EQ(rules[0].targets[0].to.ToString(), "target:acme-copy/");
  EXPECT_EQ(rules[0].targets[0].staging.ToString(), "target:fill-in-staging-bucket/");
  EXPECT_TRUE(Said("--source STORE:BUCKET"));
  EXPECT_TRUE(Said("--target acme-copy=STORE"));
  EXPECT_TRUE(Said("--staging target:BUCKET/"));
  EXPECT_THAT(yaml_, HasSubstr("# FILL IN the bucket"));
  EXPECT_THAT(yaml_, HasSubstr("# FILL IN: a bucket in the target's region"));
}

TEST_F(ImportTest, PutsTargetsIntoTheirStores) {
  options_.target_stores["acme-far"] = "ap-south-1";
  const auto& rules = Import(R"({"Role": "", "Rules": [
      {"ID": "one", "Status": "Enabled", "Filter": {"Prefix": "a/"},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": "two", "Status": "Enabled", "Filter": {"Prefix": "b/"},
       "Destination": {"Bucket": "arn:aws-us-gov:s3:::acme-far"}}]})");
  EXPECT_EQ(rules[0].targets[0].to.store, "us-east-2");
  EXPECT_EQ(rules[1].targets[0].to.store, "ap-south-1");
  EXPECT_EQ(configuration_.stores.at("ap-south-1").region, "ap-south-1");
  EXPECT_EQ(configuration_.stores.size(), 3U);
}

// A field of tomorrow may be what somebody relies on.
TEST_F(ImportTest, NamesUnknownFields) {
  Import(R"({"ReplicationConfiguration": {"Role": "", "Colour": 1, "Rules": [
      {"ID": "r", "Status": "Enabled", "Filter": {}, "Speed": {"a": "b"},
       "SourceSelectionCriteria": {"Moon": {"Status": "Enabled"}},
       "DeleteMarkerReplication": {"Status": "Disabled", "X": 1},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy", "Shade": "x",
                       "Metrics": {"Status": "Enabled", "Y": 2}}}]}, "ResponseMetadata": {}})");
  for (const char* place :
       {"f: 'Colour'", "f: 'ResponseMetadata'", "f: Rules[0].'Speed'",
        "f: Rules[0].SourceSelectionCriteria.'Moon'", "f: Rules[0].DeleteMarkerReplication.'X'",
        "f: Rules[0].Destination.'Shade'", "f: Rules[0].Destination.Metrics.'Y'"}) {
    EXPECT_TRUE(Said(std::string(place) + ": not carried over: ")) << place;
  }
}

TEST_F(ImportTest, ReadsWhatCloudFormationSpellsOtherwise) {
  const auto& rules = Import(R"({"Role": "", "Rules": [
      {"Id": "one", "Status": "Enabled", "Priority": 1,
       "Filter": {"TagFilter": {"Key": "tier", "Value": "hot"}},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"Id": "two", "Status": "Enabled", "Priority": 2,
       "Filter": {"And": {"Prefix": "logs/", "TagFilters": [{"Key": "a", "Value": "1"},
                                                            {"Key": "b", "Value": "2"}]}},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}}]})");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].id, "one");
  EXPECT_EQ(rules[0].filter.tags, (std::map<std::string, std::string>{{"tier", "hot"}}));
  EXPECT_EQ(rules[1].id, "two");
  EXPECT_EQ(rules[1].source.prefix, "logs/");
  EXPECT_EQ(rules[1].filter.tags, (std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}}));
}

// What narrows a rule is never left out.
TEST_F(ImportTest, UnknownConditionsFail) {
  const std::string all = Fails(R"({"Role": "", "Rules": [
      {"ID": "a", "Status": "Enabled", "Filter": {"Size": 1},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": "b", "Status": "Enabled", "Filter": {"And": {"Prefix": "p", "Labels": []}},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": "c", "Status": "Enabled", "Filter": {"Tag": {"Key": "k", "Value": "v", "Not": true}},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}},
      {"ID": "d", "Status": "Enabled", "filter": {"Prefix": "logs/"},
       "Destination": {"Bucket": "arn:aws:s3:::acme-copy"}}]})");
  for (const char* line :
       {"f: Rules[0].Filter.'Size': is a condition that this version does not know",
        "f: Rules[1].Filter.And.'Labels': is a condition", "f: Rules[2].Filter.Tag.'Not': is a",
        "f: Rules[3].'filter': is not read: it is spelled Filter"}) {
    EXPECT_NE(all.find(line), std::string::npos) << line << "\n" << all;
  }
}

// All mistakes in one go, each with its place; nothing is written.
TEST_F(ImportTest, TellsMistakes) {
  const std::string all = Fails(R"({"Role": "", "Rules": [
      {"ID": "r", "Filter": {"Prefix": "a", "Tag": {"Key": "k"}}, "Priority": -1,
       "Destination": {"Bucket": "acme-copy", "Account": "12"}},
      {"ID": "s", "Status": "on", "Prefix": "a", "Filter": {}, "Destination": {}},
      {"ID": "t", "Status": "Enabled", "Filter": {"And": {"Tags": [
          {"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]}},
       "Destination": {"Bucket": "arn:aws:s3-outposts:eu-west-1:1:outpost/o/bucket/b",
                       "AccessControlTranslation": {"Owner": "Me"}}}]})");
  for (const char* line :
       {"f: Rules[0]: has no Status", "f: Rules[0].Filter: has more than one of",
        "f: Rules[0].Filter.Tag: has no Value", "f: Rules[0].Priority: is not a whole number",
        "f: Rules[0].Destination.Bucket: 'acme-copy' is not the ARN of a bucket",
        "f: Rules[0].Destination.Account: '12' is no account",
        "f: Rules[1].Status: 'on' is neither", "f: Rules[1]: has both Prefix and Filter",
        "f: Rules[1].Destination: has no Bucket",
        "f: Rules[2].Filter.And.Tags[1]: asks for the tag", "S3 on Outposts",
        "f: Rules[2].Destination.AccessControlTranslation.Owner: 'Me'"}) {
    EXPECT_THAT(all, HasSubstr(line));
  }
  EXPECT_THAT(Fails(R"({"Role": "x"})"), HasSubstr("no configuration that is known"));
  EXPECT_THAT(Fails(R"({"Rules": []})"), HasSubstr("has no rules"));
  EXPECT_THAT(Fails(R"({"Rules": {}})"), HasSubstr("is not a list"));
  EXPECT_THAT(Fails("<Replication/>"), HasSubstr("no configuration that is known"));
  EXPECT_THAT(Fails("[]"), HasSubstr("no configuration that is known"));
  EXPECT_THAT(Fails("rules: []"), HasSubstr("not JSON"));
  // S3 refuses some of these as well, and longhaul all: an object would be its own replica.
  options_.source = Address{"us-east-2", "acme-copy", ""};
  EXPECT_THAT(Fails(Rule("")),
              HasSubstr("f: Rules[0] (rule r): the target overlaps the rule's own"));
  options_.source = Address{"eu-west-1", "acme-in", ""};
  EXPECT_THAT(Fails(Rule("", R"(, "StorageClass": "STANDARD_AI")")),
              HasSubstr("did you mean STANDARD_IA?"));
}

TEST_F(ImportTest, TakesOneConfigurationAtATime) {
  const std::string native = Rule("");
  auto two = [&](const std::string& one, const std::string& other) {
    Result<ImportResult> imported = ImportRules({{"a", one}, {"b", other}}, options_);
    return imported ? "" : imported.error().message;
  };
  EXPECT_THAT(two(native, native), HasSubstr("one configuration at a time"));
  EXPECT_THAT(two(native, R"({"stack_name": "s", "enabled_regions": []})"),
              HasSubstr("b: does not belong to a"));
  EXPECT_THAT(Fails(R"({"stack_name": "s", "enabled_regions": []})"),
              HasSubstr("give replication_config.json with it"));
}

}  // namespace
}  // namespace longhaul
