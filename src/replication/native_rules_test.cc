// ReplicationConfigurations of S3, from the document to the replicas: each is imported, filled in,
// checked and run, and what is at the targets then is what S3 would have put there.
//
// Source: S3 User Guide, "Replication configuration file elements", "Replicating delete markers",
// "Changing the replica owner", "Replicating encrypted objects"; S3 API Reference, ReplicationRule.

#include <gtest/gtest.h>

#include "events/hint.h"
#include "rules/configuration.h"
#include "rules/import.h"
#include "rules/topology.h"
#include "tests/support/replication_world.h"

namespace longhaul {
namespace {

using namespace std::chrono_literals;
using testing::MemoryStoreBackend;
using testing::ReplicationWorld;

using Replicas = std::set<std::string>;

constexpr std::string_view kKey = "arn:aws:kms:eu-central-1:222233334444:key/ledger";

struct NativeCase {
  std::string name;
  std::string document;
  // "BUCKET/KEY", and after it how it is kept, where something is said of that: "class=", "key=",
  // "acl=", "owner=". "marker BUCKET/KEY": a delete marker lies above it.
  Replicas replicas;
  int late = 0;  // Objects that are told of when they have waited for 16 minutes.
};
void PrintTo(const NativeCase& one, std::ostream* out) { *out << one.name; }

// What every document meets: written before it was imported, after that, and deleted again after it
// was replicated (so a rule that does not replicate deletes keeps it).
//
//   logs/before              before the import
//   logs/plain  logs/gone    logs/gone is deleted at last
//   logs/hot                 tags tier=hot, team=a
//   logs/large               200 KB, tag tier=cold
//   logs/secret              under a KMS key
//   img/cool                 storage class STANDARD_IA
//   img/hot                  tag tier=hot
//   img/gone                 deleted at last
class NativeRulesTest : public ::testing::TestWithParam<NativeCase> {
 protected:
  NativeRulesTest() {
    world.AddStore("source", {"office"});
    world.AddStore("target", {"ledger", "vault", "staging"});
    // S3 replicates only between buckets that keep versions.
    using Versioning = MemoryStoreBackend::Versioning;
    source().buckets["office"].versioning = Versioning::kEnabled;
    for (const char* bucket : {"ledger", "vault"}) {
      target().buckets[bucket].versioning = Versioning::kEnabled;
    }
  }
  MemoryStoreBackend& source() { return *world.store("source").backend; }
  MemoryStoreBackend& target() { return *world.store("target").backend; }

  void Put(const std::string& key, PutRequest request = {}, const std::string& text = "text") {
    testing::MemoryStore direct(world.runtime, world.store("source").backend);
    request.bucket = "office";
    request.key = key;
    ASSERT_TRUE(world.world.Run(PutText(direct, std::move(request), text)));
  }
  void Remove(const std::string& key) {
    testing::MemoryStore direct(world.runtime, world.store("source").backend);
    ASSERT_TRUE(world.world.Run(direct.Remove({.bucket = "office", .key = key})));
  }
  static PutRequest Tagged(Tags tags) {
    PutRequest request;
    request.tags = std::move(tags);
    return request;
  }

