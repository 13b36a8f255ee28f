// Where the history of a key at a target ends in that of its source: pure, so that it can be tested
// and argued about.
//
// A history is all versions and delete markers of one key, oldest first. A mirror appends to that
// of the target what comes behind its end, and nothing ever before it: what is written later is
// newer there. Each version it writes names the source's version in its user metadata; a delete
// marker has no metadata, and is known by its place alone. A delete of what is deleted at both ends
// already is carried only when something newer is.
//
// What the source has behind the newest version that names one of its own is missing at the target.
// Where that version has gone at the source, it is what is younger than it. Without names (someone
// else made the copies) the whole history of the target has to be the beginning of the source's,
// version by version, of the same kind, size and ETag.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/object.h"

namespace longhaul {

// Entries in the user metadata of a version that a mirror has written.
inline constexpr const char* kVersionIdEntry = "longhaul-version-id";
inline constexpr const char* kVersionTimeEntry = "longhaul-version-time";

// The version of a source that a copy is of. The id "null" is used again and again by buckets whose
// versioning is suspended; with the time it is one of a kind.
struct VersionOrigin {
  std::string id;  // Empty: it names none.
  SystemTime time{};

  [[nodiscard]] bool Names(const ListedObject& version) const;
};

UserMetadata OriginMetadata(const ListedObject& version);
VersionOrigin OriginOf(const UserMetadata& metadata);

struct TargetVersion {
  ListedObject listed;
  std::optional<VersionOrigin> origin;  // None: nobody has looked yet.
};

// What to do next with a key: look at the origin of a version of the target, or write what is
// missing, from one of the source's versions on.
struct HistoryPlan {
  std::optional<size_t> ask;  // Index into the target's.
  size_t from = 0;            // Index into the source's; its number: nothing is missing.
};

// Looks cost requests: a target whose history is as long as the source's and alike needs none, when
// its newest version was written a day or more after the source's. Until then the source might have
// got a version while the copies were made.
//
// kPrecondition: nothing can be appended without mixing two histories, and the message says why.
Result<HistoryPlan> PlanHistory(const std::vector<ListedObject>& source,
                                const std::vector<TargetVersion>& target);

}  // namespace longhaul
