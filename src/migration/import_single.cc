// One node of the resumable upload: s3_upload_config.ini and s3_download_config.ini.

#include <array>

#include "migration/import_formats.h"

namespace longhaul {
namespace {

constexpr std::array kDoneOfSingle = {
    MigrationKnown{"Advanced.ChunkSize",
                   "parts follow from the size, and may change while resumed"},
    MigrationKnown{"Advanced.MaxRetry", "retries have one policy, with a deadline",
                   "--timeout sets the deadline"},
    MigrationKnown{"Advanced.MaxThread", "requests are limited per store",
                   "`requests` of a store sets the limit"},
    MigrationKnown{"Advanced.MaxParallelFile", "requests are limited per store",
                   "`requests` of a store sets the limit"},
    MigrationKnown{"Advanced.ifVerifyMD5", "every object is verified by the target's store"},
    MigrationKnown{"Advanced.ifVerifyMD5Twice", "every object is verified by the target's store"},
    MigrationKnown{"Advanced.DontAskMeToClean", "nothing is asked"},
    MigrationKnown{"Advanced.LoggingLevel", "set when it is run", "--log-level"},
};

// "AWS" stands for no endpoint.
std::string EndpointOf(MigrationSettings& settings, std::string_view name) {
  std::string endpoint = settings.Text(name);
  return endpoint == "AWS" ? "" : endpoint;
}

// A folder as an address: one with a '/'.
std::string FolderOf(std::string folder) {
  return folder.find('/') == std::string::npos ? "./" + folder : folder;
}

}  // namespace

void ImportSingle(MigrationSettings& settings, bool download, const MigrationExtras& extras,
                  MigrationPlan& plan, ImportLog& log) {
  const std::string job_type =
      download ? "S3_TO_LOCAL" : settings.Find("Basic.JobType").value_or("LOCAL_TO_S3");
  if (download) static_cast<void>(settings.Find("Basic.JobType"));
  const bool from_local = job_type == "LOCAL_TO_S3";
  if (!download && !from_local && job_type != "S3_TO_S3" && job_type != "ALIOSS_TO_S3") {
    settings.Fail("Basic.JobType", QuotedForImport(job_type) + " is no kind of job",
                  "LOCAL_TO_S3, S3_TO_S3 or ALIOSS_TO_S3");
    return;
  }
  auto require = [&](std::string_view name) {
    std::string value = settings.Text(name);
    if (value.empty()) settings.Fail(name, "is missing");
    return value;
  };
  const std::string prefix = settings.Text("Basic.S3Prefix");
  RemarkFolder(log, settings.file(), prefix);
  std::string from;
  std::string to;
  std::string source_bucket;
  if (from_local) {
    from = FolderOf(require("Basic.SrcDir"));
  } else {
    source_bucket = require("Basic.SrcBucket");
    MigrationStore source{
        .name = "source",
        .provider = job_type == "ALIOSS_TO_S3" ? "aliyun-oss" : "",
        .endpoint = EndpointOf(settings, download ? "Basic.EndPointURL" : "Basic.SrcEndPointURL"),
        .profile = settings.Text("Basic.SrcProfileName")};
    const std::string name = plan.AddStore(std::move(source));
    from = PlaceOfMigration(name, source_bucket, prefix);
  }
  if (download) {
    to = FolderOf(require("Basic.DesDir"));
  } else {
    const std::string name =
        plan.AddStore({.name = "target",
                       .endpoint = EndpointOf(settings, "Basic.DesEndPointURL"),
                       .profile = settings.Text("Basic.DesProfileName")});
    to = PlaceOfMigration(name, require("Basic.DesBucket"), prefix);
  }
  MigrationCommand command{.words = {"sync", from, to, "--size-only"}};
  if (!download) {
    command.words.insert(
        command.words.end(),
        {"--storage-class", settings.Find("Advanced.StorageClass").value_or("STANDARD")});
  } else {
    settings.NotCarried("Advanced.StorageClass", "local files have none");
  }
  const std::string file = settings.Find("Basic.SrcFileIndex").value_or("*");
  if (file != "*") command.words.insert(command.words.end(), {"--include", file});
  for (std::string& word :
       ExcludesOf(extras, false, source_bucket, from_local ? "" : prefix, log)) {
    command.words.push_back(std::move(word));
  }
  for (const MigrationKnown& known : kDoneOfSingle) {
    settings.NotCarried(known.name, known.why, known.remedy);
  }
  plan.AddCommand(std::move(command));
  settings.Finish();
}

}  // namespace longhaul
