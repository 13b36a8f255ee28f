// The columns of an index, read in place: one value after another, without taking memory for them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "archive/json_text.h"
#include "base/result.h"

namespace longhaul::archive {

// What is said of an index that does not follow its grammar.
inline Error MalformedIndex(std::string_view what) {
  return Corrupt("the index is malformed: " + std::string(what));
}

// [n, n, …], or n where all are the same, or { "first", "unit", "step" }.
class NumberColumn {
 public:
  NumberColumn(std::string_view text, size_t at) : cursor_(text, at) {
    if (cursor_.Take('[')) {
      form_ = Form::kArray;
    } else {
      value_ = cursor_.Integer();
    }
  }

  int64_t Next() {
    if (form_ == Form::kConstant) return value_;
    if (!cursor_.NextElement(first_)) cursor_.Fail();
    return cursor_.Integer();
  }
  // After the last value: whether there were neither too few nor too many.
  bool Done() {
    return cursor_.ok() && (form_ == Form::kConstant || !cursor_.NextElement(first_)) &&
           cursor_.ok();
  }

 private:
  enum class Form { kConstant, kArray };
  JsonCursor cursor_;
  Form form_ = Form::kConstant;
  bool first_ = true;
  int64_t value_ = 0;
};

// Stamps: the first one, then steps.
class StampColumn {
 public:
  StampColumn(std::string_view text, size_t at) : steps_(text, at) {
    JsonCursor cursor(text, at);
    cursor.Expect('{');
    bool first = true;
    std::string name;
    size_t steps_at = 0;
    while (cursor.ok() && cursor.NextMember(first, name)) {
      if (name == "first") {
        value_ = cursor.Integer();
      } else if (name == "unit") {
        unit_ = cursor.Integer();
      } else {
        if (name == "step") {
          cursor.Peek();
          steps_at = cursor.at();
        }
        cursor.Skip();
      }
    }
    ok_ = cursor.ok() && steps_at != 0;
    if (ok_) steps_ = NumberColumn(text, steps_at);
  }

  int64_t Next() {
    if (start_) {
      start_ = false;
      return value_;
    }
    int64_t step = 0;
    if (__builtin_mul_overflow(steps_.Next(), unit_, &step) ||
        __builtin_add_overflow(value_, step, &value_)) {
      ok_ = false;
    }
    return value_;
  }
  bool Done() { return ok_ && steps_.Done(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  NumberColumn steps_;
  int64_t value_ = 0;
  int64_t unit_ = 1;
  bool start_ = true;
  bool ok_ = false;
};

// ["…", …], or "…" where all are the same.
class StringColumn {
 public:
  StringColumn(std::string_view text, size_t at) : cursor_(text, at) {
    if (cursor_.Take('[')) {
      array_ = true;
    } else {
      cursor_.String(&constant_);
    }
  }

  // The next value, or only its size when `out` is null.
  size_t Next(std::string* out) {
    if (!array_) {
      if (out != nullptr) *out = constant_;
      return constant_.size();
    }
    if (!cursor_.NextElement(first_)) cursor_.Fail();
    return cursor_.String(out);
  }
  bool Done() { return cursor_.ok() && (!array_ || !cursor_.NextElement(first_)) && cursor_.ok(); }
  [[nodiscard]] bool ok() const { return cursor_.ok(); }

 private:
  JsonCursor cursor_;
  bool array_ = false;
  bool first_ = true;
  std::string constant_;
};

}  // namespace longhaul::archive
