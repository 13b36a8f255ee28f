// What an earlier run could not copy, out of its --report, as a listing.

#pragma once

#include <memory>
#include <string>

#include "base/runtime.h"
#include "cli/address.h"
#include "transfer/listing/listing.h"

namespace longhaul {

// `source`: the address with its prefix as `key`; a report of another one is kInvalidInput, as is a
// line that is none of a report, with its number.
Async<std::unique_ptr<Listing>> OpenFailed(Runtime runtime, std::string path,
                                           CommandAddress source);

}  // namespace longhaul