  // As a person does who was told to.
  static void FillIn(std::string& yaml, std::string_view place, std::string_view name) {
    ASSERT_NE(yaml.find(place), std::string::npos) << yaml;
    for (size_t at = 0; (at = yaml.find(place, at)) != std::string::npos; at += name.size()) {
      yaml.replace(at, place.size(), name);
    }
  }
  void Import(const std::string& document) {
    Result<ImportResult> imported =
        ImportRules({{"native", document}}, {.now = world.world.clock.Now()});
    ASSERT_TRUE(imported) << imported.error().message;
    FillIn(imported->yaml, kSourceToFillIn, "office");
    FillIn(imported->yaml, kStagingToFillIn, "staging");
    Result<Configuration> read = ParseConfiguration(imported->yaml, "longhaul.yaml", "/",
                                                    [](std::string_view) { return std::nullopt; });
    ASSERT_TRUE(read) << read.error().message << "\n" << imported->yaml;
    EXPECT_TRUE(CheckTopology(*read).empty());
    EXPECT_TRUE(read->warnings.empty()) << read->warnings[0];
    world.configuration = std::move(*read);
  }
  void RunOnce() {
    OnceResult result = world.RunOnce({.timeout = 60s});
    EXPECT_FALSE(result.store_error) << result.store_error->Describe();
  }
  // 16 minutes of a target that takes nothing, and a new object.
  void LetOneBeLate() {
    world.Start();
    world.RunFor(10s);
    world.store("target").decide = [](auto, std::string_view bucket, std::string_view) {
      return bucket == "staging" ? testing::Fault()
                                 : testing::TroubledStore::Failing(ErrorKind::kRetryable);
    };
    Put("logs/late");
    HintMessage message{.store = "source",
                        .bucket = "office",
                        .hints = {{.key = "logs/late", .time = world.world.clock.Now()}}};
    ASSERT_TRUE(world.world.Run(world.queue.Send(EncodeHints(message), {})));
    world.RunFor(14min);
    EXPECT_TRUE(world.observer.late.empty());
    world.RunFor(2min);
    EXPECT_EQ(world.observer.late.size(), static_cast<size_t>(GetParam().late));
    world.store("target").Heal();
    world.RunFor(2min);
    world.Stop();
  }

  static std::string Described(const std::string& name,
                               const MemoryStoreBackend::Version& version) {
    std::string text = name;
    auto say = [&text](std::string_view what, const std::string& value) {
      if (!value.empty()) text += " " + std::string(what) + "=" + value;
    };
    if (version.is_delete_marker) {
      text = "marker " + name;
    } else {
      say("class", version.info.storage_class);
      say("key", version.kms_key);
      say("acl", version.acl);
    }
    say("owner", version.bucket_owner);
    return text;
  }
  // All versions of all buckets but the staging.
  Replicas Found() {
    Replicas found;
    for (const auto& [name, bucket] : target().buckets) {
      if (name == "staging") continue;
      for (const auto& [key, versions] : bucket.objects) {
        EXPECT_LE(versions.size(), 2U) << key << " was written twice";
        for (const auto& version : versions) {
          found.insert(Described(name + "/" + key, version));
          if (version.is_delete_marker) continue;
          EXPECT_EQ(*version.bytes, *source().buckets["office"].objects[key].front().bytes) << key;
          EXPECT_EQ(version.tags, source().buckets["office"].objects[key].front().tags) << key;
        }
      }
    }
    return found;
  }

