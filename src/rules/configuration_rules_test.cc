// The rules of a configuration and their targets.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/configuration.h"
#include "tests/support/configuration_text.h"

namespace longhaul {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kStores;
using ::testing::Not;
using testing::Parse;
using testing::WithRule;
using namespace std::chrono_literals;

// A place from which archives are removed must be meant.
TEST(ConfigurationTest, ReadsTakeOver) {
  auto with = [](const std::string& take_over, const std::string& transport = "direct") {
    return Parse(R"(
version: 1
site: here
stores: { east: { type: file, root: /east }, west: { type: file, root: /west } }
rules:
  - id: r
    source: east:in/
    targets: [{ to: "west:out/", staging: "west:staging/", take_over: )" +
                 take_over + " }]\n    transport: " + transport + "\n");
  };
  Result<Configuration> read = with(R"({ from: "west:inbound/left" })");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].targets[0].take_over,
            (TakeOver{.from = {"west", "inbound", "left/"}, .etags_are_md5 = true}));
  read = with(R"({ from: "west:inbound", etags: opaque })");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FALSE(read->rules[0].targets[0].take_over->etags_are_md5);
  const std::pair<std::string, std::string> mistakes[] = {
      {"{ etags: md5 }", "from"},
      {R"({ from: "west:inbound", etags: maybe })", "neither md5 nor opaque"},
      {R"({ from: "north:inbound" })", "north"},
      {R"({ from: "west:inbound", to: x })", "to"},
      {R"({ from: "west:out" })", "overlaps the target"},
      {R"({ from: "east:in" })", "overlaps the source"}};
  for (const auto& [text, words] : mistakes) {
    read = with(text);
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error().message, HasSubstr(words));
  }
  read = with(R"({ from: "west:inbound" })", "plain");
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("transport: direct"));
}

TEST(ConfigurationTest, ReadsTheStagingThatAStoreReplicates) {
  Result<Configuration> read =
      Parse(WithRule("    transport: s3-replication\n    staging: east:out\n"
                     "    replication_timeout: 2m\n"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].transport, Transport::kS3Replication);
  ASSERT_TRUE(read->rules[0].local_staging);
  EXPECT_EQ(read->rules[0].local_staging->ToString(), "east:out/");
  EXPECT_EQ(read->rules[0].replication_timeout, 2min);
  EXPECT_THAT(read->warnings, IsEmpty());
  // What was left there before the transport was changed must not be forgotten.
  read = Parse(WithRule("    transport: direct\n    staging: east:out\n"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->rules[0].local_staging);
  EXPECT_THAT(read->warnings, ElementsAre(HasSubstr("nothing new goes there")));
}

// Copies are only for targets in the source's store.
TEST(ConfigurationTest, TransportAutoKnowsWhereAStoreCanCopy) {
  Result<Configuration> read = Parse(WithRule("    transport: auto\n"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].transport, Transport::kAuto);
  EXPECT_FALSE(read->rules[0].targets[0].store_can_copy);
  auto within = [](const std::string& fields) {
    return Parse(std::string(kStores) +
                 "rules:\n  - id: logs\n    source: east:logs/\n    transport: auto\n"
                 "    intake: { webhook: false }\n"
                 "    targets: [ { to: \"east:copy/\", staging: \"east:staging/\"" +
                 fields + " } ]\n");
  };
  read = within("");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->rules[0].targets[0].store_can_copy);
  read = within(", kms_key: alias/copy");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->rules[0].targets[0].store_can_copy) << "a copy says it as any write does";
}

struct Mistake {
  const char* rule;    // Fields of the rule.
  const char* target;  // Fields of its target.
  const char* message;
};

