// What those who look after a vault have in common: the names in it, archives opened one by one,
// and whether a catalog says what its archive says.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "archive/archive_file.h"
#include "archive/reader.h"
#include "backup/catalog.h"

namespace longhaul::backup {

// What tells of the surroundings and nothing of the vault: the store is away or lets nobody in, or
// the object was written anew while it was read.
bool IsOfSurroundings(const Error& error);

// The archives, or the catalogs, that the vault has of `source.source_bucket`, as they are listed.
// Errors: those of the store.
Async<std::map<VaultName, ListedObject>> ListVault(Runtime runtime, const CatalogSource& source,
                                                   bool catalogs);

struct OpenedArchive {
  std::unique_ptr<StoreArchiveFile> file;
  std::unique_ptr<ArchiveReader> reader;  // Goes before the file.
};
// kCorrupt: damaged, or another archive than its name says. Else as StoreArchiveFile::Open and
// ArchiveReader::Open. `runtime` outlives it.
Async<OpenedArchive> OpenVaultArchive(Runtime& runtime, const CatalogSource& source, VaultName name,
                                      ReaderOptions options);

// A sum over states of objects, in any order; equal sums are of the same states.
class StatesSum {
 public:
  void Add(const ListedObject& reading);  // As ListedOf.
  [[nodiscard]] uint64_t count() const { return count_; }
  bool operator==(const StatesSum&) const = default;

 private:
  uint64_t count_ = 0;
  uint64_t low_ = 0;
  uint64_t high_ = 0;
};
StatesSum SumOfArchive(const ArchiveReader& reader, const VaultName& name);

struct CatalogLook {
  bool sound = true;  // All of it can be read.
  uint64_t lines = 0;
  StatesSum states;
  std::map<uint64_t, std::string> keys;  // By the number of the entry; the first of them.
};
// Reads a whole catalog; without `keys_max` only as far as it is sound. Errors: those of the store;
// kNotFound: there is none.
Async<CatalogLook> LookAtCatalog(Runtime runtime, const CatalogSource& source, VaultName name,
                                 size_t keys_max = 0);

// Does something with one archive. A runtime has a memory budget of its own for each call.
class ArchiveVisitor {
 public:
  virtual ~ArchiveVisitor() = default;
  // Any error ends the walk, but kInvalidInput: the archive comes once more, alone, with all the
  // memory that there is.
  virtual Async<void> Visit(Runtime& runtime, VaultName name) = 0;
  // It was kInvalidInput again. What is returned ends the walk or does not.
  virtual Result<void> OnUnread(const VaultName& name, const Error& error) = 0;
};
// Several side by side, in order. Takes most of the memory budget. kCancelled: `stop`, which may be
// null.
Async<void> VisitArchives(Runtime runtime, std::vector<VaultName> names, ArchiveVisitor& visitor,
                          Event* stop);

}  // namespace longhaul::backup