  ReplicationWorld world{0};
};

// An import that reads well and then replicates something else would be found by its users, in the
// bucket of replicas.
TEST_P(NativeRulesTest, BehavesAsWithS3) {
  Put("logs/before");
  world.RunFor(5s);
  Import(GetParam().document);
  ASSERT_FALSE(HasFatalFailure());
  world.RunFor(5s);
  Put("logs/plain");
  Put("logs/gone");
  Put("logs/hot", Tagged({{"tier", "hot"}, {"team", "a"}}));
  Put("logs/large", Tagged({{"tier", "cold"}}), std::string(200'000, 'x'));
  PutRequest secret;
  secret.kms_key = "alias/of-the-source";
  Put("logs/secret", secret);
  PutRequest cool;
  cool.storage_class = "STANDARD_IA";
  Put("img/cool", cool);
  Put("img/hot", Tagged({{"tier", "hot"}}));
  Put("img/gone");
  world.RunFor(5s);
  RunOnce();
  Remove("logs/gone");
  Remove("img/gone");
  world.RunFor(5s);
  RunOnce();
  EXPECT_EQ(Found(), GetParam().replicas);
  LetOneBeLate();
}

std::string With(std::string text, std::string_view place, std::string_view value) {
  for (size_t at = 0; (at = text.find(place, at)) != std::string::npos; at += value.size()) {
    text.replace(at, place.size(), value);
  }
  return text;
}
// In documents and expectations alike: KEY is the key's ARN.
NativeCase Case(std::string name, const std::string& document, const Replicas& replicas,
                int late = 0) {
  NativeCase made{.name = std::move(name),
                  .document = With(document, "$KEY", kKey),
                  .replicas = {},
                  .late = late};
  for (const std::string& replica : replicas) made.replicas.insert(With(replica, "$KEY", kKey));
  return made;
}

const std::vector<NativeCase>& Cases() {
  static const std::vector<NativeCase> cases = {
      // V1, the empty prefix: the whole bucket. Delete markers go unasked; objects under KMS keys,
      // and what was there before, do not.
      Case("V1WholeBucket", R"({"Role": "arn:aws:iam::111122223333:role/ledger", "Rules": [
             {"ID": "all", "Prefix": "", "Status": "Enabled",
              "Destination": {"Bucket": "arn:aws:s3:::ledger"}}]})",
           {"ledger/logs/plain", "ledger/logs/gone", "marker ledger/logs/gone", "ledger/logs/hot",
            "ledger/logs/large", "ledger/img/cool class=STANDARD_IA", "ledger/img/hot",
            "ledger/img/gone", "marker ledger/img/gone"}),

      // V1 in XML: a rule for each of two prefixes, the second with a class of its own.
      Case(
          "V1TwoPrefixes", R"(<ReplicationConfiguration>
             <Role>arn:aws:iam::111122223333:role/ledger</Role>
             <Rule><ID>text</ID><Prefix>logs/</Prefix><Status>Enabled</Status>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket></Destination></Rule>
             <Rule><ID>pictures</ID><Prefix>img/</Prefix><Status>Enabled</Status>
               <Destination><Bucket>arn:aws:s3:::vault</Bucket>
                 <StorageClass>GLACIER_IR</StorageClass></Destination></Rule>
             </ReplicationConfiguration>)",
          {"ledger/logs/plain", "ledger/logs/gone", "marker ledger/logs/gone", "ledger/logs/hot",
           "ledger/logs/large", "vault/img/cool class=GLACIER_IR", "vault/img/hot class=GLACIER_IR",
           "vault/img/gone class=GLACIER_IR", "marker vault/img/gone"}),

