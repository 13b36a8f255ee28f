// Lists of jobs, one JSON object a line: those of the cluster's jobsender and of s3trans; and the
// cluster's bucket parameter.

#include <boost/json.hpp>

#include "base/json.h"
#include "migration/import_formats.h"

namespace longhaul {
namespace {

namespace json = boost::json;

// Each is a command line; who has more should sync.
constexpr size_t kJobsMax = 10'000;

struct Job {
  std::string source_bucket;
  std::string source_key;
  std::string target_bucket;
  std::string target_key;
  std::string version_id;
};

std::string TextAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

const json::object* ObjectAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

// S3trans writes Go's names, and keys as they are.
std::optional<Job> JobOfEvent(const json::object& record) {
  const json::object* s3 = ObjectAt(record, "S3");
  const json::object* bucket = s3 == nullptr ? nullptr : ObjectAt(*s3, "Bucket");
  const json::object* object = s3 == nullptr ? nullptr : ObjectAt(*s3, "Object");
  if (bucket == nullptr || object == nullptr) return std::nullopt;
  Job job{.source_bucket = TextAt(*bucket, "Name"), .source_key = TextAt(*object, "Key")};
  if (job.source_bucket.empty() || job.source_key.empty()) return std::nullopt;
  return job;
}

}  // namespace

void ImportJobs(const ImportFile& file, MigrationPlan& plan, ImportLog& log) {
  Result<std::vector<MigrationWord>> lines = ParseList(file.text);
  if (!lines) {
    log.Fail(file.name, lines.error().message);
    return;
  }
  std::vector<Job> jobs;
  bool without_target = false;
  for (const MigrationWord& line : *lines) {
    const std::string place = file.name + ":" + std::to_string(line.line);
    Result<json::value> value = ParseJson(line.text);
    if (!value || !value->is_object()) {
      log.Fail(place, value ? "not a JSON object" : value.error().message);
      return;
    }
    const json::object& object = value->get_object();
    const json::value* records = object.if_contains("Records");
    if (records != nullptr && records->is_array()) {
      for (const json::value& record : records->get_array()) {
        std::optional<Job> job =
            record.is_object() ? JobOfEvent(record.get_object()) : std::nullopt;
        if (!job) {
          log.Fail(place, "a record without S3.Bucket.Name and S3.Object.Key",
                   "notifications of S3 itself go to a rule's `intake`");
          return;
        }
        without_target = true;
        jobs.push_back(std::move(*job));
      }
    } else {
      Job job{.source_bucket = TextAt(object, "Src_bucket"),
              .source_key = TextAt(object, "Src_key"),
              .target_bucket = TextAt(object, "Des_bucket"),
              .target_key = TextAt(object, "Des_key"),
              .version_id = TextAt(object, "versionId")};
      if (job.source_bucket.empty() || job.source_key.empty() || job.target_bucket.empty() ||
          job.target_key.empty()) {
        log.Fail(place, "a job without Src_bucket, Src_key, Des_bucket and Des_key");
        return;
      }
      if (!job.version_id.empty() && job.version_id != "null") {
        log.Remark(ImportRemark::Kind::kNotCarried, place,
                   "the version " + QuotedForImport(job.version_id) +
                       " of the object: the current one is copied",
                   "");
      }
      jobs.push_back(std::move(job));
    }
    if (jobs.size() > kJobsMax) {
      log.Fail(place, "more than 10,000 jobs",
               "sync the buckets: what is there is not copied again");
      return;
    }
  }
  if (jobs.empty()) return;
  const std::string source = plan.AddStore({.name = "source"});
  const std::string target = plan.AddStore({.name = "target"});
  if (without_target) {
    log.Remark(ImportRemark::Kind::kFillIn, file.name, "does not say where the objects go",
               "write the target's bucket in place of fill-in-target-bucket");
  }
  for (const Job& job : jobs) {
    const std::string bucket =
        job.target_bucket.empty() ? "fill-in-target-bucket" : job.target_bucket;
    const std::string& key = job.target_key.empty() ? job.source_key : job.target_key;
    plan.AddCommand({.words = {"cp", PlaceOfMigration(source, job.source_bucket, job.source_key),
                               PlaceOfMigration(target, bucket, key)}});
  }
}

std::vector<MigrationPair> ReadPairs(const ImportFile& file, ImportLog& log) {
  std::vector<MigrationPair> pairs;
  Result<ImportNode> node = ParseImportDocument(file.text);
  if (!node) {
    log.Fail(file.name, node.error().message);
    return pairs;
  }
  const ImportValue list(*node, file.name + ": ", log);
  std::optional<std::vector<ImportValue>> items = list.Items();
  if (!items) return pairs;
  for (const ImportValue& item : *items) {
    std::optional<ImportFields> fields = item.Fields();
    if (!fields) continue;
    auto text = [&](std::string_view name, bool needed) -> std::string {
      std::optional<ImportValue> value = needed ? fields->Require(name) : fields->Find(name);
      return value ? value->Text().value_or("") : "";
    };
    MigrationPair pair{.source_bucket = text("src_bucket", true),
                       .source_prefix = text("src_prefix", false),
                       .target_bucket = text("des_bucket", true),
                       .target_prefix = text("des_prefix", false)};
    // "/" stands for none.
    if (pair.source_prefix == "/") pair.source_prefix.clear();
    if (pair.target_prefix == "/") pair.target_prefix.clear();
    fields->Finish();
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace longhaul
