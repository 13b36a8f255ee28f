// The table by which Amazon Athena reads the catalogs of a vault (backup/catalog_record.h).

#pragma once

#include <optional>
#include <string>

#include "backup/vault_place.h"
#include "rules/rule.h"

namespace longhaul::backup {

struct AthenaTable {
  std::string name;  // May say the database first: "backups.app_logs".
  VaultPlace vault;
  std::string source_bucket;  // Empty: the catalogs of all.
  // Of a rule: its folders of days or months are the table's partitions. Else it has none, and each
  // query reads all catalogs.
  struct OfRule {
    std::string prefix;
    BackupOptions::Partition partition = BackupOptions::Partition::kDaily;
    int first_year = 2025;
  };
  std::optional<OfRule> rule{};
};

// "app-logs" as "app_logs": what stands unquoted in Athena's SQL.
std::string AthenaName(std::string_view text);

// CREATE EXTERNAL TABLE …; with its end of line. Facts: Athena's user guide, "OpenX JSON SerDe",
// "Use Hive table compression" (engine version 3 reads zstd text), "Supported types for partition
// projection" and "Specify custom S3 storage locations". kInvalidInput: the place has what such a
// table cannot name.
Result<std::string> AthenaDdl(const AthenaTable& table);

}  // namespace longhaul::backup
