#include "storage/s3_plain_objects.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "storage/s3_xml.h"

namespace longhaul {
namespace {

constexpr std::string_view kObject = "Contents";
constexpr std::string_view kObjectTag = "<Contents>";
// Of an element inside of one object: <Owner><ID>, <RestoreStatus><IsRestoreInProgress>.
constexpr int kDepthMax = 4;
// An object takes some more in the text.
constexpr size_t kObjectBytesUsual = 256;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsLetter(char c) { return static_cast<unsigned char>((c | 0x20) - 'a') < 26; }

struct Element {
  std::string_view name;
  std::string_view text;  // Not unescaped; empty where it holds elements.
};

class Scanner {
 public:
  Scanner(std::string_view xml, size_t at) : at_(xml.data() + at), end_(xml.data() + xml.size()) {}

  [[nodiscard]] std::string_view left() const { return {at_, end_}; }
  void SkipBlanks() {
    while (at_ != end_ && IsBlank(*at_)) ++at_;
  }
  bool TakeObjectTag() {
    if (!left().starts_with(kObjectTag)) return false;
    at_ += kObjectTag.size();
    return true;
  }
  bool TakeEndTag(std::string_view name) {
    const size_t size = name.size() + 3;
    if (static_cast<size_t>(end_ - at_) < size || at_[0] != '<' || at_[1] != '/' ||
        at_[size - 1] != '>' || std::memcmp(at_ + 2, name.data(), name.size()) != 0) {
      return false;
    }
    at_ += size;
    return true;
  }
  // The next element, with all that it holds. False: here is none, or none that is plain.
  bool TakeElement(Element& element, int depth = 1) {
    if (at_ == end_ || *at_ != '<') return false;
    const char* const name = at_ + 1;
    const char* after = name;
    while (after != end_ && IsLetter(*after)) ++after;
    if (after == name || after == end_) return false;
    element = {.name = {name, after}, .text = {}};
    if (*after == '/') {
      if (!std::string_view(after, end_).starts_with("/>")) return false;
      at_ = after + 2;
      return true;
    }
    if (*after++ != '>') return false;
    const auto* next =
        static_cast<const char*>(std::memchr(after, '<', static_cast<size_t>(end_ - after)));
    if (next == nullptr) return false;
    element.text = {after, next};
    at_ = next;
    if (TakeEndTag(element.name)) return true;
    if (depth == kDepthMax || !std::ranges::all_of(element.text, IsBlank)) return false;
    element.text = {};
    while (!TakeEndTag(element.name)) {
      Element inner;
      if (!TakeElement(inner, depth + 1)) return false;
      SkipBlanks();
    }
    return true;
  }

 private:
  const char* at_;
  const char* end_;
};

// The character that `text`, between "&" and ";", stands for; nullopt: for none of ASCII.
std::optional<char> Unescaped(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, char>, 5> kNamed = {
      {{"quot", '"'}, {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"apos", '\''}}};
  if (!text.starts_with('#')) {
    for (const auto& [name, character] : kNamed) {
      if (text == name) return character;
    }
    return std::nullopt;
  }
  text.remove_prefix(1);
  const bool hex = text.starts_with('x');
  if (hex) text.remove_prefix(1);
  unsigned number = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (number == 0 || number > 0x7F) return std::nullopt;
  return static_cast<char>(number);
}

// False: an entity that is not one of those.
bool Unescape(std::string_view text, std::string& out) {
  out.clear();
  while (true) {
    const size_t begin = std::min(text.find('&'), text.size());
    out.append(text.substr(0, begin));
    if (begin == text.size()) return true;
    text.remove_prefix(begin + 1);
    const size_t end = text.find(';');
    if (end == text.npos) return false;
    const std::optional<char> character = Unescaped(text.substr(0, end));
    if (!character) return false;
    out += *character;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::string_view TrimmedXml(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

void ObjectFields::Take(std::string_view name, std::string_view text) {
  if (name == "Key") {
    object.key = text;
  } else if (name == "LastModified") {
    Result<SystemTime> time = ParseRfc3339(TrimmedXml(text));
    if (time) object.last_modified = *time;
  } else if (name == "ETag") {
    object.etag = StripEtag(TrimmedXml(text));
  } else if (name == "Size") {
    has_size = ParseXmlNumber(text, &object.size_bytes);
  } else if (name == "StorageClass") {
    object.storage_class = TrimmedXml(text);
  } else if (name == "VersionId") {
    object.version_id = TrimmedXml(text);
  } else if (name == "IsLatest") {
    object.is_latest = TrimmedXml(text) == "true";
  }
}

std::optional<PlainObjects> ReadPlainObjects(std::string_view xml) {
  const size_t begin = xml.find(kObjectTag);
  if (begin == xml.npos || xml.find('\0') != xml.npos) return std::nullopt;
  PlainObjects found;
  found.objects.reserve((xml.size() - begin) / kObjectBytesUsual);
  Scanner scanner(xml, begin);
  std::string unescaped;
  while (scanner.TakeObjectTag()) {
    ObjectFields fields;
    scanner.SkipBlanks();
    while (!scanner.TakeEndTag(kObject)) {
      Element element;
      if (!scanner.TakeElement(element)) return std::nullopt;
      if (element.text.find('&') != element.text.npos) {
        if (!Unescape(element.text, unescaped)) return std::nullopt;
        element.text = unescaped;
      }
      fields.Take(element.name, element.text);
      scanner.SkipBlanks();
    }
    if (!fields.has_size) return std::nullopt;
    found.objects.push_back(std::move(fields.object));
    scanner.SkipBlanks();
  }
  found.rest.reserve(begin + kPlainObjectsMark.size() + 3 + scanner.left().size());
  found.rest.append(xml.substr(0, begin)).append("<").append(kPlainObjectsMark).append("/>");
  found.rest.append(scanner.left());
  return found;
}

}  // namespace longhaul
