// The entries of an index: shapes and columns, and the walk that reads them side by side.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "archive/index.h"
#include "archive/index_attributes.h"

namespace longhaul::archive {

inline constexpr uint64_t kIndexStringBytes = 32;  // A heap block beside the characters.
inline constexpr uint64_t kIndexEntryBytes = sizeof(ArchiveEntry) + sizeof(EntryLocation);

// Where the fields of the index begin in its text.
struct IndexFields {
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

// Shapes and columns, and the walk over the entries that reads them side by side.
class EntryParser {
 public:
  EntryParser(std::string_view text, const IndexFields& fields) : text_(text), fields_(fields) {}

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
  IndexFields fields_;
  uint64_t entries_ = 0;
  std::vector<Attribute> attributes_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<uint32_t> shape_attributes_;  // Of all shapes, one after another.
  std::vector<uint32_t> shape_ends_;
};

}  // namespace longhaul::archive
