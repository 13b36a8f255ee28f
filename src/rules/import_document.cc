#include "rules/import_document.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <charconv>
#include <pugixml.hpp>

#include "base/json.h"
#include "base/units.h"

namespace longhaul {

namespace json = boost::json;

namespace {

// "LINE:COLUMN" of a byte, both from 1.
std::string PlaceOf(std::string_view text, size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const size_t line = 1 + static_cast<size_t>(std::ranges::count(before, '\n'));
  const size_t line_start = before.rfind('\n');
  const size_t column = line_start == before.npos ? offset + 1 : offset - line_start;
  return std::to_string(line) + ":" + std::to_string(column);
}

class Converter {
 public:
  explicit Converter(ImportLimits limits) : limits_(limits) {}

  Result<ImportNode> Convert(const json::value& value) {
    if (++count_ > limits_.nodes_max) return TooMany();
    ImportNode node;
    switch (value.kind()) {
      case json::kind::null:
        return node;
      case json::kind::bool_:
        node.kind = ImportNode::Kind::kBoolean;
        node.text = value.get_bool() ? "true" : "false";
        return node;
      case json::kind::int64:
      case json::kind::uint64:
      case json::kind::double_:
        node.kind = ImportNode::Kind::kNumber;
        node.text = WriteJson(value);
        return node;
      case json::kind::string:
        node.kind = ImportNode::Kind::kText;
        node.text = std::string(value.get_string().data(), value.get_string().size());
        return node;
      case json::kind::array:
        node.kind = ImportNode::Kind::kList;
        for (const json::value& item : value.get_array()) {
          Result<ImportNode> converted = Convert(item);
          if (!converted) return converted.error();
          node.items.push_back(std::move(*converted));
        }
        return node;
      case json::kind::object:
        node.kind = ImportNode::Kind::kMap;
        for (const auto& member : value.get_object()) {
          Result<ImportNode> converted = Convert(member.value());
          if (!converted) return converted.error();
          node.members.push_back(
              {std::string(member.key().data(), member.key().size()), std::move(*converted)});
        }
        return node;
    }
    return node;
  }

  Result<ImportNode> Convert(pugi::xml_node element, int depth) {
    if (++count_ > limits_.nodes_max) return TooMany();
    if (depth > limits_.depth_max) return InvalidInput("nested too deeply");
    ImportNode node;
    node.xml = true;
    for (pugi::xml_attribute attribute : element.attributes()) {
      const std::string_view name = attribute.name();
      if (name == "xmlns" || name.starts_with("xmlns:") || name.starts_with("xsi:")) continue;
      ImportNode text;
      text.kind = ImportNode::Kind::kText;
      text.text = attribute.value();
      text.xml = true;
      if (++count_ > limits_.nodes_max) return TooMany();
      node.members.push_back({"@" + std::string(name), std::move(text)});
    }
    for (pugi::xml_node child : element.children()) {
      if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) {
        node.text += child.value();
      } else if (child.type() == pugi::node_element) {
        Result<ImportNode> converted = Convert(child, depth + 1);
        if (!converted) return converted;
        std::string_view name = child.name();
        const size_t colon = name.find(':');
        if (colon != name.npos) name.remove_prefix(colon + 1);
        node.members.push_back({std::string(name), std::move(*converted)});
      }
    }
    const bool blank = node.text.find_first_not_of(" \t\r\n") == std::string::npos;
    if (node.members.empty()) {
      // <Prefix/> is an empty text, <Filter/> an empty map: whoever reads it knows.
      node.kind = node.text.empty() ? ImportNode::Kind::kNothing : ImportNode::Kind::kText;
      return node;
    }
    if (!blank)
      return InvalidInput("text beside the elements of <" + std::string(element.name()) + ">");
    node.text.clear();
    node.kind = ImportNode::Kind::kMap;
    return node;
  }

 private:
  static Error TooMany() { return InvalidInput("too many values for a configuration"); }

  ImportLimits limits_;
  int count_ = 0;
};

Result<ImportNode> ParseXml(std::string_view text, ImportLimits limits) {
  // Entities beyond XML's own five are not expanded, and nothing is read from elsewhere.
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(
      text.data(), text.size(),
      pugi::parse_default | pugi::parse_ws_pcdata_single | pugi::parse_fragment,
      pugi::encoding_utf8);
  if (!parsed) {
    return InvalidInput(PlaceOf(text, static_cast<size_t>(std::max<ptrdiff_t>(parsed.offset, 0))) +
                        ": not XML: " + parsed.description());
  }
  std::optional<pugi::xml_node> root;
  for (pugi::xml_node child : document.children()) {
    const bool is_text = child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata;
    if (is_text &&
        std::string_view(child.value()).find_first_not_of(" \t\r\n") != std::string::npos) {
      return InvalidInput("text outside of the document");
    }
    if (child.type() != pugi::node_element) continue;
    if (root) return InvalidInput("a second document behind the first");
    root = child;
  }
  if (!root) return InvalidInput("XML without an element");
  Result<ImportNode> converted = Converter(limits).Convert(*root, 1);
  if (!converted) return converted;
  std::string_view name = root->name();
  const size_t colon = name.find(':');
  if (colon != name.npos) name.remove_prefix(colon + 1);
  ImportNode document_node;
  document_node.kind = ImportNode::Kind::kMap;
  document_node.xml = true;
  document_node.members.push_back({std::string(name), std::move(*converted)});
  return document_node;
}

}  // namespace

