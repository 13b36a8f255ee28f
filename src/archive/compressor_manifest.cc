#include "archive/compressor_manifest.h"

#include <boost/json.hpp>
#include <utility>

#include "archive/entry.h"
#include "base/json.h"

namespace longhaul::archive {

namespace {

constexpr size_t kManifestKeyBytesMax = 1024;
constexpr size_t kNameBytesMax = 255;  // Of buckets, regions, storage classes.
constexpr size_t kTextBytesMax = 64 << 10;
constexpr size_t kTargetsMax = 1'000;
constexpr size_t kTagsMax = 50;

// What is not as it should be is damaged: nobody typed it.
Error Damaged(const Error& error) { return Corrupt("manifest.json: " + error.message); }

Result<std::string> Text(const JsonView& object, std::string_view name, size_t bytes_max) {
  Result<std::string_view> text = object.Text(name);
  if (!text) return text.error();
  if (text->size() > bytes_max) {
    return Corrupt(object.path() + "." + std::string(name) + " is longer than " +
                   std::to_string(bytes_max) + " bytes");
  }
  return std::string(*text);
}

Result<std::string> TextIfThere(const JsonView& object, std::string_view name, size_t bytes_max) {
  Result<std::optional<JsonView>> member = object.MemberIfThere(name);
  if (!member) return member.error();
  if (!*member) return std::string();
  return Text(object, name, bytes_max);
}

Result<CompressorTarget> ReadTarget(const JsonView& item) {
  CompressorTarget target;
  Result<std::string> region = Text(item, "region", kNameBytesMax);
  if (!region) return region.error();
  Result<std::string> bucket = Text(item, "bucket", kNameBytesMax);
  if (!bucket) return bucket.error();
  Result<std::optional<JsonView>> backup = item.MemberIfThere("backup");
  if (!backup) return backup.error();
  Result<bool> is_backup = *backup ? (*backup)->Boolean() : Result<bool>(false);
  if (!is_backup) return is_backup.error();
  target.region = std::move(*region);
  target.bucket = std::move(*bucket);
  target.backup = *is_backup;
  return target;
}

// [{"owner":"ann"},{"tier":"hot"}], or {} where they could not be read.
Result<std::optional<Tags>> ReadTags(const JsonView& object) {
  Result<std::optional<JsonView>> member = object.MemberIfThere("tags");
  if (!member) return member.error();
  if (!*member) return std::optional<Tags>();
  if (const auto* unknown = (*member)->value().if_object()) {
    if (unknown->empty()) return std::optional<Tags>();
  }
  Result<std::vector<JsonView>> items = (*member)->Items();
  if (!items) return items.error();
  if (items->size() > kTagsMax) return Corrupt((*member)->path() + " has too many entries");
  Tags tags;
  for (const JsonView& item : *items) {
    const auto* pair = item.value().if_object();
    if (pair == nullptr || pair->size() != 1 || !pair->begin()->value().is_string()) {
      return Corrupt(item.path() + " is not one name with one value");
    }
    const boost::json::string& value = pair->begin()->value().get_string();
    if (value.size() > kTextBytesMax) return Corrupt(item.path() + " is too long");
    tags[std::string(pair->begin()->key())] = std::string(value);
  }
  return std::optional<Tags>(std::move(tags));
}

Result<CompressorObject> ReadObject(const JsonView& item) {
  CompressorObject object;
  struct Field {
    std::string_view name;
    std::string CompressorObject::* field;
    size_t bytes_max;
    bool needed;
  };
  constexpr Field kFields[] = {
      {"source_bucket", &CompressorObject::source_bucket, kNameBytesMax, true},
      {"source_region", &CompressorObject::source_region, kNameBytesMax, false},
      {"source_prefix", &CompressorObject::source_prefix, kManifestKeyBytesMax, false},
      {"etag", &CompressorObject::etag, kNameBytesMax, false},
      {"storage_class", &CompressorObject::storage_class, kNameBytesMax, false}};
  for (const Field& field : kFields) {
    Result<std::string> text = field.needed ? Text(item, field.name, field.bytes_max)
                                            : TextIfThere(item, field.name, field.bytes_max);
    if (!text) return text.error();
    object.*field.field = std::move(*text);
  }
  Result<std::optional<JsonView>> relative = item.MemberIfThere("relative_key");
  if (!relative) return relative.error();
  Result<std::string> key =
      Text(item, *relative ? "relative_key" : "object_name", kManifestKeyBytesMax);
  if (!key) return key.error();
  object.relative_key = std::move(*key);
  Result<int64_t> size = item.Integer("size", 0, static_cast<int64_t>(INT64_MAX));
  if (!size) return size.error();
  object.size_bytes = static_cast<uint64_t>(*size);
  Result<std::string_view> created = item.Text("creation_time");
  if (!created) return created.error();
  std::optional<SystemTime> time = CompressorTime(*created);
  if (!time) return Corrupt(item.path() + ".creation_time is no time");
  object.created = *time;
  Result<std::optional<Tags>> tags = ReadTags(item);
  if (!tags) return tags.error();
  object.tags = std::move(*tags);
  return object;
}

}  // namespace

std::optional<SystemTime> CompressorTime(std::string_view text) {
  if (text.size() != 19 || text[10] != ' ') return std::nullopt;
  std::string rfc3339(text);
  rfc3339[10] = 'T';
  Result<SystemTime> time = ParseRfc3339(rfc3339 + "Z");
  return time ? std::optional<SystemTime>(*time) : std::nullopt;
}

Result<CompressorManifest> ParseCompressorManifest(std::string_view text) {
  JsonLimits limits;
  limits.size_bytes_max = text.size();
  Result<boost::json::value> value = ParseJson(text, limits);
  if (!value) return Damaged(value.error());
  const JsonView top(*value);
  CompressorManifest manifest;
  Result<JsonView> targets = top.Member("targets");
  if (!targets) return Damaged(targets.error());
  Result<std::vector<JsonView>> items = targets->Items();
  if (!items) return Damaged(items.error());
  if (items->size() > kTargetsMax) return Corrupt("manifest.json has too many targets");
  for (const JsonView& item : *items) {
    Result<CompressorTarget> target = ReadTarget(item);
    if (!target) return Damaged(target.error());
    manifest.targets.push_back(std::move(*target));
  }
  Result<JsonView> objects = top.Member("objects");
  if (!objects) return Damaged(objects.error());
  items = objects->Items();
  if (!items) return Damaged(items.error());
  if (items->size() > kArchiveEntriesMax) return Corrupt("manifest.json has too many objects");
  for (const JsonView& item : *items) {
    Result<CompressorObject> object = ReadObject(item);
    if (!object) return Damaged(object.error());
    manifest.objects.push_back(std::move(*object));
  }
  return manifest;
}

}  // namespace longhaul::archive
