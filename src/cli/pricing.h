// What commands need to say what something costs: prices, and the region of a place.

#pragma once

#include <string>

#include "cli/address.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "cost/prices.h"

namespace longhaul {

// The table with the `prices:` of the configuration, where there is one. kInvalidInput: mistakes
// in that.
Result<Prices> ReadPrices(RunContext& context);

// "" for a folder, and where nobody says it.
std::string RegionOfAddress(RunContext& context, const StoreFlags::End& flags,
                            const CommandAddress& address);

}  // namespace longhaul
