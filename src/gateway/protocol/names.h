// What S3 lets a new bucket, a new key and the tags of an object be called. What is there already,
// under whatever name, can be read and removed: a folder may have come from elsewhere.
//
// Facts: S3 User Guide, "General purpose bucket naming rules", "Naming Amazon S3 objects" and
// "Categorizing your objects using tags".

#pragma once

#include <string_view>

#include "base/result.h"
#include "storage/object.h"

namespace longhaul {

inline constexpr size_t kGatewayTagsMax = 10;

// kInvalidInput, code InvalidBucketName.
Result<void> CheckNewBucketName(std::string_view name);
// kInvalidInput: KeyTooLongError, or InvalidURI where it is not UTF-8.
Result<void> CheckNewKey(std::string_view key);
// kInvalidInput: BadRequest (more than ten), InvalidTag (an empty or too long key, a long value).
Result<void> CheckTags(const Tags& tags);

}  // namespace longhaul
