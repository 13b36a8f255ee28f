#include "rules/iam_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <set>

#include "rules/configuration.h"

namespace longhaul {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Configuration Configured(const std::string& more, const std::string& rule = "",
                         const std::string& target = "") {
  const std::string text =
      "version: 1\nsite: a\nstores:\n"
      "  east: { type: s3, region: us-east-1 }\n"
      "  west: { type: s3, region: eu-west-1 }\n" +
      more + "rules:\n  - id: main\n    source: east:data/logs/\n" + rule +
      "    targets:\n      - { to: 'west:copy/in/', staging: 'west:staging/'" + target + " }\n";
  Result<Configuration> configuration =
      ParseConfiguration(text, "c.yaml", "/srv", [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(configuration) << configuration.error().Describe();
  return configuration ? *configuration : Configuration{};
}

IamNames Names(bool source = true, bool target = true) {
  return {.source = source,
          .target = target,
          .account = "111122223333",
          .regions = {{"east", "us-east-1"}, {"west", "eu-west-1"}}};
}

const IamStatement* Find(const std::vector<IamPolicy>& policies, const std::string& sid) {
  for (const IamPolicy& policy : policies) {
    for (const IamStatement& statement : policy.statements) {
      if (statement.sid == sid) return &statement;
    }
  }
  return nullptr;
}

// An alarm that may not be told is found out when something is wrong.
TEST(IamPolicyTest, TheTopicOfAlarmsMayBeTold) {
  IamNames names = Names();
  EXPECT_EQ(Find(IamPolicies(Configured(""), names), "Alarms"), nullptr);
  names.alarm_topic = "arn:aws:sns:eu-west-1:111122223333:alarms";
  const std::vector<IamPolicy> policies = IamPolicies(Configured(""), names);
  const IamStatement* alarms = Find(policies, "Alarms");
  ASSERT_NE(alarms, nullptr);
  EXPECT_THAT(alarms->actions, ElementsAre("sns:Publish"));
  EXPECT_THAT(alarms->resources, ElementsAre(names.alarm_topic));
}

// Without the rights to see a lock S3 shows an object as if it had none.
TEST(IamPolicyTest, LocksAreSeenAndSetWhereATargetAsksForThem) {
  const std::vector<IamPolicy> policies =
      IamPolicies(Configured("", "", ", object_lock: true"), Names());
  for (const char* sid : {"SourceRead", "Target"}) {
    const IamStatement* statement = Find(policies, sid);
    ASSERT_NE(statement, nullptr);
    EXPECT_THAT(statement->actions, Contains("s3:GetObjectRetention")) << sid;
    EXPECT_THAT(statement->actions, Contains("s3:GetObjectLegalHold")) << sid;
  }
  EXPECT_THAT(Find(policies, "Target")->actions, Contains("s3:PutObjectRetention"));
  EXPECT_THAT(Find(policies, "Target")->actions, Contains("s3:PutObjectLegalHold"));
  EXPECT_THAT(Find(IamPolicies(Configured(""), Names()), "SourceRead")->actions,
              Not(Contains("s3:GetObjectRetention")));
}

// An inventory that may not be read is found out when a comparison fails, a day later.
TEST(IamPolicyTest, AnInventoryMayBeFoundAndRead) {
  const Configuration configuration =
      Configured("", "    intake: { inventory: 'east:reports/inv/data/daily/' }\n");
  const std::vector<IamPolicy> policies = IamPolicies(configuration, Names());
  ASSERT_NE(Find(policies, "Inventory"), nullptr);
  EXPECT_THAT(Find(policies, "Inventory")->actions, ElementsAre("s3:GetObject"));
  EXPECT_THAT(Find(policies, "Inventory")->resources,
              ElementsAre("arn:aws:s3:::reports/inv/data/daily/*"));
  ASSERT_NE(Find(policies, "InventoryList"), nullptr);
  EXPECT_THAT(Find(policies, "InventoryList")->actions, ElementsAre("s3:ListBucket"));
  EXPECT_EQ(Find(IamPolicies(configuration, Names(false, true)), "Inventory"), nullptr);
  EXPECT_EQ(Find(IamPolicies(Configured(""), Names()), "Inventory"), nullptr);
}

// HeadBucket names no prefix: a plain StringLike would deny it, and a key that is not there would
// look like one that is closed.
TEST(IamPolicyTest, AListingIsOfItsPrefixAloneAndHeadBucketGoesThrough) {
  const std::vector<IamPolicy> policies = IamPolicies(Configured(""), Names());
  const IamStatement* list = Find(policies, "SourceList");
  ASSERT_NE(list, nullptr);
  EXPECT_THAT(list->resources, ElementsAre("arn:aws:s3:::data"));
  ASSERT_EQ(list->conditions.size(), 1U);
  EXPECT_EQ(list->conditions[0].operation, "StringLikeIfExists");
  EXPECT_THAT(list->conditions[0].values, ElementsAre("logs/*"));
}

// A source that may write to its target is what archives are there to spare.
TEST(IamPolicyTest, EachRoleMayDoWhatItDoes) {
  const std::vector<IamPolicy> source = IamPolicies(Configured(""), Names(true, false));
  EXPECT_EQ(Find(source, "Target"), nullptr);
  ASSERT_NE(Find(source, "TargetRead"), nullptr);
  EXPECT_THAT(Find(source, "TargetRead")->actions, ElementsAre("s3:GetObject"));
  const std::vector<IamPolicy> target = IamPolicies(Configured(""), Names(false, true));
  EXPECT_EQ(Find(target, "SourceRead"), nullptr);
  ASSERT_NE(Find(target, "Target"), nullptr);
  EXPECT_THAT(Find(target, "Target")->resources, ElementsAre("arn:aws:s3:::copy/in/*"));
  EXPECT_THAT(Find(target, "Staging")->resources, ElementsAre("arn:aws:s3:::staging/main/*"));
  EXPECT_THAT(Find(target, "Target")->actions, Not(Contains("s3:PutObjectAcl")));
  // It writes there itself.
  const std::vector<IamPolicy> plain =
      IamPolicies(Configured("", "    transport: plain\n"), Names(true, false));
  EXPECT_NE(Find(plain, "Target"), nullptr);
}

// IAM takes no alias for a resource.
TEST(IamPolicyTest, AKeyIsNamedByWhatItIs) {
  auto key = [](const std::string& name) {
    const std::vector<IamPolicy> policies =
        IamPolicies(Configured("", "", ", kms_key: '" + name + "'"), Names());
    const IamStatement* statement = Find(policies, "TargetKey");
    return statement == nullptr ? IamStatement{} : *statement;
  };
  EXPECT_THAT(key("arn:aws:kms:eu-west-1:1:key/x").resources,
              ElementsAre("arn:aws:kms:eu-west-1:1:key/x"));
  EXPECT_THAT(key("12ab").resources, ElementsAre("arn:aws:kms:eu-west-1:111122223333:key/12ab"));
  const IamStatement alias = key("alias/copy");
  EXPECT_THAT(alias.resources, ElementsAre("arn:aws:kms:eu-west-1:111122223333:key/*"));
  ASSERT_EQ(alias.conditions.size(), 1U);
  EXPECT_EQ(alias.conditions[0].key, "kms:ResourceAliases");
  EXPECT_THAT(alias.conditions[0].values, ElementsAre("alias/copy"));
  EXPECT_THAT(key("arn:aws:kms:eu-west-1:222233334444:alias/copy").resources,
              ElementsAre("arn:aws:kms:eu-west-1:222233334444:key/*"));
  EXPECT_EQ(Find(IamPolicies(Configured(""), Names()), "TargetKey"), nullptr);
}

// A store with a role of its own is another identity: one policy for both would give each what only
// the other needs.
TEST(IamPolicyTest, EachIdentityHasItsOwn) {
  const Configuration configuration = Configured(
      "  far: { type: s3, region: eu-west-1, role_arn: 'arn:aws:iam::999999999999:role/far' }\n"
      "  kept: { type: s3, region: eu-west-1, credentials: 'secretsmanager:keys' }\n"
      "queue: sqs:haul?region=us-east-1\nstate: dynamodb:rows?region=us-east-1\n",
      "", "");
  Configuration changed = configuration;
  changed.rules[0].targets[0].to.store = "far";
  changed.rules[0].targets[0].staging.store = "kept";
  IamNames names = Names();
  names.queues = {"haul-main-events"};
  names.dead_letters = "haul-dead-letters";
  names.queue_region = names.state_region = "us-east-1";
  const std::vector<IamPolicy> policies = IamPolicies(changed, names);
  std::set<std::string> identities;
  for (const IamPolicy& policy : policies) identities.insert(policy.identity);
  EXPECT_THAT(identities, ElementsAre("default credentials", "keys in secretsmanager:keys",
                                      "role arn:aws:iam::999999999999:role/far"));
  for (const IamPolicy& policy : policies) {
    const bool far = policy.identity.starts_with("role");
    EXPECT_EQ(Find({policy}, "Target") != nullptr, far) << policy.identity;
    EXPECT_EQ(Find({policy}, "Role") != nullptr, policy.identity == "default credentials");
  }
  EXPECT_THAT(Find(policies, "Keys")->resources,
              ElementsAre("arn:aws:secretsmanager:*:111122223333:secret:keys-??????"));
  EXPECT_THAT(Find(policies, "Queue")->resources,
              ElementsAre("arn:aws:sqs:us-east-1:111122223333:haul-main-events",
                          "arn:aws:sqs:us-east-1:111122223333:haul-dead-letters"));
  EXPECT_THAT(Find(policies, "State")->resources,
              ElementsAre("arn:aws:dynamodb:us-east-1:111122223333:table/rows"));
}

// Who has keys assumes the role with them: given to another identity the right is too much there,
// and missing where it is needed.
TEST(IamPolicyTest, ARoleIsAssumedByTheKeysOfItsStore) {
  const std::string role = ", role_arn: 'arn:aws:iam::999999999999:role/far' }\n";
  for (const auto& [fields, identity] : std::map<std::string, std::string>{
           {"access_key_id: AKIA, secret_access_key: s", "keys of store far"},
           {"credentials: 'ssm:/a/b'", "keys in ssm:/a/b"},
           {"profile: p", "profile 'p'"}}) {
    Configuration configuration =
        Configured("  far: { type: s3, region: eu-west-1, " + fields + role, "", "");
    configuration.rules[0].targets[0].to.store = "far";
    for (const IamPolicy& policy : IamPolicies(configuration, Names())) {
      EXPECT_EQ(Find({policy}, "Role") != nullptr, policy.identity == identity)
          << fields << ": " << policy.identity;
    }
    const std::vector<IamPolicy> policies = IamPolicies(configuration, Names());
    EXPECT_NE(Find(policies, "Role"), nullptr) << fields;
    // Who has none yet asks for those that are kept.
    const bool kept = fields.starts_with("credentials");
    EXPECT_EQ(Find(policies, "Keys") != nullptr, kept) << fields;
  }
}

// The bucket of the compressor is encrypted under a key of its own: without it no archive opens,
// and after a day they are gone.
TEST(IamPolicyTest, WhatIsTakenOverMayBeDecrypted) {
  const Configuration configuration =
      Configured("", "", ", take_over: { from: 'west:haul-inbound/' }");
  const std::vector<IamPolicy> policies = IamPolicies(configuration, Names(false, true));
  const IamStatement* decrypt = Find(policies, "TakeOverDecrypt");
  ASSERT_NE(decrypt, nullptr);
  EXPECT_THAT(decrypt->actions, ElementsAre("kms:Decrypt"));
  ASSERT_EQ(decrypt->conditions.size(), 2U);
  EXPECT_THAT(decrypt->conditions[0].values, ElementsAre("s3.eu-west-1.amazonaws.com*"));
  EXPECT_THAT(decrypt->conditions[1].values,
              ElementsAre("arn:aws:s3:::haul-inbound", "arn:aws:s3:::haul-inbound/*"));
  EXPECT_EQ(Find(IamPolicies(Configured(""), Names(false, true)), "TakeOverDecrypt"), nullptr);
}

// S3 puts what is uploaded under the bucket's own key, where it has one, and nothing says so but a
// refusal.
TEST(IamPolicyTest, WhereTheBucketHasAKeyOfItsOwnItMayBeUsed) {
  const std::vector<IamPolicy> policies = IamPolicies(Configured(""), Names(false, true));
  for (const auto& [sid, below] : std::map<std::string, std::string>{
           {"StagingKey", "staging/*"}, {"TargetBucketKey", "copy/in/*"}}) {
    const IamStatement* key = Find(policies, sid);
    ASSERT_NE(key, nullptr) << sid;
    EXPECT_THAT(key->actions, ElementsAre("kms:GenerateDataKey", "kms:Decrypt"));
    // Of an account that may be another than this one.
    EXPECT_THAT(key->resources, ElementsAre("arn:aws:kms:eu-west-1:*:key/*"));
    ASSERT_EQ(key->conditions.size(), 2U);
    EXPECT_THAT(key->conditions[0].values, ElementsAre("s3.eu-west-1.amazonaws.com*"));
    EXPECT_THAT(key->conditions[1].values, Contains("arn:aws:s3:::" + below));
  }
  // A key that is named is used, and without any none is; what was there before is looked at.
  for (const char* target : {", kms_key: k", ", sse: AES256"}) {
    const std::vector<IamPolicy> named = IamPolicies(Configured("", "", target), Names());
    EXPECT_EQ(Find(named, "TargetBucketKey"), nullptr);
    ASSERT_NE(Find(named, "TargetDecrypt"), nullptr);
    EXPECT_THAT(Find(named, "TargetDecrypt")->actions, ElementsAre("kms:Decrypt"));
  }
  const std::vector<IamPolicy> source = IamPolicies(Configured(""), Names(true, false));
  EXPECT_EQ(Find(source, "TargetBucketKey"), nullptr);
  ASSERT_NE(Find(source, "TargetDecrypt"), nullptr);
  EXPECT_THAT(Find(source, "TargetDecrypt")->actions, ElementsAre("kms:Decrypt"));
}

// A worker that may not list uploads aborts none of which it does not know the id, for ever, and
// sweeps nothing that comes after.
TEST(IamPolicyTest, AMigrationMayListTheUploadsOfItsTarget) {
  IamNames names = Names(false, false);
  Migration migration;
  migration.source = {.store = "east", .bucket = "data", .prefix = "logs/"};
  migration.target = {.store = "west", .bucket = "copy", .prefix = "in/"};
  names.migrations = {migration};
  const std::vector<IamPolicy> policies = IamPolicies(Configured(""), names);
  const IamStatement* look = Find(policies, "MigrationTargetLook");
  ASSERT_NE(look, nullptr);
  EXPECT_THAT(look->actions, ElementsAre("s3:ListBucketMultipartUploads"));
  EXPECT_THAT(look->resources, ElementsAre("arn:aws:s3:::copy"));
  EXPECT_EQ(Find(policies, "TargetLook"), nullptr);
}

// Events are taken by the source role alone: another must not be able to take them away.
TEST(IamPolicyTest, ATargetTakesNothingFromTheQueuesOfEvents) {
  Configuration configuration =
      Configured("queue: sqs:haul?region=us-east-1\nstate: dynamodb:rows?region=us-east-1\n");
  IamNames names = Names(false, true);
  names.queues = {"haul-main-events"};
  names.run_queues = {"haul-migrations-find"};
  names.dead_letters = "haul-dead-letters";
  std::vector<IamPolicy> policies = IamPolicies(configuration, names);
  ASSERT_NE(Find(policies, "Queue"), nullptr);
  EXPECT_THAT(Find(policies, "Queue")->actions,
              ElementsAre("sqs:GetQueueUrl", "sqs:GetQueueAttributes"));
  EXPECT_EQ(Find(policies, "Queue")->resources.size(), 2u) << "the dead letters are counted, too";
  EXPECT_EQ(Find(policies, "QueueDeadLetters"), nullptr);
  EXPECT_EQ(Find(policies, "Runs"), nullptr);
  // Where events are sent to it, the port is the source's.
  configuration.listen = ListenAddress{};
  configuration.rules.front().intake.webhook = true;
  policies = IamPolicies(configuration, names);
  EXPECT_EQ(Find(policies, "QueueDeadLetters"), nullptr);
  EXPECT_EQ(Find(policies, "Runs"), nullptr);
  for (Rule& rule : configuration.rules) rule.intake.webhook = false;
  // Only an API sends, shows and sends back what is dead, and starts runs.
  policies = IamPolicies(configuration, names);
  ASSERT_NE(Find(policies, "Queue"), nullptr);
  EXPECT_THAT(Find(policies, "Queue")->actions,
              ElementsAre("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"));
  ASSERT_NE(Find(policies, "QueueDeadLetters"), nullptr);
  EXPECT_THAT(Find(policies, "QueueDeadLetters")->actions, Not(Contains("sqs:SendMessage")));
  ASSERT_NE(Find(policies, "Runs"), nullptr);
  EXPECT_THAT(Find(policies, "Runs")->actions, Not(Contains("sqs:ReceiveMessage")));
}

// A queue of events may be encrypted under a key of its owner's.
TEST(IamPolicyTest, EventsMayBeDecrypted) {
  const std::vector<IamPolicy> policies =
      IamPolicies(Configured("", "    intake: { sqs: 'app-events?region=us-east-1' }\n"), Names());
  const IamStatement* key = Find(policies, "EventsKey");
  ASSERT_NE(key, nullptr);
  EXPECT_THAT(key->actions, Contains("kms:Decrypt"));
  ASSERT_EQ(key->conditions.size(), 1U);
  EXPECT_THAT(key->conditions[0].values, ElementsAre("sqs.us-east-1.amazonaws.com*"));
  const std::string elsewhere =
      "    intake: { sqs: 'q?region=us-east-1&endpoint=http://127.0.0.1:1' }\n";
  EXPECT_EQ(Find(IamPolicies(Configured("", elsewhere), Names()), "EventsKey"), nullptr);
}

// What is left out because of its key is read before that is known.
TEST(IamPolicyTest, ASourceMayBeDecryptedWhateverIsCarried) {
  for (const char* rule : {"", "    filter: { kms_encrypted: false }\n"}) {
    const std::vector<IamPolicy> policies = IamPolicies(Configured("", rule), Names());
    EXPECT_NE(Find(policies, "SourceDecrypt"), nullptr) << rule;
    EXPECT_EQ(Find(policies, "InventoryDecrypt"), nullptr);
  }
  const std::vector<IamPolicy> listed = IamPolicies(
      Configured("", "    intake: { inventory: 'east:reports/inv/data/daily/' }\n"), Names());
  EXPECT_NE(Find(listed, "InventoryDecrypt"), nullptr);
}

// Partitions have names of their own: in another one a statement says nothing.
TEST(IamPolicyTest, KeysAreKeptInThePartitionOfTheirRegion) {
  IamNames names = Names();
  names.kept_region = "us-gov-west-1";
  Configuration kept = Configured("");
  kept.stores.at("east").credentials = "ssm:/keys";
  const std::vector<IamPolicy> policies = IamPolicies(kept, names);
  ASSERT_NE(Find(policies, "Keys"), nullptr);
  EXPECT_THAT(Find(policies, "Keys")->resources,
              ElementsAre("arn:aws-us-gov:ssm:us-gov-west-1:111122223333:parameter/keys"));
}

// A star in a prefix is a star there, and a pattern in IAM.
TEST(IamPolicyTest, ADocumentIsJsonWithEachSidOnce) {
  Configuration configuration = Configured("");
  configuration.rules[0].source.prefix = "we*ird?$/\"";
  configuration.rules.push_back(configuration.rules[0]);
  configuration.rules[1].id = "other";
  const std::vector<IamPolicy> policies = IamPolicies(configuration, Names());
  ASSERT_EQ(policies.size(), 1U);
  const std::string text = IamDocument(policies[0], false);
  EXPECT_THAT(text, HasSubstr(R"(arn:aws:s3:::data/we${*}ird${?}${$}/\"*)"));
  boost::system::error_code error;
  const boost::json::value plain = boost::json::parse(text, error);
  ASSERT_FALSE(error);
  EXPECT_EQ(boost::json::parse(IamDocument(policies[0], true)), plain);
  std::set<std::string> sids;
  for (const IamStatement& statement : policies[0].statements) {
    EXPECT_TRUE(sids.insert(statement.sid).second) << statement.sid;
    EXPECT_EQ(statement.sid.find_first_not_of(
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
              std::string::npos);
  }
  EXPECT_TRUE(sids.contains("Staging2"));
}

}  // namespace
}  // namespace longhaul
