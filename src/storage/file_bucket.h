// Removing a bucket of files, without ever removing an object.
//
// Everything here blocks and belongs on the CPU pool.

#pragma once

#include "base/result.h"
#include "storage/file_tree.h"

namespace longhaul {

// Removes the bucket: folders that are empty, and what is longhaul's own. With all locks of the
// bucket held no object can come meanwhile; what another program writes there stays, as does what
// is no object (a link). Uploads under way end with the bucket.
//
// kPrecondition, code BucketNotEmpty: there is an object, or something else that is not ours, or
// something is just being written.
Result<void> RemoveFileBucket(const FileTree& tree);

}  // namespace longhaul
