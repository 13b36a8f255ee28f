#include "rules/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace longhaul {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

std::optional<std::string> TestEnvironment(std::string_view name) {
  if (name == "EAST_KEY_ID") return "AKIDEAST";
  if (name == "EAST_SECRET") return "hunter2";
  if (name == "SEAL_KEY") return "correct horse battery staple";
  if (name == "LONGHAUL_TOKEN") return "t0ken";
  return std::nullopt;
}

Result<Configuration> Parse(std::string_view text) {
  return ParseConfiguration(text, "lh.yaml", "/etc/longhaul", TestEnvironment);
}

std::string ErrorOf(std::string_view text) {
  Result<Configuration> configuration = Parse(text);
  return configuration ? "(no error)" : configuration.error().message;
}

constexpr std::string_view kStores =
    "version: 1\n"
    "site: here\n"
    "stores:\n"
    "  east: { type: s3, endpoint: 'http://127.0.0.1:9001' }\n"
    "  west: { type: s3, endpoint: 'http://127.0.0.1:9002' }\n"
    "  aws: { type: s3 }\n"
    "  disk: { type: file, root: buckets }\n";

// One rule with `more` fields; what is not said there is plain.
std::string WithRule(std::string_view more, std::string_view target = "") {
  return std::string(kStores) + "rules:\n  - id: logs\n    source: east:a/x/\n" +
         std::string(more) +
         "    targets:\n      - { to: \"west:b/x/\", staging: \"west:staging/\"" +
         std::string(target) + " }\n";
}

// The file of the design must mean what it says.
TEST(ConfigurationTest, ReadsTheExampleOfTheDesign) {
  Result<Configuration> read = Parse(R"(
version: 1
site: east-1                                  # this installation's name, in marks
stores:
  east: { type: s3, endpoint: "http://127.0.0.1:9001", region: us-east-1, addressing: path,
          access_key_id: "${EAST_KEY_ID}", secret_access_key: "${EAST_SECRET}" }
  west: { type: s3, endpoint: "http://127.0.0.1:9002", region: eu-west-1, profile: west }
  disk: { type: file, root: /srv/buckets }
queue: sqlite:longhaul.db
state: sqlite:/var/lib/state.db
memory: 1GiB
listen: 127.0.0.1:8787
rules:
  - id: app-logs
    source: east:app-logs/2026/
    filter: { suffix: .log, min_size: 1, tags: { tier: hot } }
    intake: { webhook: true, listing: 1h }
    deletes: false
    compression: auto
    batch: { bytes: 256MiB, count: 10000, linger: 5s }
    targets:
      - { to: "west:app-logs-copy/2026/", staging: "west:longhaul-staging/", storage_class: STANDARD_IA, kms_key: "alias/copy" }
)");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->site, "east-1");
  EXPECT_EQ(read->queue.sqlite_path, "/etc/longhaul/longhaul.db");
  EXPECT_EQ(read->state.sqlite_path, "/var/lib/state.db");
  EXPECT_EQ(read->memory_bytes, 1 << 30);
  EXPECT_EQ(read->listen->host, "127.0.0.1");
  EXPECT_EQ(read->listen->port, 8787);
  const StoreSettings& east = read->stores.at("east");
  EXPECT_EQ(east.endpoint, "http://127.0.0.1:9001");
  EXPECT_EQ(east.region, "us-east-1");
  EXPECT_EQ(east.addressing, Addressing::kPath);
  EXPECT_EQ(east.access_key_id, "AKIDEAST");
  EXPECT_EQ(east.secret_access_key.Reveal(), "hunter2");
  EXPECT_EQ(read->stores.at("west").profile, "west");
  EXPECT_EQ(read->stores.at("disk").type, StoreType::kFile);
  EXPECT_EQ(read->stores.at("disk").root, "/srv/buckets");
  ASSERT_EQ(read->rules.size(), 1U);
  const Rule& rule = *read->FindRule("app-logs");
  EXPECT_EQ(rule.source, (Address{"east", "app-logs", "2026/"}));
  EXPECT_EQ(rule.filter.suffix, ".log");
  EXPECT_EQ(rule.filter.size_bytes_min, 1U);
  EXPECT_EQ(rule.filter.tags, (Tags{{"tier", "hot"}}));
  EXPECT_EQ(rule.intake.listing, 1h);
  EXPECT_EQ(rule.compression_level, 6);
  EXPECT_EQ(rule.batch.linger, 5s);
  ASSERT_EQ(rule.targets.size(), 1U);
  EXPECT_EQ(rule.targets[0].to, (Address{"west", "app-logs-copy", "2026/"}));
  EXPECT_EQ(rule.targets[0].staging, (Address{"west", "longhaul-staging", ""}));
  EXPECT_EQ(rule.targets[0].storage_class, "STANDARD_IA");
  EXPECT_EQ(rule.targets[0].kms_key, "alias/copy");
  EXPECT_EQ(rule.targets[0].name, DerivedTargetName(rule.targets[0].to));
  EXPECT_THAT(read->warnings, IsEmpty());
}

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

