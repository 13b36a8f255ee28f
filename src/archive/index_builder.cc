#include <algorithm>
#include <array>

#include "archive/attributes.h"
#include "archive/index.h"
#include "archive/json_text.h"
#include "archive/manifest.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul::archive {
namespace {

// What a vector, a map node and a string take beside the bytes in them; a rough price.
constexpr uint64_t kEntryOverheadBytes = 64;
constexpr uint64_t kAttributeOverheadBytes = 256;

// One number when all are the same, else an array.
template <class Numbers>
void AppendNumbers(std::string& out, const Numbers& numbers) {
  const bool constant =
      std::adjacent_find(numbers.begin(), numbers.end(), std::not_equal_to<>()) == numbers.end();
  if (constant && !numbers.empty()) {
    out += std::to_string(numbers.front());
    return;
  }
  out += '[';
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(numbers[i]);
  }
  out += ']';
}

// {"first":…,"unit":…,"step":…}: differences of neighbours, in the largest unit that divides them.
void AppendStamps(std::string& out, const std::vector<int64_t>& stamps) {
  std::vector<int64_t> steps;
  int64_t unit = 1'000'000;
  for (size_t i = 1; i < stamps.size(); ++i) {
    steps.push_back(stamps[i] - stamps[i - 1]);
    while (steps.back() % unit != 0) unit /= 1000;
  }
  for (int64_t& step : steps) step /= unit;
  out += "{\"first\":" + std::to_string(stamps.empty() ? 0 : stamps.front());
  out += ",\"unit\":" + std::to_string(unit) + ",\"step\":";
  AppendNumbers(out, steps);
  out += '}';
}

std::string PartsText(const std::vector<uint64_t>& sizes) {
  std::string out;
  for (size_t i = 0; i < sizes.size();) {
    size_t end = i;
    while (end < sizes.size() && sizes[end] == sizes[i]) ++end;
    if (!out.empty()) out += '+';
    out += std::to_string(sizes[i]);
    if (end - i > 1) out += "x" + std::to_string(end - i);
    i = end;
  }
  return out;
}

}  // namespace

void IndexBuilder::Column::Add(std::string_view value) {
  if (count_ == 0) first_ = value;
  if (constant_ && value != first_) {
    constant_ = false;
    std::string first;
    AppendJsonString(first, first_);
    for (uint64_t i = 0; i < count_; ++i) {
      if (i > 0) text_ += ',';
      text_ += first;
    }
  }
  if (!constant_) {
    text_ += ',';
    AppendJsonString(text_, value);
  }
  ++count_;
}

void IndexBuilder::Column::AppendTo(std::string& out) const {
  if (constant_) {
    AppendJsonString(out, first_);
  } else {
    out += '[';
    out += text_;
    out += ']';
  }
}

void IndexBuilder::AddAttribute(std::string_view name, std::string_view value) {
  const auto [it, added] =
      attributes_.try_emplace(std::string(name), static_cast<uint32_t>(columns_.size()));
  if (added) {
    names_.emplace_back(name);
    columns_.emplace_back();
    memory_bytes_ += kAttributeOverheadBytes + name.size();
  }
  Column& column = columns_[it->second];
  memory_bytes_ -= column.memory_bytes();
  column.Add(value);
  memory_bytes_ += column.memory_bytes();
  shape_.push_back(it->second);
}

Result<void> IndexBuilder::Check(const ArchiveEntry& entry) const {
  const SystemHeaders& headers = entry.headers;
  uint64_t bytes = entry.key.size() + entry.version_id.size() + entry.etag.size() +
                   entry.storage_class.size() + entry.part_sizes.size();
  for (const HeaderAttribute& attribute : kHeaderAttributes) {
    bytes += (headers.*attribute.field).size();
  }
  for (const auto& [name, value] : entry.metadata) bytes += name.size() + value.size();
  for (const auto& [name, value] : entry.tags) bytes += name.size() + value.size();
  if (bytes > kEntryHeaderBytesMax) {
    return InvalidInput("key, headers, metadata and tags take " + std::to_string(bytes) +
                        " bytes; an archive holds at most " + std::to_string(kEntryHeaderBytesMax) +
                        " of one object");
  }
  if (columns_.size() + entry.metadata.size() + entry.tags.size() + 16 > kAttributesMax) {
    return InvalidInput("an archive holds at most " + std::to_string(kAttributesMax) +
                        " different names of metadata and tags");
  }
  return Ok();
}

