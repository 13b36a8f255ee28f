#include "archive/index_entries.h"

#include <optional>
#include <utility>

#include "archive/index_columns.h"
#include "archive/tar.h"

namespace longhaul::archive {
namespace {

constexpr uint64_t kMapNodeBytes = 160;  // Two strings, the node's pointers, the heap's own.

Error TooMuchMemory(uint64_t memory_bytes) {
  Error error =
      InvalidInput("the entries of the index take at least " + std::to_string(memory_bytes) +
                   " bytes, more than a quarter of the memory budget: raise --memory to " +
                   "more than " + std::to_string(4 * memory_bytes));
  error.code = std::string(kIndexMemoryCode);
  return error;
}

}  // namespace

Result<void> EntryParser::ReadShapes() {
  JsonCursor cursor(text_, fields_.shapes);
  cursor.Expect('[');
  bool first = true;
  std::string name;
  std::vector<size_t> last_shapes;  // Of each attribute: the last shape that has it, from 1.
  while (cursor.ok() && cursor.NextElement(first)) {
    cursor.Expect('[');
    bool first_attribute = true;
    while (cursor.ok() && cursor.NextElement(first_attribute)) {
      if (cursor.String(&name) > kEntryHeaderBytesMax) return MalformedIndex("a name is too long");
      const auto [it, added] =
          numbers_.try_emplace(name, static_cast<uint32_t>(attributes_.size()));
      if (added) {
        if (attributes_.size() == kAttributesMax) {
          return InvalidInput("an index of more than " + std::to_string(kAttributesMax) +
                              " attributes");
        }
        attributes_.push_back(Classify(name));
        last_shapes.push_back(0);
      }
      // Else a few KB could say a shape that takes hours to walk over for each of the entries.
      const size_t shape = shape_ends_.size() + 1;
      if (std::exchange(last_shapes[it->second], shape) == shape) {
        return MalformedIndex("an attribute stands twice in a shape");
      }
      shape_attributes_.push_back(it->second);
    }
    if (shape_ends_.size() == entries_) return MalformedIndex("more shapes than entries");
    shape_ends_.push_back(static_cast<uint32_t>(shape_attributes_.size()));
  }
  if (!cursor.ok()) return MalformedIndex("shapes");
  return Ok();
}

Result<void> EntryParser::ReadColumns() {
  JsonCursor cursor(text_, fields_.columns);
  cursor.Expect('{');
  bool first = true;
  std::string name;
  while (cursor.ok() && cursor.NextMember(first, name)) {
    const char begin = cursor.Peek();
    if (const auto it = numbers_.find(name); it != numbers_.end()) {
      Attribute& attribute = attributes_[it->second];
      if (attribute.column_at != 0) return MalformedIndex("a column stands twice");
      attribute.column_at = cursor.at();
      if (begin != '[' && begin != '"' && attribute.kind != AttributeKind::kUnknown) {
        return InvalidInput("unknown encoding of column " + name.substr(0, 80));
      }
    }
    cursor.Skip();
  }
  if (!cursor.ok()) return MalformedIndex("columns");
  for (const Attribute& attribute : attributes_) {
    if (attribute.column_at == 0 && attribute.kind != AttributeKind::kUnknown) {
      return MalformedIndex("a column is missing");
    }
  }
  return Ok();
}

Result<void> EntryParser::Prepare(uint64_t entries_max) {
  JsonCursor cursor(text_, fields_.entries);
  const int64_t entries = cursor.Integer();
  if (!cursor.ok() || entries < 0) return MalformedIndex("entries");
  entries_ = static_cast<uint64_t>(entries);
  if (entries_ > entries_max) {
    return InvalidInput("an archive of " + std::to_string(entries_) + " entries; the limit is " +
                        std::to_string(entries_max));
  }
  if (const auto read = ReadShapes(); !read) return read.error();
  return ReadColumns();
}

Result<uint64_t> EntryParser::Walk(uint64_t tar_bytes, uint64_t memory_bytes_max,
                                   ParsedIndex* index) {
  JsonCursor start_cursor(text_, fields_.start);
  const int64_t start = start_cursor.Integer();
  if (!start_cursor.ok() || start < 0) return MalformedIndex("start");

  NumberColumn shapes(text_, fields_.shape);
  NumberColumn headers(text_, fields_.header);
  NumberColumn sizes(text_, fields_.size);
  StampColumn stamps(text_, fields_.stamp);
  if (!stamps.ok()) return MalformedIndex("stamps");
  std::vector<StringColumn> columns;
  columns.reserve(attributes_.size());
  for (const Attribute& attribute : attributes_) {
    const bool known = attribute.kind != AttributeKind::kUnknown;
    columns.emplace_back(known ? text_ : std::string_view("[]"), known ? attribute.column_at : 0);
  }

  uint64_t memory = entries_ * kIndexEntryBytes;
  uint64_t offset = static_cast<uint64_t>(start);
  std::string scratch;
  // What links may point at; in the first pass the result is not there yet.
  std::vector<std::pair<uint64_t, uint64_t>> owners;  // Size and content offset.
  std::vector<bool> owns;
  bool any_link = false;
  for (const Attribute& attribute : attributes_) {
    any_link = any_link || attribute.kind == AttributeKind::kLink;
  }

  for (uint64_t i = 0; i < entries_; ++i) {
    const auto shape = static_cast<uint64_t>(shapes.Next());
    if (shape >= shape_ends_.size()) return MalformedIndex("an entry has no shape");
    const int64_t header_bytes = headers.Next();
    const int64_t size_bytes = sizes.Next();
    const int64_t stamp = stamps.Next();
    if (header_bytes < 0 || size_bytes < 0 ||
        static_cast<uint64_t>(header_bytes) > kEntryHeaderBytesMax + 3 * kTarBlockBytes ||
        static_cast<uint64_t>(size_bytes) > kContentSizeBytesMax) {
      return MalformedIndex("the size of an entry");
    }

    ArchiveEntry entry;
    EntryLocation location;
    location.owner = static_cast<uint32_t>(i);
    location.key_in_path = true;
    std::optional<uint64_t> link;
    uint64_t string_bytes = 0;
    const bool keep = index != nullptr;
    auto text = [&](StringColumn& column, std::string& out) {
      const size_t size = column.Next(keep ? &out : nullptr);
      string_bytes += size;
      memory += size + kIndexStringBytes;
    };
    const uint32_t begin = shape == 0 ? 0 : shape_ends_[shape - 1];
    for (uint32_t a = begin; a < shape_ends_[shape]; ++a) {
      const Attribute& attribute = attributes_[shape_attributes_[a]];
      StringColumn& column = columns[shape_attributes_[a]];
      switch (attribute.kind) {
        case AttributeKind::kDelete:
          column.Next(nullptr);
          entry.op = EntryOp::kDelete;
          break;
        case AttributeKind::kTagsOnly:
          column.Next(nullptr);
          entry.op = EntryOp::kAttributes;
          break;
        case AttributeKind::kLink: {
          column.Next(&scratch);
          std::string_view digits = scratch;
          uint64_t owner = 0;
          if (!ReadNumber(digits, owner) || !digits.empty()) return MalformedIndex("a link");
          link = owner;
          break;
        }
        case AttributeKind::kKey:
          text(column, entry.key);
          location.key_in_path = false;
          break;
        case AttributeKind::kVersion:
          text(column, entry.version_id);
          break;
        case AttributeKind::kMd5:
          text(column, entry.etag);
          entry.etag_is_md5 = true;
          break;
        case AttributeKind::kEtag:
          text(column, entry.etag);
          break;
        case AttributeKind::kParts: {
          column.Next(&scratch);
          const auto count = ReadParts(scratch, keep ? &entry.part_sizes : nullptr);
          if (!count) return MalformedIndex("part sizes");
          memory += *count * 2 * sizeof(uint64_t);
          break;
        }
        case AttributeKind::kSegment: {
          string_bytes += column.Next(&scratch);
          std::optional<Segment> segment = ReadSegment(scratch);
          if (!segment) return MalformedIndex("a segment");
          const uint64_t left = segment->object_size_bytes - segment->offset_bytes;
          if (static_cast<uint64_t>(size_bytes) > left) return MalformedIndex("a segment's size");
          memory += segment->plan.size() + kIndexStringBytes;
          entry.segment = std::move(segment);
          break;
        }
        case AttributeKind::kClass:
          text(column, entry.storage_class);
          break;
        case AttributeKind::kChecksum:
          string_bytes += column.Next(&scratch);
          memory += scratch.size() + kIndexStringBytes;
          if (keep) entry.checksum = ReadChecksum(scratch);
          break;
        case AttributeKind::kLock: {
          string_bytes += column.Next(&scratch);
          std::optional<ObjectLock> lock = ReadLock(scratch);
          if (!lock) return MalformedIndex("a lock");
          lock->legal_hold = entry.lock && entry.lock->legal_hold;
          entry.lock = std::move(lock);
          break;
        }
        case AttributeKind::kLegalHold:
          column.Next(nullptr);
          if (!entry.lock) entry.lock = ObjectLock{};
          entry.lock->legal_hold = true;
          break;
        case AttributeKind::kHeader:
          text(column, entry.headers.*attribute.header);
          break;
        case AttributeKind::kMetadata:
        case AttributeKind::kTag: {
          auto& map = attribute.kind == AttributeKind::kMetadata ? entry.metadata : entry.tags;
          string_bytes += attribute.name.size();
          memory += attribute.name.size() + kMapNodeBytes;
          text(column, keep ? map[attribute.name] : scratch);
          break;
        }
        case AttributeKind::kUnknown:
          string_bytes += 1;  // Bounds the walk over shapes that are long.
          break;
      }
      if (string_bytes > kEntryHeaderBytesMax + 4096)
        return MalformedIndex("an entry is too large");
      if (memory > memory_bytes_max) {
        return TooMuchMemory(memory);
      }
    }

    const bool put = entry.op == EntryOp::kPut;
    if (put != (header_bytes > 0) || ((link || entry.segment) && !put) ||
        static_cast<uint64_t>(header_bytes) % kTarBlockBytes != 0) {
      return MalformedIndex("an entry contradicts itself");
    }
    if (!location.key_in_path && keep && entry.key.empty()) return MalformedIndex("an empty key");
    if (location.key_in_path && !put) return MalformedIndex("an entry has no key");
    location.header_offset_bytes = offset;
    location.header_bytes = static_cast<uint32_t>(header_bytes);
    offset += static_cast<uint64_t>(header_bytes);
    location.content_offset_bytes = offset;
    if (put && !link) offset += PaddedBytes(static_cast<uint64_t>(size_bytes));
    if (offset > tar_bytes) return MalformedIndex("entries go on behind the last frame");
    if (link) {
      if (*link >= i || !owns[*link] || owners[*link].first != static_cast<uint64_t>(size_bytes)) {
        return MalformedIndex("a link to nowhere");
      }
      location.owner = static_cast<uint32_t>(*link);
      location.content_offset_bytes = owners[*link].second;
    }
    if (any_link) {
      owners.emplace_back(size_bytes, location.content_offset_bytes);
      owns.push_back(put && !link);
    }
    if (keep) {
      entry.size_bytes = static_cast<uint64_t>(size_bytes);
      entry.stamp = SystemTime(std::chrono::microseconds(stamp));
      index->entries.push_back(std::move(entry));
      index->locations.push_back(location);
    }
  }
  if (offset != tar_bytes) return MalformedIndex("the frames hold more than the entries");
  bool done = shapes.Done() && headers.Done() && sizes.Done();
  done = done && (entries_ == 0 || stamps.Done());
  for (StringColumn& column : columns) done = done && column.Done();
  if (!done) return MalformedIndex("a column has too few or too many values");
  return memory;
}

Result<uint64_t> EntryParser::Measure(uint64_t tar_bytes, uint64_t memory_bytes_max) {
  if (entries_ * kIndexEntryBytes > memory_bytes_max) {
    return TooMuchMemory(entries_ * kIndexEntryBytes);
  }
  return Walk(tar_bytes, memory_bytes_max, nullptr);
}

Result<void> EntryParser::Fill(uint64_t tar_bytes, ParsedIndex& index) {
  index.entries.reserve(entries_);
  index.locations.reserve(entries_);
  const auto walked = Walk(tar_bytes, UINT64_MAX / 8, &index);
  if (!walked) return walked.error();
  return Ok();
}

}  // namespace longhaul::archive
