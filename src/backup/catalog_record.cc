#include "backup/catalog_record.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "archive/json_text.h"
#include "base/random.h"

namespace longhaul::backup {

namespace {

using archive::AppendJsonString;

// S3 User Guide, "Naming objects"; its version ids are no longer either.
constexpr size_t kNameBytesMax = 1024;

std::string_view OpText(EntryOp op) {
  switch (op) {
    case EntryOp::kPut:
      return "put";
    case EntryOp::kDelete:
      return "delete";
    case EntryOp::kAttributes:
      return "attributes";
  }
  return "";
}

void AddText(std::string& out, std::string_view name, std::string_view value) {
  out.append(",\"").append(name).append("\":");
  AppendJsonString(out, value);
}

void AddNumber(std::string& out, std::string_view name, uint64_t value) {
  out.append(",\"").append(name).append("\":").append(std::to_string(value));
}

// Reads whole numbers that are not negative.
void Take(archive::JsonCursor& cursor, uint64_t& out) {
  const int64_t value = cursor.Integer();
  if (value < 0) cursor.Fail();
  out = static_cast<uint64_t>(value);
}

void Take(archive::JsonCursor& cursor, uint32_t& out) {
  uint64_t value = 0;
  Take(cursor, value);
  if (value > UINT32_MAX) cursor.Fail();
  out = static_cast<uint32_t>(value);
}

bool IsWhole(const Segment& segment, uint64_t length_bytes) {
  return IsUlid(segment.plan) && segment.count >= 1 && segment.count <= kSegmentsMax &&
         segment.number < segment.count && segment.offset_bytes <= segment.object_size_bytes &&
         length_bytes <= segment.object_size_bytes - segment.offset_bytes;
}

void TakeSegment(archive::JsonCursor& cursor, Segment& segment) {
  std::string name;
  cursor.Expect('{');
  for (bool first = true; cursor.NextMember(first, name);) {
    if (name == "plan") {
      cursor.String(&segment.plan);
    } else if (name == "offset") {
      Take(cursor, segment.offset_bytes);
    } else if (name == "object_size") {
      Take(cursor, segment.object_size_bytes);
    } else if (name == "number") {
      Take(cursor, segment.number);
    } else if (name == "count") {
      Take(cursor, segment.count);
    } else {
      cursor.Skip();
    }
  }
}

}  // namespace

void AppendCatalogLine(std::string& out, const CatalogHead& head, const CatalogRecord& record) {
  const SystemTime made = TimeOfUlid(head.name.ulid);
  const std::string made_text = FormatRfc3339(made);
  const std::string stamp_text = FormatRfc3339(record.stamp);
  const int64_t made_seconds =
      std::chrono::floor<std::chrono::seconds>(made.time_since_epoch()).count();
  out += "{\"backup_file\":";
  AppendJsonString(out, VaultArchiveKey(head.vault, head.name));
  out += ",\"backup_timestamp\":" + std::to_string(made_seconds);
  AddText(out, "backup_date", made_text.substr(0, 10));
  AddText(out, "source_bucket", head.source.bucket);
  AddText(out, "source_prefix", head.source.prefix);
  const size_t slash = record.key.rfind('/');
  AddText(out, "object_name",
          slash == std::string::npos ? record.key : std::string_view(record.key).substr(slash + 1));
  AddText(out, "object_path", record.key);
  AddNumber(out, "object_size", record.size_bytes);
  AddText(out, "creation_time", stamp_text.substr(0, 10) + " " + stamp_text.substr(11, 8));
  AddText(out, "creation_date", stamp_text.substr(0, 10));
  out += ",\"target_buckets\":[";
  AppendJsonString(out, head.vault.bucket);
  out += "]";
  AddText(out, "op", OpText(record.op));
  AddText(out, "version_id", record.version_id);
  AddText(out, "etag", record.etag);
  AddText(out, "stamp", stamp_text);
  AddText(out, "archive", head.name.ulid);
  AddNumber(out, "entry", record.entry);
  AddNumber(out, "frame", record.frame);
  AddNumber(out, "offset", record.offset_bytes);
  AddNumber(out, "length", record.length_bytes);
  if (record.segment) {
    const Segment& segment = *record.segment;
    out += ",\"segment\":{\"plan\":";
    AppendJsonString(out, segment.plan);
    AddNumber(out, "number", segment.number);
    AddNumber(out, "count", segment.count);
    AddNumber(out, "offset", segment.offset_bytes);
    AddNumber(out, "object_size", segment.object_size_bytes);
    out += "}";
  }
  out += "}\n";
}

Result<CatalogRecord> ParseCatalogLine(std::string_view line, std::string_view ulid) {
  archive::JsonCursor cursor(line);
  CatalogRecord record;
  std::string name;
  std::string op;
  std::string stamp;
  std::string in_archive;
  bool has_entry = false;
  cursor.Expect('{');
  for (bool first = true; cursor.NextMember(first, name);) {
    if (name == "op") {
      cursor.String(&op);
    } else if (name == "object_path") {
      cursor.String(&record.key);
    } else if (name == "object_size") {
      Take(cursor, record.size_bytes);
    } else if (name == "version_id") {
      cursor.String(&record.version_id);
    } else if (name == "etag") {
      cursor.String(&record.etag);
    } else if (name == "stamp") {
      cursor.String(&stamp);
    } else if (name == "archive") {
      cursor.String(&in_archive);
    } else if (name == "entry") {
      Take(cursor, record.entry);
      has_entry = true;
    } else if (name == "frame") {
      Take(cursor, record.frame);
    } else if (name == "offset") {
      Take(cursor, record.offset_bytes);
    } else if (name == "length") {
      Take(cursor, record.length_bytes);
    } else if (name == "segment") {
      TakeSegment(cursor, record.segment.emplace());
    } else {
      cursor.Skip();
    }
  }
  cursor.AtEnd();
  if (!cursor.ok()) return InvalidInput("it is no JSON object of a catalog");
  if (in_archive != ulid) {
    return InvalidInput("it is of archive \"" + in_archive + "\", and this is the catalog of " +
                        std::string(ulid));
  }
  bool known = false;
  for (EntryOp one : {EntryOp::kPut, EntryOp::kDelete, EntryOp::kAttributes}) {
    if (op != OpText(one)) continue;
    record.op = one;
    known = true;
  }
  if (!known) return InvalidInput("its op is \"" + op + "\"");
  if (record.key.empty() || !has_entry || record.entry >= kArchiveEntriesMax) {
    return InvalidInput("it names no object");
  }
  if (record.key.size() > kNameBytesMax || record.version_id.size() > kNameBytesMax ||
      record.etag.size() > kNameBytesMax) {
    return InvalidInput("its key, version id or ETag is longer than any is");
  }
  Result<SystemTime> time = ParseRfc3339(stamp);
  if (!time) return InvalidInput("its stamp is \"" + stamp + "\"");
  record.stamp = *time;
  if (record.segment && !IsWhole(*record.segment, record.length_bytes)) {
    return InvalidInput("its segment is not one of an object");
  }
  return record;
}

ListedObject ListedOf(const CatalogRecord& record, const VaultName& name) {
  ListedObject listed{.key = record.key,
                      .size_bytes = record.size_bytes,
                      .etag = record.etag,
                      .last_modified = record.stamp,
                      .version_id = FormatVersion({.name = name, .entry = record.entry}),
                      .is_delete_marker = record.op == EntryOp::kDelete};
  if (record.segment) {
    listed.storage_class = fmt::format("{} {} {}", record.segment->plan, record.segment->number,
                                       record.segment->count);
    listed.size_bytes = record.segment->object_size_bytes;
  }
  return listed;
}

std::string FormatVersion(const VersionPlace& place) {
  return place.name.ulid + "." + std::to_string(place.entry) + "@" + place.name.folder;
}

Result<VersionPlace> ParseVersion(std::string_view text) {
  const Error wrong = InvalidInput("\"" + std::string(text) + "\" is no version of a vault");
  const size_t dot = text.find('.');
  const size_t at = text.find('@');
  if (dot == std::string_view::npos || at == std::string_view::npos || at < dot) return wrong;
  VersionPlace place{.name = {.folder = std::string(text.substr(at + 1)),
                              .ulid = std::string(text.substr(0, dot))}};
  const std::string_view number = text.substr(dot + 1, at - dot - 1);
  const auto [end, code] =
      std::from_chars(number.data(), number.data() + number.size(), place.entry);
  if (code != std::errc() || end != number.data() + number.size() || !IsUlid(place.name.ulid)) {
    return wrong;
  }
  return place;
}

}  // namespace longhaul::backup
