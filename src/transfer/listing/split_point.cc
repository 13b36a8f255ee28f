#include "transfer/listing/split_point.h"

#include <algorithm>
#include <limits>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr size_t kLettersMax = 256;
constexpr size_t kSplitBytesMax = 1024;
constexpr uint32_t kNoCharacter = 0x110000;  // Bytes that are no UTF-8: after all characters.
constexpr uint32_t kSurrogates = 0xD800;
// What the last page's keys share beyond this with each other, but not with the end of the range,
// is searched through by length.
constexpr size_t kDeeperBytes = 2;

// The character at `at` and its length; a byte that is no UTF-8 is one of its own.
uint32_t CharacterAt(std::string_view text, size_t at, size_t& length) {
  length = Utf8Length(text, at);
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  switch (length) {
    case 1:
      return byte(at);
    case 2:
      return (byte(at) & 0x1F) << 6 | (byte(at + 1) & 0x3F);
    case 3:
      return (byte(at) & 0x0F) << 12 | (byte(at + 1) & 0x3F) << 6 | (byte(at + 2) & 0x3F);
    case 4:
      return (byte(at) & 0x07) << 18 | (byte(at + 1) & 0x3F) << 12 | (byte(at + 2) & 0x3F) << 6 |
             (byte(at + 3) & 0x3F);
    default:
      length = 1;
      return kNoCharacter;
  }
}

void AppendCharacter(std::string& to, uint32_t character) {
  auto add = [&to](uint32_t byte) { to += static_cast<char>(byte); };
  if (character < 0x80) {
    add(character);
  } else if (character < 0x800) {
    add(0xC0 | character >> 6);
    add(0x80 | (character & 0x3F));
  } else {
    add(0xE0 | character >> 12);
    add(0x80 | (character >> 6 & 0x3F));
    add(0x80 | (character & 0x3F));
  }
}

// Characters that a split point may get.
bool IsLetter(uint32_t character) {
  if (character <= ' ' || character >= kSurrogates) return false;
  if (character >= 0x7F && character < 0xA0) return false;
  constexpr std::string_view kTroubled = "/.\\+%&<>\"'?#*";
  return character >= 0x80 || !kTroubled.contains(static_cast<char>(character));
}

// The bytes that two keys have in common, up to where a character begins.
size_t CommonBytes(std::string_view one, std::string_view two) {
  size_t common = static_cast<size_t>(std::ranges::mismatch(one, two).in1 - one.begin());
  while (common > 0 && common < one.size() && (one[common] & 0xC0) == 0x80) --common;
  return common;
}

size_t SharedWithEnd(const RangeView& range) {
  size_t shared = range.up_to.empty() ? 0 : CommonBytes(range.at, range.up_to);
  return std::max(shared, std::min(range.prefix_bytes, range.at.size()));
}

bool Fits(const std::string& point, const RangeView& range) {
  return point > range.at && (range.up_to.empty() || point < range.up_to) &&
         point.size() <= kSplitBytesMax && IsSendableKey(point);
}

// After all keys that go on as `at` does for `length` bytes, if that is inside the range.
std::optional<std::string> AfterAllLike(const RangeView& range, size_t length) {
  while (length > 0 && length < range.at.size() && (range.at[length] & 0xC0) == 0x80) --length;
  std::string point(range.at.substr(0, length));
  point += '~';
  if (!Fits(point, range)) return std::nullopt;
  return point;
}

}  // namespace

bool IsSendableKey(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    uint32_t character = CharacterAt(text, at, length);
    if (character < ' ' || (character >= 0x7F && character < 0xA0) || character >= kSurrogates) {
      return false;
    }
    at += length;
  }
  return true;
}

void KeyAlphabet::Learn(std::string_view key) {
  for (size_t at = 0; at < key.size();) {
    size_t length = 0;
    uint32_t character = CharacterAt(key, at, length);
    at += length;
    if (!IsLetter(character) || letters_.size() >= kLettersMax) continue;
    auto place = std::ranges::lower_bound(letters_, character);
    if (place == letters_.end() || *place != character) letters_.insert(place, character);
  }
}

size_t KeyAlphabet::DigitOf(uint32_t character) const {
  // What comes after all letters is a digit of its own: split points end with such a one.
  if (letters_.empty() || character > letters_.back()) return letters_.size() + 1;
  return static_cast<size_t>(std::ranges::upper_bound(letters_, character) - letters_.begin());
}

double KeyAlphabet::Position(std::string_view key, size_t skip) const {
  const double radix = static_cast<double>(letters_.size()) + 2;
  double scale = 1;
  double position = 0;
  for (size_t at = skip; at < key.size() && scale > 1e-16;) {
    size_t length = 0;
    uint32_t character = CharacterAt(key, at, length);
    at += length;
    scale /= radix;
    position += scale * static_cast<double>(DigitOf(character));
  }
  return position;
}

std::optional<std::string> KeyAlphabet::Middle(std::string_view low, std::string_view high,
                                               size_t skip) const {
  if (letters_.empty()) return std::nullopt;
  const double from = Position(low, skip);
  const double to = high.empty() ? 1 : Position(high, skip);
  if (!(from < to)) return std::nullopt;
  const double radix = static_cast<double>(letters_.size()) + 2;
  double rest = (from + to) / 2;
  double scale = 1;
  std::string middle(low.substr(0, skip));
  for (int digits = 0; digits < 16; ++digits) {
    rest *= radix;
    scale /= radix;
    size_t digit = std::min(static_cast<size_t>(rest), letters_.size() + 1);
    rest -= static_cast<double>(digit);
    AppendCharacter(middle, letters_[std::clamp<size_t>(digit, 1, letters_.size()) - 1]);
    bool between = middle > low && (high.empty() || middle < high);
    if (between && scale < (to - from) / 8) return middle;
    if (scale < 1e-16) break;
  }
  if (middle > low && (high.empty() || middle < high)) return middle;
  return std::nullopt;
}

double EstimatePages(const KeyAlphabet& alphabet, const RangeView& range) {
  const size_t skip = SharedWithEnd(range);
  const double from = alphabet.Position(range.first, std::min(skip, range.first.size()));
  const double at = alphabet.Position(range.at, skip);
  const double to = range.up_to.empty() ? 1 : alphabet.Position(range.up_to, skip);
  // Where the page began before what `at` and the end share, the range is nearly done.
  if (!range.first.substr(0, skip).starts_with(range.at.substr(0, skip))) return 1;
  if (at <= from) return std::numeric_limits<double>::max();
  if (to <= at) return 1;
  return (to - at) / (at - from);
}

std::optional<std::string> ChooseSplitPoint(const KeyAlphabet& alphabet, const RangeView& range) {
  const size_t shared = SharedWithEnd(range);
  const size_t alike = CommonBytes(range.at, range.first);
  if (alike > shared + kDeeperBytes) {
    const size_t half = (shared + alike + 1) / 2;
    for (size_t length = half; length <= std::min(alike, half + 3); ++length) {
      if (auto point = AfterAllLike(range, length)) return point;
    }
  }
  std::optional<std::string> middle = alphabet.Middle(range.at, range.up_to, shared);
  if (middle && Fits(*middle, range)) return middle;
  for (size_t length = shared; length <= shared + 3 && length < range.at.size(); ++length) {
    if (auto point = AfterAllLike(range, length)) return point;
  }
  return std::nullopt;
}

}  // namespace longhaul