      // V2, the empty filter: the whole bucket; delete markers because they are asked for. In the
      // object that the AWS CLI prints.
      Case("V2WholeBucketWithDeleteMarkers", R"({"ReplicationConfiguration":
             {"Role": "arn:aws:iam::111122223333:role/ledger", "Rules": [
             {"ID": "all", "Priority": 1, "Filter": {}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Enabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger"}}]}})",
           {"ledger/logs/plain", "ledger/logs/gone", "marker ledger/logs/gone", "ledger/logs/hot",
            "ledger/logs/large", "ledger/img/cool class=STANDARD_IA", "ledger/img/hot",
            "ledger/img/gone", "marker ledger/img/gone"}),

      // A prefix filter, without delete markers: what was deleted stays.
      Case("V2PrefixWithoutDeleteMarkers",
           R"(<ReplicationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
             <Rule><ID>text</ID><Priority>4</Priority><Filter><Prefix>logs/</Prefix></Filter>
               <Status>Enabled</Status>
               <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket></Destination></Rule>
             </ReplicationConfiguration>)",
           {"ledger/logs/plain", "ledger/logs/gone", "ledger/logs/hot", "ledger/logs/large"}),

      // A tag filter, wherever the object lies.
      Case("V2Tag", R"({"Role": "", "Rules": [
             {"ID": "hot", "Priority": 1, "Filter": {"Tag": {"Key": "tier", "Value": "hot"}},
              "Status": "Enabled", "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger"}}]})",
           {"ledger/logs/hot", "ledger/img/hot"}),

      // And: the prefix and all of the tags.
      Case("V2AndOfPrefixAndTags", R"(<ReplicationConfiguration>
             <Rule><ID>hot-of-a</ID><Priority>1</Priority><Status>Enabled</Status>
               <Filter><And><Prefix>logs/</Prefix>
                 <Tag><Key>tier</Key><Value>hot</Value></Tag>
                 <Tag><Key>team</Key><Value>a</Value></Tag></And></Filter>
               <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket></Destination></Rule>
             </ReplicationConfiguration>)",
           {"ledger/logs/hot"}),
      // And of tags alone; img/hot has one of the two.
      Case("V2AndOfTags", R"({"Role": "", "Rules": [
             {"ID": "hot-of-a", "Priority": 1, "Status": "Enabled",
              "Filter": {"And": {"Tags": [{"Key": "tier", "Value": "hot"},
                                          {"Key": "team", "Value": "a"}]}},
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger"}}]})",
           {"ledger/logs/hot"}),

      // Rules that overlap and have one destination: the highest priority that matches carries the
      // object, in its class, and decides of its delete marker.
      Case("V2Priorities", R"({"Role": "", "Rules": [
             {"ID": "rest", "Priority": 1, "Filter": {}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Enabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger"}},
             {"ID": "text", "Priority": 2, "Filter": {"Prefix": "logs/"}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger", "StorageClass": "ONEZONE_IA"}},
             {"ID": "hot", "Priority": 3, "Status": "Enabled",
              "Filter": {"Tag": {"Key": "tier", "Value": "hot"}},
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger", "StorageClass": "INTELLIGENT_TIERING"}}]})",
           {"ledger/logs/plain class=ONEZONE_IA", "ledger/logs/gone class=ONEZONE_IA",
            "ledger/logs/large class=ONEZONE_IA", "ledger/logs/hot class=INTELLIGENT_TIERING",
            "ledger/img/hot class=INTELLIGENT_TIERING", "ledger/img/cool class=STANDARD_IA",
            "ledger/img/gone", "marker ledger/img/gone"}),
      // A rule that is disabled does nothing, and keeps nothing from the ones below it.
      Case("DisabledRule", R"(<ReplicationConfiguration>
             <Rule><ID>off</ID><Priority>9</Priority><Filter/><Status>Disabled</Status>
               <DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket>
                 <StorageClass>GLACIER</StorageClass></Destination></Rule>
             <Rule><ID>pictures</ID><Priority>1</Priority><Filter><Prefix>img/</Prefix></Filter>
               <Status>Enabled</Status>
               <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket></Destination></Rule>
             </ReplicationConfiguration>)",
           {"ledger/img/cool class=STANDARD_IA", "ledger/img/hot", "ledger/img/gone"}),

      // Existing objects: also what was written before the rule.
      Case("ExistingObjects", R"({"Role": "", "Rules": [
             {"ID": "text", "Priority": 1, "Filter": {"Prefix": "logs/"}, "Status": "Enabled",
              "ExistingObjectReplication": {"Status": "Enabled"},
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger"}}]})",
           {"ledger/logs/before", "ledger/logs/plain", "ledger/logs/gone", "ledger/logs/hot",
            "ledger/logs/large"}),
      // The same in XML, not wanted.
      Case("NoExistingObjects", R"(<ReplicationConfiguration>
             <Rule><ID>text</ID><Priority>1</Priority><Filter><Prefix>logs/</Prefix></Filter>
               <Status>Enabled</Status>
               <ExistingObjectReplication><Status>Disabled</Status></ExistingObjectReplication>
               <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket></Destination></Rule>
             </ReplicationConfiguration>)",
           {"ledger/logs/plain", "ledger/logs/gone", "ledger/logs/hot", "ledger/logs/large"}),

      // The destination's storage class comes before the object's own.
      Case("StorageClass", R"({"Role": "", "Rules": [
             {"ID": "pictures", "Priority": 1, "Filter": {"Prefix": "img/"}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger", "StorageClass": "DEEP_ARCHIVE"}}]})",
           {"ledger/img/cool class=DEEP_ARCHIVE", "ledger/img/hot class=DEEP_ARCHIVE",
            "ledger/img/gone class=DEEP_ARCHIVE"}),

      // Owner override: the account that owns the destination owns the replicas.
      Case("OwnerOverride", R"(<ReplicationConfiguration>
             <Rule><ID>theirs</ID><Priority>1</Priority><Filter><Prefix>logs/</Prefix></Filter>
               <Status>Enabled</Status>
               <DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket><Account>222233334444</Account>
                 <AccessControlTranslation><Owner>Destination</Owner></AccessControlTranslation>
               </Destination></Rule>
             </ReplicationConfiguration>)",
           {"ledger/logs/plain acl=bucket-owner-full-control owner=222233334444",
            "ledger/logs/gone acl=bucket-owner-full-control owner=222233334444",
            "marker ledger/logs/gone owner=222233334444",
            "ledger/logs/hot acl=bucket-owner-full-control owner=222233334444",
            "ledger/logs/large acl=bucket-owner-full-control owner=222233334444"}),
      // The account without the override: the source's account stays the owner.
      Case("AccountAlone", R"({"Role": "", "Rules": [
             {"ID": "theirs", "Priority": 1, "Filter": {"Prefix": "img/"}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger", "Account": "222233334444"}}]})",
           {"ledger/img/cool class=STANDARD_IA owner=222233334444",
            "ledger/img/hot owner=222233334444", "ledger/img/gone owner=222233334444"}),

      // Objects under KMS keys go where they are selected, under the key for replicas. (Here the
      // others are under it as well, of which the import tells.)
      Case("KmsObjects", R"({"Role": "", "Rules": [
             {"ID": "text", "Priority": 1, "Filter": {"Prefix": "logs/"}, "Status": "Enabled",
              "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": "$KEY"}}}]})",
           {"ledger/logs/secret key=$KEY", "ledger/logs/plain key=$KEY",
            "ledger/logs/gone key=$KEY", "ledger/logs/hot key=$KEY", "ledger/logs/large key=$KEY"}),
      // The selection of objects under KMS keys is there, and disabled.
      Case("NoKmsObjects", R"(<ReplicationConfiguration>
             <Rule><ID>text</ID><Priority>1</Priority><Filter><Prefix>logs/</Prefix></Filter>
               <Status>Enabled</Status>
               <SourceSelectionCriteria>
                 <SseKmsEncryptedObjects><Status>Disabled</Status></SseKmsEncryptedObjects>
               </SourceSelectionCriteria>
               <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket></Destination></Rule>
             </ReplicationConfiguration>)",
           {"ledger/logs/plain", "ledger/logs/gone", "ledger/logs/hot", "ledger/logs/large"}),

      // Replication time control with its metrics: what takes longer than 15 minutes is told.
      Case("ReplicationTime", R"({"Role": "", "Rules": [
             {"ID": "text", "Priority": 1, "Filter": {"Prefix": "logs/"}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Disabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger",
                "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
                "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}}}]})",
           {"ledger/logs/plain", "ledger/logs/gone", "ledger/logs/hot", "ledger/logs/large"}, 1),
      // Metrics alone are counted and tell nobody; these are always on.
      Case("MetricsWithoutTime", R"(<ReplicationConfiguration>
             <Rule><ID>text</ID><Priority>1</Priority><Filter><Prefix>logs/</Prefix></Filter>
               <Status>Enabled</Status>
               <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
               <Destination><Bucket>arn:aws:s3:::ledger</Bucket>
                 <Metrics><Status>Enabled</Status></Metrics></Destination></Rule>
             </ReplicationConfiguration>)",
           {"ledger/logs/plain", "ledger/logs/gone", "ledger/logs/hot", "ledger/logs/large"}),

      // Several destinations of the same objects, each kept in its own way. Priorities are of no
      // account between different buckets.
      Case("SeveralDestinations", R"({"Role": "", "Rules": [
             {"ID": "near", "Priority": 1, "Filter": {"Prefix": "img/"}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Enabled"},
              "Destination": {"Bucket": "arn:aws:s3:::ledger"}},
             {"ID": "far", "Priority": 2, "Filter": {"Prefix": "img/"}, "Status": "Enabled",
              "DeleteMarkerReplication": {"Status": "Enabled"},
              "Destination": {"Bucket": "arn:aws:s3:::vault", "StorageClass": "GLACIER",
                "Account": "222233334444", "AccessControlTranslation": {"Owner": "Destination"}}}
             ]})",
           {"ledger/img/cool class=STANDARD_IA", "ledger/img/hot", "ledger/img/gone",
            "marker ledger/img/gone",
            "vault/img/cool class=GLACIER acl=bucket-owner-full-control owner=222233334444",
            "vault/img/hot class=GLACIER acl=bucket-owner-full-control owner=222233334444",
            "vault/img/gone class=GLACIER acl=bucket-owner-full-control owner=222233334444",
            "marker vault/img/gone owner=222233334444"}),
  };
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Documents, NativeRulesTest, ::testing::ValuesIn(Cases()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace longhaul
