// Fields: a row's value as named texts of any bytes, as keys of objects are: one line for each,
// "name=value", both sides percent-encoded. Readers ignore names that they do not know.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

class Fields {
 public:
  void Set(std::string name, std::string value) { values_[std::move(name)] = std::move(value); }
  void SetNumber(std::string name, uint64_t value) { Set(std::move(name), std::to_string(value)); }
  void SetTime(std::string name, SystemTime value) { Set(std::move(name), FormatRfc3339(value)); }

  // Empty, 0 or the beginning of time where there is none, or it is none.
  [[nodiscard]] std::string Get(const std::string& name) const;
  [[nodiscard]] uint64_t GetNumber(const std::string& name) const;
  [[nodiscard]] SystemTime GetTime(const std::string& name) const;
  [[nodiscard]] bool Has(const std::string& name) const { return values_.contains(name); }

  [[nodiscard]] std::string Write() const;
  // kCorrupt: not that.
  static Result<Fields> Read(std::string_view text);

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace longhaul
