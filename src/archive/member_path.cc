#include "archive/member_path.h"

#include <array>
#include <charconv>

namespace longhaul::archive {
namespace {

constexpr std::string_view kFolder = "objects/";
constexpr std::string_view kRenamedFolder = "renamed/";
constexpr size_t kComponentBytesMax = 200;  // File systems take 255; some tools add a suffix.
constexpr size_t kPathBytesMax = 1000;
constexpr size_t kRenamedTailBytes = 64;

constexpr uint64_t kFnvBasis = 0xcbf29ce484222325;
constexpr uint64_t kFnvPrime = 0x100000001b3;

uint64_t FnvAdd(uint64_t hash, char c) {
  if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
}

char HexDigit(unsigned value) { return "0123456789ABCDEF"[value & 15]; }

void AppendEscape(std::string& out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += HexDigit(byte >> 4);
  out += HexDigit(byte);
}

std::string Hex16(uint64_t value) {
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4)
    out += HexDigit(static_cast<unsigned>(value >> shift));
  return out;
}

void AppendComponent(std::string& out, std::string_view component) {
  if (component.empty()) {
    out += '%';  // "a//b" and "a/" have names without letters.
    return;
  }
  const size_t start = out.size();
  const bool dots = component == "." || component == "..";
  for (char c : component) {
    if (c < 0x20 || c > 0x7e || c == '%' || c == '\\' || dots) {
      AppendEscape(out, c);
    } else {
      out += c;
    }
  }
  if (out.size() - start > kComponentBytesMax) {
    uint64_t hash = kFnvBasis;
    for (char c : component) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
    out.resize(start + kComponentBytesMax - 18);
    out += "%~" + Hex16(hash);
  }
}

std::string EscapedPath(std::string_view key) {
  std::string out(kFolder);
  size_t start = 0;
  while (true) {
    const size_t slash = key.find('/', start);
    AppendComponent(out, key.substr(start, slash - start));
    if (slash == std::string_view::npos) return out;
    out += '/';
    start = slash + 1;
  }
}

}  // namespace

bool MemberPaths::Claim(std::string_view path) {
  const size_t last_slash = path.rfind('/');
  uint64_t hash = kFnvBasis;
  // Objects of one folder come one after another: its ancestors have been seen then.
  const bool known = path.substr(0, last_slash + 1) == last_folder_;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '/' && !known && files_.contains(hash)) return false;
    hash = FnvAdd(hash, path[i]);
  }
  if (folders_.contains(hash) || !files_.insert(hash).second) return false;
  if (known) return true;
  hash = kFnvBasis;
  for (size_t i = 0; i <= last_slash; ++i) {
    if (path[i] == '/') folders_.insert(hash);
    hash = FnvAdd(hash, path[i]);
  }
  last_folder_ = path.substr(0, last_slash + 1);
  return true;
}

std::string MemberKey(const ArchiveEntry& entry) {
  if (!entry.segment) return entry.key;
  auto five = [](uint32_t number) {
    std::string digits = std::to_string(number);
    return std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits;
  };
  return entry.key + ".segment-" + five(entry.segment->number) + "-of-" +
         five(entry.segment->count);
}

std::string MemberPaths::PathFor(std::string_view key, uint64_t number) {
  std::string path = EscapedPath(key);
  if (path.size() <= kPathBytesMax && Claim(path)) return path;
  std::string tail = path.substr(path.rfind('/') + 1);
  if (tail.size() > kRenamedTailBytes) tail.erase(0, tail.size() - kRenamedTailBytes);
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 7 ? 7 - digits.size() : 0, '0');
  return std::string(kRenamedFolder) + digits + "-" + tail;
}

std::optional<std::string> KeyFromPath(std::string_view path) {
  if (!path.starts_with(kFolder)) return std::nullopt;
  path.remove_prefix(kFolder.size());
  std::string key;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      key += path[i];
      continue;
    }
    const bool component_start = i == 0 || path[i - 1] == '/';
    const bool component_end = i + 1 == path.size() || path[i + 1] == '/';
    if (component_start && component_end) continue;
    unsigned value = 0;
    const char* begin = path.data() + i + 1;
    if (i + 2 >= path.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
    if (error != std::errc() || end != begin + 2) return std::nullopt;
    key += static_cast<char>(value);
    i += 2;
  }
  return key;
}

}  // namespace longhaul::archive
