// Row: a value in State as named texts, numbers and lists of texts.
//
// Written as one line of JSON. Texts are bytes, as keys are (archive/json_text.h). Whoever reads a
// name that is not there gets nothing or 0, so that rows of an older version stay readable.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

class Row {
 public:
  // kCorrupt: not what Encode writes.
  static Result<Row> Decode(std::string_view text);
  [[nodiscard]] std::string Encode() const;

  Row& Set(std::string_view name, std::string text);
  Row& Set(std::string_view name, const char* text) { return Set(name, std::string(text)); }
  Row& Set(std::string_view name, int64_t number);
  Row& Set(std::string_view name, uint64_t number) {
    return Set(name, static_cast<int64_t>(number));
  }
  Row& Set(std::string_view name, int number) { return Set(name, static_cast<int64_t>(number)); }
  Row& Set(std::string_view name, bool value) { return Set(name, static_cast<int64_t>(value)); }
  Row& Set(std::string_view name, SystemTime time);
  Row& Set(std::string_view name, std::vector<std::string> texts);

  [[nodiscard]] const std::string& Text(std::string_view name) const;
  [[nodiscard]] int64_t Number(std::string_view name) const;
  [[nodiscard]] bool Flag(std::string_view name) const { return Number(name) != 0; }
  [[nodiscard]] const std::vector<std::string>& Texts(std::string_view name) const;
  // nullopt: it is not there.
  [[nodiscard]] std::optional<SystemTime> Time(std::string_view name) const;

 private:
  std::map<std::string, std::string, std::less<>> texts_;
  std::map<std::string, int64_t, std::less<>> numbers_;
  std::map<std::string, std::vector<std::string>, std::less<>> lists_;
};

}  // namespace longhaul
