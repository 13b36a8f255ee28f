// A byte range of one state of an object becomes a part of a multipart upload.
//
// What copies an object in ranges (copy_object.h, the workers of a migration) pins it first: every
// range, and every connection that is opened anew, asks for that ETag (and version id, where there
// is one) and compares the answer's, because not every server heeds If-Match. Parts of two states
// can so never meet in one upload.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/memory_budget.h"
#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/object/relay.h"

namespace longhaul {

// One state of an object.
struct PinnedObject {
  Store& store;
  std::string bucket;
  std::string key;
  std::string version_id;  // Empty where the bucket keeps no versions, or none was asked for.
  std::string etag;        // Never empty.
};

struct PartCopy {
  MultipartUpload upload;
  int number = 0;
  ByteRange range;
  std::optional<HashKind> digest{};  // To be computed of the bytes, where the store does not.
  // Whether an ETag that says nothing of the bytes is to be made up for.
  bool md5_if_opaque = false;
  // The bytes go from one store to the other as they come, and not through a buffer as large as the
  // part: for targets that cannot fail half way but for good.
  bool streamed = false;
};

// What a streamed part holds of memory.
inline constexpr uint64_t kStreamedPartBytes = 2 << 20;

struct CopiedPart {
  UploadedPart uploaded;
  std::string digest;  // Raw, if one was asked for.
  // Raw, of the bytes that were sent, if it was asked for and the target encrypts so that the
  // part's ETag is no MD5 (PartEtagsOpaque). That these bytes arrived the target has checked by a
  // checksum or Content-MD5.
  std::string md5;
};

// Reads the range into memory (in `memory`, reserved by the caller: as large as the range, or
// kStreamedPartBytes) and writes it to `target` as part `part.number`; the same number again
// replaces the part.
// IsSourceChanged: the object is not the pinned one any more, nothing was written; begin anew with
// another upload. Else errors carry "read …" or "write …", after the stores' own retries; kCorrupt:
// the bytes were wrong; kCancelled: stop.
Async<CopiedPart> CopyRangeToPart(Runtime runtime, PinnedObject source, Store& target,
                                  PartCopy part, RelayOptions options, Reservation memory);

// The digests of a range, raw and in the order of `kinds`, read once, as CopyRangeToPart does.
// Sends nothing anywhere.
Async<std::vector<std::string>> DigestsOfRange(Runtime runtime, PinnedObject source,
                                               ByteRange range, std::vector<HashKind> kinds,
                                               RelayOptions options, Reservation memory);

// "bucket/key" for messages.
std::string NameOf(std::string_view bucket, std::string_view key);

}  // namespace longhaul
