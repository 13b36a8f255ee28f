// From rules to S3's own ReplicationConfiguration.

#pragma once

#include <string>
#include <vector>

#include "rules/import_document.h"
#include "rules/rule.h"

namespace longhaul {

struct ExportOptions {
  std::string role;               // The ARN of the role that S3 assumes.
  std::string partition = "aws";  // Of the buckets' ARNs: aws, aws-cn, aws-us-gov.
};

inline constexpr char kRoleToFillIn[] = "arn:aws:iam::111122223333:role/FILL-IN";

struct ExportResult {
  std::string json;
  // What S3 cannot do of it; ImportRemark::place is "rule ID".
  std::vector<ImportRemark> remarks;
};

// Each target of each rule becomes a rule of its own there, so that each has a priority of its own:
// that of its rule, or where these are not all different their ranks. kInvalidInput: no rules,
// rules of several source buckets, or one that S3 would refuse.
Result<ExportResult> ExportRules(const std::vector<const Rule*>& rules,
                                 const ExportOptions& options);

}  // namespace longhaul
