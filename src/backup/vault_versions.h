// What a vault has of a bucket, as versions: readings become the history of each key.
//
// Of each key the newest first, as stores list versions. The stamp orders them; of two readings
// with one stamp the later archive's counts as the newer. An object in segments is a version when
// all of them are there. Readings of attributes alone are none: the source reads such an object
// again.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/catalog.h"

namespace longhaul::backup {

// The segments of a version, in order: told with the version's id.
using SegmentsTold =
    std::function<void(const std::string& version_id, std::vector<std::string> segments)>;

// Readings of one key with one stamp: the segments of an object, and they again where they had to
// be sent once more. More come from no longhaul, and would have to be held at once.
inline constexpr size_t kOfOneStampMax = 10 * size_t{kSegmentsMax};

// What sorting readings takes. Whoever reads archives holds three eighths of the memory, and
// catalogs that are open take some MiB each.
size_t SortBytesOfVault(const MemoryBudget& memory);

// Of `readings` in order (SortListing, Doubles::kKeep).
std::unique_ptr<Listing> FoldVersions(std::unique_ptr<Listing> readings, SegmentsTold told = {});

// Of versions in that order those that are current at `at`, without deletes.
std::unique_ptr<Listing> CurrentAt(std::unique_ptr<Listing> versions, SystemTime at);

// The bucket as the vault has it at `at`: keys in order, of each the newest version that is not
// younger, unless that is a delete. In bounded memory. `segments`: told of all versions, also of
// those that are not current. Errors: those of OpenReadings, and of CheckNotPruned.
std::unique_ptr<Listing> OpenVaultListing(Runtime runtime, CatalogSource source, SystemTime at,
                                          CatalogTroubles& troubles,
                                          std::function<void(const std::string& what)> told,
                                          SegmentsTold segments = {});

// All versions and deletes: keys in order, of each the newest first.
std::unique_ptr<Listing> OpenVaultHistory(Runtime runtime, CatalogSource source,
                                          CatalogTroubles& troubles,
                                          std::function<void(const std::string& what)> told,
                                          SegmentsTold segments = {});

}  // namespace longhaul::backup
