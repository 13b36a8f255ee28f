// Import: runs of other systems that move objects, as a configuration of longhaul and its command
// lines.
//
// What a file is, is seen by its content: the INI files of the resumable upload of AWS Samples (the
// cluster's, that of one node, its bucket parameter, its lists of what to ignore and of jobs), the
// command line or config.yaml of s3trans, the config.yaml and environment of the Data Transfer Hub,
// and the S3 remotes of rclone.conf. Every setting is carried or remarked on; none is dropped in
// silence, and no secret is copied. Pure functions: text in, text out.

#pragma once

#include <string>
#include <vector>

#include "migration/import_plan.h"
#include "rules/import.h"

namespace longhaul {

struct MigrationImport {
  std::string yaml;  // LoadConfiguration takes it; the command lines are in its comments.
  std::vector<ImportRemark> remarks;
  size_t stores = 0;
  size_t commands = 0;
};

// kInvalidInput: a file is none of these, or damaged, or beyond the limits, or does not go with the
// others; all mistakes, one per line, with file and line.
Result<MigrationImport> ImportMigration(const std::vector<ImportFile>& files);

}  // namespace longhaul
