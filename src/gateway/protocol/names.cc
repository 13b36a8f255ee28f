#include "gateway/protocol/names.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "gateway/protocol/errors.h"

namespace longhaul {
namespace {

constexpr size_t kBucketSizeMin = 3;
constexpr size_t kBucketSizeMax = 63;
constexpr size_t kKeyBytesMax = 1024;
constexpr size_t kTagKeySizeMax = 128;  // In characters, as is the next.
constexpr size_t kTagValueSizeMax = 256;
// Names that S3 keeps for itself.
constexpr std::array<std::string_view, 3> kPrefixes = {"xn--", "sthree-", "amzn-s3-demo-"};
constexpr std::array<std::string_view, 5> kSuffixes = {"-s3alias", "--ol-s3", ".mrap", "--x-s3",
                                                       "--table-s3"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetterOrDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z'); }

// "192.168.5.4": four groups of digits.
bool LooksLikeAnAddress(std::string_view name) {
  return std::ranges::count(name, '.') == 3 &&
         std::ranges::all_of(name, [](char c) { return IsDigit(c) || c == '.'; });
}

// Code points, those beyond the first plane counted twice, as in UTF-16. The text is UTF-8.
size_t CharactersOf(std::string_view text) {
  size_t count = 0;
  for (char c : text) {
    unsigned char byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) != 0x80) count += byte >= 0xf0 ? 2 : 1;
  }
  return count;
}

}  // namespace

Result<void> CheckNewBucketName(std::string_view name) {
  bool right = name.size() >= kBucketSizeMin && name.size() <= kBucketSizeMax &&
               std::ranges::all_of(
                   name, [](char c) { return IsLetterOrDigit(c) || c == '.' || c == '-'; }) &&
               IsLetterOrDigit(name.front()) && IsLetterOrDigit(name.back());
  for (std::string_view pair : {"..", ".-", "-."}) right = right && !name.contains(pair);
  for (std::string_view prefix : kPrefixes) right = right && !name.starts_with(prefix);
  for (std::string_view suffix : kSuffixes) right = right && !name.ends_with(suffix);
  if (right && !LooksLikeAnAddress(name)) return Ok();
  return GatewayError("InvalidBucketName",
                      "The specified bucket is not valid: " + std::string(name));
}

Result<void> CheckNewKey(std::string_view key) {
  if (key.size() > kKeyBytesMax) return GatewayError("KeyTooLongError", "Your key is too long");
  if (IsUtf8(key)) return Ok();
  return GatewayError("InvalidURI", "Couldn't parse the specified URI: a key is UTF-8");
}

Result<void> CheckTags(const Tags& tags) {
  if (tags.size() > kGatewayTagsMax) {
    return GatewayError("BadRequest", "Object tags cannot be greater than 10");
  }
  for (const auto& [key, value] : tags) {
    if (key.empty() || !IsUtf8(key) || CharactersOf(key) > kTagKeySizeMax) {
      return GatewayError("InvalidTag", "The TagKey you have provided is invalid");
    }
    if (!IsUtf8(value) || CharactersOf(value) > kTagValueSizeMax) {
      return GatewayError("InvalidTag", "The TagValue you have provided is invalid");
    }
  }
  return Ok();
}

}  // namespace longhaul
