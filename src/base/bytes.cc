#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace longhaul {

namespace {

constexpr char kHexLower[] = "0123456789abcdef";
constexpr char kHexUpper[] = "0123456789ABCDEF";
// Both digits of each byte.
constexpr auto kHexPairs = [] {
  std::array<std::array<char, 2>, 256> pairs{};
  for (size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kHexLower[i >> 4], kHexLower[i & 15]};
  return pairs;
}();
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> ReverseTable(std::string_view alphabet) {
  std::array<int8_t, 256> table{};
  for (auto& entry : table) entry = -1;
  for (size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
  }
  return table;
}
constexpr auto kBase64Value = ReverseTable(kBase64);

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr auto kUnreserved = [] {
  std::array<bool, 256> table{};
  for (char c :
       std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")) {
    table[static_cast<uint8_t>(c)] = true;
  }
  return table;
}();

Result<std::string> Decode(std::string_view text, bool plus_is_space) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      bytes += ' ';
    } else if (text[i] != '%') {
      bytes += text[i];
    } else {
      int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
      int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return InvalidInput("a % without two hex digits at byte " + std::to_string(i));
      }
      bytes += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return bytes;
}

}  // namespace

std::string HexEncode(std::string_view bytes) {
  std::string text(bytes.size() * 2, '\0');
  char* out = text.data();
  for (char c : bytes) {
    std::memcpy(out, kHexPairs[static_cast<uint8_t>(c)].data(), 2);
    out += 2;
  }
  return text;
}

Result<std::string> HexDecode(std::string_view text) {
  if (text.size() % 2 != 0) return InvalidInput("hex text of odd length");
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = HexValue(text[i]);
    int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) return InvalidInput("not a hex digit at byte " + std::to_string(i));
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::string Base64Encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    }
    text += kBase64[group >> 18];
    text += kBase64[group >> 12 & 63];
    text += count > 1 ? kBase64[group >> 6 & 63] : '=';
    text += count > 2 ? kBase64[group & 63] : '=';
  }
  return text;
}

Result<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return InvalidInput("base64 text whose length is not a multiple of 4");
  size_t padding = 0;
  if (text.ends_with("==")) {
    padding = 2;
  } else if (text.ends_with('=')) {
    padding = 1;
  }
  std::string_view digits = text.substr(0, text.size() - padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  int bits = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int value = kBase64Value[static_cast<uint8_t>(digits[i])];
    if (value < 0) return InvalidInput("not a base64 digit at byte " + std::to_string(i));
    group = group << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(group >> bits & 0xff);
    }
  }
  if ((group & ((1U << bits) - 1)) != 0) {
    return InvalidInput("base64 text with bits beyond its last byte");
  }
  return bytes;
}

std::string PercentEncode(std::string_view bytes, Slash slash) {
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 4);
  size_t begin = 0;  // Of what goes as it is, which is mostly all.
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto c = static_cast<uint8_t>(bytes[i]);
    if (kUnreserved[c] || (c == '/' && slash == Slash::kKeep)) continue;
    text.append(bytes, begin, i - begin);
    begin = i + 1;
    text += '%';
    text += kHexUpper[c >> 4];
    text += kHexUpper[c & 15];
  }
  text.append(bytes, begin);
  return text;
}

Result<std::string> PercentDecode(std::string_view text) { return Decode(text, false); }
Result<std::string> FormDecode(std::string_view text) { return Decode(text, true); }

}  // namespace longhaul
