// The catalog of an archive: a line of JSON for each of its entries, zstd, beside the archives.
//
// It is written when the archive is durable, and can be made again from the archive at any time: it
// saves opening every archive, and nothing else is lost with it.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "archive/reader.h"
#include "backup/catalog_record.h"
#include "backup/vault_place.h"
#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/listing/listing.h"

namespace longhaul {
class TextLines;
}

namespace longhaul::backup {

// What an archive itself says of its entry `index`: without an ETag that follows from the bytes.
CatalogRecord RecordOf(const ArchiveReader& reader, size_t index);

// What an archive holds, with the ETags that it does not say: all of it is read, so every frame has
// been compared with its digest. `moved` is told of bytes as they are read. Errors are those of the
// reader; kCorrupt: the archive is damaged.
Async<std::vector<CatalogRecord>> ReadRecords(Runtime& runtime, ArchiveReader& reader,
                                              std::function<void(uint64_t bytes)> moved);

// The bytes of the catalog.
asio::awaitable<std::string> PackCatalog(Runtime& runtime, CatalogHead head,
                                         std::vector<CatalogRecord> records);

struct CatalogSource;
// The lines of the catalog under `key`. kCorrupt with code kNoCatalog: it is not compressed. None
// of ours is so, and one that was cut off to nothing, or to whole lines, would pass for all of it.
Async<std::unique_ptr<TextLines>> OpenCatalogText(Runtime runtime, CatalogSource source,
                                                  std::string key);

struct CatalogTroubles {
  uint64_t lines = 0;    // That are none; skipped.
  uint64_t files = 0;    // That are no catalog; skipped.
  uint64_t orphans = 0;  // Catalogs whose archive is not there; skipped.
  // Kept a moment ago, without a catalog yet. Nothing is missing for it, except to who passes them
  // over unread.
  uint64_t archives = 0;
  [[nodiscard]] uint64_t count() const { return lines + files + orphans; }
};

struct CatalogSource {
  Store* store = nullptr;  // Borrowed.
  VaultPlace vault;
  std::string source_bucket;
  std::string prefix;  // Only keys that begin so.
  // A young archive without a catalog that cannot be read is passed over, as if it had not come
  // yet: for who only does again what it need not do.
  bool passes_unread = false;
  std::vector<SealKey> seal_keys{};  // As of ReaderOptions, for archives that are read themselves.
};

// An archive that is younger than this may still be waiting for its catalog: it is read itself.
inline constexpr std::chrono::minutes kCatalogDelayMax{10};

// Every reading that the vault has of a bucket, in no order (backup/vault_versions.h sorts them).
// What is skipped is counted in `troubles`, which lives as long as the listing, and told. Errors:
// those of the store; kCorrupt with the code kNoCatalog: an archive has none; with kUnreadArchive:
// a young one has none, and cannot be read.
std::unique_ptr<Listing> OpenReadings(Runtime runtime, CatalogSource source,
                                      CatalogTroubles& troubles,
                                      std::function<void(const std::string& what)> told);
inline constexpr std::string_view kNoCatalog = "NoCatalog";
inline constexpr std::string_view kUnreadArchive = "UnreadArchive";

}  // namespace longhaul::backup
