// A form by which a browser uploads an object (POST Object): its fields, its file, and the policy
// that its maker has signed. Bytes from anyone: fields and boundaries have 20 KiB at most, and
// nothing is copied but the fields.
//
// Facts: S3 API Reference, "POST Object", "POST Policy"; RFC 7578, RFC 2046, 5.1.

#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

struct PostForm {
  std::map<std::string, std::string> fields;  // Names in lower case.
  std::string_view file;                      // Into the body.
  std::string filename;

  [[nodiscard]] std::string_view Get(const std::string& name) const {
    auto found = fields.find(name);
    return found == fields.end() ? std::string_view() : found->second;
  }
};

// What follows the file is ignored, as S3 does. kInvalidInput: MalformedPOSTRequest,
// MaxPostPreDataLengthExceededError, InvalidArgument (no file, a field that is there twice).
Result<PostForm> ParsePostForm(std::string_view content_type, std::string_view body);

// Whether the policy allows this form: its time, each of its conditions, and that it speaks of each
// field. Its signature is VerifyPolicySignature's. kDenied: AccessDenied; kInvalidInput:
// InvalidPolicyDocument, EntityTooLarge, EntityTooSmall.
Result<void> CheckPostPolicy(const PostForm& form, const std::string& bucket, SystemTime now);

}  // namespace longhaul