Result<ImportNode> ParseImportDocument(std::string_view text, ImportLimits limits) {
  if (text.size() > limits.size_bytes_max) {
    return InvalidInput("more than " + FormatSizeExact(limits.size_bytes_max) +
                        ", which no replication configuration needs");
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // A byte order mark.
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text, at);
    if (length == 0) return InvalidInput(PlaceOf(text, at) + ": not UTF-8");
    if (text[at] == '\0') return InvalidInput(PlaceOf(text, at) + ": a zero byte");
    at += length;
  }
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == text.npos) return InvalidInput("the file is empty");
  if (text[start] == '<') return ParseXml(text, limits);
  Result<json::value> value = ParseJson(text, {.size_bytes_max = limits.size_bytes_max,
                                               .depth_max = static_cast<size_t>(limits.depth_max)});
  if (!value) {
    // "not JSON at byte N: …": a person looks for a line.
    constexpr std::string_view kAt = "not JSON at byte ";
    const std::string& message = value.error().message;
    size_t offset = 0;
    if (message.starts_with(kAt)) {
      const char* end = message.data() + message.size();
      const auto [rest, error] = std::from_chars(message.data() + kAt.size(), end, offset);
      if (error == std::errc()) {
        return InvalidInput(PlaceOf(text, offset) + ": not JSON" + std::string(rest, end));
      }
    }
    return value.error();
  }
  return Converter(limits).Convert(*value);
}

std::string_view ToString(ImportRemark::Kind kind) {
  switch (kind) {
    case ImportRemark::Kind::kNotCarried:
      return "not carried over";
    case ImportRemark::Kind::kDiffers:
      return "differs";
    case ImportRemark::Kind::kFillIn:
      return "fill in";
  }
  return "";
}

std::string ImportRemark::Text() const {
  // "FILE: " is a place as well: the whole file.
  return (place.empty() || place.ends_with(": ") ? place : place + ": ") +
         std::string(ToString(kind)) + ": " + what + (remedy.empty() ? "" : "; " + remedy);
}

void ImportLog::Remark(ImportRemark::Kind kind, std::string place, std::string what,
                       std::string remedy) {
  ImportRemark remark{kind, std::move(place), std::move(what), std::move(remedy)};
  if (std::ranges::find(remarks_, remark) == remarks_.end()) remarks_.push_back(std::move(remark));
}

void ImportLog::Fail(std::string_view place, std::string_view what, std::string_view remedy) {
  constexpr size_t kMistakesMax = 50;
  if (mistakes_.size() > kMistakesMax) return;
  if (mistakes_.size() == kMistakesMax) {
    mistakes_.emplace_back("and more; mend these first");
    return;
  }
  std::string text;
  for (std::string_view part : {place, what, remedy}) {
    if (part.empty()) continue;
    if (!text.empty() && !text.ends_with(": ")) text += ": ";
    text += part;
  }
  mistakes_.push_back(std::move(text));
}

Error ImportLog::ToError() const {
  std::string all;
  for (const std::string& mistake : mistakes_) all += (all.empty() ? "" : "\n") + mistake;
  return InvalidInput(std::move(all));
}

void ImportValue::Fail(std::string_view what, std::string_view remedy) const {
  log_->Fail(place_, what, remedy);
}

void ImportValue::Remark(ImportRemark::Kind kind, std::string what, std::string remedy) const {
  log_->Remark(kind, place_, std::move(what), std::move(remedy));
}

std::optional<std::string> ImportValue::Text() const {
  const bool empty_element = node_->kind == ImportNode::Kind::kNothing && node_->xml;
  if (node_->kind == ImportNode::Kind::kText || empty_element) {
    // "\u0000" in JSON, &#0; in XML: neither keys nor configurations can hold it.
    if (node_->text.find('\0') == std::string::npos) return node_->text;
    Fail("holds a zero byte");
    return std::nullopt;
  }
  Fail("is not a text");
  return std::nullopt;
}