// Every check on a rule, so that none can be lost unnoticed.
TEST(ConfigurationTest, ChecksRules) {
  const Mistake mistakes[] = {
      {"    compression: 23\n", "", "compression: '23' is out of range: give 1 to 22"},
      {"    compression: 6\n    tuner: { max: 9 }\n", "", "tuner: bounds a level that is fixed"},
      {"    tuner: { min: 9, max: 3 }\n", "", "tuner: min is above max"},
      {"    tuner: { max: 23 }\n", "", "tuner.max: '23' is out of range: give 1 to 22"},
      {"    tuner: { best: 3 }\n", "", "best"},
      {"    compression: 0\n", "", "compression: '0' is out of range"},
      {"    compression: fast\n", "", "'fast' is no way to compress: write auto, none, or 1 to 22"},
      {"    batch: { count: 10001 }\n", "",
       "batch.count: '10001' is out of range: give 1 to 10000"},
      {"    batch: { bytes: 1KiB }\n", "", "give 1MiB to 5GiB"},
      {"    batch: { linger: 5 }\n", "", "'5' has no unit: write it as 250ms, 5s, 10m, 1h or 2d"},
      {"    intake: { sqs: q.fifo }\n", "",
       "intake.sqs: 'q.fifo' is no name of a standard queue: write the name of a standard queue, "
       "or "
       "NAME?region=REGION"},
      {"    intake: { inventory: est:inv/a/ }\n", "", "there is no store 'est'"},
      {"    intake: { inventory: east:inv/a }\n", "", "intake.inventory: does not end in \"/\""},
      {"    intake: { inventory: 'east:inv' }\n", "", "intake.inventory: does not end in \"/\""},
      {"    intake: { watch: true }\n", "", "only folders can be watched"},
      {"    intake: { webhook: true }\n", "", "webhook needs a listener"},
      {"    filter: { prefix: x }\n", "", "write source: STORE:bucket/PREFIX"},
      {"    filter: { min_size: 2, max_size: 1 }\n", "", "no size is at least min_size"},
      {"    transport: pigeon\n", "", "write direct, s3-replication, copy, plain or auto"},
      {"    transport: s3-replication\n", "",
       "transport: needs the bucket that the store replicates: add staging: STORE:bucket/prefix/"},
      {"    transport: s3-replication\n    staging: east:out/p\n", "",
       "rules[0].targets[0].staging: has another prefix than the staging of the rule, east:out/p/, "
       "and a store that replicates keeps keys: write west:staging/p/"},
      {"    transport: s3-replication\n    staging: est:out/\n", "", "there is no store 'est'"},
      {"    transport: s3-replication\n    staging: west:staging/\n", "",
       "rules[0].staging: the staging west:staging/ of rule logs overlaps the staging "
       "west:staging/ of a target of rule logs: give it a bucket or a prefix of its own"},
      {"    transport: copy\n", "", "rules[0].targets[0].to: is not in the store of the source"},
      {"    replication_timeout: 1m\n", "", "is for transport: s3-replication"},
      {"    transport: s3-replication\n    staging: east:out/\n    replication_timeout: 9s\n", "",
       "give 10s to 7d"},
      {"    on_conflict: abort\n", "", "It takes keep or overwrite|write keep or overwrite"},
      {"    delete_guard: { share: 2 }\n", "", "give 0 to 1"},
      {"    restore: { tier: standard }\n", "", "restore.tier"},
      {"    restore: { days: 0 }\n", "", "give 1 to 365"},
      {"    targts: []\n", "", "rules[0]: unknown field 'targts': did you mean 'targets'?"},
      {"    settle: 2\n", "", "has no unit"},
      {"    settle: 0s\n", "", "settle: '0s' is too short"},
      {"    settle: 999ms\n", "", "give 1s to 1h"},
      {"    seal_key: ${EAST_SECRET}\n", "", "seal_key: is too short to seal anything"},
      {"    seal_keys_accepted: [ 0123456789abcdef ]\n", "",
       "seal_keys_accepted: accepts keys of a rule that seals nothing: add seal_key"},
      {"    seal_key: ${SEAL_KEY}\n    seal_keys_accepted: [ short ]\n", "",
       "seal_keys_accepted[0]: is too short to seal anything"},
      {"    seal_key: ${SEAL_KEY}\n    seal_keys_accepted: [ \"${SEAL_KEY}\" ]\n", "",
       "seal_keys_accepted[0]: stands here already"},
      {"", ", storage_class: STANDARD IA", "'STANDARD IA' is no storage class"},
      {"", ", sse: aes256", "is not one of its values|It takes AES256, aws:kms or aws:kms:dsse"},
      {"", ", sse: AES256, kms_key: k",
       "sse: AES256 is encryption under S3's own keys, and there is a kms_key: write aws:kms, or "
       "remove kms_key"},
      {"", ", bucket_key: true", "bucket_key: goes with sse: aws:kms alone"},
      {"", ", sse: 'aws:kms:dsse', kms_key: k, bucket_key: false", "goes with sse: aws:kms alone"},
      {"", ", name: a b", "cannot name a target"},
      {"", ", colour: red", "rules[0].targets[0]: unknown field 'colour'"},
      {"", ", backup: { class: GLACIER }", "class: is a class that nothing is read from"},
      {"", ", backup: { partition: hourly }", "write daily or monthly"},
      {"", ", backup: { keep: 5m }", "backup.keep"},
      {"", ", backup: { lock: { mode: compliance } }", "lock: needs a mode and a number of days"},
      {"", ", backup: { lock: {} }", "lock: needs a mode and a number of days"},
      {"", ", object_lock: true, backup: {}", "is of replicas, and a backup keeps archives"},
      {"", ", backup: { colour: red }", "unknown field 'colour'"},
      {"", ", storage_class: STANDARD_IA, backup: {}", "write class: STANDARD_IA in backup"},
      {"", ", take_over: { from: 'west:old/' }, backup: {}", "stands beside take_over"},
      {"    transport: auto\n", ", backup: {}", "write transport: direct or s3-replication"},
      {"    transport: plain\n", ", backup: {}", "write transport: direct or s3-replication"},
  };
  for (const Mistake& mistake : mistakes) {
    std::string_view wanted = mistake.message;
    wanted = wanted.substr(wanted.find('|') == wanted.npos ? 0 : wanted.find('|') + 1);
    EXPECT_THAT(ErrorOf(WithRule(mistake.rule, mistake.target)), HasSubstr(std::string(wanted)));
  }
}

