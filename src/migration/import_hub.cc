// The S3 plugin of the Data Transfer Hub: config.yaml, or the environment of its containers.

#include <array>

#include "aws/kept_credentials.h"
#include "migration/import_formats.h"

namespace longhaul {
namespace {

// By the key of config.yaml; the environment has the same words in capitals.
constexpr std::array kDoneOfHub = {
    MigrationKnown{"jobTableName", "progress is kept in `state`"},
    MigrationKnown{"jobQueueName", "work is kept in `queue`"},
    MigrationKnown{"singlePartTableName", "parts are found again at the target's store"},
    MigrationKnown{"sfnArn", "no state machine is needed for large objects"},
    MigrationKnown{"options.chunkSize", "parts follow from the size"},
    MigrationKnown{"options.multipartThreshold", "how an object travels follows from its size"},
    MigrationKnown{"options.giantFileThreshold", "how an object travels follows from its size"},
    MigrationKnown{"options.maxKeys", "pages hold as many keys as the store gives"},
    MigrationKnown{"options.messageBatchSize", "tasks are sized by what they carry"},
    MigrationKnown{"options.finderDepth", "listings are split by what comes back, at any depth"},
    MigrationKnown{"options.finderNumber", "as many listers as the store's `requests` allow"},
    MigrationKnown{"options.workerNumber", "requests are limited per store",
                   "`requests` of a store sets the limit"},
    MigrationKnown{"chunkSize", "parts follow from the size"},
    MigrationKnown{"multipartThreshold", "how an object travels follows from its size"},
    MigrationKnown{"giantFileThreshold", "how an object travels follows from its size"},
    MigrationKnown{"maxKeys", "pages hold as many keys as the store gives"},
    MigrationKnown{"messageBatchSize", "tasks are sized by what they carry"},
    MigrationKnown{"finderDepth", "listings are split by what comes back, at any depth"},
    MigrationKnown{"finderNumber", "as many listers as the store's `requests` allow"},
    MigrationKnown{"workerNumber", "requests are limited per store",
                   "`requests` of a store sets the limit"},
    MigrationKnown{"finderEc2Memory", "memory does not grow with the number of keys", "--memory"},
    MigrationKnown{"maxCapacity", "machines are not managed"},
    MigrationKnown{"minCapacity", "machines are not managed"},
    MigrationKnown{"desiredCapacity", "machines are not managed"},
    MigrationKnown{"alarmEmail", "mail tells of rules, not of migrations",
                   "`longhaul migrate status` tells what has failed"},
};

struct Kind {
  std::string_view name;
  std::string_view provider;
};
constexpr std::array kKinds = {Kind{"Amazon_S3", ""}, Kind{"Aliyun_OSS", "aliyun-oss"},
                               Kind{"Tencent_COS", "tencent-cos"}, Kind{"Qiniu_Kodo", "qiniu-kodo"},
                               Kind{"Google_GCS", "gcs"}};

// The first of these names that is there: config.yaml, the environment and the plugin's parameters
// differ.
std::string AnyOf(MigrationSettings& settings, std::initializer_list<std::string_view> names) {
  std::string found;
  for (std::string_view name : names) {
    std::optional<std::string> value = settings.Find(name);
    if (value && found.empty()) found = *value;
  }
  return found;
}

}  // namespace

void ImportHub(MigrationSettings& settings, MigrationPlan& plan, ImportLog& log) {
  MigrationStore source{.name = "source"};
  const std::string type = AnyOf(settings, {"srcType", "SOURCE_TYPE"});
  bool known_type = type.empty();
  for (const Kind& kind : kKinds) {
    if (kind.name != type) continue;
    source.provider = kind.provider;
    known_type = true;
  }
  if (!known_type) settings.Fail("srcType", QuotedForImport(type) + " is no kind of source");
  source.region = settings.Text("srcRegion");
  source.endpoint = settings.Text("srcEndpoint");
  if (!source.endpoint.empty() && source.endpoint.find("://") == std::string::npos) {
    source.endpoint = "https://" + source.endpoint;
  }
  MigrationStore target{.name = "target", .region = settings.Text("destRegion")};
  auto credentials = [&](MigrationStore& store, const char* here_name,
                         std::initializer_list<std::string_view> names, bool unsigned_without) {
    const std::string secret = AnyOf(settings, names);
    // Their command line takes a secret that is named for another account's.
    const bool here = settings.Flag(here_name, !unsigned_without && secret.empty());
    if (here) {
      if (!secret.empty()) {
        settings.NotCarried(*names.begin(), std::string(here_name) +
                                                " says the account of the "
                                                "machine, which needs no secret");
      }
      store.comments.emplace_back("The account of the machine: its role, or AWS_ACCESS_KEY_ID.");
      return;
    }
    if (secret.empty()) {
      store.anonymous = unsigned_without;
      return;
    }
    store.credentials = "secretsmanager:" + secret;
    if (Result<SecretReference> named = ParseSecretReference(store.credentials); !named) {
      settings.Fail(*names.begin(), QuotedForImport(secret) + " names no secret");
    }
  };
  credentials(source, "srcInCurrentAccount", {"srcCredential", "SRC_CREDENTIALS"}, true);
  credentials(target, "destInCurrentAccount", {"destCredential", "DEST_CREDENTIALS"}, false);
  const bool payer = settings.Flag("payerRequest") || settings.Flag("isPayerRequest");
  source.requester_pays = payer;

  const std::string bucket = settings.Text("srcBucket");
  const std::string target_bucket = settings.Text("destBucket");
  if (bucket.empty()) settings.Fail("srcBucket", "is missing");
  if (target_bucket.empty()) settings.Fail("destBucket", "is missing");
  const std::string prefix = settings.Text("srcPrefix");
  const std::string from = plan.AddStore(std::move(source));
  const std::string to = plan.AddStore(std::move(target));

  RemarkFolder(log, settings.file(), prefix);
  MigrationCommand command{
      .words = {
          "sync", PlaceOfMigration(from, bucket, prefix),
          // The whole key of the source goes below the prefix of the target.
          PlaceOfMigration(to, target_bucket, JoinPrefix(settings.Text("destPrefix"), prefix))}};
  const bool skip = settings.Flag("skipCompare") || settings.Flag("srcSkipCompare");
  command.words.emplace_back(skip ? "--ignore-times" : "--size-only");
  const std::string storage_class = settings.Find("destStorageClass").value_or("STANDARD");
  command.words.insert(command.words.end(), {"--storage-class", storage_class});
  // Sent also when nobody asked for it.
  command.words.insert(command.words.end(),
                       {"--acl", settings.Find("destAcl").value_or("bucket-owner-full-control")});
  const std::string sse = AnyOf(settings, {"destSSEType", "destPutObjectSSEType"});
  const std::string key = AnyOf(settings, {"destSSEKMSKeyId", "destPutObjectSSEKmsKeyId"});
  if (sse == "AES256") {
    command.words.insert(command.words.end(), {"--sse", "AES256"});
  } else if (sse == "AWS_KMS") {
    command.words.insert(command.words.end(), {"--sse", "aws:kms"});
    if (!key.empty()) command.words.insert(command.words.end(), {"--kms-key-id", key});
  } else if (!sse.empty() && sse != "None") {
    settings.Fail("destSSEType", QuotedForImport(sse) + " is no kind of encryption");
  }
  if (AnyOf(settings, {"options.includeMetadata", "includeMetadata"}) == "false") {
    settings.Differs("includeMetadata", "headers and metadata are always carried");
  }
  for (std::string_view name : {"srcPrefixList", "srcPrefixsListFile"}) {
    if (settings.Text(name).empty()) continue;
    settings.Fail(name,
                  "a list of prefixes in a bucket is not read, and without it all would be carried",
                  "take it out, and carry its prefixes by `longhaul migrate` with --prefix-list "
                  "FILE");
  }
  settings.NotCarried("srcPrefixListBucket", "a list of prefixes in a bucket is not read");
  MigrationJob job{.source = AsFolder(command.words[1]),
                   .target = AsFolder(command.words[2]),
                   .size_only = true,
                   .storage_class = storage_class,
                   .kms_key = sse == "AWS_KMS" ? key : "",
                   .comments = {"What is there is left alone, as `migrate` always does; an ACL and "
                                "AES256 are not set: the bucket's own hold."}};
  if (const std::string event = settings.Text("srcEvent"); !event.empty() && event != "No") {
    job.events = true;
    settings.Differs("srcEvent", "a run carries what is new, and no deletes",
                     "set `listen`, have events sent to `longhaul migrate worker --listen`; for "
                     "deletes write a rule with `deletes: true`");
  }
  if (const std::string cron = settings.Text("ec2CronExpression"); !cron.empty()) {
    std::optional<std::string> schedule = ScheduleOfEventBridge(cron);
    if (schedule) {
      job.schedule = *schedule;
    } else {
      settings.NotCarried("ec2CronExpression", QuotedForImport(cron) + " is none of cron's",
                          "write `schedule` of the migration yourself");
    }
  }
  plan.AddJob(std::move(job));
  for (const MigrationKnown& known : kDoneOfHub) {
    settings.NotCarried(known.name, known.why, known.remedy);
  }
  log.Remark(ImportRemark::Kind::kDiffers, settings.file(),
             "objects in GLACIER and DEEP_ARCHIVE were skipped in silence; here they fail, by name",
             "");
  plan.AddCommand(std::move(command));
  settings.Finish();
}

}  // namespace longhaul
