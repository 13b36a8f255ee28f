#include "archive/content_label.h"

#include <utility>

#include "base/bytes.h"

namespace longhaul {

namespace {

using namespace std::string_view_literals;

// From the formats' specifications.
constexpr std::pair<std::string_view, std::string_view> kMagic[] = {
    {"\x1f\x8b"sv, "gzip"},
    {"\x28\xb5\x2f\xfd"sv, "zstd"},
    {"\x89PNG\r\n\x1a\n"sv, "png"},
    {"\xff\xd8\xff"sv, "jpeg"},
    {"PK\x03\x04"sv, "zip"},
    {"PAR1"sv, "parquet"},
    {"ORC"sv, "orc"},
    {"Obj\x01"sv, "avro"},
    {"SQLite format 3\0"sv, "sqlite"},
    {"BZh"sv, "bzip2"},
    {"\xfd"
     "7zXZ\0"sv,
     "xz"},
    {"%PDF-"sv, "pdf"},
    {"\x04\x22\x4d\x18"sv, "lz4"},
    {"ARROW1"sv, "arrow"},
};

}  // namespace

std::string KeyEnding(std::string_view key) {
  constexpr size_t kEndingMax = 8;
  const size_t dot = key.find_last_of("./");
  if (dot == std::string_view::npos || key[dot] == '/') return "";
  std::string ending(key.substr(dot + 1, kEndingMax + 1));
  bool letter = false;
  for (char& c : ending) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool is_letter = c >= 'a' && c <= 'z';
    if (!is_letter && (c < '0' || c > '9')) return "";
    letter = letter || is_letter;
  }
  return letter && ending.size() <= kEndingMax ? ending : "";
}

std::string ContentLabel(std::string_view key, std::span<const std::byte> head) {
  std::string label = KeyEnding(key);
  const std::string_view text = AsText(head);
  for (const auto& [magic, format] : kMagic) {
    if (!text.starts_with(magic)) continue;
    if (label != format) label.append(label.empty() ? "" : " ").append(format);
    break;
  }
  return label;
}

}  // namespace longhaul
