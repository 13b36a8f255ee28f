// The two ends of a tree's transfer, looked at before anything is listed or copied.

#pragma once

#include <string>

#include "cli/stores.h"
#include "cli/transfer_limits.h"
#include "transfer/tree/tree.h"

namespace longhaul {

// Whether what lies at `inner` lies in `outer` too. Both are folders.
bool LiesIn(const OpenedAddress& inner, const OpenedAddress& outer);

// Makes folders of both (a '/' at the end). kInvalidInput: no bucket is named, the source is a
// file, the target lies in the source. kNotFound: the source is a local folder that is not there.
Result<void> PrepareEnds(OpenedAddress& source, OpenedAddress& target);

// Asks the target's bucket one question. Errors: what is wrong with it as a whole.
// True: it may not be listed, which says nothing of writing; the first object that is refused does.
Async<bool> IsTargetDenied(OpenedAddress target);

// Where --backup-dir points. kInvalidInput: it is not at the target's store, or lies in the target
// or the source (or they in it), which the run would then take for their own.
Result<TreeTarget> OpenBackup(StoreOpener& opener, LimitedStores& limited, const std::string& text,
                              const OpenedAddress& source, const OpenedAddress& target);

// A local folder that does not exist yet.
bool IsMissingFolder(const OpenedAddress& end);

}  // namespace longhaul