// A backup that never learns of deletes gives back what had been deleted.
TEST(ConfigurationTest, BackupsRecordDeletes) {
  Result<Configuration> read = Parse(WithRule(
      "", ", backup: { keep: 35d, class: STANDARD_IA, lock: { mode: governance, days: 3 } }"));
  ASSERT_TRUE(read) << read.error().Describe();
  const Rule& rule = read->rules[0];
  EXPECT_TRUE(rule.deletes);
  EXPECT_TRUE(rule.targets[0].to.prefix.empty() || rule.targets[0].to.prefix.ends_with('/'));
  EXPECT_EQ(rule.targets[0].backup, (BackupOptions{.keep = std::chrono::days(35),
                                                   .storage_class = "STANDARD_IA",
                                                   .lock_mode = "GOVERNANCE",
                                                   .lock_days = 3}));
  read = Parse(WithRule("    deletes: false\n", ", backup: {}"));
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->rules[0].deletes);
  EXPECT_THAT(read->warnings, Contains(HasSubstr("never learns that an object has been deleted")));
}

std::string RuleText(std::string_view id, std::string_view source, std::string_view to,
                     std::string_view more = "") {
  std::string text = "  - id: '" + std::string(id) + "'\n    source: '" + std::string(source) +
                     "'\n    targets: [{ to: '" + std::string(to) +
                     "', staging: 'west:staging/' }]\n";
  return text + std::string(more);
}

TEST(ConfigurationTest, ChecksIdsAndAddresses) {
  auto error_of = [](std::string_view rules) {
    return ErrorOf(std::string(kStores) + "rules:\n" + std::string(rules));
  };
  for (const char* id : {"probe", "a/b", "..", "a b", "ä"}) {
    EXPECT_THAT(error_of(RuleText(id, "east:a", "west:b")), HasSubstr("cannot be the id")) << id;
  }
  EXPECT_THAT(error_of(RuleText("r", "east:a", "west:b") + RuleText("r", "east:c", "west:d")),
              HasSubstr("the id 'r' is taken"));
  EXPECT_THAT(
      error_of(RuleText("r", "eest:a", "west:b")),
      HasSubstr("lh.yaml:10:13: rules[0].source: there is no store 'eest': did you mean 'east'?"));
  EXPECT_THAT(error_of(RuleText("r", "s3://a/b", "west:b")),
              HasSubstr("names no store of this file"));
  EXPECT_THAT(error_of(RuleText("r", "bucket", "west:b")), HasSubstr("NAME:bucket/prefix"));
  EXPECT_THAT(error_of(RuleText("r", "aws:Big_Bucket", "west:b")), HasSubstr("AWS allows"));
  EXPECT_THAT(error_of(RuleText("r", "disk:..", "west:b")), HasSubstr("cannot name a bucket"));
  EXPECT_THAT(error_of(RuleText("r", "disk:.hidden", "west:b")), HasSubstr("cannot name a bucket"));
  EXPECT_THAT(error_of(RuleText("r", "east:a/" + std::string(1025, 'x'), "west:b")),
              HasSubstr("longer than any key"));
  EXPECT_THAT(error_of("  - id: r\n"),
              AllOf(HasSubstr("'source' is missing"), HasSubstr("'targets' is missing")));
  EXPECT_THAT(error_of("  - just text\n"), HasSubstr("rules[0]: is 'just text', not a map"));
  EXPECT_THAT(error_of("  - id: r\n    source: 'east:a'\n    targets: [{ to: 'west:b/' , staging: "
                       "'west:s' }, { to: 'east:b/', staging: 'east:s' }]\n"),
              HasSubstr("same name as another target"));
  EXPECT_THAT(error_of("  - id: r\n    source: 'east:a'\n    targets: [{ to: 'aws:bbb/' , staging: "
                       "'west:s', storage_class: STANDART_IA }]\n"),
              HasSubstr("did you mean STANDARD_IA?"));
  EXPECT_THAT(error_of("  - id: r\n    source: 'east:a'\n    targets: [{ to: 'disk:b/' , staging: "
                       "'west:s', kms_key: x }]\n"),
              HasSubstr("a folder encrypts nothing"));
  EXPECT_THAT(error_of("  - id: r\n    source: 'east:a'\n    targets: [{ to: 'disk:b/' , staging: "
                       "'west:s', sse: AES256, bucket_key: true }]\n"),
              AllOf(HasSubstr("sse: a folder encrypts nothing"),
                    HasSubstr("bucket_key: a folder encrypts nothing")));
}