void IndexBuilder::Add(const ArchiveEntry& entry, uint64_t header_bytes,
                       std::optional<uint64_t> link, bool key_in_path) {
  const SystemHeaders& headers = entry.headers;
  shape_.clear();
  if (entry.op == EntryOp::kDelete) AddAttribute(kDeleteAttribute, "");
  if (entry.op == EntryOp::kAttributes) AddAttribute(kTagsOnlyAttribute, "");
  if (link) AddAttribute(kLinkAttribute, std::to_string(*link));
  if (!entry.version_id.empty()) AddAttribute(kVersionAttribute, entry.version_id);
  const bool derived =
      entry.op == EntryOp::kPut && entry.size_bytes < kDerivedSizeBytes && !entry.segment;
  if (entry.etag_is_md5) {
    AddAttribute(kMd5Attribute, derived ? std::string_view() : std::string_view(entry.etag));
  } else if (!entry.etag.empty()) {
    AddAttribute(kEtagAttribute, entry.etag);
  }
  if (!entry.part_sizes.empty()) AddAttribute(kPartsAttribute, PartsText(entry.part_sizes));
  if (entry.segment) AddAttribute(kSegmentAttribute, SegmentText(*entry.segment));
  if (!entry.storage_class.empty()) AddAttribute(kClassAttribute, entry.storage_class);
  if (entry.checksum && !derived) AddAttribute(kChecksumAttribute, ChecksumText(*entry.checksum));
  if (entry.lock && !entry.lock->mode.empty()) AddAttribute(kLockAttribute, LockText(*entry.lock));
  if (entry.lock && entry.lock->legal_hold) AddAttribute(kLegalHoldAttribute, "");
  for (const HeaderAttribute& attribute : kHeaderAttributes) {
    const std::string& value = headers.*attribute.field;
    if (!value.empty()) AddAttribute(attribute.name, value);
  }
  for (const auto& [name, value] : entry.metadata) {
    AddAttribute(std::string(kMetadataPrefix) + name, value);
  }
  for (const auto& [name, value] : entry.tags) {
    AddAttribute(std::string(kTagPrefix) + name, value);
  }

  const auto [shape, added] = shapes_.try_emplace(shape_, static_cast<uint32_t>(shapes_.size()));
  if (added) memory_bytes_ += kAttributeOverheadBytes + 4 * shape_.size();
  entry_shapes_.push_back(shape->second);
  header_bytes_.push_back(static_cast<uint32_t>(header_bytes));
  sizes_.push_back(entry.size_bytes);
  stamps_.push_back(entry.stamp.time_since_epoch().count());
  key_needed_.push_back(!key_in_path);
  keys_ += entry.key;
  key_ends_.push_back(keys_.size());
  memory_bytes_ += kEntryOverheadBytes + entry.key.size();
}

std::string IndexBuilder::Build(const ArchiveManifest& manifest,
                                const std::vector<FrameDigest>& frames, uint64_t start_bytes,
                                bool keys, const std::optional<SealKey>& seal) const {
  // With "key" as one more attribute, the shapes fall into those that have it and those that do
  // not.
  Column key_column;
  bool any_key = false;
  std::map<std::pair<uint32_t, bool>, uint32_t> shape_numbers;
  std::vector<std::pair<uint32_t, bool>> shapes;
  std::vector<uint32_t> entry_shapes;
  entry_shapes.reserve(entries());
  for (size_t i = 0; i < entries(); ++i) {
    const bool with_key = keys || key_needed_[i];
    const auto [it, added] = shape_numbers.try_emplace({entry_shapes_[i], with_key},
                                                       static_cast<uint32_t>(shapes.size()));
    if (added) shapes.push_back(it->first);
    entry_shapes.push_back(it->second);
    if (!with_key) continue;
    any_key = true;
    const uint64_t begin = i == 0 ? 0 : key_ends_[i - 1];
    key_column.Add(std::string_view(keys_).substr(begin, key_ends_[i] - begin));
  }
  std::vector<const std::vector<uint32_t>*> attribute_lists(shapes_.size());
  for (const auto& [list, number] : shapes_) attribute_lists[number] = &list;

  std::string out = "{\"longhaul_index\":" + std::to_string(kIndexVersion);
  out += ",\"manifest\":" + WriteManifest(manifest);

  std::vector<uint32_t> numbers;
  for (const FrameDigest& frame : frames) numbers.push_back(frame.sizes.compressed_bytes);
  out += ",\"frames\":{\"compressed\":";
  AppendNumbers(out, numbers);
  numbers.clear();
  for (const FrameDigest& frame : frames) numbers.push_back(frame.sizes.raw_bytes);
  out += ",\"raw\":";
  AppendNumbers(out, numbers);
  out += ",\"sha256\":[";
  for (size_t i = 0; i < frames.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(out, HexEncode(frames[i].sha256));
  }
  out += "]},\"start\":" + std::to_string(start_bytes);
  out += ",\"entries\":" + std::to_string(entries());

  out += ",\"shapes\":[";
  for (size_t i = 0; i < shapes.size(); ++i) {
    out += i > 0 ? ",[" : "[";
    bool first = true;
    auto add = [&](std::string_view name) {
      if (!first) out += ',';
      first = false;
      AppendJsonString(out, name);
    };
    if (shapes[i].second) add(kKeyAttribute);
    for (uint32_t attribute : *attribute_lists[shapes[i].first]) add(names_[attribute]);
    out += ']';
  }
  out += "],\"shape\":";
  AppendNumbers(out, entry_shapes);
  out += ",\"header\":";
  AppendNumbers(out, header_bytes_);
  out += ",\"size\":";
  AppendNumbers(out, sizes_);
  out += ",\"stamp\":";
  AppendStamps(out, stamps_);

  out += ",\"columns\":{";
  bool first = true;
  auto add_column = [&](std::string_view name, const Column& column) {
    if (!first) out += ',';
    first = false;
    AppendJsonString(out, name);
    out += ':';
    column.AppendTo(out);
  };
  if (any_key) add_column(kKeyAttribute, key_column);
  for (size_t i = 0; i < columns_.size(); ++i) add_column(names_[i], columns_[i]);
  out += "},\"digest\":\"";
  // What ends here is what the digest covers: everything before its field.
  const size_t covered = out.size() - std::string_view(",\"digest\":\"").size();
  out += HexEncode(Sha256(std::string_view(out).substr(0, covered)));
  out += '"';
  if (seal) {
    const std::string hmac = HexEncode(HmacSha256(seal->secret, out));
    out += ",\"seal\":{\"key\":\"" + seal->id + "\",\"hmac\":\"" + hmac + "\"}";
  }
  out += '}';
  return out;
}

}  // namespace longhaul::archive
