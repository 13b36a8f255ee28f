// Import: other systems' configuration of replication as a configuration of longhaul.
//
// What a file is, is seen by its content: S3's ReplicationConfiguration in JSON (with or without
// the object around it that the AWS CLI prints) or XML, or the settings.json and
// replication_config.json of the cross-region compressor of AWS Samples. Every field of the input
// is carried or remarked on; none is dropped in silence. Pure functions: text in, text out.

#pragma once

#include <string>
#include <vector>

#include "rules/import_draft.h"

namespace longhaul {

struct ImportFile {
  std::string name;  // For messages.
  std::string text;
};

struct ImportResult {
  std::string yaml;  // LoadConfiguration takes it.
  std::vector<ImportRemark> remarks;
  size_t rules = 0;
  size_t targets = 0;
};

// kInvalidInput: not one of these, not what S3 would take, beyond the limits, or rules that do not
// go together here; all mistakes, one per line, with file and place.
Result<ImportResult> ImportRules(const std::vector<ImportFile>& files,
                                 const ImportOptions& options);

}  // namespace longhaul
