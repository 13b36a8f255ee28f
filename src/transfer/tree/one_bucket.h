// Whether two buckets are one: by two endpoints, or by an access point. Names do not tell it; what
// lies there does.

#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/tree/tree.h"

namespace longhaul {

// Looks whether an object below the source's prefix is seen through the target under its key.
// Replicas may be alike in all that is told of them: only when all speaks for it an empty object is
// written below the target's prefix, and removed at once. False also where there is nothing below
// the source, or what one may not look at. Errors: as Store::Head, those that may pass.
Async<bool> AreOneBucket(Runtime runtime, TreeSource source, TreeTarget target);

// Writes an empty object below `at`, looks for it by its name, and removes it. Errors also where it
// may not be written: nobody knows then. One that may not be removed is told to the log.
using LookForProbe = std::function<Async<bool>(std::string name)>;
Async<bool> ShowsProbe(Runtime runtime, TreeTarget at, LookForProbe look);
// One that no object of anybody has.
std::string ProbeName(const Runtime& runtime);
// nullopt: nothing, or one may not look, or no object can have such a name. Errors: those that may
// pass, and kCancelled.
Async<std::optional<ObjectInfo>> InfoIfAny(Store& store, std::string bucket, std::string key);

}  // namespace longhaul
