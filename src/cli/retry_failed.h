// What an earlier run could not copy, out of its --report.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cli/address.h"
#include "cli/stores.h"
#include "transfer/listing/key_list.h"
#include "transfer/listing/listing.h"

namespace longhaul {

// As they were then, in order of keys. `source`: the address with its prefix as `key`; a report of
// another one is kInvalidInput, as is one of versions, one that does not name all that it counts as
// failed, or a line that is none of a report, with its number.
Async<std::vector<ListedObject>> ReadFailedCopies(Runtime runtime, std::string path,
                                                  CommandAddress source);

// As they are now: `missing` is told of those that are not there any more. What may not be looked
// at stays as it was. Errors: as Store::Head, of what is wrong with the store as a whole.
std::unique_ptr<Listing> OpenFailed(Runtime runtime, OpenedAddress source,
                                    std::vector<ListedObject> objects, MissingKey missing);

}  // namespace longhaul
