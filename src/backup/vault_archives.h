// VaultArchives: the archives of a vault that are open, and the frames that were read last, within
// a fixed amount of memory.
//
// An archive is opened by its tail and stays open as long as there is room; neighbours in a frame
// are read once. Whoever waits for room holds nothing of it, and what is lent out comes back
// without any: so no two can wait for each other. Every frame is compared with the digest that the
// archive's index gives, and where keys are given, the index with its seal.
//
// Belongs to one shard; many coroutines may ask at once.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "archive/reader.h"
#include "backup/catalog_record.h"
#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul::backup {

class VaultArchives {
 public:
  struct Options {
    std::vector<SealKey> seal_keys{};  // As of ReaderOptions.
    int64_t memory_bytes = 256 << 20;  // Of all of it; the caller has reserved it.
  };
  // `store` is borrowed. What was lent must come back before this goes.
  VaultArchives(Runtime runtime, Store& store, VaultPlace vault, Options options);
  ~VaultArchives();

  struct Entry {
    ArchiveEntry entry;
    std::vector<ContentPiece> pieces;
    std::string archive_etag{};  // Of the archive that says so.
  };
  // What an archive says under a number. kCorrupt: the archive is damaged, or has no such entry;
  // kNotFound: it is not in the vault. Else as ArchiveReader::Open.
  Async<Entry> Find(VersionPlace place);

  // The whole of it, to be held shortly: while it is used it takes room.
  using Frame = std::shared_ptr<const ArchiveFrame>;
  // `archive_etag`: of the archive that is meant, as Find tells. kCorrupt: it does not have its
  // digest; the message names archive and frame. kPrecondition: another archive is there by now.
  Async<Frame> ReadFrame(VaultName name, size_t frame, std::string archive_etag);

 private:
  struct Open;
  struct Lent;
  struct Got {
    std::shared_ptr<Open> archive;  // shared with frames that are lent.
    Frame frame;
  };
  Async<Got> Get(VaultName name, std::optional<size_t> frame);
  Async<void> OpenArchive(const VaultName& name, const std::shared_ptr<Open>& archive);
  Async<void> LoadFrame(const VaultName& name, const std::shared_ptr<Open>& archive, size_t frame);
  // Whether so much is free, or can be made free now.
  bool MakeRoom(int64_t size_bytes, const Open* keep);
  Frame Lend(const std::shared_ptr<Open>& archive, size_t frame);

  Runtime runtime_;
  Store& store_;
  VaultPlace vault_;
  Options options_;
  std::map<VaultName, std::shared_ptr<Open>> open_;
  int64_t used_bytes_ = 0;
  uint64_t uses_ = 0;  // Orders what is thrown out.
  uint64_t next_ticket_ = 0;
  std::set<uint64_t> waiting_;  // For room, in order.
  WaitList changed_;
};

}  // namespace longhaul::backup
