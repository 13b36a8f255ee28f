// Whether two objects hold the same bytes, told without reading them from a store wherever
// something else tells: equal ETags, a checksum that both sides have, or, where one side is a local
// file, its digest beside the checksum, the MD5 or the multipart ETag of the other (the file is
// read, and nothing goes over the network). `check` and `sync --checksum` compare alike.

#pragma once

#include <string>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

enum class SameBytes { kSame, kDifferent, kUnknown };

struct ObjectPlace {
  Store& store;
  std::string bucket;
  std::string key;
  std::string version_id{};  // Empty: the current one.
};

// By what two heads say. Two MD5s that differ mean different bytes, unless an ETag is opaque.
SameBytes CompareHeads(const ObjectInfo& one, const ObjectInfo& two);

// `one_info`, `two_info`: their heads. `download`: reads both where nothing else tells; two local
// files are always read. Errors: those of the stores.
Async<SameBytes> CompareBytes(Runtime runtime, ObjectPlace one, const ObjectInfo& one_info,
                              ObjectPlace two, const ObjectInfo& two_info, bool download);

// Heads both and compares. kNotFound: one has gone meanwhile.
Async<SameBytes> LookAtBytes(Runtime runtime, ObjectPlace one, ObjectPlace two, bool download);

// The MD5 of what is there, in hex. Reads it.
Async<std::string> Md5Of(Runtime runtime, ObjectPlace place);

// The multipart ETag ("<md5>-N") that a file gets when it is uploaded in parts of each of
// `part_sizes`, in their order. Reads it once.
Async<std::vector<std::string>> MultipartEtags(Runtime runtime, ObjectPlace file,
                                               std::vector<uint64_t> part_sizes);

}  // namespace longhaul
