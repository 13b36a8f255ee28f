// What a server of the S3 API does otherwise than S3 itself, as data: what it is asked for and what
// is believed of its answers follows from this, never from its name.
//
// s3_provider.h has the quirks of known services; storage/probe.h finds out the rest.

#pragma once

#include <optional>
#include <string>

#include "storage/store.h"

namespace longhaul {

// What S3 does as documented. (S3 User Guide, "Conditional requests", 2025.)
inline Capabilities S3Promises() {
  Capabilities can;
  can.versions = true;
  can.create_if_absent = true;
  can.replace_if_match = true;
  can.complete_if_absent = true;
  can.complete_if_match = true;
  can.delete_if_match = true;
  can.copy_conditions = false;
  return can;
}

struct S3Quirks {
  // What is not there is never asked for: a condition or tags that the server would ignore or
  // refuse are NotImplemented here, before anything is sent.
  Capabilities can = S3Promises();
  bool lists_v2 = true;      // Else ListObjects with markers.
  bool equal_parts = false;  // All parts of an upload but the last must be of one size.
  // Else those of parts and of multipart objects tell nothing of their bytes.
  bool multipart_etags = true;
  // Else no ETag tells anything of the bytes.
  bool md5_etags = true;
  // Prefixes of listings end in "/", none begins behind a key, and uploads are found by their key
  // alone. What is wanted besides is sorted out here.
  bool lists_folders = false;
  // x-amz-checksum-… is always checked, and Content-MD5 is not taken.
  bool checks_checksums = false;
  bool deletes_batches = true;  // Else each key is deleted by a request of its own.
  // A header by which answers to GET and HEAD tell a checksum of the whole object, such as
  // "x-goog-hash: crc32c=…,md5=…".
  struct OwnChecksum {
    std::string header;
    std::string begins;  // "crc32c="; the value ends at a comma.
    ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc32c;

    bool operator==(const OwnChecksum&) const = default;
  };
  std::optional<OwnChecksum> own_checksum;

  bool operator==(const S3Quirks&) const = default;
};

// What a probe has found, without what is known to be missing.
Capabilities WithinQuirks(Capabilities probed, const S3Quirks& quirks);

}  // namespace longhaul
