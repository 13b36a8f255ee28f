// What an archive says itself that was kept a moment ago and has no catalog yet.

#pragma once

#include <string_view>
#include <vector>

#include "backup/catalog.h"

namespace longhaul::backup {

// What its catalog will say. The ETags that follow from the bytes alone are left out where a frame
// is damaged. Takes what memory is free, up to 48 MiB and where it has to up to half of the budget.
// Errors: those of the surroundings; kNotFound: it is gone; kCorrupt with the code kUnreadArchive:
// it cannot be told what is in it.
Async<std::vector<CatalogRecord>> ReadYoungArchive(Runtime runtime, CatalogSource source,
                                                   VaultName name);

}  // namespace longhaul::backup
