// Where a range of keys is cut in two, judged by the keys that have come back from it.
//
// Nothing is assumed about how keys are made. The characters seen so far are the digits in which
// keys are numbers, and the middle of two keys is the middle of these. Where a page's keys have
// much more in common with each other than with the end of the range (200 bytes of prefix, one hot
// subtree), the middle says little: then the length of what they share is halved instead, which
// finds the depth at which keys begin to differ in a few steps.
//
// A split point can be sent and sorted by every server: valid UTF-8 without control characters, and
// without what UTF-16 sorts elsewhere (from U+D800 on); what is added to a key is nothing that
// servers with folders take apart ("/", ".").

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

// The characters that keys are made of.
class KeyAlphabet {
 public:
  void Learn(std::string_view key);

  // `key` from byte `skip` on as a fraction: monotone in the order of keys but for characters
  // between two known ones, which count as the lower one.
  [[nodiscard]] double Position(std::string_view key, size_t skip) const;
  // A text between `low` and `high`, both of which go on differently after `skip` bytes, near the
  // middle; an empty `high` is the end of all keys that share these bytes.
  [[nodiscard]] std::optional<std::string> Middle(std::string_view low, std::string_view high,
                                                  size_t skip) const;

 private:
  [[nodiscard]] size_t DigitOf(uint32_t character) const;

  std::vector<uint32_t> letters_;  // Ascending, at most kLettersMax.
};

// What is known of a range: its last page went from `first` to `at`, and it ends with `up_to`
// (empty: with the last key that has `prefix_bytes` in common with `at`).
struct RangeView {
  std::string_view first;
  std::string_view at;
  std::string_view up_to;
  size_t prefix_bytes = 0;
};

// How many pages like the last one the rest of the range may have. Huge: nothing can be said.
double EstimatePages(const KeyAlphabet& alphabet, const RangeView& range);
// at < point < up_to; nullopt: there is none that can be sent.
std::optional<std::string> ChooseSplitPoint(const KeyAlphabet& alphabet, const RangeView& range);

// Whether `text` can be a split point.
bool IsSendableKey(std::string_view text);

}  // namespace longhaul
