// What the tuner of a rule reckons with.

#pragma once

#include "cost/ledger_meter.h"
#include "cost/prices.h"
#include "cost/tuner.h"
#include "rules/rule.h"

namespace longhaul {

// Transfer from the region of the source (or of the local staging) to that of each staging, each
// bucket once, storage in each vault, and processor time in the region of the source. The first
// price that nobody knows is named in `unknown`; a region that nobody knows, by its store.
TunerPrices TunerPricesOf(const Rule& rule, const StoreRegions& regions, const Prices& prices);

}  // namespace longhaul
