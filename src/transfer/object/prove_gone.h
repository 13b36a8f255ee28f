// Whether an object is not there. A HEAD that is answered 404 does not tell: it has no body, and
// the answer is the same where the bucket is missing.

#pragma once

#include <string>

#include "storage/store.h"

namespace longhaul {

// Whether the error of a read with a body says that the object is not there, and nothing else.
bool IsGone(const Error& error);

// Of an object whose HEAD was answered 404. OK: it is not there. kRetryable: it is, by now; else as
// Store::Get and HeadBucket, as for a bucket that is missing.
Async<void> ProveGone(Store& store, std::string bucket, std::string key);

}  // namespace longhaul
