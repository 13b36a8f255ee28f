// The index: all that an archive says of its entries, laid out in columns so that it compresses.
//
// An entry has a *shape*, the list of the attributes it has; entries of one kind share a shape. An
// attribute has a *column*, its values for the entries that have it, in order; a column whose
// values are all the same is written once. Grammar and fields: docs/archive-format.md, "The index".

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "archive/entry.h"
#include "archive/reader.h"
#include "archive/seek_table.h"
#include "base/result.h"

namespace longhaul::archive {

inline constexpr int kIndexVersion = 1;

// Of one data frame.
struct FrameDigest {
  FrameSizes sizes;
  std::string sha256;  // 32 bytes.
};

class IndexBuilder {
 public:
  // kInvalidInput: the strings of the entry are over kEntryHeaderBytesMax, or there would be too
  // many different attributes.
  [[nodiscard]] Result<void> Check(const ArchiveEntry& entry) const;
  // An entry that has passed Check. `header_bytes`: of the tar headers, 0 where the entry has no
  // member. `link`: the entry that holds the same content. `key_in_path`: the path in the tar tells
  // the key.
  void Add(const ArchiveEntry& entry, uint64_t header_bytes, std::optional<uint64_t> link,
           bool key_in_path);

  [[nodiscard]] uint64_t entries() const { return sizes_.size(); }
  // About what this object holds; Build takes about as much again.
  [[nodiscard]] uint64_t memory_bytes() const { return memory_bytes_; }
  [[nodiscard]] bool attributes_full() const { return columns_.size() + 64 > kAttributesMax; }

  // The text of the index. `start_bytes`: where the headers of the first entry begin in the tar.
  // `keys`: write all keys, or only those that paths do not tell.
  [[nodiscard]] std::string Build(const ArchiveManifest& manifest,
                                  const std::vector<FrameDigest>& frames, uint64_t start_bytes,
                                  bool keys, const std::optional<SealKey>& seal) const;

 private:
  // Values of one attribute. Written out only from the first difference on.
  class Column {
   public:
    void Add(std::string_view value);
    void AppendTo(std::string& out) const;
    [[nodiscard]] uint64_t memory_bytes() const { return text_.capacity() + first_.size(); }

   private:
    std::string first_;
    std::string text_;
    uint64_t count_ = 0;
    bool constant_ = true;
  };

  void AddAttribute(std::string_view name, std::string_view value);

  std::unordered_map<std::string, uint32_t> attributes_;
  std::vector<std::string> names_;
  std::vector<Column> columns_;
  std::map<std::vector<uint32_t>, uint32_t> shapes_;
  std::vector<uint32_t> shape_;  // Of the entry that is being added.

  std::vector<uint32_t> entry_shapes_;
  std::vector<uint32_t> header_bytes_;
  std::vector<uint64_t> sizes_;
  std::vector<int64_t> stamps_;
  std::vector<bool> key_needed_;
  std::string keys_;
  std::vector<uint64_t> key_ends_;
  uint64_t memory_bytes_ = 0;
};

inline constexpr std::string_view kIndexMemoryCode = "IndexMemory";

// Where an entry lies in the tar.
struct EntryLocation {
  uint64_t header_offset_bytes = 0;
  uint64_t content_offset_bytes = 0;  // Of the owner, where the entry is linked.
  uint32_t header_bytes = 0;          // 0: the entry has no member.
  uint32_t owner = 0;                 // Itself or an earlier entry.
  bool key_in_path = false;           // entry.key is empty: read it from the tar header.
};

struct ParsedIndex {
  ArchiveManifest manifest;
  std::vector<ArchiveEntry> entries;
  std::vector<EntryLocation> locations;
  std::vector<std::string> frame_sha256;
  uint64_t memory_bytes = 0;  // What entries and locations take.
};

// Checks the digest at the end of an index and, where keys are given, the seal. Returns the id of
// the key, empty when there is no seal. Errors as in reader.h.
Result<std::string> CheckSeal(std::string_view text, const std::vector<SealKey>& keys);

// Parses an index whose digest is right. `frames`: the data frames, from the seek table.
// `memory_bytes_max`: what the result may take; kInvalidInput with code kIndexMemoryCode, naming
// the need, when it is more.
// Everything is checked once without allocating, then again while filling the result.
Result<ParsedIndex> ParseIndex(std::string_view text, const std::vector<FrameSizes>& frames,
                               uint64_t entries_max, uint64_t memory_bytes_max);

// What ParseIndex takes for `entries` entries without unusual strings.
uint64_t UsualIndexMemoryBytes(uint64_t entries, uint64_t text_bytes);

}  // namespace longhaul::archive
