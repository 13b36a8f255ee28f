// RestoresObjects: a store that keeps objects in archive classes (GLACIER, DEEP_ARCHIVE), where
// they cannot be read before somebody has asked for them. Besides storage/store.h, for S3 alone.
//
//   if (auto* archives = dynamic_cast<RestoresObjects*>(&store)) …
//
// Source: S3 User Guide, "Restoring an archived object"; S3 API Reference, RestoreObject.

#pragma once

#include <string>

#include "base/async.h"

namespace longhaul {

// The code of the kDenied error of a read from such a class.
inline constexpr const char* kArchivedCode = "InvalidObjectState";
// Objects of this class may lie in archive tiers, from which they move back.
inline constexpr const char* kTieringClass = "INTELLIGENT_TIERING";

struct RestoreRequest {
  std::string bucket;
  std::string key;
  std::string version_id;
  std::string tier;  // "Expedited", "Standard" or "Bulk".
  // How long the restored copy stays. 0: there is none, as of INTELLIGENT_TIERING, whose objects
  // move back; S3 refuses a number there.
  int days = 1;
};

class RestoresObjects {
 public:
  virtual ~RestoresObjects() = default;
  // OK: it was asked for, now or before, or it is there; until then minutes to days go by. A tier
  // that the class lacks: kInvalidInput.
  virtual Async<void> Restore(RestoreRequest request) = 0;
  // Whether it has been asked for and is not there yet.
  virtual Async<bool> IsBeingRestored(std::string bucket, std::string key) = 0;
};

}  // namespace longhaul
