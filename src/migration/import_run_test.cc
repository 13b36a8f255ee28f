#include "migration/import_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rules/configuration.h"
#include "rules/migration.h"

namespace longhaul {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImportRunTest : public ::testing::Test {
 protected:
  // Imports; what comes out is read as any command would read it.
  const std::map<std::string, StoreSettings>& Import(const std::vector<ImportFile>& files) {
    remarks_.clear();
    configuration_ = {};
    Result<MigrationImport> imported = ImportMigration(files);
    EXPECT_TRUE(imported) << imported.error().message;
    if (!imported) return configuration_.stores;
    yaml_ = imported->yaml;
    for (const ImportRemark& remark : imported->remarks) remarks_.push_back(remark.Text());
    Result<Configuration> read =
        ParseConfiguration(yaml_, "out.yaml", "/",
                           [](std::string_view name) { return "value of " + std::string(name); });
    EXPECT_TRUE(read) << read.error().message << "\n" << yaml_;
    if (read) configuration_ = std::move(*read);
    return configuration_.stores;
  }
  std::string Fails(const std::vector<ImportFile>& files) {
    Result<MigrationImport> imported = ImportMigration(files);
    return imported ? "" : imported.error().message;
  }
  bool Said(std::string_view words) const {
    return std::ranges::any_of(remarks_, [&](const std::string& remark) {
      return remark.find(words) != std::string::npos;
    });
  }
  // The command lines, without what they all begin and end with.
  std::vector<std::string> Commands() const {
    constexpr std::string_view kBegin = "# longhaul ";
    constexpr std::string_view kEnd = " --config longhaul.yaml";
    std::vector<std::string> commands;
    for (size_t at = 0; at < yaml_.size();) {
      const size_t end = std::min(yaml_.find('\n', at), yaml_.size());
      std::string line = yaml_.substr(at, end - at);
      if (line.starts_with(kBegin) && line.ends_with(kEnd)) {
        line.resize(line.size() - kEnd.size());
        commands.push_back(line.substr(kBegin.size()));
      }
      at = end + 1;
    }
    return commands;
  }

  // The section `migrations:`, as workers read it.
  std::vector<Migration> Jobs() const {
    const std::string file =
        ::testing::TempDir() + "imported-" + std::to_string(::getpid()) + ".yaml";
    std::ofstream(file) << yaml_;
    Result<std::vector<Migration>> read =
        LoadMigrations(file, [](std::string_view) { return std::optional<std::string>("set"); });
    std::filesystem::remove(file);
    EXPECT_TRUE(read) << read.error().message << "\n" << yaml_;
    return read ? *read : std::vector<Migration>();
  }

  std::string yaml_;
  std::vector<std::string> remarks_;
  Configuration configuration_;
};

constexpr const char* kCluster = R"([Basic]
JobType = PUT
table_queue_name = moves
sqs_queue_name = moves
ssm_parameter_bucket = pairs
ssm_parameter_credentials = far-account
Des_bucket_default = events-go-here
Des_prefix_default = in/

[Mode]
StorageClass = STANDARD_IA
MaxThread = 12
MaxRetry = 7

[Debug]
ChunkSize = 16
LocalProfileMode = False
CleanUnfinishedUpload = True
NewKnob = 3
)";

