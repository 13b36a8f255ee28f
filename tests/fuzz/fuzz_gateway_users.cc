// Any bytes as a file of users: no crash, and no user without a key, a secret or a right.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "gateway/access/users.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  Result<std::vector<GatewayUser>> users =
      ParseGatewayUsers({reinterpret_cast<const char*>(data), size}, "users.yaml",
                        [](std::string_view) { return std::optional<std::string>(); });
  if (!users) return 0;
  for (const GatewayUser& user : *users) {
    LH_CHECK(!user.access_key_id.empty() && !user.secret_access_key.empty());
    LH_CHECK(!user.read.empty() || !user.write.empty());
  }
  return 0;
}
