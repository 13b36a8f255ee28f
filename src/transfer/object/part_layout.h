// How an object is cut into parts, and what its parts say of it.
//
// Internal to CopyObject.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transfer/object/copy_job.h"

namespace longhaul {

// Of the source, or of the upload.
struct Part {
  int number = 0;
  ByteRange range;
  UploadedPart uploaded;
  std::string digest;  // Raw CRC, where the whole is verified by one.
  std::string md5;     // Raw, of its bytes, where its ETag is known to be none.
  bool found = false;  // It lies at the target already.
};

std::vector<Part> PartsOf(const std::vector<uint64_t>& sizes);

// MD5 of the MD5s of the parts and their number, as S3 does; empty where ETags are no MD5s. By what
// their ETags are: what the target's will be.
std::string EtagOf(const std::vector<Part>& parts);
// The same by their bytes, as far as they are known: what the source's is.
std::string EtagOfBytes(const std::vector<Part>& parts);

// Like the source's where that keeps the ETag and `part_bytes_max` allows it, else `own_bytes`.
Async<PartLayout> ChooseLayout(CopyJob& job, const ObjectInfo& info, uint64_t own_bytes,
                               uint64_t part_bytes_max);

// The source as it is now, if that is what was listed.
Async<ObjectInfo> LookAtSource(CopyJob& job, std::optional<ObjectInfo> head);

}  // namespace longhaul
