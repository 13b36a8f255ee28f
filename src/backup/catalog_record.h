// A line of a catalog: what one entry of an archive says of one object.
//
// The fields are those of the catalog of AWS's cross-region compressor, so that queries written for
// that one go on working, and after them our own: op, version_id, etag, stamp, archive, entry,
// frame, offset, length, and of an object that travels in segments those of the segment. Catalogs
// come from outside: a line is believed as far as it fits the file it stands in, and names a place
// in an archive that is read with the archive's own checks.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "archive/entry.h"
#include "backup/vault_place.h"
#include "storage/object.h"

namespace longhaul::backup {

struct CatalogRecord {
  EntryOp op = EntryOp::kPut;
  std::string key;  // Of the source.
  std::string version_id;
  std::string etag;
  SystemTime stamp{};
  uint64_t size_bytes = 0;    // Of the object.
  uint64_t entry = 0;         // Its number in the archive.
  uint64_t frame = 0;         // Where its content begins; 0 where it has none.
  uint64_t offset_bytes = 0;  // In that frame, decompressed.
  uint64_t length_bytes = 0;  // Of the content; it may go on at the next frame's beginning.
  std::optional<Segment> segment{};

  bool operator==(const CatalogRecord&) const = default;
};

// What all lines of a catalog have in common.
struct CatalogHead {
  VaultPlace vault;
  VaultName name;
  Address source;  // Of the rule.
};

// The line with its end.
void AppendCatalogLine(std::string& out, const CatalogHead& head, const CatalogRecord& record);
// kInvalidInput: not a line of the catalog of archive `ulid`.
Result<CatalogRecord> ParseCatalogLine(std::string_view line, std::string_view ulid);

// A reading as listings have it: last_modified is the stamp, is_delete_marker that there was no
// object. Segments still stand alone; `storage_class` then holds what joins them
// (backup/vault_versions.h).
ListedObject ListedOf(const CatalogRecord& record, const VaultName& name);

// "<ULID>.<entry>@<folder>": names a reading in its vault.
struct VersionPlace {
  VaultName name;
  uint64_t entry = 0;
  auto operator<=>(const VersionPlace&) const = default;
};
std::string FormatVersion(const VersionPlace& place);
// kInvalidInput: not one.
Result<VersionPlace> ParseVersion(std::string_view text);

}  // namespace longhaul::backup