TEST_F(ImportRunTest, TheClusterBecomesASyncForEachPair) {
  const auto& stores = Import(
      {{"cluster.ini", kCluster},
       {"pairs.json",
        R"([{"src_bucket":"mine","src_prefix":"logs/","des_bucket":"theirs","des_prefix":"in"},
            {"src_bucket":"mine2","src_prefix":"/","des_bucket":"theirs","des_prefix":"/"}])"},
       {"ignore.txt",
        "mine/logs/tmp/*\n*.bak\n*/old/*\nelsewhere/*\nmine2\nmine/*.o\nm?ne/[a-m]*/x\n"}});
  ASSERT_TRUE(stores.contains("source") && stores.contains("target"));
  EXPECT_TRUE(stores.at("source").access_key_id.empty());
  EXPECT_EQ(stores.at("target").credentials, "ssm:far-account");
  // The whole key of the source goes below the prefix of the target.
  EXPECT_THAT(Commands(),
              ElementsAre("sync source:mine/logs/ target:theirs/in/logs/ --size-only "
                          "--storage-class STANDARD_IA --exclude 'tmp/*' --exclude '*.bak' "
                          "--exclude '*/old/*' --exclude 'old/*' --exclude '*.o' --exclude '*/x' "
                          "--exclude x",
                          "sync source:mine2/ target:theirs/ --size-only --storage-class "
                          "STANDARD_IA --exclude '*.bak' --exclude '*/old/*' --exclude 'old/*'"));
  // Every worker of the cluster took part: so may every worker here.
  ASSERT_EQ(Jobs().size(), 2U);
  EXPECT_EQ(Jobs()[0].id, "job-1");
  EXPECT_EQ(Jobs()[0].source.ToString(), "source:mine/logs/");
  EXPECT_EQ(Jobs()[0].target.ToString(), "target:theirs/in/logs/");
  EXPECT_EQ(Jobs()[0].options.filter.Texts(),
            (std::vector<std::string>{"exclude tmp/*", "exclude *.bak", "exclude */old/*",
                                      "exclude old/*", "exclude *.o", "exclude */x", "exclude x"}));
  EXPECT_TRUE(Jobs()[0].options.compare.size_only);
  EXPECT_EQ(Jobs()[0].options.storage_class, "STANDARD_IA");
  EXPECT_EQ(Jobs()[1].source.ToString(), "source:mine2/");
  EXPECT_FALSE(Said("ignore.txt:2"));
  EXPECT_FALSE(Said("ignore.txt:3"));
  EXPECT_TRUE(Said("ignore.txt:4: 'elsewhere/*': not carried over: is about nothing"));
  EXPECT_TRUE(Said("cluster.ini:12: Mode.MaxThread"));
  EXPECT_TRUE(Said("cluster.ini:19: Debug.NewKnob: not carried over: not known"));
  EXPECT_TRUE(Said("cluster.ini:7: Basic.Des_bucket_default"));
}

// What is no migration must not cost the command line that it is.
TEST_F(ImportRunTest, AJobThatIsNoMigrationIsACommandStill) {
  Import({{"cluster.ini", kCluster},
          {"pairs.json",
           R"([{"src_bucket":"a","src_prefix":"","des_bucket":"theirs","des_prefix":""}])"}});
  EXPECT_EQ(Commands().size(), 1U);
  EXPECT_TRUE(Jobs().empty());
  EXPECT_TRUE(Said("no migration"));
}

TEST_F(ImportRunTest, TheClusterMayPullInsteadOfPush) {
  const auto& stores = Import({{"c.ini",
                                "[Basic]\nJobType=GET\nssm_parameter_credentials=far\n[Debug]\n"
                                "LocalProfileMode=True\n"}});
  EXPECT_EQ(stores.at("source").profile, "far");
  EXPECT_TRUE(stores.at("target").profile.empty());
  EXPECT_TRUE(Said("does not say which buckets"));
}

TEST_F(ImportRunTest, OneNodeBecomesOneSync) {
  Import({{"up.ini",
           "[Basic]\nJobType = LOCAL_TO_S3\nDesProfileName = far\nDesEndPointURL = AWS\n"
           "DesBucket = theirs\nS3Prefix = in/\nSrcFileIndex = *\nSrcDir = /data/out\n[Advanced]\n"
           "ChunkSize = 5\nStorageClass = STANDARD\n"}});
  EXPECT_THAT(Commands(), ElementsAre("sync /data/out target:theirs/in/ --size-only "
                                      "--storage-class STANDARD"));
  EXPECT_EQ(configuration_.stores.at("target").profile, "far");

  Import({{"down.ini",
           "[Basic]\nSrcProfileName = far\nEndPointURL = AWS\nSrcBucket = theirs\nS3Prefix = in/\n"
           "SrcFileIndex = a b.bin\nDesDir = /data/in\n"}});
  EXPECT_THAT(Commands(), ElementsAre("sync source:theirs/in/ /data/in --size-only --include "
                                      "'a b.bin'"));

  Import({{"oss.ini",
           "[Basic]\nJobType = ALIOSS_TO_S3\nDesProfileName = far\nDesEndPointURL = AWS\n"
           "DesBucket = theirs\nS3Prefix =\nSrcFileIndex = *\nSrcProfileName = oss\n"
           "SrcEndPointURL = https://oss-cn-hangzhou.aliyuncs.com\nSrcBucket = ours\n"}});
  EXPECT_EQ(configuration_.stores.at("source").addressing, Addressing::kVirtualHost);
}

