#include "storage/file_names.h"

#include <algorithm>

namespace longhaul {
namespace {

constexpr size_t kNameBytesMax = 255;  // NAME_MAX of every file system in use.
constexpr size_t kMarkerBytes = 10;    // ".longhaul="
constexpr size_t kSegmentBytesMax = kNameBytesMax - kMarkerBytes;
constexpr size_t kNameKeyBytesMax = 1024;

bool IsPlain(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." && segment.size() <= kNameBytesMax &&
         !segment.starts_with(kFilePrivateFolder);
}

std::vector<std::string> NamesOf(std::string_view segment, char marker) {
  std::vector<std::string> names;
  if (IsPlain(segment)) names.emplace_back(segment);
  std::string path;
  while (segment.size() > kSegmentBytesMax) {
    path += std::string(kFilePrivateFolder) + "~";
    path += segment.substr(0, kSegmentBytesMax);
    path += '/';
    segment.remove_prefix(kSegmentBytesMax);
  }
  path += kFilePrivateFolder;
  path += marker;
  path += segment;
  names.push_back(std::move(path));
  return names;
}

}  // namespace

std::vector<std::string> FileNamesOf(std::string_view segment) { return NamesOf(segment, '='); }

std::vector<std::string> FolderNamesOf(std::string_view segment) { return NamesOf(segment, '+'); }

DecodedName DecodeName(std::string_view name, bool is_folder) {
  using Kind = DecodedName::Kind;
  if (!name.starts_with(kFilePrivateFolder)) return {Kind::kSegment, name};
  std::string_view rest = name.substr(kFilePrivateFolder.size());
  if (!rest.empty()) {
    if (!is_folder && rest.front() == '=') return {Kind::kSegment, rest.substr(1)};
    if (is_folder && rest.front() == '+') return {Kind::kSegment, rest.substr(1)};
    if (is_folder && rest.front() == '~') return {Kind::kContinued, rest.substr(1)};
  }
  return {Kind::kPrivate, {}};
}

std::optional<std::vector<std::string>> SegmentsOf(std::string_view key) {
  if (key.empty() || key.size() > kNameKeyBytesMax) return std::nullopt;
  if (key.find('\0') != std::string_view::npos) return std::nullopt;
  std::vector<std::string> segments;
  while (true) {
    size_t slash = key.find('/');
    segments.emplace_back(key.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    key.remove_prefix(slash + 1);
  }
}

bool IsFileBucketName(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '.') return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

}  // namespace longhaul
