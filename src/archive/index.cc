#include "archive/index.h"

#include <algorithm>
#include <charconv>

#include "archive/attributes.h"
#include "archive/json_text.h"
#include "archive/manifest.h"
#include "archive/tar.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/secret.h"

namespace longhaul::archive {
namespace {

constexpr std::string_view kDigestField = ",\"digest\":\"";
constexpr std::string_view kSealField = ",\"seal\":{\"key\":\"";
constexpr std::string_view kHmacField = "\",\"hmac\":\"";
constexpr size_t kHexBytes = 64;
constexpr size_t kKeyIdBytesMax = 64;
constexpr size_t kPartsMax = 10'000;

constexpr uint64_t kStringBytes = 32;    // A heap block beside the characters, and its rounding.
constexpr uint64_t kMapNodeBytes = 160;  // Two strings, the node's pointers, the heap's own.
constexpr uint64_t kPerEntryBytes = sizeof(ArchiveEntry) + sizeof(EntryLocation);

// [n, n, …], or n where all are the same, or { "first", "unit", "step" }.
class NumberColumn {
 public:
  NumberColumn(std::string_view text, size_t at) : cursor_(text, at) {
    if (cursor_.Take('[')) {
      form_ = Form::kArray;
    } else {
      value_ = cursor_.Integer();
    }
  }

  int64_t Next() {
    if (form_ == Form::kConstant) return value_;
    if (!cursor_.NextElement(first_)) cursor_.Fail();
    return cursor_.Integer();
  }
  // After the last value: whether there were neither too few nor too many.
  bool Done() {
    return cursor_.ok() && (form_ == Form::kConstant || !cursor_.NextElement(first_)) &&
           cursor_.ok();
  }

 private:
  enum class Form { kConstant, kArray };
  JsonCursor cursor_;
  Form form_ = Form::kConstant;
  bool first_ = true;
  int64_t value_ = 0;
};

// Stamps: the first one, then steps.
class StampColumn {
 public:
  StampColumn(std::string_view text, size_t at) : steps_(text, at) {
    JsonCursor cursor(text, at);
    cursor.Expect('{');
    bool first = true;
    std::string name;
    size_t steps_at = 0;
    while (cursor.ok() && cursor.NextMember(first, name)) {
      if (name == "first") {
        value_ = cursor.Integer();
      } else if (name == "unit") {
        unit_ = cursor.Integer();
      } else {
        if (name == "step") {
          cursor.Peek();
          steps_at = cursor.at();
        }
        cursor.Skip();
      }
    }
    ok_ = cursor.ok() && steps_at != 0;
    if (ok_) steps_ = NumberColumn(text, steps_at);
  }