TEST_F(ImportRunTest, S3transBecomesASync) {
  Import({{"run.sh",
           "# nightly\n/opt/s3trans s3://ours/x 's3://theirs/y z' \\\n"
           "  --from-profile near --to-region us-east-2 --no-sign-request=false -n 8 \\\n"
           "  --storage-class GLACIER_IR --acl bucket-owner-full-control --request-payer -l\n"},
          {"ignore", "x/tmp\n/x/a*b\nother\n"}});
  EXPECT_THAT(Commands(),
              ElementsAre("sync source:ours/x 'target:theirs/y z' --size-only --storage-class "
                          "GLACIER_IR --acl bucket-owner-full-control --exclude 'tmp*' --exclude "
                          "'a[*]b*'"));
  EXPECT_EQ(configuration_.stores.at("source").profile, "near");
  EXPECT_TRUE(configuration_.stores.at("source").requester_pays);
  EXPECT_EQ(configuration_.stores.at("target").region, "us-east-2");
  EXPECT_TRUE(Said("run.sh:3: num-workers"));
  EXPECT_TRUE(Said("'x': differs: the prefix is a folder here"));
  EXPECT_TRUE(Said("ignore:3: 'other': not carried over: is about nothing"));

  Import(
      {{"config.yaml", "from-endpoint: Google_GCS\nto-region: us-east-2\nskip-compare: true\n"}});
  EXPECT_EQ(configuration_.stores.at("source").endpoint, "https://storage.googleapis.com");
  EXPECT_TRUE(Said("does not say what is copied"));

  EXPECT_THAT(Fails({{"a", "s3trans s3://a/ s3://b/ --nosuchflag"}}), HasSubstr("a:1: no flag"));
  EXPECT_THAT(Fails({{"a", "s3trans s3://a/ s3://b/ | tee log"}}), HasSubstr("a:1: only a plain"));
  EXPECT_THAT(Fails({{"a", "s3trans https://x/y s3://b/"}}), HasSubstr("presigned"));
}

