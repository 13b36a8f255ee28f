#include "transfer/runs/row.h"

#include <chrono>

#include "archive/json_text.h"

namespace longhaul {

namespace {

void AppendName(std::string& out, std::string_view name) {
  out += out.size() > 1 ? "," : "";
  archive::AppendJsonString(out, name);
  out += ':';
}

}  // namespace

Row& Row::Set(std::string_view name, std::string text) {
  texts_.insert_or_assign(std::string(name), std::move(text));
  return *this;
}
Row& Row::Set(std::string_view name, int64_t number) {
  numbers_.insert_or_assign(std::string(name), number);
  return *this;
}
Row& Row::Set(std::string_view name, SystemTime time) {
  return Set(name, static_cast<int64_t>(time.time_since_epoch().count()));
}
Row& Row::Set(std::string_view name, std::vector<std::string> texts) {
  lists_.insert_or_assign(std::string(name), std::move(texts));
  return *this;
}

const std::string& Row::Text(std::string_view name) const {
  static const std::string kNothing;
  auto found = texts_.find(name);
  return found == texts_.end() ? kNothing : found->second;
}
int64_t Row::Number(std::string_view name) const {
  auto found = numbers_.find(name);
  return found == numbers_.end() ? 0 : found->second;
}
const std::vector<std::string>& Row::Texts(std::string_view name) const {
  static const std::vector<std::string> kNothing;
  auto found = lists_.find(name);
  return found == lists_.end() ? kNothing : found->second;
}
std::optional<SystemTime> Row::Time(std::string_view name) const {
  auto found = numbers_.find(name);
  if (found == numbers_.end()) return std::nullopt;
  return SystemTime(std::chrono::microseconds(found->second));
}

std::string Row::Encode() const {
  std::string out = "{";
  for (const auto& [name, number] : numbers_) {
    AppendName(out, name);
    out += std::to_string(number);
  }
  for (const auto& [name, text] : texts_) {
    if (text.empty()) continue;
    AppendName(out, name);
    archive::AppendJsonString(out, text);
  }
  for (const auto& [name, texts] : lists_) {
    if (texts.empty()) continue;
    AppendName(out, name);
    out += '[';
    for (size_t i = 0; i < texts.size(); ++i) {
      if (i > 0) out += ',';
      archive::AppendJsonString(out, texts[i]);
    }
    out += ']';
  }
  out += '}';
  return out;
}

Result<Row> Row::Decode(std::string_view text) {
  Row row;
  archive::JsonCursor cursor(text);
  bool first = true;
  std::string name;
  cursor.Expect('{');
  while (cursor.ok() && cursor.NextMember(first, name)) {
    const char next = cursor.Peek();
    if (next == '"') {
      cursor.String(&row.texts_[name]);
    } else if (next == '[') {
      std::vector<std::string>& list = row.lists_[name];
      bool first_element = true;
      cursor.Expect('[');
      while (cursor.ok() && cursor.NextElement(first_element)) cursor.String(&list.emplace_back());
    } else {
      row.numbers_[name] = cursor.Integer();
    }
  }
  cursor.AtEnd();
  if (!cursor.ok()) {
    return Corrupt("State holds what cannot be read: " + std::string(text.substr(0, 200)));
  }
  return row;
}

}  // namespace longhaul