// What is read and not kept would leave the replicas under the bucket's default.
TEST(ConfigurationTest, ReadsHowReplicasAreEncrypted) {
  Result<Configuration> read = Parse(WithRule("", ", sse: AES256"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].targets[0].sse, "AES256");
  EXPECT_EQ(read->rules[0].targets[0].bucket_key, std::nullopt);
  read = Parse(WithRule("", ", sse: aws:kms, bucket_key: true"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].targets[0].sse, "aws:kms");
  EXPECT_EQ(read->rules[0].targets[0].bucket_key, true);
  read = Parse(WithRule("", ", kms_key: k, bucket_key: false"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].targets[0].sse, "") << "kms_key says it as before";
  EXPECT_EQ(read->rules[0].targets[0].bucket_key, false);
  read = Parse(WithRule("", ", sse: aws:kms:dsse, kms_key: k"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].targets[0].sse, "aws:kms:dsse");
}

// The topology's findings are told at the address in question.
TEST(ConfigurationTest, TellsTopologyWithLines) {
  EXPECT_EQ(
      ErrorOf(std::string(kStores) + "rules:\n" + RuleText("out", "east:a/", "west:b/") +
              RuleText("back", "west:b/", "east:a/")),
      "lh.yaml:14:21: rules[1].targets[0].to: objects would go in a circle: out (east:a/ -> "
      "west:b/), back (west:b/ -> east:a/): remove one of these rules, or give them prefixes that "
      "do not overlap");
}