// What is left out must be as the documentation says.
TEST(ConfigurationTest, FillsInDefaults) {
  Result<Configuration> read = Parse(WithRule(""));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->queue.sqlite_path, "/etc/longhaul/longhaul.db");
  EXPECT_EQ(read->state.sqlite_path, "/etc/longhaul/longhaul.db");
  EXPECT_EQ(read->memory_bytes, 0);
  EXPECT_FALSE(read->listen);
  EXPECT_EQ(read->stores.at("disk").root, "/etc/longhaul/buckets");
  EXPECT_EQ(read->stores.at("east").addressing, Addressing::kPath);
  EXPECT_EQ(read->stores.at("aws").addressing, std::nullopt);
  const Rule& rule = read->rules[0];
  EXPECT_TRUE(rule.enabled);
  EXPECT_FALSE(rule.deletes);
  EXPECT_EQ(rule.settle, 2s);
  EXPECT_EQ(rule.compression_level, 6);
  EXPECT_EQ(rule.intake.listing, 1h);
  EXPECT_FALSE(rule.intake.watch);
  EXPECT_EQ(rule.on_conflict, OnConflict::kKeep);
  EXPECT_FALSE(rule.restore);
  EXPECT_TRUE(rule.delete_guard.enabled);
  EXPECT_EQ(rule.batch.count, 10'000);
}

