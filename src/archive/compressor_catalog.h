// The catalogs of the cross-region compressor's backups: a line of JSON for each object of an
// archive, in
//
//   <source region>/<source bucket>/[<prefix>/]year=YYYY/month=MM/day=DD/<archive>.jsonl
//
// Source: its code (aws-samples/sample-s3-cross-region-compressor, release 1.1.0). Like our own
// catalogs they come from outside: a line is believed as far as it fits the file it stands in.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul::archive {

struct CompressorCatalogName {
  std::string source_region;
  std::string source_bucket;
  std::string prefix;   // Without "/" at its ends; may be empty.
  std::string date;     // "2026-03-01".
  std::string archive;  // 32 hex digits.

  bool operator==(const CompressorCatalogName&) const = default;
};

// nullopt: it is no such key.
std::optional<CompressorCatalogName> CompressorCatalogOfKey(std::string_view key);

struct CompressorCatalogLine {
  std::string backup_file;  // The archive's key, or the end of it.
  int64_t backup_seconds = 0;
  std::string source_prefix;  // As it was configured; the key begins with it.
  std::string key;
  uint64_t size_bytes = 0;
  SystemTime created{};  // Last modified, at the source; whole seconds.
  std::vector<std::string> target_buckets;

  bool operator==(const CompressorCatalogLine&) const = default;
};

// kInvalidInput: not a line of that catalog; the message says why.
Result<CompressorCatalogLine> ParseCompressorCatalogLine(std::string_view line,
                                                         const CompressorCatalogName& name);

// Of "a/b/0123….tar.zst" the 32 hex digits; empty: it has none.
std::string_view CompressorArchiveName(std::string_view key);

}  // namespace longhaul::archive
