// GiantUploads: the multipart uploads at a target into which the segments of giants are put.
//
// Segments of one transfer arrive in any order, at any process, and more than once. The first one
// creates the upload and a row in State that names it; each stores its parts, remembers them in a
// row of its own, and then sets its bit in the first row; whoever finds all bits set completes it.
// Killed between any two steps, the same segment applied again ends in the same state. Of the
// transfers of one object the newest has the row, which also names the uploads that it replaced
// until they are aborted. An upload that somebody removed keeps its row, as lost: the segments that
// are still to come must not begin another one that never gets whole.

#pragma once

#include <cstdint>
#include <functional>
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
  std::vector<bool> stored;           // By the number of the segment.
  std::optional<uint32_t> lost_at;    // The segment that found the upload gone.
  std::vector<std::string> replaced;  // Upload ids, to be aborted.
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
  // Creates an upload and makes it that of `key`, in place of `before`, whose upload it aborts, now
  // or at its end. kPrecondition: another one is there now. Errors of the store as CreateMultipart.
  Async<GiantUpload> Begin(const ArchiveEntry& entry, PutRequest request,
                           std::optional<GiantUpload> before);
  // The parts of segment `number` are stored. The row as it is then; kPrecondition: it is not that
  // of `upload` any more.
  Async<GiantUpload> RecordParts(std::string key, GiantUpload upload, uint32_t number,
                                 std::vector<UploadedPart> parts);
  // Segment `number` has found the upload gone; as RecordParts. Of several the first one stays.
  Async<GiantUpload> RecordLoss(std::string key, GiantUpload upload, uint32_t number);
  // All parts, in order. kCorrupt: some are not there though their bits are set.
  Async<std::vector<UploadedPart>> Parts(const GiantUpload& upload);
  // Aborts the upload, which may be completed, and removes all rows.
  Async<void> End(std::string key, GiantUpload upload);

  // Everything that is under way here.
  Async<std::vector<std::pair<std::string, GiantUpload>>> All();
  // Removes the parts that were recorded for an upload that had just ended. The count.
  Async<int> ForgetStrayParts();

 private:
  [[nodiscard]] std::string Partition() const { return "giant/" + name_; }
  // By upload, not by transfer: a transfer may have had another upload before.
  [[nodiscard]] std::string PartsPartition() const { return "giant-parts/" + name_; }
  // Does `change` to the row of `upload`, whatever else is changed in it meanwhile. kPrecondition:
  // it is not that of `upload` any more.
  Async<GiantUpload> Change(std::string key, GiantUpload upload,
                            std::function<void(GiantUpload&)> change);
  // Aborts an upload, which may be completed, and removes the rows of its parts.
  Async<void> Drop(const std::string& key, const std::string& upload_id);
  Async<void> RemoveParts(std::vector<std::string> rows);

  Runtime& runtime_;
  State& state_;
  Store& store_;
  UploadLedger& ledger_;
  std::string bucket_;
  std::string name_;
};

}  // namespace longhaul
