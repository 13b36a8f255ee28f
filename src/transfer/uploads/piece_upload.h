// One piece of an object that many workers upload together (shared_uploads.h).
//
// Its parts go into the upload that the row in State names; whoever stores the last piece completes
// it. A newer transfer of the same object takes the row over and aborts the older one's upload. A
// worker that finds that somebody removed the upload says so in the row: that transfer comes to
// nothing, and the object has to be planned anew, with a plan of a later ULID or a later stamp.
//
// What is special about the object is handed in as PieceWork: whoever replicates compares stamps
// and keeps floors, whoever migrates completes under the condition that its run demands.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/uploads/shared_uploads.h"

namespace longhaul {

// The code of a kRetryable error that says only that another worker was faster: the next try finds
// what it has done.
inline constexpr std::string_view kUploadBusyCode = "UploadBusy";
// That of a kCorrupt error: the transfer is known by another number of pieces.
inline constexpr std::string_view kOtherPiecesCode = "OtherPieces";

// What a worker knows of the object and of its piece. Any call may come again, in this process or
// in another one; each is harmless then.
class PieceWork {
 public:
  virtual ~PieceWork() = default;

  // Which transfer it is; the number of this piece is `number`, from 0 on.
  [[nodiscard]] virtual UploadPlan Plan() const = 0;
  [[nodiscard]] virtual uint32_t number() const = 0;
  // What the upload is created with. Its key is that of the row.
  [[nodiscard]] virtual PutRequest Request() const = 0;
  // Whether nothing is to be uploaded (any more): the object is there, from this transfer or
  // otherwise, or is not wanted. Asked before anything is sent, and when the upload is gone, which
  // the completion of another worker looks like.
  virtual Async<bool> Settled() = 0;
  // Sends the parts of this piece. Errors as Store::UploadPart; "NoSuchUpload" is the target's word
  // alone.
  virtual Async<std::vector<UploadedPart>> Send(MultipartUpload upload) = 0;
  // What is recorded of the parts that Send has sent, besides.
  [[nodiscard]] virtual PartMd5s md5s() const { return {}; }
  // Completes the upload, whose parts are `uploads.Parts(upload)`, with the conditions that hold
  // for the object, or decides that this is not to be. OK: the object is settled. Errors as
  // Store::CompleteMultipart.
  virtual Async<void> Complete(SharedUploads& uploads, SharedUpload upload) = 0;
  // The object is settled, and the upload is about to be forgotten: the last time to do what a
  // worker that was killed may not have done.
  virtual Async<void> BeforeEnd() { co_return Ok(); }
};

enum class PieceEnd {
  kStored,    // The piece is; others are missing.
  kSettled,   // The object is, by this worker or as Settled() has found it.
  kOutdated,  // A newer transfer of the object is under way.
  kClash,     // One of another state of the object, with the same stamp.
  kLost,      // Somebody has removed the upload: the object has to be planned anew.
};

struct PieceResult {
  PieceEnd end = PieceEnd::kStored;
  // One of the pieces says what became of the object, the others would only repeat it: this one,
  // each time that it is sent.
  bool speaks = false;
};

// Errors are those of State, of the store and of `work`; the piece can be sent again.
Async<PieceResult> SendPiece(SharedUploads& uploads, PieceWork& work);

// Who knows what uploads in pieces are for.
class UploadJudge {
 public:
  virtual ~UploadJudge() = default;
  // Whether the object of `key` is settled without this upload.
  virtual Async<bool> IsSettled(std::string key, SharedUpload upload) = 0;
};

// Aborts those of `known`, which stood in State some time ago, that come to nothing: their object
// is settled, or they have stood still for longer than `idle_max`. The count.
Async<int> SweepSharedUploads(SharedUploads& uploads, Clock& clock, UploadJudge& judge,
                              std::vector<std::pair<std::string, SharedUpload>> known,
                              std::chrono::nanoseconds idle_max);

}  // namespace longhaul
