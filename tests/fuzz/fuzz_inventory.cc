// Any bytes as the manifest of an S3 Inventory, and its lines as rows of one.

#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "transfer/listing/inventory.h"
#include "transfer/listing/page_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longhaul;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<InventoryManifest> manifest = ParseInventoryManifest(text);
  if (manifest) {
    Result<InventoryRow> own = InventoryRow::Make(manifest->columns);
    static_cast<void>(own);
  }
  Result<InventoryRow> row =
      InventoryRow::Make({"Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size",
                          "LastModifiedDate", "ETag", "StorageClass"});
  LH_CHECK(row.has_value());
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    Result<ListedObject> object = row->Parse(text.substr(0, end));
    if (object) {
      LH_CHECK(!object->key.empty() && object->key.size() <= kListedKeyBytesMax);
      LH_CHECK(object->is_delete_marker || object->size_bytes <= kListedSizeBytesMax);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return 0;
}
