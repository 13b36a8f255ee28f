#include "archive/index.h"

#include <utility>

#include "archive/index_columns.h"
#include "archive/index_entries.h"
#include "archive/manifest.h"
#include "base/bytes.h"

namespace longhaul::archive {
namespace {

Result<IndexFields> FindFields(std::string_view text) {
  IndexFields fields;
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
  if (!cursor.ok()) return MalformedIndex("not JSON");
  if (fields.version == 0 || fields.manifest == 0 || fields.frames == 0 || fields.start == 0 ||
      fields.entries == 0 || fields.shapes == 0 || fields.shape == 0 || fields.header == 0 ||
      fields.size == 0 || fields.stamp == 0 || fields.columns == 0) {
    return MalformedIndex("a field is missing");
  }
  return fields;
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
    return MalformedIndex("frames");
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
    if (!digest || digest->size() != 32) return MalformedIndex("the digest of a frame");
    digests.push_back(std::move(*digest));
  }
  if (!compressed.Done() || !raw.Done() || !sha256.Done()) {
    return Corrupt("index and seek table disagree about the frames");
  }
  return digests;
}

}  // namespace

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
  return entries * (kIndexEntryBytes + 8 * kIndexStringBytes) + 2 * text_bytes;
}

}  // namespace longhaul::archive
