// GiantUploads: the multipart uploads at a target into which the segments of giants are put.
//
// Segments of one transfer arrive in any order, at any process, and more than once. The first one
// creates the upload and a row in State that names it; each stores its parts, remembers them in a
// row of its own, and then sets its bit in the first row; whoever finds all bits set completes it.
// Killed between any two steps, the same segment applied again ends in the same state. Of the
// transfers of one object the newest has the row: an older one is aborted.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "archive/entry.h"
#include "replication/uploads.h"
#include "state/state.h"
#include "storage/store.h"

namespace longhaul {

// The upload of a transfer, as State has it.
struct GiantUpload {
  std::string plan;  // ULID of the transfer.
  SystemTime stamp{};
  std::string etag;  // Of the object at its source.
  std::string upload_id;
  std::vector<bool> stored;  // By the number of the segment.
  SystemTime touched{};
  int64_t revision = 0;  // Of the row.

  [[nodiscard]] bool complete() const;
};

std::string EncodeGiantUpload(const GiantUpload& upload);
// kCorrupt: not one.
Result<GiantUpload> DecodeGiantUpload(std::string_view text);

// Those of one target of a rule. Belongs to one shard. Errors are those of State, unless said.
class GiantUploads {
 public:
  // `name`: unique per rule and target (StatePartition).
  GiantUploads(Runtime& runtime, State& state, Store& store, UploadLedger& ledger,
               std::string bucket, std::string name);

  // `key` is that of the target, everywhere.
  Async<std::optional<GiantUpload>> Find(std::string key);
  // Creates an upload and makes it that of `key`, in place of `before`, whose upload it aborts.
  // kPrecondition: another one is there now. Errors of the store as CreateMultipart.
  Async<GiantUpload> Begin(const ArchiveEntry& entry, PutRequest request,
                           std::optional<GiantUpload> before);
  // The parts of a segment are stored. The row as it is then; kPrecondition: it is not that of
  // `upload` any more.
  Async<GiantUpload> Store(std::string key, GiantUpload upload, uint32_t number,
                           std::vector<UploadedPart> parts);
  // All parts, in order. kCorrupt: some are not there though their bits are set.
  Async<std::vector<UploadedPart>> Parts(const GiantUpload& upload);
  // Aborts the upload, which may be completed, and removes all rows.
  Async<void> End(std::string key, GiantUpload upload);

  // Everything that is under way here.
  Async<std::vector<std::pair<std::string, GiantUpload>>> All();

 private:
  [[nodiscard]] std::string PartsPartition(const std::string& plan) const {
    return "giant-parts/" + name_ + "/" + plan;
  }
  [[nodiscard]] MultipartUpload UploadOf(const std::string& key, const GiantUpload& upload) const {
    return {.bucket = bucket_, .key = key, .upload_id = upload.upload_id};
  }
  // Of another one than the row's: its upload and the rows of its parts.
  Async<void> Drop(const std::string& key, const GiantUpload& upload);

  Runtime& runtime_;
  State& state_;
  class Store& store_;
  UploadLedger& ledger_;
  std::string bucket_;
  std::string name_;
};

}  // namespace longhaul
