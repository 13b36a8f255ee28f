// The cluster of the resumable upload: s3_migration_cluster_config.ini, with its bucket parameter.

#include <array>
#include <set>

#include "aws/kept_credentials.h"
#include "migration/import_formats.h"
#include "transfer/tree/glob.h"

namespace longhaul {
namespace {

constexpr std::array kDoneOfCluster = {
    MigrationKnown{"Basic.table_queue_name", "progress is kept in `state`, by default a file"},
    MigrationKnown{"Basic.sqs_queue_name", "work is kept in `queue`, by default a file"},
    MigrationKnown{"Basic.ssm_parameter_bucket", "the pairs are in the command lines",
                   "give the parameter's JSON as another FILE"},
    MigrationKnown{"Mode.ResumableThreshold", "every object can be resumed"},
    MigrationKnown{"Mode.MaxRetry", "retries have one policy, with a deadline",
                   "--timeout sets the deadline"},
    MigrationKnown{"Mode.MaxThread", "requests are limited per store and adapt to its answers",
                   "`requests` of a store sets the limit"},
    MigrationKnown{"Mode.MaxParallelFile", "requests are limited per store",
                   "`requests` of a store sets the limit"},
    MigrationKnown{"Mode.JobTimeout", "a single operation has a deadline, an object has none",
                   "--timeout sets that of operations"},
    MigrationKnown{"Mode.JobsenderCompareVersionId", "objects are compared by size and time"},
    MigrationKnown{"Mode.UpdateVersionId", "an object that changes while it is copied starts over"},
    MigrationKnown{"Mode.GetObjectWithVersionId", "each object is read as one version anyway"},
    MigrationKnown{"Debug.CleanUnfinishedUpload", "nothing is aborted that can be resumed"},
    MigrationKnown{"Debug.LoggingLevel", "", "--log-level"},
    MigrationKnown{"Debug.ifVerifyMD5Twice", "every object is verified by the target's store"},
    MigrationKnown{"Debug.ChunkSize", "parts follow from the size, and may change while resumed"},
};

constexpr size_t kExcludesMax = 1'000'000;  // Each pair has its own.

void RemarkUnused(const MigrationExtras& extras, const MigrationWord& line, ImportLog& log) {
  log.Remark(
      ImportRemark::Kind::kNotCarried,
      extras.ignored_file + ":" + std::to_string(line.line) + ": " + QuotedForImport(line.text),
      "is about nothing below a source", "");
}

}  // namespace

std::vector<std::string> ExcludesOf(const MigrationExtras& extras, bool whole_keys,
                                    const std::string& bucket, const std::string& prefix,
                                    ImportLog& log, std::set<int>* used) {
  std::vector<std::string> words;
  // What is synced lies below a folder.
  const std::string folder = prefix.empty() || prefix.ends_with('/') ? prefix : prefix + "/";
  for (const MigrationWord& line : extras.ignored) {
    const std::string place =
        extras.ignored_file + ":" + std::to_string(line.line) + ": " + QuotedForImport(line.text);
    std::string_view pattern = line.text;
    if (!whole_keys) {
      // A prefix of the key: everything that begins so.
      while (pattern.starts_with('/')) pattern.remove_prefix(1);
      if (folder.starts_with(pattern)) {
        log.Remark(ImportRemark::Kind::kDiffers, place, "leaves out all that there is", "");
        words.insert(words.end(), {"--exclude", "*"});
      } else if (pattern.starts_with(folder)) {
        std::string escaped;
        for (char c : pattern.substr(folder.size())) {
          escaped += std::string_view("*?[").contains(c) ? "[" + std::string(1, c) + "]"
                                                         : std::string(1, c);
        }
        words.insert(words.end(), {"--exclude", escaped + "*"});
      } else {
        RemarkUnused(extras, line, log);
      }
      continue;
    }
    // Against the whole of bucket/key, and '*' matches '/' as well.
    const std::string whole = bucket + "/" + folder;
    bool of_use = false;
    for (std::string_view rest : GlobRests(pattern, whole)) {
      if (rest.empty()) continue;  // The name of the folder itself.
      words.insert(words.end(), {"--exclude", std::string(rest)});
      of_use = true;
    }
    if (pattern.find_first_of("*?[") == pattern.npos && whole.starts_with(pattern)) {
      log.Remark(ImportRemark::Kind::kDiffers, place, "a bare prefix matched nothing there", "");
      of_use = true;
    }
    if (of_use && used != nullptr) used->insert(line.line);
  }
  return words;
}

namespace {

// The same as the command: every job of the cluster is worked on by many machines.
void AddClusterJob(const std::vector<std::string>& words, bool pushed, MigrationPlan& plan) {
  MigrationJob job{.source = AsFolder(words[1]),
                   .target = AsFolder(words[2]),
                   .size_only = true,
                   .comments = {pushed ? "Pushed from the account of the source."
                                       : "Pulled from the account of the target."}};
  for (size_t i = 3; i + 1 < words.size(); ++i) {
    if (words[i] == "--storage-class") job.storage_class = words[++i];
    if (words[i] == "--exclude") job.exclude.push_back(words[++i]);
  }
  plan.AddJob(std::move(job));
}

}  // namespace

void ImportCluster(MigrationSettings& settings, const MigrationExtras& extras, MigrationPlan& plan,
                   ImportLog& log) {
  const std::string job_type = settings.Text("Basic.JobType");
  if (!job_type.empty() && job_type != "PUT" && job_type != "GET") {
    settings.Fail("Basic.JobType", QuotedForImport(job_type) + " is no kind of job", "PUT or GET");
  }
  const bool profiles = settings.Flag("Debug.LocalProfileMode");
  const bool source_is_here = job_type != "GET";
  MigrationStore here{.name = source_is_here ? "source" : "target",
                      .comments = {"The account of the machine: its role, or AWS_ACCESS_KEY_ID."}};
  MigrationStore there{.name = source_is_here ? "target" : "source", .region = "", .profile = ""};
  const std::string secret =
      settings.Find("Basic.ssm_parameter_credentials").value_or("s3_migration_credentials");
  if (profiles) {
    there.profile = secret;
  } else {
    there.credentials = "ssm:" + secret;
    if (Result<SecretReference> named = ParseSecretReference(there.credentials); !named) {
      settings.Fail("Basic.ssm_parameter_credentials",
                    QuotedForImport(secret) + " names no parameter");
    }
  }
  there.comments = {"FILL IN, unless the environment says it: region: that of the secret."};
  const std::string here_name = plan.AddStore(here);
  const std::string there_name = plan.AddStore(there);
  const std::string& source = source_is_here ? here_name : there_name;
  const std::string& target = source_is_here ? there_name : here_name;

  std::vector<std::string> options = {"--size-only"};
  const std::string storage_class = settings.Find("Mode.StorageClass").value_or("STANDARD");
  options.insert(options.end(), {"--storage-class", storage_class});
  for (const MigrationKnown& known : kDoneOfCluster) {
    settings.NotCarried(known.name, known.why.empty() ? "set when it is run" : known.why,
                        known.remedy);
  }
  if (extras.pairs.size() * extras.ignored.size() > kExcludesMax) {
    log.Fail(extras.ignored_file, "has too many lines for so many pairs",
             "import the pairs in several files");
    return;
  }
  std::set<int> used;
  for (const MigrationPair& pair : extras.pairs) {
    MigrationCommand command{
        .words = {"sync", PlaceOfMigration(source, pair.source_bucket, pair.source_prefix),
                  // The whole key of the source goes below the prefix of the target.
                  PlaceOfMigration(target, pair.target_bucket,
                                   JoinPrefix(pair.target_prefix, pair.source_prefix))}};
    RemarkFolder(log, extras.pairs_file, pair.source_prefix);
    command.words.insert(command.words.end(), options.begin(), options.end());
    for (std::string& word :
         ExcludesOf(extras, true, pair.source_bucket, pair.source_prefix, log, &used)) {
      command.words.push_back(std::move(word));
    }
    AddClusterJob(command.words, source_is_here, plan);
    plan.AddCommand(std::move(command));
  }
  for (const MigrationWord& line : extras.ignored) {
    if (!extras.pairs.empty() && !used.contains(line.line)) RemarkUnused(extras, line, log);
  }
  if (extras.pairs.empty()) {
    log.Remark(ImportRemark::Kind::kFillIn, settings.file(),
               "does not say which buckets are copied",
               "give the bucket parameter (a JSON list of src_bucket, des_bucket, …) as another "
               "FILE");
  }
  const std::string event_bucket = settings.Text("Basic.Des_bucket_default");
  const std::string event_prefix = settings.Text("Basic.Des_prefix_default");
  if (!event_bucket.empty()) {
    settings.NotCarried(
        "Basic.Des_bucket_default",
        "where S3 events copy to (" + event_bucket + "/" + event_prefix + ") is not part of a run",
        "add `events: true` to a migration of that bucket, and have its events sent to `longhaul "
        "migrate worker --listen`");
  }
  settings.Finish();
}

}  // namespace longhaul
