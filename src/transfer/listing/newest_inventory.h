// The newest S3 Inventory below a folder that S3 delivers inventories to.
//
// Of each delivery S3 writes FOLDER/YYYY-MM-DDTHH-MMZ/manifest.json; the newest is the one with the
// latest of those times, wherever below the folder it lies. Source: S3 User Guide, "Locating your
// inventory list".

#pragma once

#include <string>
#include <string_view>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

// "2026-11-24T01-00Z" of ".../2026-11-24T01-00Z/manifest.json"; empty: no key of a manifest.
std::string_view DeliveryTimeOfManifest(std::string_view key);

// The key of its manifest. kNotFound: there is none yet. Errors as of a listing.
Async<std::string> FindNewestInventory(Runtime runtime, Store& store, std::string bucket,
                                       std::string prefix);

}  // namespace longhaul
