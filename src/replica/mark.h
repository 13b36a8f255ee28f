// The mark: the one metadata entry by which a replica says where it came from and how new it is.
//
//   x-amz-meta-longhaul: 1 <site> <stamp> <source ETag> <sites passed> <fit>
//
// `fit` ties the mark to its bucket and key: when someone copies a replica to another key with all
// its metadata, the copy carries a mark that does not fit, which is no mark. The format is a
// contract (docs/design.md).

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/object.h"

namespace longhaul {

inline constexpr std::string_view kMarkName = "longhaul";  // Without "x-amz-meta-".
inline constexpr size_t kMarkSizeBytesMax = 160;
// S3 allows 2 KB for the names and values of all user metadata together.
// (S3 User Guide, "Working with object metadata".)
inline constexpr size_t kUserMetadataBytesMax = 2048;
// "x-amz-meta-", before each name: minio counts it, so it is counted everywhere.
inline constexpr size_t kMetadataHeaderPrefixBytes = 11;

struct Mark {
  std::string site;  // The installation that wrote the replica.
  SystemTime stamp{};
  std::string source_etag;
  std::vector<std::string> sites_passed;  // Other installations before it, oldest first.

  bool operator==(const Mark&) const = default;
};

// The value for the replica at bucket/key; nullopt when it would be longer than kMarkSizeBytesMax,
// or the ETag has a space in it.
std::optional<std::string> FormatMark(const Mark& mark, std::string_view bucket,
                                      std::string_view key);

// The mark in `value`, or nullopt when it is not one, or not one of bucket/key.
std::optional<Mark> ParseMark(std::string_view value, std::string_view bucket,
                              std::string_view key);

// The mark among an object's metadata, if it has one that fits.
std::optional<Mark> FindMark(const UserMetadata& metadata, std::string_view bucket,
                             std::string_view key);

// What the metadata of an object takes of the 2 KB.
size_t MetadataSizeBytes(const UserMetadata& metadata);

}  // namespace longhaul
