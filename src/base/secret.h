// Secret: a text that no log line, error message or stream can hold by accident.

#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

namespace longhaul {

// Takes as long for texts that differ in the first byte as for equal ones; only the lengths show.
inline bool EqualInConstantTime(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  // The text itself. Write this word only where it is signed with, sent or compared.
  [[nodiscard]] const std::string& Reveal() const { return value_; }
  [[nodiscard]] bool empty() const { return value_.empty(); }

  friend bool operator==(const Secret& a, const Secret& b) {
    return EqualInConstantTime(a.value_, b.value_);
  }

 private:
  std::string value_;
};

template <class Stream>
Stream& operator<<(Stream&, const Secret&) = delete;
// GoogleTest would print the raw bytes of a type that it does not know.
void PrintTo(const Secret& secret, std::ostream* out);

}  // namespace longhaul
