// S3 Inventory as a listing: manifest.json and the CSV files (gzip) that it names.
//
// The columns are those of the manifest's fileSchema. Keys are URL-encoded there. Of an inventory
// of all versions only the latest ones that are no delete markers count. The MD5 of the manifest's
// files is checked. Source: S3 User Guide, "Locating your inventory list".

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "transfer/listing/listing.h"
#include "transfer/listing/text_lines.h"

namespace longhaul {

struct InventoryManifest {
  struct File {
    std::string key;
    uint64_t size_bytes = 0;
    std::string md5_hex;  // Empty: none.
  };
  std::string source_bucket;
  std::string destination_bucket;  // Its name, without "arn:aws:s3:::".
  std::vector<std::string> columns;
  std::vector<File> files;
};

// kInvalidInput: no such manifest, or one of ORC or Parquet files; names the place.
Result<InventoryManifest> ParseInventoryManifest(std::string_view text);

// The same of a file.
Async<InventoryManifest> ReadInventoryManifest(ListingFile file);

// What a line of an inventory says. `versioned`: of all versions.
class InventoryRow {
 public:
  // kInvalidInput: no column for the key.
  static Result<InventoryRow> Make(const std::vector<std::string>& columns);
  // The object; is_latest and is_delete_marker as the line says.
  [[nodiscard]] Result<ListedObject> Parse(std::string_view line) const;

 private:
  int bucket_ = -1, key_ = -1, version_ = -1, latest_ = -1, marker_ = -1, size_ = -1, time_ = -1,
      etag_ = -1, class_ = -1;
  size_t count_ = 0;
};

// In no order. `manifest_file`: its data files are looked for at the same store, under their keys
// in the bucket that holds the manifest; of a manifest in a local folder beside it, too ("data/X"
// or "X"). kInvalidInput: the inventory is of another bucket than `bucket`.
Async<std::unique_ptr<Listing>> OpenInventory(Runtime runtime, ListingFile manifest_file,
                                              std::string bucket, std::string prefix);

}  // namespace longhaul
