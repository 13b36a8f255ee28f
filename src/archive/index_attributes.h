// The attributes of entries as a reader meets them: what a name means, and what the values say that
// are not plain strings. How they are written: attributes.h.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/entry.h"
#include "storage/object.h"

namespace longhaul::archive {

enum class AttributeKind {
  kDelete,
  kTagsOnly,
  kLink,
  kKey,
  kVersion,
  kMd5,
  kEtag,
  kParts,
  kSegment,
  kClass,
  kChecksum,
  kLock,
  kLegalHold,
  kHeader,
  kMetadata,
  kTag,
  kUnknown,
};

struct Attribute {
  AttributeKind kind = AttributeKind::kUnknown;
  std::string name;  // Of metadata and tags.
  std::string SystemHeaders::* header = nullptr;
  size_t column_at = 0;  // 0: no column, which only an attribute that nobody has may lack.
};

// What the attribute of that name is; its column is not known yet.
Attribute Classify(std::string_view name);

// Takes a number off the front of `text`; false when there is none, or too large a one.
bool ReadNumber(std::string_view& text, uint64_t& value);

// "8388608x3+12": three parts of 8 MiB and one of 12 bytes. Returns how many parts there are, or
// nothing when that is not what the text says. `out` may be null.
std::optional<size_t> ReadParts(std::string_view text, std::vector<uint64_t>* out);

// As SegmentText (attributes.h) writes it; nullopt when that is not what the text says.
std::optional<Segment> ReadSegment(std::string_view text);

// nullopt: of a kind that a later version knows; the bytes are still guarded by the frames.
std::optional<Checksum> ReadChecksum(std::string_view text);
std::optional<ObjectLock> ReadLock(std::string_view text);

}  // namespace longhaul::archive
