#include "archive/compressor_catalog.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "archive/compressor_manifest.h"
#include "base/json.h"

namespace longhaul::archive {

namespace {

constexpr std::string_view kCatalogEnd = ".jsonl";
constexpr std::string_view kArchiveEnd = ".tar.zst";
constexpr size_t kNameDigits = 32;
constexpr size_t kCatalogKeyBytesMax = 1024;  // S3 User Guide, "Naming objects".
constexpr size_t kBucketsMax = 1'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsArchiveName(std::string_view text) {
  return text.size() == kNameDigits &&
         std::ranges::all_of(text, [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
}

std::string_view Trimmed(std::string_view prefix) {
  while (prefix.starts_with('/')) prefix.remove_prefix(1);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return prefix;
}

// Takes "/<name>=<digits>" from the end.
std::optional<std::string> TakePart(std::string_view& path, std::string_view name, size_t digits) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::string_view part = path.substr(slash + 1);
  if (!part.starts_with(name)) return std::nullopt;
  part.remove_prefix(name.size());
  if (part.size() != digits || !std::ranges::all_of(part, IsDigit)) return std::nullopt;
  path.remove_suffix(path.size() - slash);
  return std::string(part);
}

// Seconds since 1970; Python writes them with a fraction or without.
std::optional<int64_t> Seconds(const JsonView& top, std::string_view name) {
  Result<JsonView> member = top.Member(name);
  if (!member) return std::nullopt;
  const boost::json::value& value = member->value();
  double seconds = -1;
  if (value.is_int64()) seconds = static_cast<double>(value.get_int64());
  if (value.is_double()) seconds = value.get_double();
  constexpr double kLast = 253402300799;  // 9999-12-31T23:59:59Z
  if (!(seconds >= 0 && seconds <= kLast)) return std::nullopt;
  return static_cast<int64_t>(std::floor(seconds));
}

Error No(std::string_view why) { return InvalidInput(std::string(why)); }

}  // namespace

std::string_view CompressorArchiveName(std::string_view key) {
  const size_t slash = key.rfind('/');
  if (slash != std::string_view::npos) key.remove_prefix(slash + 1);
  if (key.ends_with(kArchiveEnd)) key.remove_suffix(kArchiveEnd.size());
  return IsArchiveName(key) ? key : std::string_view();
}

std::optional<CompressorCatalogName> CompressorCatalogOfKey(std::string_view key) {
  if (!key.ends_with(kCatalogEnd)) return std::nullopt;
  key.remove_suffix(kCatalogEnd.size());
  CompressorCatalogName name;
  name.archive = CompressorArchiveName(key);
  const size_t slash = key.rfind('/');
  if (name.archive.empty() || slash == std::string_view::npos) return std::nullopt;
  key = key.substr(0, slash);
  std::optional<std::string> day = TakePart(key, "day=", 2);
  if (!day) return std::nullopt;
  std::optional<std::string> month = TakePart(key, "month=", 2);
  if (!month) return std::nullopt;
  std::optional<std::string> year = TakePart(key, "year=", 4);
  if (!year) return std::nullopt;
  name.date = *year + "-" + *month + "-" + *day;
  const size_t one = key.find('/');
  if (one == std::string_view::npos || one == 0) return std::nullopt;
  const size_t two = std::min(key.find('/', one + 1), key.size());
  name.source_region = key.substr(0, one);
  name.source_bucket = key.substr(one + 1, two - one - 1);
  name.prefix = Trimmed(key.substr(two));
  if (name.source_bucket.empty()) return std::nullopt;
  return name;
}

Result<CompressorCatalogLine> ParseCompressorCatalogLine(std::string_view line,
                                                         const CompressorCatalogName& name) {
  JsonLimits limits;
  limits.size_bytes_max = line.size();
  Result<boost::json::value> value = ParseJson(line, limits);
  if (!value) return No("it is no JSON");
  const JsonView top(*value);
  CompressorCatalogLine read;
  const auto text = [&top](std::string_view field, std::string& out) {
    Result<std::string_view> found = top.Text(field);
    if (found) out = *found;
    return found.has_value();
  };
  std::string bucket;
  std::string date;
  std::string created;
  if (!text("backup_file", read.backup_file) || !text("source_bucket", bucket) ||
      !text("source_prefix", read.source_prefix) || !text("object_path", read.key) ||
      !text("backup_date", date) || !text("creation_time", created)) {
    return No("it has not the fields of a catalog");
  }
  if (CompressorArchiveName(read.backup_file) != name.archive) {
    return No("it is of archive \"" + read.backup_file.substr(0, kCatalogKeyBytesMax) +
              "\", and this is the catalog of " + name.archive);
  }
  if (bucket != name.source_bucket || Trimmed(read.source_prefix) != name.prefix) {
    return No("it is of another bucket or prefix than its folder");
  }
  if (date != name.date) return No("it is of " + date.substr(0, 32) + ", and its folder is not");
  if (read.key.empty() || read.key.size() > kCatalogKeyBytesMax ||
      !read.key.starts_with(read.source_prefix)) {
    return No("its key is none of its prefix");
  }
  std::optional<int64_t> seconds = Seconds(top, "backup_timestamp");
  Result<int64_t> size = top.Integer("object_size", 0, INT64_MAX);
  std::optional<SystemTime> time = CompressorTime(created);
  if (!seconds || !size || !time) return No("its times or its size are none");
  read.backup_seconds = *seconds;
  read.size_bytes = static_cast<uint64_t>(*size);
  read.created = *time;
  Result<JsonView> buckets = top.Member("target_buckets");
  if (!buckets) return No("it has no target_buckets");
  Result<std::vector<JsonView>> items = buckets->Items();
  if (!items || items->size() > kBucketsMax) return No("its target_buckets are none");
  for (const JsonView& item : *items) {
    Result<std::string_view> one = item.Text();
    if (!one) return No("its target_buckets are none");
    read.target_buckets.emplace_back(*one);
  }
  return read;
}

}  // namespace longhaul::archive
