// What a command would go by, value for value, and who says so: a line of the configuration, a
// variable, an option, a profile, or nobody (the default). Secrets are named and not shown.

#pragma once

#include <string>
#include <vector>

#include "cli/run_context.h"

namespace longhaul {

struct EffectiveSetting {
  std::string path;    // "stores.east.region".
  std::string value;   // Empty where it is hidden.
  std::string origin;  // "longhaul.yaml:7", "AWS_REGION", "profile 'x'", "default".
  bool hidden = false;
};

// Of the configuration, where there is one, with its queues and tables in AWS, and of s3://
// addresses. No service is asked.
// kInvalidInput: something that is said makes no sense, by who says it.
Result<std::vector<EffectiveSetting>> FindEffectiveSettings(RunContext& context);

}  // namespace longhaul
