#include "replication/seal.h"

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

std::vector<SealKey> SealKeys(const Rule& rule) {
  if (rule.seal_key.empty()) return {};
  std::string secret(rule.seal_key.Reveal());
  std::string id = HexEncode(Sha256("longhaul seal key id\n" + secret)).substr(0, 8);
  return {{.id = std::move(id), .secret = std::move(secret)}};
}

}  // namespace longhaul
