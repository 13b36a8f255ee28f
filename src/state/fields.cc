#include "state/fields.h"

#include <charconv>

#include "base/bytes.h"

namespace longhaul {

std::string Fields::Get(const std::string& name) const {
  auto found = values_.find(name);
  return found == values_.end() ? "" : found->second;
}

uint64_t Fields::GetNumber(const std::string& name) const {
  const std::string text = Get(name);
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

SystemTime Fields::GetTime(const std::string& name) const {
  Result<SystemTime> time = ParseRfc3339(Get(name));
  return time ? *time : SystemTime{};
}

std::string Fields::Write() const {
  std::string text;
  for (const auto& [name, value] : values_) {
    text += PercentEncode(name, Slash::kKeep) + "=" + PercentEncode(value, Slash::kKeep) + "\n";
  }
  return text;
}

Result<Fields> Fields::Read(std::string_view text) {
  Fields fields;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    size_t equals = line.find('=');
    if (end == std::string_view::npos || equals == std::string_view::npos) {
      return Corrupt("a row of State that is no list of fields");
    }
    text.remove_prefix(end + 1);
    Result<std::string> name = PercentDecode(line.substr(0, equals));
    Result<std::string> value = PercentDecode(line.substr(equals + 1));
    if (!name || !value) return Corrupt("a row of State with a field that cannot be read");
    fields.Set(std::move(*name), std::move(*value));
  }
  return fields;
}

}  // namespace longhaul
