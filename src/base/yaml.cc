#include "base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>

#include "base/ascii.h"
#include "base/units.h"

namespace longhaul {

namespace {

std::string YamlQuoted(std::string_view text) {
  constexpr size_t kShown = 60;
  std::string quoted = "'";
  for (char c : text.substr(0, kShown)) {
    quoted += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return quoted + (text.size() > kShown ? "…'" : "'");
}

bool IsNameStart(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool IsNameCharacter(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

// Fills ${NAME} in. Mistakes are added at the node's place and leave an empty text.
void Expand(YamlNode& node, const Environment& environment, YamlErrors& errors) {
  node.text.clear();
  const std::string& raw = node.raw;
  for (size_t at = 0; at < raw.size();) {
    if (raw.compare(at, 3, "$${") == 0) {
      node.text += "${";
      at += 3;
      continue;
    }
    if (raw.compare(at, 2, "${") != 0) {
      node.text += raw[at++];
      continue;
    }
    const size_t end = raw.find('}', at);
    const std::string name = end == std::string::npos ? "" : raw.substr(at + 2, end - at - 2);
    if (name.empty() || !IsNameStart(name[0]) || !std::ranges::all_of(name, IsNameCharacter)) {
      errors.Add(node.line, node.column, "", YamlQuoted(raw) + " holds '${' without a name and '}'",
                 "write ${NAME}, or $${ for the two characters themselves");
      node.broken = true;
      return;
    }
    std::optional<std::string> value = environment(name);
    if (!value) {
      errors.Add(node.line, node.column, "", "the environment variable " + name + " is not set",
                 "export it before you start longhaul");
      node.broken = true;
      return;
    }
    node.assumed = node.assumed || *value == kAssumedText;
    node.text += *value;
    at = end + 1;
  }
}

// Thrown through yaml-cpp, caught in ParseYaml.
struct Refused {
  YAML::Mark mark;
  std::string what;
  std::string remedy;
};

// Builds our nodes from yaml-cpp's events, so that limits hold while it reads.
class Builder : public YAML::EventHandler {
 public:
  Builder(const Environment& environment, YamlErrors& errors, YamlLimits limits)
      : environment_(environment), errors_(errors), limits_(limits) {}

  YamlNode root;
  bool has_root = false;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (has_root) throw Refused{mark, "a second document", "remove the line '---'"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(Make(mark, YamlNode::Kind::kNothing), mark, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = Make(mark, YamlNode::Kind::kText);
    node.quoted = tag == "!";  // yaml-cpp's word for quotes.
    if (tag != "!" && tag != "?" && !tag.empty() && tag != "tag:yaml.org,2002:str") {
      throw Refused{mark, "the tag " + YamlQuoted(tag), "remove it"};
    }
    node.raw = value;
    const bool is_key =
        !open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap && !open_.back().key;
    if (is_key) {
      node.text = value;
    } else if (!node.quoted && (value.empty() || value == "~" || value == "null")) {
      node.kind = YamlNode::Kind::kNothing;
    } else {
      Expand(node, environment_, errors_);
    }
    Add(std::move(node), mark, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{mark, "an alias inside of itself", "write it out"};
    Count(mark, found->second.second);
    if (open_.size() + static_cast<size_t>(Depth(found->second.first)) >
        static_cast<size_t>(limits_.depth_max)) {
      throw Refused{mark, "nested too deeply", "write it out"};
    }
    YamlNode copy = found->second.first;
    Add(std::move(copy), mark, YAML::NullAnchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, YamlNode::Kind::kList, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, YamlNode::Kind::kMap, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct OpenNode {
    YamlNode node;
    YAML::Mark mark;
    YAML::anchor_t anchor;
    std::optional<YamlNode> key;  // Of a map: the key whose value comes next.
    std::set<std::string> keys;
    int count_before;
  };

  YamlNode Make(const YAML::Mark& mark, YamlNode::Kind kind) {
    Count(mark, 1);
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  void Count(const YAML::Mark& mark, int nodes) {
    count_ += nodes;
    if (count_ > limits_.nodes_max) throw Refused{mark, "too many values", "split the file"};
  }

  static int Depth(const YamlNode& node) {
    int deepest = 0;
    for (const YamlNode& item : node.items) deepest = std::max(deepest, Depth(item));
    for (const auto& entry : node.entries) deepest = std::max(deepest, Depth(entry.value));
    return deepest + 1;
  }

  void Open(const YAML::Mark& mark, YamlNode::Kind kind, YAML::anchor_t anchor) {
    if (open_.size() >= static_cast<size_t>(limits_.depth_max)) {
      throw Refused{mark, "nested too deeply", "there are no such deep fields"};
    }
    if (!open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap && !open_.back().key) {
      throw Refused{mark, "a list or a map as the name of a field", "names are words"};
    }
    const int count_before = count_;
    open_.push_back({Make(mark, kind), mark, anchor, std::nullopt, {}, count_before});
  }

  void Close() {
    OpenNode done = std::move(open_.back());
    open_.pop_back();
    // Not counted again, so its size is taken from the counter.
    last_size_ = count_ - done.count_before;
    Place(std::move(done.node), done.mark, done.anchor, last_size_);
  }

  void Add(YamlNode node, const YAML::Mark& mark, YAML::anchor_t anchor) {
    Place(std::move(node), mark, anchor, 1);
  }

  void Place(YamlNode node, const YAML::Mark& mark, YAML::anchor_t anchor, int size) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {node, size};
    if (open_.empty()) {
      root = std::move(node);
      has_root = true;
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      if (node.kind != YamlNode::Kind::kText) {
        throw Refused{mark, "a field without a name", "write NAME: VALUE"};
      }
      parent.key = std::move(node);
    } else {
      YamlNode key = std::move(*parent.key);
      parent.key.reset();
      if (!parent.keys.insert(key.raw).second) {
        errors_.Add(key.line, key.column, "", YamlQuoted(key.raw) + " is given twice",
                    "keep one of them");
        return;
      }
      parent.node.entries.push_back({key.raw, key.line, key.column, std::move(node)});
    }
  }

  const Environment& environment_;
  YamlErrors& errors_;
  YamlLimits limits_;
  int count_ = 0;
  int last_size_ = 0;
  std::vector<OpenNode> open_;
  std::map<YAML::anchor_t, std::pair<YamlNode, int>> anchors_;
};

std::string KindName(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNothing:
      return "nothing";
    case YamlNode::Kind::kText:
      return YamlQuoted(node.raw);
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
  }
  return "";
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

std::string Join(const std::vector<std::string_view>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace

void YamlErrors::Add(int line, int column, std::string_view field, std::string_view what,
                     std::string_view remedy) {
  YamlMistake mistake{.line = line,
                      .column = column,
                      .field = std::string(field),
                      .what = std::string(what),
                      .remedy = std::string(remedy)};
  // Kept in the order of the file; mistakes of one place in the order in which they were found.
  auto place = std::ranges::upper_bound(
      mistakes_, std::pair(line, column), {},
      [](const YamlMistake& other) { return std::pair(other.line, other.column); });
  mistakes_.insert(place, std::move(mistake));
}

std::vector<std::string> YamlErrors::messages() const {
  std::vector<std::string> messages;
  for (const YamlMistake& mistake : mistakes_) {
    std::string message =
        file_ + ":" + std::to_string(mistake.line) + ":" + std::to_string(mistake.column);
    for (const std::string* part : {&mistake.field, &mistake.what, &mistake.remedy}) {
      if (!part->empty()) message += ": " + *part;
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

Error YamlErrors::ToError() const {
  std::string all;
  for (const std::string& message : messages()) {
    if (!all.empty()) all += '\n';
    all += message;
  }
  return InvalidInput(std::move(all));
}

std::optional<YamlNode> ParseYaml(std::string_view text, const Environment& environment,
                                  YamlErrors& errors, YamlLimits limits) {
  if (text.size() > limits.size_bytes_max) {
    errors.Add(1, 1, "", "the file has " + std::to_string(text.size()) + " bytes",
               "at most " + std::to_string(limits.size_bytes_max) + " are read");
    return std::nullopt;
  }
  Builder builder(environment, errors, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    errors.Add(refused.mark.line + 1, refused.mark.column + 1, "", refused.what, refused.remedy);
    return std::nullopt;
  } catch (const YAML::Exception& exception) {
    errors.Add(exception.mark.line + 1, exception.mark.column + 1, "", "not YAML", exception.msg);
    return std::nullopt;
  } catch (const std::exception& exception) {
    errors.Add(1, 1, "", "not YAML", exception.what());
    return std::nullopt;
  }
  if (!builder.has_root) {
    errors.Add(1, 1, "", "the file is empty", "see docs/guide.md for an example");
    return std::nullopt;
  }
  return std::move(builder.root);
}

void YamlValue::Fail(std::string_view what, std::string_view remedy) const {
  if (node_->assumed) return;
  errors_->Add(node_->line, node_->column, path_, what, remedy);
}

bool YamlValue::Scalar(std::string_view what) const {
  if (node_->broken) return false;
  if (node_->kind == YamlNode::Kind::kText) return true;
  if (node_->kind == YamlNode::Kind::kNothing) {
    Fail("has no value", "give one, or leave the field out");
  } else {
    Fail("is " + KindName(*node_), "write " + std::string(what));
  }
  return false;
}

// The messages of base/units.h quote what they were given, which may come from the environment.
void YamlValue::FailUnit(const Error& error, const std::string& wanted) const {
  if (node_->text == node_->raw) {
    Fail(error.message, "");
  } else {
    Fail(KindName(*node_) + " does not give " + wanted, "change the environment variable");
  }
}

std::optional<std::string> YamlValue::Text() const {
  if (!Scalar("a text")) return std::nullopt;
  if (node_->text.empty()) {
    if (node_->raw.empty()) {
      Fail("is empty", "give a value, or leave the field out");
    } else {
      Fail(YamlQuoted(node_->raw) + " is empty", "set the environment variable to a value");
    }
    return std::nullopt;
  }
  if (node_->text.find('\0') != std::string::npos) {
    Fail("holds a zero byte", "remove it");
    return std::nullopt;
  }
  return node_->text;
}

std::optional<bool> YamlValue::Boolean() const {
  if (!Scalar("true or false")) return std::nullopt;
  std::string word = node_->text;
  for (char& c : word) c = LowerAscii(c);
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off") return false;
  Fail(KindName(*node_) + " is not true or false", "write true or false");
  return std::nullopt;
}

std::optional<int64_t> YamlValue::Integer(int64_t min, int64_t max) const {
  const std::string range = std::to_string(min) + " to " + std::to_string(max);
  if (!Scalar("a whole number, " + range)) return std::nullopt;
  const std::string& text = node_->text;
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const size_t digits = text.starts_with('-') ? 1 : 0;
  if (error == std::errc() && end == text.data() + text.size() && text.size() > digits + 1 &&
      text[digits] == '0') {
    Fail(KindName(*node_) + " is octal to some readers and decimal to others",
         "write it without the leading 0");
    return std::nullopt;
  }
  if (error == std::errc::result_out_of_range ||
      (error == std::errc() && end == text.data() + text.size() &&
       (number < min || number > max))) {
    Fail(KindName(*node_) + " is out of range", "give " + range);
    return std::nullopt;
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    Fail(KindName(*node_) + " is not a whole number", "give " + range);
    return std::nullopt;
  }
  return number;
}

std::optional<double> YamlValue::Number(double min, double max) const {
  std::ostringstream range;
  range << min << " to " << max;
  if (!Scalar("a number, " + range.str())) return std::nullopt;
  const std::string& text = node_->text;
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number) ||
      number < min || number > max) {
    Fail(KindName(*node_) + " is not a number in its range", "give " + range.str());
    return std::nullopt;
  }
  return number;
}

std::optional<uint64_t> YamlValue::Size(uint64_t min, uint64_t max) const {
  if (!Scalar("a size, as 256MiB")) return std::nullopt;
  Result<uint64_t> size = ParseSize(node_->text);
  if (!size) {
    FailUnit(size.error(), "a size, as 256MiB");
    return std::nullopt;
  }
  if (*size < min || *size > max) {
    Fail(KindName(*node_) + " is out of range",
         "give " + FormatSizeExact(min) + " to " + FormatSizeExact(max));
    return std::nullopt;
  }
  return *size;
}

std::optional<std::chrono::milliseconds> YamlValue::Duration(std::chrono::milliseconds min,
                                                             std::chrono::milliseconds max) const {
  if (!Scalar("a duration, as 5s")) return std::nullopt;
  Result<std::chrono::milliseconds> duration = ParseDuration(node_->text);
  if (!duration) {
    FailUnit(duration.error(), "a duration, as 5s");
    return std::nullopt;
  }
  if (*duration < min || *duration > max) {
    Fail(KindName(*node_) + " is out of range",
         "give " + FormatDuration(min) + " to " + FormatDuration(max));
    return std::nullopt;
  }
  return *duration;
}

std::optional<YamlFields> YamlValue::Fields() const {
  if (node_->kind == YamlNode::Kind::kMap) return YamlFields(*this, errors_);
  if (node_->kind == YamlNode::Kind::kNothing) {
    Fail("has no value", "give its fields, or leave it out");
  } else {
    Fail("is " + KindName(*node_) + ", not a map", "write fields, as NAME: VALUE");
  }
  return std::nullopt;
}

std::optional<std::vector<YamlValue>> YamlValue::Items() const {
  if (node_->kind != YamlNode::Kind::kList) {
    Fail("is " + KindName(*node_) + ", not a list", "begin each entry with '- '");
    return std::nullopt;
  }
  std::vector<YamlValue> items;
  for (size_t i = 0; i < node_->items.size(); ++i) {
    items.emplace_back(node_->items[i], path_ + "[" + std::to_string(i) + "]", *errors_);
  }
  return items;
}

std::optional<YamlValue> YamlFields::Find(std::string_view name) {
  known_.emplace_back(name);
  for (const YamlNode::Entry& entry : map_.node().entries) {
    if (entry.key != name) continue;
    std::string path = map_.path().empty() ? entry.key : map_.path() + "." + entry.key;
    return YamlValue(entry.value, std::move(path), *errors_);
  }
  return std::nullopt;
}

std::optional<YamlValue> YamlFields::Require(std::string_view name, std::string_view example) {
  std::optional<YamlValue> value = Find(name);
  if (!value) {
    map_.Fail("'" + std::string(name) + "' is missing", "add '" + std::string(example) + "'");
  }
  return value;
}

bool YamlFields::Text(std::string_view name, std::string& out) {
  std::optional<YamlValue> value = Find(name);
  std::optional<std::string> text = value ? value->Text() : std::nullopt;
  if (text) out = *text;
  return text.has_value();
}

bool YamlFields::Text(std::string_view name, Secret& out) {
  std::string text;
  if (!Text(name, text)) return false;
  out = Secret(std::move(text));
  return true;
}

bool YamlFields::Boolean(std::string_view name, bool& out) {
  std::optional<YamlValue> value = Find(name);
  std::optional<bool> boolean = value ? value->Boolean() : std::nullopt;
  if (boolean) out = *boolean;
  return boolean.has_value();
}

bool YamlFields::Size(std::string_view name, uint64_t& out, uint64_t min, uint64_t max) {
  std::optional<YamlValue> value = Find(name);
  std::optional<uint64_t> size = value ? value->Size(min, max) : std::nullopt;
  if (size) out = *size;
  return size.has_value();
}

bool YamlFields::Duration(std::string_view name, std::chrono::milliseconds& out,
                          std::chrono::milliseconds min, std::chrono::milliseconds max) {
  std::optional<YamlValue> value = Find(name);
  std::optional<std::chrono::milliseconds> duration =
      value ? value->Duration(min, max) : std::nullopt;
  if (duration) out = *duration;
  return duration.has_value();
}

void YamlFields::FailChoice(const YamlValue& value, const std::vector<std::string_view>& words) {
  const std::string_view meant = ClosestName(value.node().text, words);
  value.Fail(KindName(value.node()) + " is not one of its values",
             meant.empty() ? "write " + Join(words)
                           : "did you mean '" + std::string(meant) + "'? It takes " + Join(words));
}

void YamlFields::Refuse(std::string_view name, std::string_view what, std::string_view remedy) {
  std::optional<YamlValue> value = Find(name);
  known_.pop_back();  // Never suggested.
  if (!value) return;
  value->Fail(what, remedy);
  refused_.emplace_back(name);
}

std::vector<std::pair<std::string, YamlValue>> YamlFields::All() {
  std::vector<std::pair<std::string, YamlValue>> all;
  for (const YamlNode::Entry& entry : map_.node().entries) {
    std::string path = map_.path().empty() ? entry.key : map_.path() + "." + entry.key;
    all.emplace_back(entry.key, YamlValue(entry.value, std::move(path), *errors_));
    known_.push_back(entry.key);
  }
  return all;
}

void YamlFields::Finish() {
  const std::vector<std::string_view> names(known_.begin(), known_.end());
  for (const YamlNode::Entry& entry : map_.node().entries) {
    if (Contains(known_, entry.key) || Contains(refused_, entry.key)) {
      continue;
    }
    const std::string_view meant = ClosestName(entry.key, names);
    errors_->Add(entry.line, entry.column, map_.path(), "unknown field " + YamlQuoted(entry.key),
                 meant.empty() ? "the fields here are " + Join(names)
                               : "did you mean '" + std::string(meant) + "'?");
  }
}

}  // namespace longhaul
