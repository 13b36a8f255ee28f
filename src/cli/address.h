// Where a command reads or writes, as people type it:
//
//   NAME:bucket/key     a store of the configuration (--config, LONGHAUL_CONFIG)
//   s3://bucket/key     what the AWS environment and profile describe
//   file:PATH, or a PATH that has a '/' in it or exists   a local file or folder
//
// A bucket of S3 may be the ARN of an access point (arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME),
// with the key behind it.
//
// Keys are bytes: nothing is decoded, joined or cleaned. A path's last part becomes the key and the
// rest the "bucket" of a plain folder (transfer/local/local_folder.h).

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

struct CommandAddress {
  enum class Kind { kNamed, kS3, kLocal };
  Kind kind = Kind::kLocal;
  std::string text;    // As typed, for messages.
  std::string store;   // kNamed: the name of the store.
  std::string bucket;  // Empty: the store itself (all its buckets). kLocal: a folder, or "".
  std::string key;     // Or prefix; may be empty.

  // Whether it names a folder for sure: nothing behind the bucket, or a '/' at the end.
  [[nodiscard]] bool folder() const { return key.empty() || key.ends_with('/'); }
  // As typed, but with another key behind the bucket.
  [[nodiscard]] std::string WithKey(std::string_view other_key) const;
};

// kInvalidInput: neither of the three forms; says what is missing. Does not look at any store, but
// at the local file system for paths: a folder that exists is one also without a '/' at its end.
Result<CommandAddress> ParseCommandAddress(std::string_view text);

// `error`, saying where: an address stands in place of the BUCKET/KEY that the message names
// ("get west:logs/a: …"), else before the message.
Error At(const CommandAddress& address, const Error& error);

}  // namespace longhaul
