// JSON as the index uses it: text that is written as it grows and read in place, without a tree.
//
// A tree costs a reader of hostile input up to twelve times the text; a cursor costs nothing.
//
// Strings of an archive are bytes. A byte that is not part of valid UTF-8, and each byte of a
// character from U+10FF00 to U+10FFFF, is written as the character U+10FF00 + byte. So every string
// of bytes has one JSON string and the other way round.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul::archive {

// The string with its quotes.
void AppendJsonString(std::string& out, std::string_view bytes);

// Walks through JSON text. After the first mistake `ok()` is false and stays so; calls then do
// nothing, so that a caller may look once at the end of what belongs together.
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text, size_t at = 0) : text_(text), at_(at) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] size_t at() const { return at_; }
  // The next character after white space, not taken; NUL at the end.
  char Peek();
  // Takes `c` if it comes next.
  bool Take(char c);
  // Takes `c`, or else fails.
  void Expect(char c);
  // Decodes a string into `out`, or only counts when it is null. Returns its size in bytes.
  size_t String(std::string* out);
  // A whole number; a fraction or an exponent is a failure.
  int64_t Integer();
  // Passes over any value, nested at most 32 deep.
  void Skip();
  // [ element, … ]: call before each element; false after the last one.
  bool NextElement(bool& first);
  // { "name": value, … }: the same; puts the name into `name`.
  bool NextMember(bool& first, std::string& name);
  void AtEnd();  // Fails when anything but white space follows.
  void Fail() { ok_ = false; }

 private:
  void SkipWhiteSpace();
  void SkipValue(int depth);
  bool HexUnit(uint32_t& unit);

  std::string_view text_;
  size_t at_;
  bool ok_ = true;
};

}  // namespace longhaul::archive
