// The vault of a backup: where its archives and catalogs lie.
//
//   <to><folder><ULID>.tar.zst                       an archive, as it came
//   <to>longhaul-catalog/<folder><ULID>.jsonl.zst    its catalog (backup/catalog.h)
//
// A folder is "<source bucket>/<prefix of the source>year=YYYY/month=MM/day=DD/", of the day (UTC)
// on which the archive was begun; monthly vaults have no "day=". One that ends otherwise is read
// all the same: what a vault holds is known by its names' ends alone.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "rules/rule.h"

namespace longhaul::backup {

struct VaultPlace {
  std::string bucket;
  std::string prefix;  // Empty or ends in "/".
};

// An archive or its catalog.
struct VaultName {
  std::string folder;
  std::string ulid;
  auto operator<=>(const VaultName&) const = default;
};

std::string VaultFolder(const Address& source, BackupOptions::Partition partition,
                        std::string_view ulid);
// Below which all archives of a source bucket lie; with `catalogs`, all their catalogs. An empty
// `source_bucket`: those of all.
std::string VaultPrefix(const VaultPlace& vault, std::string_view source_bucket, bool catalogs);

std::string VaultArchiveKey(const VaultPlace& vault, const VaultName& name);
std::string VaultCatalogKey(const VaultPlace& vault, const VaultName& name);
// nullopt: another object.
std::optional<VaultName> ArchiveOfKey(const VaultPlace& vault, std::string_view key);
std::optional<VaultName> CatalogOfKey(const VaultPlace& vault, std::string_view key);

// When a ULID was made, to the millisecond.
SystemTime TimeOfUlid(std::string_view ulid);

}  // namespace longhaul::backup
