#include "replica/mark.h"

#include <array>

#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul {

namespace {

// NUL cannot be in a bucket name or a mark's fields, so the parts cannot run into each other.
std::string Fit(std::string_view bucket, std::string_view key, std::string_view fields) {
  std::string text(bucket);
  text += '\0';
  text += key;
  text += '\0';
  text += fields;
  return HexEncode(Sha256(text)).substr(0, 16);
}

// Splits off what stands before the next space.
std::string_view NextMarkField(std::string_view& text) {
  size_t end = text.find(' ');
  std::string_view field = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return field;
}

}  // namespace

std::optional<std::string> FormatMark(const Mark& mark, std::string_view bucket,
                                      std::string_view key) {
  if (mark.source_etag.find(' ') != std::string::npos) return std::nullopt;
  std::string passed;
  for (const std::string& site : mark.sites_passed) {
    if (!passed.empty()) passed += ',';
    passed += site;
  }
  std::string fields = "1 " + mark.site + " " + FormatRfc3339(mark.stamp) + " " +
                       (mark.source_etag.empty() ? "-" : mark.source_etag) + " " +
                       (passed.empty() ? "-" : passed);
  std::string value = fields + " " + Fit(bucket, key, fields);
  if (value.size() > kMarkSizeBytesMax) return std::nullopt;
  return value;
}

std::optional<Mark> ParseMark(std::string_view value, std::string_view bucket,
                              std::string_view key) {
  if (value.size() > kMarkSizeBytesMax) return std::nullopt;
  size_t last_space = value.rfind(' ');
  if (last_space == std::string_view::npos) return std::nullopt;
  std::string_view fields = value.substr(0, last_space);
  if (value.substr(last_space + 1) != Fit(bucket, key, fields)) return std::nullopt;

  if (NextMarkField(fields) != "1") return std::nullopt;
  Mark mark;
  mark.site = NextMarkField(fields);
  Result<SystemTime> stamp = ParseRfc3339(NextMarkField(fields));
  if (!stamp) return std::nullopt;
  mark.stamp = *stamp;
  mark.source_etag = NextMarkField(fields);
  if (mark.source_etag == "-") mark.source_etag.clear();
  std::string_view passed = NextMarkField(fields);
  while (!passed.empty() && passed != "-") {
    size_t comma = passed.find(',');
    mark.sites_passed.emplace_back(passed.substr(0, comma));
    passed = comma == std::string_view::npos ? std::string_view() : passed.substr(comma + 1);
  }
  return mark;
}

std::optional<Mark> FindMark(const UserMetadata& metadata, std::string_view bucket,
                             std::string_view key) {
  auto entry = metadata.find(std::string(kMarkName));
  if (entry == metadata.end()) return std::nullopt;
  return ParseMark(entry->second, bucket, key);
}

size_t MetadataSizeBytes(const UserMetadata& metadata) {
  size_t size = 0;
  for (const auto& [name, value] : metadata) {
    size += kMetadataHeaderPrefixBytes + name.size() + value.size();
  }
  return size;
}

}  // namespace longhaul