std::optional<int64_t> ImportValue::Integer(int64_t min, int64_t max) const {
  const bool number = node_->kind == ImportNode::Kind::kNumber ||
                      (node_->xml && node_->kind == ImportNode::Kind::kText);
  std::string_view text = node_->text;
  if (node_->xml) {
    while (!text.empty() && std::string_view(" \t\r\n").contains(text.front()))
      text.remove_prefix(1);
    while (!text.empty() && std::string_view(" \t\r\n").contains(text.back()))
      text.remove_suffix(1);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (number && error == std::errc() && end == text.data() + text.size() && value >= min &&
      value <= max) {
    return value;
  }
  Fail("is not a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return std::nullopt;
}

std::optional<bool> ImportValue::Boolean() const {
  if (node_->kind == ImportNode::Kind::kBoolean) return node_->text == "true";
  Fail("is not true or false");
  return std::nullopt;
}

std::optional<ImportFields> ImportValue::Fields() const {
  const bool empty_element =
      node_->xml && (node_->kind == ImportNode::Kind::kNothing ||
                     (node_->kind == ImportNode::Kind::kText &&
                      node_->text.find_first_not_of(" \t\r\n") == std::string::npos));
  if (node_->kind == ImportNode::Kind::kMap || empty_element) return ImportFields(*this);
  Fail(node_->xml ? "is not an element with elements in it" : "is not an object");
  return std::nullopt;
}

std::optional<std::vector<ImportValue>> ImportValue::Items() const {
  if (node_->kind != ImportNode::Kind::kList) {
    Fail("is not a list");
    return std::nullopt;
  }
  std::vector<ImportValue> items;
  items.reserve(node_->items.size());
  for (size_t i = 0; i < node_->items.size(); ++i) {
    items.emplace_back(node_->items[i], place_ + "[" + std::to_string(i) + "]", *log_);
  }
  return items;
}

namespace {

// "FILE: A.B"; at the top of a file "FILE: B".
std::string Below(const std::string& place, std::string_view name) {
  return place + (place.ends_with(' ') ? "" : ".") + std::string(name);
}

bool SameButForCase(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  });
}

}  // namespace

std::optional<ImportValue> ImportFields::Find(std::string_view name) {
  known_.push_back(name);
  std::optional<ImportValue> found;
  for (const auto& member : map_.node_->members) {
    if (member.name != name) continue;
    if (found) {
      found->Fail("is given twice", "keep one of them");
      return std::nullopt;
    }
    if (member.node.kind == ImportNode::Kind::kNothing && !member.node.xml) continue;
    found = ImportValue(member.node, Below(map_.place_, name), *map_.log_);
  }
  return found;
}

std::optional<ImportValue> ImportFields::Require(std::string_view name) {
  std::optional<ImportValue> found = Find(name);
  if (!found) map_.Fail("has no " + std::string(name));
  return found;
}

std::optional<std::vector<ImportValue>> ImportFields::FindList(std::string_view name,
                                                               std::string_view xml_name) {
  if (!map_.node_->xml) {
    std::optional<ImportValue> found = Find(name);
    return found ? found->Items() : std::nullopt;
  }
  known_.push_back(xml_name);
  std::vector<ImportValue> items;
  for (const auto& member : map_.node_->members) {
    if (member.name != xml_name) continue;
    items.emplace_back(member.node,
                       Below(map_.place_, xml_name) + "[" + std::to_string(items.size()) + "]",
                       *map_.log_);
  }
  if (items.empty()) return std::nullopt;
  return items;
}

std::vector<std::string> ImportFields::Left() const {
  std::vector<std::string> left;
  for (const auto& member : map_.node_->members) {
    if (std::ranges::find(known_, member.name) == known_.end()) left.push_back(member.name);
  }
  return left;
}

void ImportFields::Finish() {
  for (const std::string& name : Left()) {
    const std::string place = Below(map_.place_, QuotedForImport(name));
    const auto meant = std::ranges::find_if(
        known_, [&](std::string_view known) { return SameButForCase(known, name); });
    if (meant != known_.end()) {
      map_.log_->Fail(place, "is not read", "it is spelled " + std::string(*meant));
    } else {
      map_.log_->Remark(ImportRemark::Kind::kNotCarried, place,
                        "this version does not know the field", "see whether it matters to you");
    }
  }
}

void ImportFields::FinishWithNoneLeft(std::string_view what, std::string_view remedy) {
  for (const std::string& name : Left()) {
    map_.log_->Fail(Below(map_.place_, QuotedForImport(name)), what, remedy);
  }
}

std::string QuotedForImport(std::string_view text) {
  constexpr size_t kShown = 80;
  std::string quoted = "'";
  size_t at = 0;
  while (at < text.size() && at < kShown) {
    const size_t length = std::max<size_t>(Utf8Length(text, at), 1);
    const auto c = static_cast<unsigned char>(text[at]);
    quoted += c < 0x20 || c == 0x7f ? std::string(" ") : std::string(text.substr(at, length));
    at += length;
  }
  return quoted + (at < text.size() ? "…'" : "'");
}

}  // namespace longhaul
