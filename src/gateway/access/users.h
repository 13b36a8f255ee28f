// The users of a gateway: who signs with which keys, and what each may read and write.
//
// A right is a bucket and the beginning of the keys in it, byte by byte: "logs/2026-" holds
// logs/2026-01.gz as well as logs/2026-02/x. Writing does not include reading.
//
// The file of `longhaul serve s3 --users FILE`:
//
//   users:
//     - name: loader
//       access_key_id: LOADER
//       secret_access_key: ${LOADER_SECRET}
//       read: ["raw/in/"]
//       write: ["raw/in/", "raw/done/"]
//     - name: everything
//       access_key_id: ADMIN
//       secret_access_key: ${ADMIN_SECRET}
//       read: ["*"]
//       write: ["*"]

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/yaml.h"

namespace longhaul {

struct GatewayRight {
  std::string bucket;  // "*": all of them.
  std::string prefix;

  // Whether all keys of `bucket` that begin so are held.
  [[nodiscard]] bool Holds(std::string_view of_bucket, std::string_view key_or_prefix) const;
  bool operator==(const GatewayRight&) const = default;
};

struct GatewayUser {
  std::string name;
  std::string access_key_id;
  Secret secret_access_key;
  std::vector<GatewayRight> read;
  std::vector<GatewayRight> write;

  [[nodiscard]] bool MayRead(std::string_view bucket, std::string_view key_or_prefix) const;
  [[nodiscard]] bool MayWrite(std::string_view bucket, std::string_view key_or_prefix) const;
  // Whether any right is in that bucket: then its name is no secret to the user.
  [[nodiscard]] bool Knows(std::string_view bucket) const;
};

// A user who may do everything.
GatewayUser GatewayOwner(std::string access_key_id, Secret secret_access_key);

// `file`: its name, for messages. kInvalidInput: every mistake with its place; among them two users
// of one name or key, a user without rights, more than 10,000 of them.
Result<std::vector<GatewayUser>> ParseGatewayUsers(std::string_view text, const std::string& file,
                                                   const Environment& environment);

}  // namespace longhaul
