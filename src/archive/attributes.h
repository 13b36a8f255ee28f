// The names of attributes in the index, and the spelling of those that are not plain strings.

#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/entry.h"
#include "base/clock.h"
#include "storage/object.h"

namespace longhaul::archive {

inline constexpr std::string_view kDeleteAttribute = "delete";
inline constexpr std::string_view kTagsOnlyAttribute = "tags-only";
inline constexpr std::string_view kLinkAttribute = "link";
inline constexpr std::string_view kKeyAttribute = "key";
inline constexpr std::string_view kVersionAttribute = "version";
inline constexpr std::string_view kMd5Attribute = "md5";
inline constexpr std::string_view kEtagAttribute = "etag";
inline constexpr std::string_view kPartsAttribute = "parts";
inline constexpr std::string_view kSegmentAttribute = "segment";
inline constexpr std::string_view kClassAttribute = "class";
inline constexpr std::string_view kChecksumAttribute = "checksum";
inline constexpr std::string_view kLockAttribute = "lock";
inline constexpr std::string_view kLegalHoldAttribute = "legal-hold";
inline constexpr std::string_view kMetadataPrefix = "meta:";
inline constexpr std::string_view kTagPrefix = "tag:";

struct HeaderAttribute {
  std::string_view name;
  std::string SystemHeaders::* field;
};
inline constexpr std::array kHeaderAttributes{
    HeaderAttribute{"content-type", &SystemHeaders::content_type},
    HeaderAttribute{"content-encoding", &SystemHeaders::content_encoding},
    HeaderAttribute{"content-language", &SystemHeaders::content_language},
    HeaderAttribute{"content-disposition", &SystemHeaders::content_disposition},
    HeaderAttribute{"cache-control", &SystemHeaders::cache_control},
    HeaderAttribute{"expires", &SystemHeaders::expires},
    HeaderAttribute{"website-redirect", &SystemHeaders::website_redirect_location},
};

struct AlgorithmName {
  std::string_view name;
  ChecksumAlgorithm algorithm;
};
inline constexpr std::array kAlgorithmNames{
    AlgorithmName{"crc32", ChecksumAlgorithm::kCrc32},
    AlgorithmName{"crc32c", ChecksumAlgorithm::kCrc32c},
    AlgorithmName{"crc64nvme", ChecksumAlgorithm::kCrc64Nvme},
    AlgorithmName{"sha1", ChecksumAlgorithm::kSha1},
    AlgorithmName{"sha256", ChecksumAlgorithm::kSha256},
};
inline constexpr std::string_view kCompositeSuffix = "-composite";

// "01JC5N0XVRKGBGSKP4ZPQE4M7T 2 of 40, byte 1073741824 of 21474836480, part 129": numbers from 0,
// but parts from 1, as S3 counts them.
inline std::string SegmentText(const Segment& segment) {
  return segment.plan + " " + std::to_string(segment.number) + " of " +
         std::to_string(segment.count) + ", byte " + std::to_string(segment.offset_bytes) + " of " +
         std::to_string(segment.object_size_bytes) + ", part " + std::to_string(segment.first_part);
}

// "crc64nvme AAAAAAAAAAA=", "crc32c-composite AAAAAA=="
inline std::string ChecksumText(const Checksum& checksum) {
  std::string out;
  for (const AlgorithmName& name : kAlgorithmNames) {
    if (name.algorithm == checksum.algorithm) out = name.name;
  }
  if (checksum.composite) out += kCompositeSuffix;
  return out + " " + checksum.value;
}

// "COMPLIANCE 2030-01-01T00:00:00Z"
inline std::string LockText(const ObjectLock& lock) {
  return lock.mode + " " + FormatRfc3339(lock.until);
}

}  // namespace longhaul::archive
