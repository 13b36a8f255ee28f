// What the commands that import have in common: reading the files, telling what became of them.

#pragma once

#include <string>
#include <vector>

#include "cli/output.h"
#include "rules/import.h"

namespace longhaul {

// Whole files, or one byte more than an import reads. kInvalidInput: one cannot be read.
Result<std::vector<ImportFile>> ReadImportFiles(const std::vector<std::string>& names);

// A line for each on standard error. What is to be said of several places is said once, with all of
// them.
void TellRemarks(Output& output, const std::vector<ImportRemark>& remarks);

}  // namespace longhaul
