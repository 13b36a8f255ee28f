// Whether a copy of a plan has been made already, by an application of the plan that broke off.
//
// What is at the target must be the object that the copy would make of the source as the plan saw
// it: the same bytes, told as `check` tells them (same_bytes.h; read at both ends where nothing
// else tells), with the same headers, metadata, tags and, where one is asked for, storage class.
// What no store tells, as ACLs and keys of encryption, is not compared. In a plain folder the bytes
// are all there is to it: not every file system keeps more.

#pragma once

#include "base/runtime.h"
#include "transfer/object/copy_object.h"
#include "transfer/tree/same_bytes.h"

namespace longhaul {

// `source_info`, `target_info`: their heads, as they are now. False also where it cannot be told.
// Errors: those of the stores.
Async<bool> IsCopyOf(Runtime runtime, ObjectPlace source, ObjectInfo source_info,
                     ObjectPlace target, ObjectInfo target_info, const CopyOptions& options);

}  // namespace longhaul
