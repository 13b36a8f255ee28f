// MayRemoveAt: whether what the source did not have at a time may go at the target.

#pragma once

#include <string>

#include "storage/store.h"

namespace longhaul {

// `key` is absent from the source as it was at `time`. OK: it was not there then, or what is at the
// target, `there`, is a version that the source still has. kPrecondition: the source has only
// younger versions of it, and the copy is none of them: the state at `time` may have expired there,
// and the copy be all that is left of it. Else as the source's List.
Async<void> MayRemoveAt(Store& source, std::string bucket, std::string key, SystemTime time,
                        ListedObject there);

}  // namespace longhaul
