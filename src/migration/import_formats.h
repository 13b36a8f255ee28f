// Inside the import of migrations: each system's files, by file: import_cluster.cc,
// import_single.cc, import_s3trans.cc, import_hub.cc, import_rclone.cc, import_jobs.cc.

#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "migration/import_lines.h"
#include "migration/import_plan.h"
#include "rules/import.h"

namespace longhaul {

// One entry of the cluster's bucket parameter.
struct MigrationPair {
  std::string source_bucket;
  std::string source_prefix;
  std::string target_bucket;
  std::string target_prefix;
};

// What goes with the main file.
struct MigrationExtras {
  std::vector<MigrationPair> pairs;
  std::string pairs_file;
  std::vector<MigrationWord> ignored;  // Lines of an ignore list.
  std::string ignored_file;
};

// --exclude for each line of an ignore list. `whole_keys`: shell patterns over bucket/key, as the
// cluster has them; else prefixes of keys. Names what can match nothing below this source; with
// `used`, where there are several sources, it notes the lines that are about this one instead.
std::vector<std::string> ExcludesOf(const MigrationExtras& extras, bool whole_keys,
                                    const std::string& bucket, const std::string& prefix,
                                    ImportLog& log, std::set<int>* used = nullptr);

void ImportCluster(MigrationSettings& settings, const MigrationExtras& extras, MigrationPlan& plan,
                   ImportLog& log);
// s3_upload_config.ini; `download`: s3_download_config.ini.
void ImportSingle(MigrationSettings& settings, bool download, const MigrationExtras& extras,
                  MigrationPlan& plan, ImportLog& log);
// The words of a command line as settings "--name", positions as "from" and "to".
Result<std::vector<MigrationSetting>> S3transSettings(const std::vector<MigrationWord>& words);
void ImportS3trans(MigrationSettings& settings, const MigrationExtras& extras, MigrationPlan& plan,
                   ImportLog& log);
void ImportHub(MigrationSettings& settings, MigrationPlan& plan, ImportLog& log);
// All sections, each a remote.
void ImportRclone(const std::string& file, std::vector<MigrationSetting>& settings,
                  MigrationPlan& plan, ImportLog& log);
// JSON lines.
void ImportJobs(const ImportFile& file, MigrationPlan& plan, ImportLog& log);
// The bucket parameter: JSON.
std::vector<MigrationPair> ReadPairs(const ImportFile& file, ImportLog& log);

// Options that a kind of system has and longhaul does by itself.
struct MigrationKnown {
  std::string_view name;
  std::string_view why;
  std::string_view remedy = {};
};

}  // namespace longhaul
