// SharedUploads: multipart uploads that many workers fill together, one upload for an object.
//
// The object is cut into pieces of whole parts. Pieces of one transfer arrive in any order, at any
// process, and more than once. The first one creates the upload and a row in State that names it;
// each stores its parts, remembers them (their ETags and checksums) in a row of its own, and then
// sets its bit in the first row; whoever finds all bits set completes it (piece_upload.h). Killed
// between any two steps, the same piece sent again ends in the same state. Of the transfers of one
// object the newest has the row, which also names the uploads that it replaced until they are
// aborted. An upload that somebody removed keeps its row, as lost: the pieces that are still to
// come must not begin another one that never gets whole.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "state/state.h"
#include "storage/store.h"
#include "transfer/uploads/uploads.h"

namespace longhaul {

// 10,000 parts are the most that an upload has (S3's limit), so of pieces there are no more.
inline constexpr uint32_t kPiecesMax = 10'000;

// What the workers of one transfer agree upon.
struct UploadPlan {
  std::string plan;    // ULID of the transfer: the parts of two never come together.
  SystemTime stamp{};  // Of two transfers of an object the one with the later stamp is wanted.
  std::string etag;    // Of the object at its source.
  uint32_t pieces = 1;
};

// The upload of a transfer, as State has it.
struct SharedUpload {
  std::string plan;  // These three as in UploadPlan.
  SystemTime stamp{};
  std::string etag;
  std::string upload_id;
  std::vector<bool> stored;           // By the number of the piece.
  std::optional<uint32_t> lost_at;    // The piece that found the upload gone.
  std::vector<std::string> replaced;  // Upload ids, to be aborted.
  SystemTime touched{};
  int64_t revision = 0;  // Of the row.

  [[nodiscard]] bool complete() const;
};

std::string EncodeSharedUpload(const SharedUpload& upload);
// kCorrupt: not one.
Result<SharedUpload> DecodeSharedUpload(std::string_view text);

// By the number of a part, raw: the MD5s of the bytes of those whose ETags are known to be none.
using PartMd5s = std::map<int, std::string>;

// Those of one bucket that belong together. Belongs to one shard. Errors are those of State, unless
// said.
class SharedUploads {
 public:
  // The partitions of its rows, with a "/" at the end; nobody else's.
  struct Family {
    std::string uploads;
    std::string parts;
  };
  // `name`: which of the family's these are, unique in it.
  SharedUploads(Runtime& runtime, State& state, Store& store, UploadLedger& ledger,
                std::string bucket, const Family& family, std::string_view name);

  // `key` is that of the target, everywhere.
  Async<std::optional<SharedUpload>> Find(std::string key);
  // Creates an upload and makes it that of `key`, in place of `before`, whose upload it aborts, now
  // or at its end. kPrecondition: another one is there now. Errors of the store as CreateMultipart.
  Async<SharedUpload> Begin(UploadPlan plan, PutRequest request,
                            std::optional<SharedUpload> before);
  // The parts of piece `number` are stored. The row as it is then; kPrecondition: it is not that
  // of `upload` any more.
  Async<SharedUpload> RecordParts(std::string key, SharedUpload upload, uint32_t number,
                                  std::vector<UploadedPart> parts, PartMd5s md5s = {});
  // Piece `number` has found the upload gone; as RecordParts. Of several the first one stays.
  Async<SharedUpload> RecordLoss(std::string key, SharedUpload upload, uint32_t number);
  // All parts, in order, and the MD5s that were recorded with them. kCorrupt: some are not there
  // though their bits are set.
  Async<std::vector<UploadedPart>> Parts(const SharedUpload& upload, PartMd5s* md5s = nullptr);
  // Aborts the upload, which may be completed, and removes all rows.
  Async<void> End(std::string key, SharedUpload upload);

  // Everything that is under way here.
  Async<std::vector<std::pair<std::string, SharedUpload>>> All();
  // Removes the parts that were recorded for an upload that had just ended. The count.
  Async<int> ForgetStrayParts();

  [[nodiscard]] Store& store() const { return store_; }
  [[nodiscard]] const std::string& bucket() const { return bucket_; }

 private:
  // Does `change` to the row of `upload`, whatever else is changed in it meanwhile. kPrecondition:
  // it is not that of `upload` any more.
  Async<SharedUpload> Change(std::string key, SharedUpload upload,
                             std::function<void(SharedUpload&)> change);
  // Aborts an upload, which may be completed, and removes the rows of its parts.
  Async<void> Drop(const std::string& key, const std::string& upload_id);
  Async<void> RemoveParts(std::vector<std::string> rows);

  Runtime& runtime_;
  State& state_;
  Store& store_;
  UploadLedger& ledger_;
  std::string bucket_;
  std::string partition_;
  // By upload, not by transfer: a transfer may have had another upload before.
  std::string parts_partition_;
};

}  // namespace longhaul
