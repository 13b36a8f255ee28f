#include "replication/staging/seal.h"

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

SealKey KeyOf(const Secret& secret) {
  const std::string& text = secret.Reveal();
  return {.id = HexEncode(Sha256("longhaul seal key id\n" + text)).substr(0, 8), .secret = text};
}

}  // namespace

std::vector<SealKey> SealKeys(const Rule& rule) {
  std::vector<SealKey> keys;
  if (rule.seal_key.empty()) return keys;
  keys.push_back(KeyOf(rule.seal_key));
  for (const Secret& accepted : rule.seal_keys_accepted) keys.push_back(KeyOf(accepted));
  return keys;
}

}  // namespace longhaul
