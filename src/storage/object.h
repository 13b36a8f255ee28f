// What an object is, apart from its bytes: the words of S3, used everywhere.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/clock.h"

namespace longhaul {

enum class ChecksumAlgorithm { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256 };

// What computes it.
HashKind HashKindOf(ChecksumAlgorithm algorithm);

// As S3 gives it: base64 of the big-endian digest. `composite`: a checksum of the parts' checksums
// (value ends in "-N" on the wire; not here), which says nothing of the whole object.
struct Checksum {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc64Nvme;
  std::string value;
  bool composite = false;

  bool operator==(const Checksum&) const = default;
};

// The headers that S3 stores with an object and gives back; empty means absent.
struct SystemHeaders {
  std::string content_type;
  std::string content_encoding;
  std::string content_language;
  std::string content_disposition;
  std::string cache_control;
  std::string expires;
  std::string website_redirect_location;

  bool operator==(const SystemHeaders&) const = default;
};

// S3 Object Lock: until then nobody removes or replaces that version (COMPLIANCE), or only who is
// allowed to bypass it (GOVERNANCE).
struct ObjectLock {
  std::string mode;  // "GOVERNANCE" or "COMPLIANCE"; empty: no retention, a legal hold alone.
  SystemTime until{};
  bool legal_hold = false;  // Besides, or instead: until somebody takes it off.

  bool operator==(const ObjectLock&) const = default;
};

using UserMetadata = std::map<std::string, std::string>;  // Names in lower case, no "x-amz-meta-".
using Tags = std::map<std::string, std::string>;

struct ObjectInfo {
  uint64_t size_bytes = 0;
  std::string etag;  // Without quotes; "<md5>-<parts>" for multipart objects.
  // Whatever it looks like, the ETag tells nothing of the bytes: encryption under KMS or a customer
  // key, or a store that was told not to trust it.
  bool etag_opaque = false;
  bool kms_encrypted = false;  // Under a key of the server's KMS (SSE-KMS, DSSE-KMS).
  std::string version_id;      // Empty where the bucket keeps no versions.
  SystemTime last_modified{};
  std::string storage_class;  // Empty or "STANDARD" are the same.
  SystemHeaders headers;
  UserMetadata metadata;
  // x-amz-tagging-count; a store without tags says 0. So does the HEAD of servers that tell it with
  // a GET alone (Ozone, older versitygw): 0 from there proves nothing.
  int tag_count = 0;
  std::vector<Checksum> checksums;
  int part_count = 0;  // x-amz-mp-parts-count, where asked for; else 0.
  // None: it has none, or the caller may not see it (s3:GetObjectRetention, s3:GetObjectLegalHold).
  std::optional<ObjectLock> lock{};
  // The `Date` of the server's answer; of a `file` store the local clock after the open. This is
  // what stamps are made of (docs/design.md).
  SystemTime server_time{};
};

// One line of a listing.
struct ListedObject {
  std::string key;
  uint64_t size_bytes = 0;
  std::string etag;
  std::string storage_class;
  SystemTime last_modified{};
  std::string version_id;  // Only in listings of versions.
  bool is_latest = true;
  bool is_delete_marker = false;
};

// An ETag that is the MD5 of the bytes, unless it is opaque: 32 hex digits, no "-N".
bool IsPlainMd5Etag(std::string_view etag);

}  // namespace longhaul
