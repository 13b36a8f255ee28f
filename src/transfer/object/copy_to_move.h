// CopyToMove: CopyObject of what is removed at its source afterwards.

#pragma once

#include "transfer/object/copy_object.h"

namespace longhaul {

// As CopyObject, and kDenied where the tags of an object that goes in parts may not be asked for:
// nobody knows whether it has some, and the copy would be all there is. (That of one piece is read
// by a GET, which tells of no tags then.)
Async<CopyOutcome> CopyToMove(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options);

}  // namespace longhaul
