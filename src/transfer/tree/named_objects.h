// NamedObjects: a Listing of names that are known already: each is asked for by itself.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/listing/listing.h"

namespace longhaul {

// The objects of `names` (in byte order) below `prefix`, in that order; those that are not there
// are left out, which a HEAD alone does not tell (ProveGone). Of one that may not be asked for a
// listing of its key tells, so that it does not hold up the others. Some are asked for at a time.
// Errors: as Store::Head and ProveGone, of the store as a whole or passing.
std::unique_ptr<Listing> OpenNamedObjects(Runtime runtime, Store& store, std::string bucket,
                                          std::string prefix, std::vector<std::string> names);

}  // namespace longhaul
