// The proof that an object is not there, where a HEAD alone says so (storage/is_gone.h).

#pragma once

#include <string>

#include "storage/store.h"

namespace longhaul {

// Of an object whose HEAD was answered 404. OK: it is not there. kRetryable: it is, by now; else as
// Store::Get and HeadBucket, as for a bucket that is missing.
Async<void> ProveGone(Store& store, std::string bucket, std::string key);

}  // namespace longhaul
