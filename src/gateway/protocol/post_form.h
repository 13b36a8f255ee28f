// A form by which a browser uploads an object (POST Object): its fields, its file, and the policy
// that its maker has signed. Bytes from anyone: fields and boundaries have 20 KiB at most, and
// nothing is copied but the fields.
//
// Facts: S3 API Reference, "POST Object", "POST Policy"; RFC 7578, RFC 2046, 5.1.

#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

// What comes before the file, and the head of its part, lie within so many bytes.
inline constexpr size_t kPostFieldsBytesMax = 21 << 10;

struct PostForm {
  std::map<std::string, std::string> fields;  // Names in lower case.
  std::string filename;
  size_t file_begin = 0;                 // Of the body.
  std::string delimiter;                 // What ends the file.
  std::optional<std::string_view> file;  // Into the body, once it has been found.

  [[nodiscard]] std::string_view Get(const std::string& name) const {
    auto found = fields.find(name);
    return found == fields.end() ? std::string_view() : found->second;
  }
};

// All but the file. `body`: the whole, or its first kPostFieldsBytesMax bytes, and then `more`.
// kInvalidInput: MalformedPOSTRequest, MaxPostPreDataLengthExceededError, InvalidArgument (no file,
// a field that is there twice).
Result<PostForm> ParsePostFields(std::string_view content_type, std::string_view body, bool more);
// Finds the file in the whole body; what follows it is ignored, as S3 does. kInvalidInput:
// MalformedPOSTRequest.
Result<void> FindPostFile(PostForm& form, std::string_view body);

// Whether the policy allows this form: its time, each of its conditions, and that it speaks of each
// field. Its signature is VerifyPolicySignature's. What it says of the file's size is left out
// while that is not known. kDenied: AccessDenied; kInvalidInput: InvalidPolicyDocument,
// EntityTooLarge, EntityTooSmall.
Result<void> CheckPostPolicy(const PostForm& form, const std::string& bucket, SystemTime now);

}  // namespace longhaul
