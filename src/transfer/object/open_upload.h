// OpenUpload: the upload into which an object's parts go: one that an earlier attempt left, or a
// new one.
//
// What is taken up again must be proved to belong to this state of the source:
//   * by its row in State (upload_records.h): the same source with the same ETag and size, and the
//     same request. Its parts are then what ListParts says; parts of another size than the row says
//     are sent again.
//   * Without a row (lost, or on another machine), an upload of this key that the store lists,
//     begun after the source was last written, whose parts all lie on the borders of one layout:
//     then the ranges that its parts stand for are read again, and each part must have the checksum
//     of its range, or the MD5 where the store tells no checksum (ETags that are no MD5s prove
//     nothing: storage/part_rules.h). One that has not, and the whole upload is left alone: it is
//     somebody else's, or of another state. Reading costs the source's requests; nothing is sent
//     twice. (Should another process be at work on just these bytes, both come to the same object,
//     and whoever completes second finds it there.)
//     What it was created with cannot be asked for, so the object's headers, metadata, tags and
//     storage class are compared when it is complete, and put right by the store itself.
// The size of the parts is that of the upload, whatever is asked for now.
//
// Parts that the store copied by itself are taken by their row alone, which then also says when the
// source was last written; without one they are copied again, which sends nothing anywhere.
//
// A target that places parts (storage/placed_parts.h) keeps all of this with the upload, and has no
// row.
//
// Uploads with a row that no longer fit are aborted, unless their process may live.
//
// Internal to CopyObject.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "transfer/object/copy_job.h"
#include "transfer/object/upload_records.h"

namespace longhaul {

struct OpenedUpload {
  MultipartUpload upload;
  PartLayout layout;
  std::vector<UploadedPart> found;  // Parts that need not be sent again.
  // By number, raw: the MD5s of the found parts whose bytes were read and whose ETags are none.
  std::map<int, std::string> md5s;
  std::optional<UploadRecord> record;  // None: nothing is remembered here.
  bool placed = false;                 // The store itself remembers it.
  // Set: it has been completed already, and this is the object; nothing is left to be done.
  std::optional<PutResult> complete;
};

// `wanted`: how a new upload is to be cut. `put`: what it is created with.
Async<OpenedUpload> OpenUpload(CopyJob& job, ObjectInfo info, PartLayout wanted, PutRequest put);

// After a failure: leaves the upload for another attempt or aborts it, by what the error means.
asio::awaitable<void> LeaveUpload(CopyJob& job, OpenedUpload opened, Error error);

// Completes it; notes before what the object's ETag will be (empty: nobody knows), by which it is
// found when the answer is lost.
Async<PutResult> CompleteUpload(CopyJob& job, OpenedUpload& opened, CompleteRequest request,
                                std::string etag);
// After the completion: sees to the tags, which not every store takes from an upload and which
// nobody may have come to set; puts right what an upload without a row was created with; forgets
// the record. The object as it is then.
Async<PutResult> FinishUpload(CopyJob& job, OpenedUpload opened, PutRequest put, PutResult done);

}  // namespace longhaul
