// A Store in a local folder: each folder in the root is a bucket, each file in it an object.
//
// What other programs put there are objects too (their ETag is the MD5 of their bytes, found out
// once). What longhaul writes is durable when an operation returns: fsync of file and folder, then
// an atomic rename. Headers, metadata, tags and checksums are in a side file (file_sidecar.h); keys
// that a file system cannot hold have escaped names (file_names.h); nothing follows a link and
// nothing leaves the root. Conditional writes hold between processes of one machine.
//
// No versions (SetVersioning: kInvalidInput, code NotImplemented), no encryption, no accounts: a
// `kms_key`, an `acl` and a `bucket_owner` are refused. `server_time` is the local clock after the
// open. All input and output happens on the CPU pool of the runtime.

#pragma once

#include <memory>
#include <string>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

struct FileStoreOptions {
  std::string root;
  bool create_root = false;
  bool durable = true;  // False: no fsync. For tests and demonstrations.
};

// kNotFound: the root is not there. kDenied; kInvalidInput: it is no folder.
Result<std::unique_ptr<Store>> MakeFileStore(const Runtime& runtime, FileStoreOptions options);

}  // namespace longhaul