// A field that is read and dropped makes people believe in what does not happen.
TEST(ConfigurationTest, CarriesEveryField) {
  Result<Configuration> read =
      Parse(WithRule("    status: disabled\n"
                     "    filter: { max_size: 1GiB }\n"
                     "    intake: { webhook: false, listing: off }\n"
                     "    deletes: true\n"
                     "    compression: none\n"
                     "    batch: { bytes: 1MiB, count: 1, linger: 0 }\n"
                     "    settle: 1s\n"
                     "    on_conflict: overwrite\n"
                     "    delete_guard: { keys: 5, share: 0.5 }\n"
                     "    restore: { tier: Bulk, days: 7 }\n"
                     "    seal_key: ${SEAL_KEY}\n"
                     "    seal_keys_accepted: [ 0123456789abcdef, 0123456789abcdeg ]\n",
                     ", name: copy"));
  ASSERT_TRUE(read) << read.error().message;
  const Rule& rule = read->rules[0];
  EXPECT_FALSE(rule.enabled);
  EXPECT_EQ(rule.filter.size_bytes_max, 1ULL << 30);
  EXPECT_FALSE(rule.intake.webhook);
  EXPECT_FALSE(rule.intake.listing);
  EXPECT_TRUE(rule.deletes);
  EXPECT_EQ(rule.compression_level, 0);
  EXPECT_EQ(rule.batch.size_bytes, 1U << 20);
  EXPECT_EQ(rule.batch.count, 1);
  EXPECT_EQ(rule.batch.linger, 0s);
  EXPECT_EQ(rule.settle, 1s);
  EXPECT_EQ(rule.on_conflict, OnConflict::kOverwrite);
  EXPECT_EQ(rule.delete_guard.keys, 5);
  EXPECT_EQ(rule.delete_guard.share, 0.5);
  EXPECT_EQ(rule.restore, (RestoreOptions{.tier = "Bulk", .days = 7}));
  EXPECT_EQ(rule.seal_key.Reveal(), "correct horse battery staple");
  ASSERT_EQ(rule.seal_keys_accepted.size(), 2U);
  EXPECT_EQ(rule.seal_keys_accepted[0].Reveal(), "0123456789abcdef");
  EXPECT_EQ(rule.targets[0].name, "copy");
  EXPECT_THAT(read->warnings, ElementsAre(HasSubstr("nothing tells of changes")));

  EXPECT_FALSE(read->rules[0].tuner);
  read = Parse(WithRule("    tuner: { min: 8, max: 10 }\n"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rules[0].tuner, (TunerBounds{.level_min = 8, .level_max = 10}));
  EXPECT_EQ(read->rules[0].compression_level, 8);  // With which it begins.
  read = Parse(WithRule("    compression: auto\n"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rules[0].tuner, TunerBounds());
  read = Parse(WithRule("    compression: 22\n    delete_guard: off\n"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->rules[0].compression_level, 22);
  EXPECT_FALSE(read->rules[0].delete_guard.enabled);

  read = Parse(
      std::string(kStores) +
      "  more: { type: s3, endpoint: 'HTTPS://S3.Example.com:443/', anonymous: true, "
      "addressing: virtual, payload_signing: never, requester_pays: true }\n"
      "  far: { type: s3, role_arn: 'arn:aws:iam::1:role/x', external_id: ext-1 }\n"
      "listen: '[::1]:80'\n"
      "rules: [{ id: r, source: 'disk:a', targets: [{ to: 'east:b', staging: 'east:s/t' }] }]\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->stores.at("far").role_arn, "arn:aws:iam::1:role/x");
  EXPECT_EQ(read->stores.at("far").external_id, "ext-1");
  const StoreSettings& more = read->stores.at("more");
  EXPECT_EQ(more.endpoint, "https://s3.example.com");
  EXPECT_TRUE(more.anonymous);
  EXPECT_TRUE(more.requester_pays);
  EXPECT_EQ(more.addressing, Addressing::kVirtualHost);
  EXPECT_EQ(more.payload_signing, PayloadSigning::kNever);
  EXPECT_EQ(read->listen->host, "::1");
  EXPECT_TRUE(read->rules[0].intake.watch);
  EXPECT_EQ(read->rules[0].targets[0].staging.prefix, "t/");
}

// Each mistake is told with its line and what to do; all of them in one run.
TEST(ConfigurationTest, TellsAllMistakesAtOnce) {
  EXPECT_EQ(
      ErrorOf("version: 2\n"
              "site: 'my site'\n"
              "stores:\n"
              "  s3: { type: s3 }\n"
              "  a: { type: s3, endpont: 'http://x' }\n"
              "  b: { type: s4 }\n"
              "queue: 'sqs:my work'\n"
              "listen: 0.0.0.0:80\n"
              "rules: []\n"),
      "lh.yaml:1:10: version: is for a later longhaul: this one reads version: 1\n"
      "lh.yaml:2:7: site: 'my site' cannot stand in a mark: use up to 32 of A-Z, a-z, 0-9, '.', "
      "'_' and '-'\n"
      "lh.yaml:4:7: stores.s3: 's3' cannot name a store: use A-Z, a-z, 0-9, '.', '_' and '-'; "
      "not s3 or file, which begin addresses\n"
      "lh.yaml:5:18: stores.a: unknown field 'endpont': did you mean 'endpoint'?\n"
      "lh.yaml:6:14: stores.b.type: 's4' is not one of its values: did you mean 's3'? It takes "
      "s3 or file\n"
      "lh.yaml:7:8: queue: 'my work' cannot begin the names of queues of SQS: use 1 to 40 of A-Z, "
      "a-z, 0-9, '_' and '-'\n"
      "lh.yaml:8:9: listen: '0.0.0.0:80' can be reached from elsewhere, and there is no token: "
      "add token: \"${LONGHAUL_TOKEN}\", or listen at 127.0.0.1\n"
      "lh.yaml:9:8: rules: is empty: add a rule: - { id: …, source: …, targets: … }");
}

// A State in another place than the others' would be a State of its own.
TEST(ConfigurationTest, AStateInDynamodb) {
  Result<Configuration> read =
      Parse(WithRule("") + "state: dynamodb:jobs.v1?region=eu-west-1&profile=mover\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->state.dynamodb,
            (AwsPlace{.name = "jobs.v1", .region = "eu-west-1", .profile = "mover"}));
  EXPECT_EQ(read->state.sqlite_path, "");
  EXPECT_NE(read->state, read->queue);
  auto error_of = [](const std::string& place) { return ErrorOf(WithRule("") + place + "\n"); };
  EXPECT_THAT(error_of("state: 'dynamodb:'"), HasSubstr("has no name: write dynamodb:TABLE"));
  EXPECT_THAT(error_of("state: dynamodb:my table"), HasSubstr("cannot name a table of DynamoDB"));
  EXPECT_THAT(error_of("state: dynamodb:jobs?regoin=eu"), HasSubstr("a field 'regoin'"));
  EXPECT_THAT(error_of("queue: dynamodb:jobs"), HasSubstr("is no place for it: write sqlite:PATH, "
                                                          "sqs:PREFIX or postgresql"));
}

TEST(ConfigurationTest, AQueueInSqs) {
  Result<Configuration> read = Parse(WithRule("") + "queue: sqs:haul?region=eu-west-1\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->queue.sqs, (AwsPlace{.name = "haul", .region = "eu-west-1"}));
  EXPECT_NE(read->state, read->queue);
  auto error_of = [](const std::string& place) { return ErrorOf(WithRule("") + place + "\n"); };
  EXPECT_THAT(error_of("queue: 'sqs:'"), HasSubstr("has no name: write sqs:PREFIX"));
  EXPECT_THAT(error_of("queue: sqs:a.b"), HasSubstr("cannot begin the names of queues"));
  EXPECT_THAT(error_of("state: sqs:haul"), HasSubstr("is no place for it"));
}

// A role that nobody could assume is a mistake in the file, not a refusal hours later.
TEST(ConfigurationTest, RolesOfStoresMakeSense) {
  auto error_of = [](const std::string& fields) {
    return ErrorOf(std::string(kStores) + "  far: { type: s3, " + fields + " }\n" +
                   "rules: [{ id: r, source: 'disk:a', targets: [{ to: 'east:b', staging: "
                   "'east:s/t' }] }]\n");
  };
  EXPECT_THAT(error_of("role_arn: mover"), HasSubstr("no ARN of a role"));
  EXPECT_THAT(error_of("external_id: ext-1"), HasSubstr("give role_arn as well"));
  EXPECT_THAT(error_of("role_arn: 'arn:aws:iam::1:role/x', external_id: 'a b'"),
              HasSubstr("external_id: 2 to 1224"));
  EXPECT_THAT(error_of("role_arn: 'arn:aws:iam::1:role/x', anonymous: true"),
              HasSubstr("is anonymous"));
}

// A store that is described wrongly is not taken for AWS: what follows would mislead.
TEST(ConfigurationTest, SaysNothingOfBucketsInAStoreItDoesNotKnow) {
  const std::string rules =
      "site: s\nrules: [{ id: r, source: 'a:My_Bucket/', targets: [{ to: 'b:Other_One/', "
      "staging: 'b:st/', storage_class: MINE }] }]\n";
  const std::string said = ErrorOf(
      "version: 1\nstores:\n  a: { type: s4 }\n  b: { type: s3, "
      "endpont: 'http://x' }\n" +
      rules);
  EXPECT_EQ(said.find("AWS"), std::string::npos) << said;
  EXPECT_EQ(said.find("storage class"), std::string::npos) << said;
  const std::string known =
      ErrorOf("version: 1\nstores:\n  a: { type: s3 }\n  b: { type: s3 }\n" + rules);
  EXPECT_NE(known.find("'My_Bucket' cannot name a bucket: AWS allows"), std::string::npos) << known;
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

// A number that is out of range, or for a folder, must not become 64 in silence.
TEST(ConfigurationTest, ReadsHowManyRequestsAStoreTakes) {
  auto with = [](const std::string& store) {
    return Parse("version: 1\nstores: { a: { " + store + " } }\n");
  };
  Result<Configuration> read = with("type: s3, requests: 256");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->stores.at("a").requests, 256);
  EXPECT_EQ(with("type: s3")->stores.at("a").requests, std::nullopt);
  for (const char* number : {"0", "1025", "-1"}) {
    read = with(std::string("type: s3, requests: ") + number);
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error().message, HasSubstr("give 1 to 1024"));
  }
  EXPECT_FALSE(with("type: file, root: /srv, requests: 2"));
}

// Half a set of credentials would be silently replaced by another identity.
TEST(ConfigurationTest, ChecksCredentials) {
  auto error_of = [](std::string_view fields) {
    return ErrorOf("version: 1\nsite: s\nrules: []\nstores:\n  a: { type: s3, " +
                   std::string(fields) + " }\n");
  };
  EXPECT_THAT(error_of("access_key_id: x"), HasSubstr("no secret_access_key"));
  EXPECT_THAT(error_of("secret_access_key: x"), HasSubstr("no access_key_id"));
  EXPECT_THAT(error_of("session_token: x"), HasSubstr("session_token without the keys"));
  EXPECT_THAT(error_of("profile: x, anonymous: true"), HasSubstr("in several ways"));
  EXPECT_THAT(error_of("access_key_id: '${UNSET}', secret_access_key: x"),
              AllOf(HasSubstr("lh.yaml:5:33: the environment variable UNSET is not set"),
                    Not(HasSubstr("no access_key_id"))));
  for (const char* bad : {"localhost:9000", "ftp://x", "http://", "http://a/b", "http://u:p@h",
                          "http://h:99999", "http://h:", "http://a b"}) {
    EXPECT_THAT(error_of("endpoint: '" + std::string(bad) + "'"), HasSubstr("is not an endpoint"))
        << bad;
  }
}

TEST(ConfigurationTest, ChecksTheListener) {
  for (const char* bad : {"8787", ":8787", "example.com:80", "127.0.0.1",
                          "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "::1:80"}) {
    EXPECT_THAT(ErrorOf(WithRule("") + "listen: '" + bad + "'\n"),
                HasSubstr("no address to listen at"))
        << bad;
  }
  Result<Configuration> open =
      Parse(WithRule("") + "listen: 0.0.0.0:1\ntoken: ${LONGHAUL_TOKEN}\n");
  ASSERT_TRUE(open) << open.error().message;
  EXPECT_EQ(open->token.Reveal(), "t0ken");
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

// Commands such as ls name stores of a file that has no rules.
TEST(ConfigurationTest, StoresAloneAreEnough) {
  Result<Configuration> read = Parse("version: 1\nstores: { a: { type: s3 } }\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->rules.empty());
  EXPECT_THAT(ErrorOf("version: 1\nstores: { a: { type: s3 } }\nrules: []\n"),
              AllOf(HasSubstr("'site' is missing"), HasSubstr("rules: is empty")));
}

TEST(ConfigurationTest, LoadsFiles) {
  char folder[] = "/tmp/longhaul-config-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string file = std::string(folder) + "/lh.yaml";
  std::FILE* out = std::fopen(file.c_str(), "w");
  std::fputs(WithRule("").c_str(), out);
  std::fclose(out);
  Result<Configuration> read = LoadConfiguration(file, TestEnvironment);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->state.sqlite_path, std::string(folder) + "/longhaul.db");
  EXPECT_EQ(LoadConfiguration(std::string(folder) + "/none.yaml", TestEnvironment).error().kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(LoadConfiguration(folder, TestEnvironment).error().kind, ErrorKind::kDenied);
  std::remove(file.c_str());
  rmdir(folder);
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

// What a provider gives is what a person would have written.
TEST(ConfigurationTest, AProviderGivesEndpointAndAddressing) {
  auto read = [](const std::string& fields) {
    return Parse("version: 1\nstores:\n  a: { type: s3, " + fields + " }\n");
  };
  Result<Configuration> wasabi = read("provider: wasabi, region: eu-central-1");
  ASSERT_TRUE(wasabi) << wasabi.error().message;
  EXPECT_EQ(wasabi->stores.at("a").endpoint, "https://s3.eu-central-1.wasabisys.com");
  EXPECT_EQ(wasabi->stores.at("a").addressing, Addressing::kPath);
  Result<Configuration> oss = read("provider: aliyun-oss, region: cn-hangzhou");
  ASSERT_TRUE(oss) << oss.error().message;
  EXPECT_EQ(oss->stores.at("a").addressing, Addressing::kVirtualHost);
  // Known by its endpoint as well.
  Result<Configuration> named = read("endpoint: \"https://s3.oss-cn-hangzhou.aliyuncs.com\"");
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->stores.at("a").addressing, Addressing::kVirtualHost);
  Result<Configuration> r2 = read("provider: r2, account: abc");
  ASSERT_TRUE(r2) << r2.error().message;
  EXPECT_EQ(r2->stores.at("a").endpoint, "https://abc.r2.cloudflarestorage.com");
  for (const char* wrong :
       {"provider: nimbus", "provider: b2", "provider: r2", "provider: minio", "account: abc",
        "provider: aliyun-oss, region: cn-hangzhou, addressing: path",
        "provider: wasabi, endpoint: \"https://proxy.example.com\"",
        "provider: aws-cn, region: eu-west-1"}) {
    EXPECT_FALSE(read(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace longhaul
