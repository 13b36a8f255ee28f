// Bytes as text and back: hex, base64, percent-encoding. Bytes travel as std::string, as they do in
// keys and bodies.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Lower case.
std::string HexEncode(std::string_view bytes);
// Either case. kInvalidInput: an odd length or anything but hex digits.
Result<std::string> HexDecode(std::string_view text);

// RFC 4648, 4: standard alphabet, padded.
std::string Base64Encode(std::string_view bytes);
// Strict: padded, no white space, no bits set beyond the last byte. kInvalidInput otherwise.
Result<std::string> Base64Decode(std::string_view text);

// What becomes of "/": SigV4 keeps it in a path and encodes it in a query.
enum class Slash { kEncode, kKeep };

// All but A-Z a-z 0-9 - . _ ~ become %XX in upper case (RFC 3986, 2.3; AWS SigV4, UriEncode).
std::string PercentEncode(std::string_view bytes, Slash slash);
// kInvalidInput: a % without two hex digits. "+" stays "+".
Result<std::string> PercentDecode(std::string_view text);
// The same, where "+" is a space: query strings of forms and keys in S3 notifications.
Result<std::string> FormDecode(std::string_view text);

}  // namespace longhaul
