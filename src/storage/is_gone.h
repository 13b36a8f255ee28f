// What proves that an object is not there. A HEAD that is answered 404 does not: it has no body,
// and the answer is the same where the bucket is missing.

#pragma once

#include "base/result.h"

namespace longhaul {

// Whether an error says by name that there is no such object (any more), and nothing else. In a
// bucket with versions a delete marker may be what there is.
[[nodiscard]] inline bool IsGone(const Error& error) {
  return error.kind == ErrorKind::kNotFound &&
         (error.code == "NoSuchKey" || error.code == "DeleteMarker");
}

}  // namespace longhaul
