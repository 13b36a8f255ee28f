// One line of CSV (RFC 4180), as S3 writes its inventories and batch manifests: keys are
// percent-encoded there, so a field never holds the end of a line.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace longhaul {

// At most 256 fields. kInvalidInput: a quote that is not closed or stands inside a field.
Result<std::vector<std::string>> SplitCsv(std::string_view line);

}  // namespace longhaul
