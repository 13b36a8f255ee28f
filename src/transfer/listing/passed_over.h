// A listing without keys that nobody needs, as those that a run has done before it was stopped.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transfer/listing/listing.h"

namespace longhaul {

// Tells which they are.
using PassedOver = std::function<bool(const std::string& key)>;

// What `source` gives, in its order, but for those. Its errors are those of `source`.
std::unique_ptr<Listing> WithoutKeys(std::unique_ptr<Listing> source, PassedOver passed_over);

}  // namespace longhaul