  int64_t Next() {
    if (start_) {
      start_ = false;
      return value_;
    }
    int64_t step = 0;
    if (__builtin_mul_overflow(steps_.Next(), unit_, &step) ||
        __builtin_add_overflow(value_, step, &value_)) {
      ok_ = false;
    }
    return value_;
  }
  bool Done() { return ok_ && steps_.Done(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  NumberColumn steps_;
  int64_t value_ = 0;
  int64_t unit_ = 1;
  bool start_ = true;
  bool ok_ = false;
};

// ["…", …], or "…" where all are the same.
class StringColumn {
 public:
  StringColumn(std::string_view text, size_t at) : cursor_(text, at) {
    if (cursor_.Take('[')) {
      array_ = true;
    } else {
      cursor_.String(&constant_);
    }
  }

  // The next value, or only its size when `out` is null.
  size_t Next(std::string* out) {
    if (!array_) {
      if (out != nullptr) *out = constant_;
      return constant_.size();
    }
    if (!cursor_.NextElement(first_)) cursor_.Fail();
    return cursor_.String(out);
  }
  bool Done() { return cursor_.ok() && (!array_ || !cursor_.NextElement(first_)) && cursor_.ok(); }
  [[nodiscard]] bool ok() const { return cursor_.ok(); }

 private:
  JsonCursor cursor_;
  bool array_ = false;
  bool first_ = true;
  std::string constant_;
};

enum class AttributeKind {
  kDelete,
  kTagsOnly,
  kLink,
  kKey,
  kVersion,
  kMd5,
  kEtag,
  kParts,
  kClass,
  kChecksum,
  kHeader,
  kMetadata,
  kTag,
  kUnknown,
};

struct Attribute {
  AttributeKind kind = AttributeKind::kUnknown;
  std::string name;  // Of metadata and tags.
  std::string SystemHeaders::* header = nullptr;
  size_t column_at = 0;  // 0: no column, which only an attribute that nobody has may lack.
};

Attribute Classify(std::string_view name) {
  using Kind = AttributeKind;
  static constexpr std::array kKinds{
      std::pair{kDeleteAttribute, Kind::kDelete},   std::pair{kTagsOnlyAttribute, Kind::kTagsOnly},
      std::pair{kLinkAttribute, Kind::kLink},       std::pair{kKeyAttribute, Kind::kKey},
      std::pair{kVersionAttribute, Kind::kVersion}, std::pair{kMd5Attribute, Kind::kMd5},
      std::pair{kEtagAttribute, Kind::kEtag},       std::pair{kPartsAttribute, Kind::kParts},
      std::pair{kClassAttribute, Kind::kClass},     std::pair{kChecksumAttribute, Kind::kChecksum},
  };
  Attribute attribute;
  for (const auto& [known, kind] : kKinds) {
    if (name == known) attribute.kind = kind;
  }
  for (const HeaderAttribute& header : kHeaderAttributes) {
    if (name == header.name) {
      attribute.kind = Kind::kHeader;
      attribute.header = header.field;
    }
  }
  if (name.starts_with(kMetadataPrefix)) {
    attribute.kind = Kind::kMetadata;
    attribute.name = name.substr(kMetadataPrefix.size());
  } else if (name.starts_with(kTagPrefix)) {
    attribute.kind = Kind::kTag;
    attribute.name = name.substr(kTagPrefix.size());
  }
  return attribute;
}

bool ReadNumber(std::string_view& text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

// "8388608x3+12": three parts of 8 MiB and one of 12 bytes. Returns how many parts there are, or
// nothing when that is not what the text says.
std::optional<size_t> ReadParts(std::string_view text, std::vector<uint64_t>* out) {
  size_t total = 0;
  while (true) {
    uint64_t size = 0;
    uint64_t count = 1;
    if (!ReadNumber(text, size)) return std::nullopt;
    if (text.starts_with('x')) {
      text.remove_prefix(1);
      if (!ReadNumber(text, count)) return std::nullopt;
    }
    if (count > kPartsMax || total + count > kPartsMax) return std::nullopt;
    total += count;
    if (out != nullptr) out->insert(out->end(), count, size);
    if (text.empty()) return total;
    if (!text.starts_with('+')) return std::nullopt;
    text.remove_prefix(1);
  }
}

std::optional<Checksum> ReadChecksum(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::string_view name = text.substr(0, space);
  Checksum checksum;
  checksum.value = text.substr(space + 1);
  if (name.ends_with(kCompositeSuffix)) {
    checksum.composite = true;
    name.remove_suffix(kCompositeSuffix.size());
  }
  for (const AlgorithmName& known : kAlgorithmNames) {
    if (known.name == name) {
      checksum.algorithm = known.algorithm;
      return checksum;
    }
  }
  return std::nullopt;  // One of a later version: the bytes are still guarded by the frames.
}

Error Malformed(std::string_view what) {
  return Corrupt("the index is malformed: " + std::string(what));
}

Error TooMuchMemory(uint64_t memory_bytes) {
  Error error =
      InvalidInput("the entries of the index take at least " + std::to_string(memory_bytes) +
                   " bytes, more than a quarter of the memory budget: raise --memory to " +
                   "more than " + std::to_string(4 * memory_bytes));
  error.code = std::string(kIndexMemoryCode);
  return error;
}

// Where the fields of the index begin in its text.
struct Fields {
  size_t version = 0;
  size_t manifest = 0;
  size_t manifest_end = 0;
  size_t frames = 0;
  size_t start = 0;
  size_t entries = 0;
  size_t shapes = 0;
  size_t shape = 0;
  size_t header = 0;
  size_t size = 0;
  size_t stamp = 0;
  size_t columns = 0;
};

Result<Fields> FindFields(std::string_view text) {
  Fields fields;
  JsonCursor cursor(text);
  cursor.Expect('{');
  bool first = true;
  std::string name;
  while (cursor.ok() && cursor.NextMember(first, name)) {
    cursor.Peek();
    const size_t at = cursor.at();
    auto set = [&](size_t& field) {
      if (field != 0) cursor.Fail();  // Twice: which one counts?
      field = at;
    };
    if (name == "longhaul_index") {
      set(fields.version);
      const int64_t version = JsonCursor(text, at).Integer();
      if (version > kIndexVersion) {
        return InvalidInput("archive index of version " + std::to_string(version) +
                            "; this program reads version " + std::to_string(kIndexVersion));
      }
      if (version != kIndexVersion) cursor.Fail();
    } else if (name == "manifest") {
      set(fields.manifest);
    } else if (name == "frames") {
      set(fields.frames);
    } else if (name == "start") {
      set(fields.start);
    } else if (name == "entries") {
      set(fields.entries);
    } else if (name == "shapes") {
      set(fields.shapes);
    } else if (name == "shape") {
      set(fields.shape);
    } else if (name == "header") {
      set(fields.header);
    } else if (name == "size") {
      set(fields.size);
    } else if (name == "stamp") {
      set(fields.stamp);
    } else if (name == "columns") {
      set(fields.columns);
    }
    cursor.Skip();
    if (fields.manifest == at) fields.manifest_end = cursor.at();
  }
  cursor.AtEnd();
  if (!cursor.ok()) return Malformed("not JSON");
  if (fields.version == 0 || fields.manifest == 0 || fields.frames == 0 || fields.start == 0 ||
      fields.entries == 0 || fields.shapes == 0 || fields.shape == 0 || fields.header == 0 ||
      fields.size == 0 || fields.stamp == 0 || fields.columns == 0) {
    return Malformed("a field is missing");
  }
  return fields;
}

// Shapes and columns, and the walk over the entries that reads them side by side.
class EntryParser {
 public:
  EntryParser(std::string_view text, const Fields& fields) : text_(text), fields_(fields) {}

  Result<void> Prepare(uint64_t entries_max);
  // Checks all and returns what the entries take.
  Result<uint64_t> Measure(uint64_t tar_bytes, uint64_t memory_bytes_max);
  // After Measure.
  Result<void> Fill(uint64_t tar_bytes, ParsedIndex& index);

 private:
  Result<void> ReadShapes();
  Result<void> ReadColumns();
  // With a null `index` nothing is kept: sizes only.
  Result<uint64_t> Walk(uint64_t tar_bytes, uint64_t memory_bytes_max, ParsedIndex* index);

  std::string_view text_;
  Fields fields_;
  uint64_t entries_ = 0;
  std::vector<Attribute> attributes_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<uint32_t> shape_attributes_;  // Of all shapes, one after another.
  std::vector<uint32_t> shape_ends_;
};

Result<void> EntryParser::ReadShapes() {
  JsonCursor cursor(text_, fields_.shapes);
  cursor.Expect('[');
  bool first = true;
  std::string name;
  while (cursor.ok() && cursor.NextElement(first)) {
    cursor.Expect('[');
    bool first_attribute = true;
    while (cursor.ok() && cursor.NextElement(first_attribute)) {
      if (cursor.String(&name) > kEntryHeaderBytesMax) return Malformed("a name is too long");
      const auto [it, added] =
          numbers_.try_emplace(name, static_cast<uint32_t>(attributes_.size()));
      if (added) {
        if (attributes_.size() == kAttributesMax) {
          return InvalidInput("an index of more than " + std::to_string(kAttributesMax) +
                              " attributes");
        }
        attributes_.push_back(Classify(name));
      }
      shape_attributes_.push_back(it->second);
    }
    if (shape_ends_.size() == entries_) return Malformed("more shapes than entries");
    shape_ends_.push_back(static_cast<uint32_t>(shape_attributes_.size()));
  }
  if (!cursor.ok()) return Malformed("shapes");
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
      if (attribute.column_at != 0) return Malformed("a column stands twice");
      attribute.column_at = cursor.at();
      if (begin != '[' && begin != '"' && attribute.kind != AttributeKind::kUnknown) {
        return InvalidInput("unknown encoding of column " + name.substr(0, 80));
      }
    }
    cursor.Skip();
  }
  if (!cursor.ok()) return Malformed("columns");
  for (const Attribute& attribute : attributes_) {
    if (attribute.column_at == 0 && attribute.kind != AttributeKind::kUnknown) {
      return Malformed("a column is missing");
    }
  }
  return Ok();
}

Result<void> EntryParser::Prepare(uint64_t entries_max) {
  JsonCursor cursor(text_, fields_.entries);
  const int64_t entries = cursor.Integer();
  if (!cursor.ok() || entries < 0) return Malformed("entries");
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
  if (!start_cursor.ok() || start < 0) return Malformed("start");

  NumberColumn shapes(text_, fields_.shape);
  NumberColumn headers(text_, fields_.header);
  NumberColumn sizes(text_, fields_.size);
  StampColumn stamps(text_, fields_.stamp);
  if (!stamps.ok()) return Malformed("stamps");
  std::vector<StringColumn> columns;
  columns.reserve(attributes_.size());
  for (const Attribute& attribute : attributes_) {
    const bool known = attribute.kind != AttributeKind::kUnknown;
    columns.emplace_back(known ? text_ : std::string_view("[]"), known ? attribute.column_at : 0);
  }

  uint64_t memory = entries_ * kPerEntryBytes;
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
    if (shape >= shape_ends_.size()) return Malformed("an entry has no shape");
    const int64_t header_bytes = headers.Next();
    const int64_t size_bytes = sizes.Next();
    const int64_t stamp = stamps.Next();
    if (header_bytes < 0 || size_bytes < 0 ||
        static_cast<uint64_t>(header_bytes) > kEntryHeaderBytesMax + 3 * kTarBlockBytes ||
        static_cast<uint64_t>(size_bytes) > kContentSizeBytesMax) {
      return Malformed("the size of an entry");
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
      memory += size + kStringBytes;
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
          entry.op = EntryOp::kTags;
          break;
        case AttributeKind::kLink: {
          column.Next(&scratch);
          std::string_view digits = scratch;
          uint64_t owner = 0;
          if (!ReadNumber(digits, owner) || !digits.empty()) return Malformed("a link");
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
          if (!count) return Malformed("part sizes");
          memory += *count * 2 * sizeof(uint64_t);
          break;
        }
        case AttributeKind::kClass:
          text(column, entry.storage_class);
          break;
        case AttributeKind::kChecksum:
          string_bytes += column.Next(&scratch);
          memory += scratch.size() + kStringBytes;
          if (keep) entry.checksum = ReadChecksum(scratch);
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
      if (string_bytes > kEntryHeaderBytesMax + 4096) return Malformed("an entry is too large");
      if (memory > memory_bytes_max) {
        return TooMuchMemory(memory);
      }
    }

    const bool put = entry.op == EntryOp::kPut;
    if (put != (header_bytes > 0) || (link && !put) ||
        static_cast<uint64_t>(header_bytes) % kTarBlockBytes != 0) {
      return Malformed("an entry contradicts itself");
    }
    if (!location.key_in_path && keep && entry.key.empty()) return Malformed("an empty key");
    if (location.key_in_path && !put) return Malformed("an entry has no key");
    location.header_offset_bytes = offset;
    location.header_bytes = static_cast<uint32_t>(header_bytes);
    offset += static_cast<uint64_t>(header_bytes);
    location.content_offset_bytes = offset;
    if (put && !link) offset += PaddedBytes(static_cast<uint64_t>(size_bytes));
    if (offset > tar_bytes) return Malformed("entries go on behind the last frame");
    if (link) {
      if (*link >= i || !owns[*link] || owners[*link].first != static_cast<uint64_t>(size_bytes)) {
        return Malformed("a link to nowhere");
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
  if (offset != tar_bytes) return Malformed("the frames hold more than the entries");
  bool done = shapes.Done() && headers.Done() && sizes.Done();
  done = done && (entries_ == 0 || stamps.Done());
  for (StringColumn& column : columns) done = done && column.Done();
  if (!done) return Malformed("a column has too few or too many values");
  return memory;
}

Result<uint64_t> EntryParser::Measure(uint64_t tar_bytes, uint64_t memory_bytes_max) {
  if (entries_ * kPerEntryBytes > memory_bytes_max) {
    return TooMuchMemory(entries_ * kPerEntryBytes);
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

Result<std::vector<std::string>> ReadFrames(std::string_view text, size_t at,
                                            const std::vector<FrameSizes>& frames) {
  JsonCursor cursor(text, at);
  cursor.Expect('{');
  bool first = true;
  std::string name;
  size_t compressed_at = 0;
  size_t raw_at = 0;
  size_t sha256_at = 0;
  while (cursor.ok() && cursor.NextMember(first, name)) {
    cursor.Peek();
    if (name == "compressed") compressed_at = cursor.at();
    if (name == "raw") raw_at = cursor.at();
    if (name == "sha256") sha256_at = cursor.at();
    cursor.Skip();
  }
  if (!cursor.ok() || compressed_at == 0 || raw_at == 0 || sha256_at == 0) {
    return Malformed("frames");
  }
  NumberColumn compressed(text, compressed_at);
  NumberColumn raw(text, raw_at);
  StringColumn sha256(text, sha256_at);
  std::vector<std::string> digests;
  digests.reserve(frames.size());
  std::string hex;
  for (const FrameSizes& frame : frames) {
    if (compressed.Next() != frame.compressed_bytes || raw.Next() != frame.raw_bytes) {
      return Corrupt("index and seek table disagree about the frames");
    }
    sha256.Next(&hex);
    auto digest = HexDecode(hex);
    if (!digest || digest->size() != 32) return Malformed("the digest of a frame");
    digests.push_back(std::move(*digest));
  }
  if (!compressed.Done() || !raw.Done() || !sha256.Done()) {
    return Corrupt("index and seek table disagree about the frames");
  }
  return digests;
}

}  // namespace

Result<std::string> CheckSeal(std::string_view text, const std::vector<SealKey>& keys) {
  const Error malformed = Corrupt("the index does not end in its digest: damaged or cut off");
  const size_t field = text.rfind(kDigestField);
  if (field == std::string_view::npos) return malformed;
  std::string_view rest = text.substr(field + kDigestField.size());
  if (rest.size() < kHexBytes + 2 || rest[kHexBytes] != '"') return malformed;
  const auto digest = HexDecode(rest.substr(0, kHexBytes));
  if (!digest) return malformed;
  rest.remove_prefix(kHexBytes + 1);
  const std::string_view sealed = text.substr(0, text.size() - rest.size());

  std::string key_id;
  std::string hmac;
  if (rest != "}") {
    const size_t id_end = rest.find(kHmacField);
    if (!rest.starts_with(kSealField) || id_end == std::string_view::npos ||
        id_end < kSealField.size() || id_end - kSealField.size() > kKeyIdBytesMax) {
      return malformed;
    }
    key_id = rest.substr(kSealField.size(), id_end - kSealField.size());
    rest.remove_prefix(id_end + kHmacField.size());
    const auto decoded = HexDecode(rest.substr(0, kHexBytes));
    if (!decoded || decoded->size() != 32 || key_id.empty() ||
        rest.substr(decoded->size() * 2) != "\"}}") {
      return malformed;
    }
    hmac = *decoded;
  }
  if (Sha256(text.substr(0, field)) != *digest) {
    return Corrupt("the index does not have its digest: damaged");
  }
  if (keys.empty()) return key_id;
  if (key_id.empty()) {
    return InvalidInput("the archive has no seal, and only sealed ones are accepted here");
  }
  const auto key = std::ranges::find(keys, key_id, &SealKey::id);
  if (key == keys.end()) {
    return InvalidInput("the archive is sealed with the unknown key " +
                        HexEncode(key_id).substr(0, 128) + " (hex of its id)");
  }
  const std::string expected = HmacSha256(key->secret, sealed);
  if (!EqualInConstantTime(expected, hmac)) {
    return Corrupt("the seal of the archive does not fit: not made by its key");
  }
  return key_id;
}

Result<ParsedIndex> ParseIndex(std::string_view text, const std::vector<FrameSizes>& frames,
                               uint64_t entries_max, uint64_t memory_bytes_max) {
  const auto fields = FindFields(text);
  if (!fields) return fields.error();
  ParsedIndex index;
  auto manifest =
      ParseManifest(text.substr(fields->manifest, fields->manifest_end - fields->manifest));
  if (!manifest) return manifest.error();
  index.manifest = std::move(*manifest);
  auto digests = ReadFrames(text, fields->frames, frames);
  if (!digests) return digests.error();
  index.frame_sha256 = std::move(*digests);

  uint64_t tar_bytes = 0;
  for (const FrameSizes& frame : frames) tar_bytes += frame.raw_bytes;
  EntryParser parser(text, *fields);
  if (const auto prepared = parser.Prepare(entries_max); !prepared) return prepared.error();
  const auto memory = parser.Measure(tar_bytes, memory_bytes_max);
  if (!memory) return memory.error();
  index.memory_bytes = *memory;
  if (const auto filled = parser.Fill(tar_bytes, index); !filled) return filled.error();
  return index;
}

uint64_t UsualIndexMemoryBytes(uint64_t entries, uint64_t text_bytes) {
  return entries * (kPerEntryBytes + 8 * kStringBytes) + 2 * text_bytes;
}

}  // namespace longhaul::archive