// A prefix without its slash is allowed and rarely meant.
TEST(ConfigurationTest, WarnsOfAMissingSlash) {
  Result<Configuration> read =
      Parse(std::string(kStores) + "rules:\n" + RuleText("r", "east:a/x/", "west:b/y"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->warnings, ElementsAre(HasSubstr("keys become 'yNAME'")));
}

// A threshold that is not read watches nothing, and nobody is told.
TEST(ConfigurationTest, ReadsThresholdAndNotify) {
  Result<Configuration> read =
      Parse(WithRule("    threshold: 15m\n") + "notify: https://hooks.example/T0/secret\n");
  ASSERT_TRUE(read) << read.error().Describe();
  EXPECT_EQ(read->rules[0].threshold, std::chrono::minutes(15));
  EXPECT_EQ(read->notify.Reveal(), "https://hooks.example/T0/secret");
  EXPECT_THAT(ErrorOf(WithRule("") + "notify: hooks.example\n"), HasSubstr("notify: is no URL"));
  EXPECT_THAT(ErrorOf(WithRule("") + "notify: \"https://hooks.example/secret\\n\"\n"),
              AllOf(HasSubstr("notify: is no URL"), Not(HasSubstr("secret"))));
  EXPECT_THAT(ErrorOf(WithRule("    threshold: 0s\n")), HasSubstr("threshold"));
}

// What a rule of S3's own replication says has a field here.
TEST(ConfigurationTest, ReadsWhatNativeReplicationHas) {
  Result<Configuration> read =
      Parse(WithRule("    priority: 7\n    threshold: 15m\n"
                     "    filter: { modified_since: '2026-11-21T12:00:00Z', kms_encrypted: false, "
                     "tags: { a: '' } }\n",
                     ", acl: bucket-owner-full-control, bucket_owner: '111122223333'"));
  ASSERT_TRUE(read) << read.error().message;
  const Rule& rule = read->rules[0];
  EXPECT_EQ(rule.priority, 7);
  EXPECT_EQ(rule.threshold, 15min);
  EXPECT_EQ(rule.filter.modified_since, *ParseRfc3339("2026-11-21T12:00:00Z"));
  EXPECT_FALSE(rule.filter.kms_encrypted);
  EXPECT_EQ(rule.filter.tags, (Tags{{"a", ""}}));
  EXPECT_EQ(rule.targets[0].acl, "bucket-owner-full-control");
  EXPECT_EQ(rule.targets[0].bucket_owner, "111122223333");

  EXPECT_THAT(ErrorOf(WithRule("    priority: -1\n")), HasSubstr("priority: '-1' is out of range"));
  EXPECT_THAT(ErrorOf(WithRule("    threshold: 0s\n")),
              HasSubstr("threshold: '0s' is out of range"));
  EXPECT_THAT(ErrorOf(WithRule("    filter: { modified_since: noon }\n")),
              HasSubstr("modified_since: 'noon' is not a time"));
  EXPECT_THAT(ErrorOf(WithRule("    filter: { tags: { a: } }\n")), HasSubstr("has no value"));
  EXPECT_THAT(ErrorOf(WithRule("", ", acl: bucket-owner-ful-control")),
              HasSubstr("did you mean bucket-owner-full-control?"));
  EXPECT_THAT(ErrorOf(WithRule("", ", bucket_owner: '1234'")), HasSubstr("is no account"));
  EXPECT_THAT(ErrorOf(std::string(kStores) +
                      "rules: [{ id: r, source: 'east:a/', targets: [{ to: 'disk:b/', staging: "
                      "'west:s/', acl: private, bucket_owner: '111122223333' }] }]\n"),
              AllOf(HasSubstr("a folder has no ACLs"), HasSubstr("belongs to no account")));
}

// Two priorities the wrong way round, and a rule does nothing for ever.
TEST(ConfigurationTest, WarnsOfRulesThatCarryNothing) {
  auto rules = [](int outer, int inner) {
    auto line = [](const char* id, const char* prefix, int priority) {
      return "  - { id: " + std::string(id) + ", priority: " + std::to_string(priority) +
             ", source: 'east:a/" + prefix + "', targets: [{ to: 'west:b/" + prefix +
             "', staging: 'west:staging/' }] }\n";
    };
    return std::string(kStores) + "rules:\n" + line("all", "", outer) +
           line("logs", "logs/", inner);
  };
  Result<Configuration> read = Parse(rules(1, 2));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->warnings, IsEmpty());
  read = Parse(rules(2, 1));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->warnings,
              ElementsAre(HasSubstr("rules[1].targets[0].to: the rule carries nothing "
                                    "to here: rule all has a higher priority")));
}

// A disabled rule's keys are the next one's, which may delete what it kept.
TEST(ConfigurationTest, WarnsOfADisabledRuleWhoseReplicasAreThenDeleted) {
  auto rules = [](const char* keeper, const char* status) {
    return std::string(kStores) +
           "rules:\n"
           "  - { id: all, priority: 1, deletes: true, source: 'east:a/', targets: [{ to: "
           "'west:b/',"
           " staging: 'west:staging/' }] }\n"
           "  - { id: logs, priority: 2, deletes: " +
           keeper + ", status: " + status +
           ", source: 'east:a/logs/', targets: [{ to: 'west:b/logs/', staging: 'west:staging/' }] "
           "}\n";
  };
  const auto warning = HasSubstr("while rule logs is disabled");
  EXPECT_THAT(Parse(rules("false", "disabled")).value().warnings, Contains(warning));
  EXPECT_THAT(Parse(rules("false", "enabled")).value().warnings, Not(Contains(warning)));
  EXPECT_THAT(Parse(rules("true", "disabled")).value().warnings, Not(Contains(warning)));
}

}  // namespace
}  // namespace longhaul
