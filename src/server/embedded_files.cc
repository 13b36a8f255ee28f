// What a build without the dashboard embeds: nothing.

#include "server/static_files.h"

namespace longhaul {

std::span<const StaticFile> EmbeddedFiles() { return {}; }

}  // namespace longhaul
