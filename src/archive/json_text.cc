#include "archive/json_text.h"

#include <cctype>
#include <charconv>

namespace longhaul::archive {
namespace {

constexpr uint32_t kByteBase = 0x10FF00;
constexpr int kDepthMax = 32;
constexpr size_t kNameBytesMax = 8 << 10;

// The length of the valid UTF-8 character at the start of `text`, 0 when there is none.
size_t CharacterBytes(std::string_view text, uint32_t& character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    character = first;
    return 1;
  }
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  character = first & (0xFFU >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    character = character << 6 | (byte(i) & 0x3FU);
  }
  const bool shortest = size == 2 || character >= (size == 3 ? 0x800U : 0x10000U);
  const bool surrogate = character >= 0xD800 && character <= 0xDFFF;
  return shortest && !surrogate && character <= 0x10FFFF ? size : 0;
}

void AppendUtf8(std::string& out, uint32_t character) {
  if (character < 0x80) {
    out += static_cast<char>(character);
  } else if (character < 0x800) {
    out += static_cast<char>(0xC0 | character >> 6);
    out += static_cast<char>(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    out += static_cast<char>(0xE0 | character >> 12);
    out += static_cast<char>(0x80 | (character >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (character & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | character >> 18);
    out += static_cast<char>(0x80 | (character >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (character >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (character & 0x3F));
  }
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  for (size_t i = 0; i < bytes.size();) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += bytes[i++];
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
      ++i;
    } else if (byte < 0x80) {
      out += bytes[i++];
    } else {
      uint32_t character = 0;
      const size_t size = CharacterBytes(bytes.substr(i), character);
      if (size > 0 && character < kByteBase) {
        out += bytes.substr(i, size);
        i += size;
      } else {
        AppendUtf8(out, kByteBase + byte);
        ++i;
      }
    }
  }
  out += '"';
}

void JsonCursor::SkipWhiteSpace() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
    ++at_;
  }
}

char JsonCursor::Peek() {
  if (!ok_) return '\0';
  SkipWhiteSpace();
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonCursor::Take(char c) {
  if (Peek() != c || at_ >= text_.size()) return false;
  ++at_;
  return true;
}

void JsonCursor::Expect(char c) {
  if (!Take(c)) ok_ = false;
}

bool JsonCursor::HexUnit(uint32_t& unit) {
  if (text_.size() - at_ < 4) return false;
  const char* begin = text_.data() + at_;
  const auto [end, error] = std::from_chars(begin, begin + 4, unit, 16);
  at_ += 4;
  return error == std::errc() && end == begin + 4;
}

size_t JsonCursor::String(std::string* out) {
  if (out != nullptr) out->clear();
  Expect('"');
  size_t size = 0;
  std::string encoded;
  auto put = [&](std::string_view bytes) {
    size += bytes.size();
    if (out != nullptr) out->append(bytes);
  };
  while (ok_) {
    size_t plain = at_;
    while (plain < text_.size() && text_[plain] != '"' && text_[plain] != '\\' &&
           static_cast<unsigned char>(text_[plain]) >= 0x20 &&
           static_cast<unsigned char>(text_[plain]) < 0x80) {
      ++plain;
    }
    put(text_.substr(at_, plain - at_));
    at_ = plain;
    if (at_ >= text_.size()) break;
    const char c = text_[at_];
    uint32_t character = 0;
    if (c == '"') {
      ++at_;
      return size;
    }
    if (c == '\\') {
      if (++at_ >= text_.size()) break;
      const char escape = text_[at_++];
      static constexpr std::string_view kEscapes = "\"\\/bfnrt";
      static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
      if (const size_t index = kEscapes.find(escape); index != std::string_view::npos) {
        character = static_cast<unsigned char>(kMeanings[index]);
      } else if (escape != 'u' || !HexUnit(character)) {
        break;
      } else if (character >= 0xD800 && character <= 0xDFFF) {
        uint32_t low = 0;
        if (character >= 0xDC00 || text_.substr(at_, 2) != "\\u") break;
        at_ += 2;
        if (!HexUnit(low) || low < 0xDC00 || low > 0xDFFF) break;
        character = 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00);
      }
    } else {
      const size_t bytes = CharacterBytes(text_.substr(at_), character);
      if (bytes == 0 || character < 0x20) break;
      at_ += bytes;
    }
    encoded.clear();
    if (character >= kByteBase) {
      encoded += static_cast<char>(character - kByteBase);
    } else {
      AppendUtf8(encoded, character);
    }
    put(encoded);
  }
  ok_ = false;
  return size;
}

int64_t JsonCursor::Integer() {
  Peek();
  if (!ok_) return 0;
  int64_t value = 0;
  const char* begin = text_.data() + at_;
  const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
  if (error != std::errc()) {
    ok_ = false;
    return 0;
  }
  at_ += static_cast<size_t>(end - begin);
  if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E')) {
    ok_ = false;
  }
  return value;
}

bool JsonCursor::NextElement(bool& first) {
  if (Take(']')) return false;
  if (!first) Expect(',');
  first = false;
  return ok_;
}

bool JsonCursor::NextMember(bool& first, std::string& name) {
  if (Take('}')) return false;
  if (!first) Expect(',');
  first = false;
  if (String(&name) > kNameBytesMax) ok_ = false;
  Expect(':');
  return ok_;
}

void JsonCursor::Skip() { SkipValue(0); }

void JsonCursor::SkipValue(int depth) {
  if (depth > kDepthMax) ok_ = false;
  const char c = Peek();
  if (!ok_) return;
  bool first = true;
  if (c == '"') {
    String(nullptr);
  } else if (Take('[')) {
    while (NextElement(first)) SkipValue(depth + 1);
  } else if (Take('{')) {
    while (!Take('}') && ok_) {
      if (!first) Expect(',');
      first = false;
      String(nullptr);
      Expect(':');
      SkipValue(depth + 1);
    }
  } else {
    // A number or a word: its spelling does not matter to who passes over it, its end does.
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  text_[at_] == '-' || text_[at_] == '+' || text_[at_] == '.')) {
      ++at_;
    }
    if (at_ == start) ok_ = false;
  }
}

void JsonCursor::AtEnd() {
  if (Peek() != '\0' || at_ < text_.size()) ok_ = false;
}

}  // namespace longhaul::archive