TEST_F(ImportRunTest, ListsOfJobsBecomeCopies) {
  Import(
      {{"jobs",
        R"({"Src_bucket":"a","Src_key":"x/1 2","Des_bucket":"b","Des_key":"p/x/1 2","Size":3,"versionId":"null"}
{"Src_bucket":"a","Src_key":"x/3","Des_bucket":"b","Des_key":"p/x/3","Size":3,"versionId":"v7"})"}});
  EXPECT_THAT(Commands(), ElementsAre("cp 'source:a/x/1 2' 'target:b/p/x/1 2'",
                                      "cp source:a/x/3 target:b/p/x/3"));
  EXPECT_TRUE(Said("jobs:2: not carried over: the version 'v7'"));
  Import(
      {{"jobs",
        R"({"Records":[{"EventName":"ObjectCreated:Put","S3":{"Bucket":{"Name":"a"},"Object":{"Key":"x+1","Size":1}}}],"Event":""})"}});
  EXPECT_THAT(Commands(), ElementsAre("cp source:a/x+1 target:fill-in-target-bucket/x+1"));
  EXPECT_THAT(Fails({{"jobs", "{\"Src_bucket\":\"a\"}"}}), HasSubstr("jobs:1"));
  EXPECT_THAT(Fails({{"jobs", "{\"Src_bucket\":\n"}}), HasSubstr("jobs:1"));
}

TEST_F(ImportRunTest, TheHubBecomesASync) {
  const char* yaml = R"(srcType: Aliyun_OSS
srcBucket: ours
srcPrefix: logs/
srcRegion: cn-hangzhou
srcCredential: oss-key
destBucket: theirs
destPrefix: "in"   # "all" of it
destRegion: us-east-2
destInCurrentAccount: true
destStorageClass: STANDARD_IA   # cheaper
destSSEType: AWS_KMS
destSSEKMSKeyId: alias/copy
jobTableName: jobs
options:
  chunkSize: 5
  finderDepth: 2
)";
  Import({{"config.yaml", yaml}});
  EXPECT_THAT(Commands(), ElementsAre("sync source:ours/logs/ target:theirs/in/logs/ --size-only "
                                      "--storage-class STANDARD_IA --acl bucket-owner-full-control "
                                      "--sse aws:kms --kms-key-id alias/copy"));
  const StoreSettings& source = configuration_.stores.at("source");
  EXPECT_EQ(source.endpoint, "https://s3.oss-cn-hangzhou.aliyuncs.com");
  EXPECT_EQ(source.credentials, "secretsmanager:oss-key");
  EXPECT_TRUE(Said("config.yaml:16: options.finderDepth"));
  ASSERT_EQ(Jobs().size(), 1U);
  EXPECT_EQ(Jobs()[0].source.ToString() + " " + Jobs()[0].target.ToString(),
            "source:ours/logs/ target:theirs/in/logs/");
  EXPECT_EQ(Jobs()[0].options.kms_key, "alias/copy");
  EXPECT_EQ(Jobs()[0].triggers, MigrationTriggers{});

  // A secret that is named for the target is another account's.
  std::string far(yaml);
  far.replace(far.find("destInCurrentAccount: true"), 26, "destCredential: far-account");
  Import({{"config.yaml", far}});
  EXPECT_EQ(configuration_.stores.at("target").credentials, "secretsmanager:far-account");
  Import({{"config.yaml", std::string(yaml) + "destCredential: far-account\n"}});
  EXPECT_EQ(configuration_.stores.at("target").credentials, "");
  EXPECT_TRUE(Said("destCredential: not carried over: destInCurrentAccount says"));

  // It carried some prefixes alone: nothing is made that carries all.
  EXPECT_THAT(Fails({{"config.yaml", std::string(yaml) + "srcPrefixsListFile: list.txt\n"}}),
              HasSubstr("without it all would be carried"));

  // What it did again and again, and by events, a worker does.
  Import({{"config.yaml", std::string(yaml) + "srcEvent: CreateAndDeleteEvent\n"
                                              "ec2CronExpression: 0/60 * * * ? *\n"
                                              "alarmEmail: ops@example.com\n"}});
  ASSERT_EQ(Jobs().size(), 1U);
  EXPECT_TRUE(Said("mail tells of rules"));
  EXPECT_EQ(Jobs()[0].triggers.schedule, "0 * * * *");
  EXPECT_TRUE(Jobs()[0].options.events);
  EXPECT_TRUE(Said("srcEvent"));
  Import({{"config.yaml", std::string(yaml) + "ec2CronExpression: 0 3 ? * 2 *\n"}});
  EXPECT_EQ(Jobs()[0].triggers.schedule, "");
  EXPECT_TRUE(Said("ec2CronExpression"));
  EXPECT_TRUE(Said("GLACIER"));

  Import({{"hub.env",
           "export SOURCE_TYPE=Amazon_S3\nSRC_BUCKET=\"ours\"\nSRC_REGION=eu-west-1\n"
           "DEST_BUCKET=theirs\nDEST_REGION=us-east-2\nSKIP_COMPARE=true\n"
           "WORKER_NUMBER=8\nDEST_IN_CURRENT_ACCOUNT=true\n"}});
  EXPECT_THAT(Commands(),
              ElementsAre("sync source:ours/ target:theirs/ --ignore-times --storage-class "
                          "STANDARD --acl bucket-owner-full-control"));
  EXPECT_TRUE(configuration_.stores.at("source").anonymous);
  EXPECT_TRUE(Said("hub.env:7: WORKER_NUMBER"));
}

TEST_F(ImportRunTest, RemotesOfRcloneBecomeStores) {
  const auto& stores = Import({{"rclone.conf", R"(# mine
[near]
type = s3
provider = AWS
env_auth = true
region = eu-west-1
storage_class = STANDARD_IA

[far away]
type = s3
provider = Cloudflare
access_key_id = AKIDNOTCOPIED
secret_access_key = secret/not/copied
endpoint = abc.r2.cloudflarestorage.com
chunk_size = 64Mi

[box]
type = s3
provider = Other
env_auth = false
endpoint = http://10.0.0.7:9000

[disk]
type = local

[both]
type = s3
provider = AWS
env_auth = true
access_key_id = AKIDNOTCOPIED
secret_access_key = secret/not/copied

[other account]
type = s3
provider = AWS
env_auth = true
role_arn = arn:aws:iam::111122223333:role/copies
role_external_id = ours
role_session_name = nightly
)"}});
  ASSERT_EQ(stores.size(), 5u);
  EXPECT_EQ(stores.at("other-account").role_arn, "arn:aws:iam::111122223333:role/copies");
  EXPECT_EQ(stores.at("other-account").external_id, "ours");
  EXPECT_FALSE(stores.at("other-account").anonymous);
  EXPECT_TRUE(Said("other account.role_session_name"));
  EXPECT_FALSE(Said("role_arn"));
  EXPECT_EQ(stores.at("near").region, "eu-west-1");
  EXPECT_THAT(yaml_, HasSubstr("provider: \"r2\""));
  EXPECT_EQ(stores.at("far-away").endpoint, "https://abc.r2.cloudflarestorage.com");
  EXPECT_TRUE(stores.at("box").anonymous);
  EXPECT_EQ(yaml_.find("NOTCOPIED"), std::string::npos);
  EXPECT_EQ(yaml_.find("not/copied"), std::string::npos);
  EXPECT_TRUE(Said("FAR_AWAY_SECRET_ACCESS_KEY"));
  // The keys of the environment are another account's, perhaps: they are for who has none.
  EXPECT_TRUE(Said("BOTH_SECRET_ACCESS_KEY"));
  EXPECT_FALSE(Said("NEAR_SECRET_ACCESS_KEY"));
  EXPECT_TRUE(Said("rclone.conf:15: far away.chunk_size"));
  EXPECT_TRUE(Said("--storage-class STANDARD_IA"));
  EXPECT_TRUE(Said("rclone.conf:24: disk.type"));
  EXPECT_THAT(Fails({{"r", "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA\n"}}),
              HasSubstr("rclone config show"));
}

// Else one account's keys would serve both.
TEST_F(ImportRunTest, RemotesOfNamesThatAreAlikeHaveKeysOfTheirOwn) {
  std::string text;
  for (const char* name : {"a b", "a-b", "A_B"}) {
    text += "[" + std::string(name) + "]\ntype = s3\nprovider = AWS\naccess_key_id = A\n";
  }
  EXPECT_EQ(Import({{"rclone.conf", text}}).size(), 3u);
  for (const char* variable :
       {"${A_B_ACCESS_KEY_ID}", "${A_B_2_ACCESS_KEY_ID}", "${A_B_3_ACCESS_KEY_ID}"}) {
    EXPECT_THAT(yaml_, HasSubstr(variable));
  }
}

TEST_F(ImportRunTest, NothingIsDroppedInSilence) {
  // Each setting of each format that is not in a store or a command line is named.
  for (const ImportFile& file : {ImportFile{"a", std::string(kCluster) + "[More]\nthing = 1\n"},
                                 ImportFile{"a", "[r]\ntype = s3\nprovider = AWS\nthing = 1\n"},
                                 ImportFile{"a", "srcBucket: a\ndestBucket: b\nthing: 1\n"},
                                 ImportFile{"a", "SRC_BUCKET=a\nDEST_BUCKET=b\nTHING=1\n"},
                                 ImportFile{"a", "from-region: a\nthing: 1\n"}}) {
    Import({file});
    EXPECT_TRUE(Said("not known")) << file.text;
  }
}

TEST_F(ImportRunTest, MistakesAreNamedWithTheirLine) {
  EXPECT_THAT(Fails({{"f", "[Basic]\nJobType\n"}}), HasSubstr("f:2: neither a section nor"));
  EXPECT_THAT(Fails({{"f", "[Basic\nJobType = PUT\n"}}), HasSubstr("f"));
  EXPECT_THAT(Fails({{"f", "[Basic]\nJobType = PUT\njobtype = GET\n"}}),
              HasSubstr("f:3: 'jobtype'"));
  EXPECT_THAT(Fails({{"f", "[Basic]\nJobType = PUSH\n"}}), HasSubstr("f:2: Basic.JobType"));
  EXPECT_THAT(Fails({{"f", "[Basic]\nJobType = PUT\n[Debug]\nLocalProfileMode = perhaps\n"}}),
              HasSubstr("f:4: Debug.LocalProfileMode"));
  EXPECT_THAT(Fails({{"f", "[Basic]\nJobType = PUT\n[Basic]\n"}}), HasSubstr("f:3: the section"));
  EXPECT_THAT(Fails({{"f", "srcBucket: a\ndestBucket: [1, 2]\n"}}), HasSubstr("f:2: only plain"));
  EXPECT_THAT(Fails({{"f", "srcBucket: a\ndestBucket: 'b' c\n"}}), HasSubstr("f:2: only plain"));
  EXPECT_THAT(Fails({{"f", "srcBucket: a\ndestBucket: \"b # c\n"}}), HasSubstr("f:2: a quote"));
  EXPECT_THAT(Fails({{"f", "srcBucket: a\n"}}), HasSubstr("destBucket"));
  EXPECT_THAT(Fails({{"f", "[r]\ntype = s3\nregion = \xff\n"}}), HasSubstr("f:3: not UTF-8"));
  EXPECT_THAT(Fails({{"f", std::string("[r]\ntype = s3\nregion = a\0b\n", 27)}}),
              HasSubstr("f:3: a zero byte"));
  EXPECT_THAT(Fails({{"f", "[r]\ntype = s3\nprovider = Minio\n"}}), HasSubstr("endpoint"));
  EXPECT_THAT(Fails({{"f", "some words\n"}}), HasSubstr("no configuration that is known"));
  EXPECT_THAT(Fails({{"f", "{\"access_key_id\":\"a\"}"}}), HasSubstr("holds keys"));
  EXPECT_THAT(Fails({{"f", kCluster}, {"g", "[r]\ntype = s3\n"}}),
              HasSubstr("g: one configuration"));
  EXPECT_THAT(Fails({{"f", std::string(5 << 20, '\n')}}), HasSubstr("f:1: longer than 4 MiB"));
}

// What comes from the input stays a comment or a value, whatever is in it.
TEST_F(ImportRunTest, NothingOfTheInputBecomesYamlOrShell) {
  Import({{"f\nstores: {}",
           "[a\"b]\ntype = s3\nprovider = AWS\nregion = eu-west-1\nprofile = x\"y: ${HOME}\n"}});
  ASSERT_EQ(configuration_.stores.size(), 1u);
  EXPECT_EQ(configuration_.stores.begin()->second.profile, "x\"y: ${HOME}");
  Import({{"f",
           "SRC_BUCKET=a\nSRC_PREFIX=it's $(date)/\nDEST_BUCKET=b\nDEST_REGION=us-east-2\n"
           "SRC_REGION=us-east-2\n"}});
  EXPECT_THAT(Commands().at(0), HasSubstr("'source:a/it'\\''s $(date)/'"));
}

// A schedule that means something else than it did would start runs at the wrong time.
TEST(ScheduleOfEventBridgeTest, FiveFieldsOrNone) {
  EXPECT_EQ(ScheduleOfEventBridge("cron(0/60 * * * ? *)"), "0 * * * *");
  EXPECT_EQ(ScheduleOfEventBridge("5/15 8-18 ? * MON-FRI *"), "5-59/15 8-18 * * MON-FRI");
  EXPECT_EQ(ScheduleOfEventBridge("0 2/6 1 1/3 ? *"), "0 2-23/6 1 1-12/3 *");
  for (const char* other : {"", "0 3 * * *", "0 3 ? * 2 *", "0 3 L * ? *", "0 3 ? * MON#1 *",
                            "0 3 * * ? 2027", "0 3 * * ? * *", "rate(1 hour)", "99 * * * ? *"}) {
    EXPECT_FALSE(ScheduleOfEventBridge(other)) << other;
  }
}

}  // namespace
}  // namespace longhaul
