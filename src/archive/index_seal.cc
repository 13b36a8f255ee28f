#include <algorithm>
#include <cctype>

#include "archive/index.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/secret.h"

namespace longhaul::archive {
namespace {

constexpr std::string_view kDigestField = ",\"digest\":\"";
constexpr std::string_view kSealField = ",\"seal\":{\"key\":\"";
constexpr std::string_view kHmacField = "\",\"hmac\":\"";
constexpr size_t kHexBytes = 64;
constexpr size_t kKeyIdBytesMax = 64;

}  // namespace

Result<std::string> CheckSeal(std::string_view text, const std::vector<SealKey>& keys) {
  const Error malformed = Corrupt("the index does not end in its digest: damaged or cut off");
  const size_t field = text.rfind(kDigestField);
  if (field == std::string_view::npos) return malformed;
  std::string_view rest = text.substr(field + kDigestField.size());
  if (rest.size() < kHexBytes + 2 || rest[kHexBytes] != '"') return malformed;
  const auto digest = HexDecode(rest.substr(0, kHexBytes));
  if (!digest) return malformed;
  rest.remove_prefix(kHexBytes + 1);
  const std::string_view sealed = text.substr(0, text.size() - rest.size());

  std::string key_id;
  std::string hmac;
  if (rest != "}") {
    const size_t id_end = rest.find(kHmacField);
    if (!rest.starts_with(kSealField) || id_end == std::string_view::npos ||
        id_end < kSealField.size() || id_end - kSealField.size() > kKeyIdBytesMax) {
      return malformed;
    }
    key_id = rest.substr(kSealField.size(), id_end - kSealField.size());
    rest.remove_prefix(id_end + kHmacField.size());
    const auto decoded = HexDecode(rest.substr(0, kHexBytes));
    if (!decoded || decoded->size() != 32 || key_id.empty() ||
        rest.substr(decoded->size() * 2) != "\"}}") {
      return malformed;
    }
    hmac = *decoded;
  }
  if (Sha256(text.substr(0, field)) != *digest) {
    return Corrupt("the index does not have its digest: damaged");
  }
  if (keys.empty()) return key_id;
  if (key_id.empty()) {
    return InvalidInput("the archive has no seal, and only sealed ones are accepted here");
  }
  const auto key = std::ranges::find(keys, key_id, &SealKey::id);
  if (key == keys.end()) {
    const bool plain = std::ranges::all_of(key_id, [](unsigned char c) {
      return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
    });
    return InvalidInput("the archive is sealed with the unknown key " +
                        (plain ? key_id : HexEncode(key_id).substr(0, 128) + " (hex of its id)"));
  }
  const std::string expected = HmacSha256(key->secret, sealed);
  if (!EqualInConstantTime(expected, hmac)) {
    return Corrupt("the seal of the archive does not fit: not made by its key");
  }
  return key_id;
}

}  // namespace longhaul::archive
