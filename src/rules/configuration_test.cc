// A configuration as a whole; its parts: configuration_*_test.cc.

#include "rules/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/configuration_text.h"

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kStores;
using testing::Parse;
using testing::TestEnvironment;
using testing::WithRule;
using namespace std::chrono_literals;

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

// A mistyped URL is told of in logs and by CI.
TEST(ConfigurationTest, MistakesInPlacesShowNoPassword) {
  for (const char* place :
       {"Postgresql://longhaul:hunter2@db/jobs", "mysql://longhaul:hunter2@db/jobs",
        "postgre:host=db password=hunter2", "longhaul:hunter2@db/jobs", "sqs:?longhaul:hunter2@db",
        "dynamodb:?longhaul:hunter2@db", "postgresql:longhaul:hunter2@db/jobs"}) {
    for (const char* name : {"queue", "state"}) {
      const std::string error = ErrorOf(WithRule("") + name + ": \"" + std::string(place) + "\"\n");
      EXPECT_FALSE(error.empty()) << place;
      EXPECT_THAT(error, Not(HasSubstr("hunter2")));
    }
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

}  // namespace
}  // namespace longhaul
