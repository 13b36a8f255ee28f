// The manifest as JSON: the first member of the tar, and a field of the index.

#pragma once

#include <string>
#include <string_view>

#include "archive/entry.h"
#include "base/result.h"

namespace longhaul::archive {

std::string WriteManifest(const ArchiveManifest& manifest);

// Unknown fields are passed over. kInvalidInput: a newer major version, an unknown kind; kCorrupt:
// not a manifest.
Result<ArchiveManifest> ParseManifest(std::string_view text);

}  // namespace longhaul::archive
