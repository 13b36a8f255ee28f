// Carries one object from a store to another (or within one) with all that belongs to it: bytes,
// system headers, user metadata, tags, storage class. copy_plan.h says by which route.
//
// Bytes are verified from the source's checksum (else its MD5 ETag) to the target's server, which
// is given that digest to check; where the source has neither, the outcome says so. They are not
// hashed on the way in: what the target stored is what counts, and one digest proves both.
//
// What is read in more than one request is pinned to one state of the object by its ETag (and the
// version id, where one was asked for), which is compared with that of every answer as well. When
// the source changes meanwhile, the copy starts over with what is there then; bytes of two states
// never meet. Memory is reserved before the GET that fills it.
//
// A multipart upload that does not end well is aborted; with `uploads`, it is left at the target
// where another attempt may go on with it, and found again by that (open_upload.h says how, and
// what proves that its parts are of the same state of the source).

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "storage/store.h"
#include "transfer/object/copy_part.h"

namespace longhaul {

class UploadRecords;

struct CopySource {
  Store& store;
  std::string bucket;
  std::string key;
  std::string version_id;  // Empty: the current one.
  // What a listing said, when there was one; saves a HEAD. It may be out of date.
  struct Listed {
    uint64_t size_bytes = 0;
    std::string etag;
    std::optional<std::string> storage_class{};  // Where the listing tells it; "" is STANDARD.
    SystemTime modified{};                       // LastModified, where it is known.
  };
  std::optional<Listed> listed;
};

struct CopyTarget {
  Store& store;
  std::string bucket;
  std::string key;
};

struct CopyOptions {
  std::string storage_class;       // Empty: that of the source, where the target knows classes.
  bool keep_storage_class = true;  // False: the target's default, unless `storage_class` is set.
  std::string sse;                 // These four as in PutRequest: nothing of them is copied.
  std::string kms_key;
  std::optional<bool> bucket_key{};
  std::string acl;
  UserMetadata metadata;     // Besides that of the source; of equal names these.
  bool if_absent = false;    // Only where there is no object yet; else kPrecondition.
  std::string if_match;      // Only in place of the object with this ETag; else kPrecondition.
  bool listed_only = false;  // Only the state of the source that was listed; else kPrecondition.
  // From this size on (> 0) in parts, below it never. None: copy_plan.h decides.
  std::optional<uint64_t> multipart_threshold_bytes{};
  uint64_t part_size_bytes = 0;  // Of objects whose own parts are not kept. 0: copy_plan.h decides.
  int parts_in_flight = 4;
  // The source proves each of its bytes by itself (frames of archives): an ETag that looks like an
  // MD5 and that the target's bytes do not have, twice, is none. Else the copy fails.
  bool source_proves_bytes = false;
  UploadRecords* uploads = nullptr;        // Set: copies go on where they broke off. Borrowed.
  Event* stop = nullptr;                   // Set: end with kCancelled soon. Borrowed.
  std::function<void(uint64_t)> on_bytes;  // Bytes that have arrived; those of a retry again.
};

enum class Verified {
  kChecksum,  // Against a checksum of the whole object.
  kEtag,      // Against an MD5 ETag, of one part or of many.
  kNot,       // The source had nothing to verify by.
  kByStore,   // A store copied within itself.
};

struct CopyOutcome {
  uint64_t size_bytes = 0;
  std::string source_etag;
  // LastModified of what was copied, or an earlier one, where the store copied it by itself and
  // only its headers have changed since it was listed. None: nobody has told it.
  SystemTime source_modified{};
  PutResult put;
  Verified verified = Verified::kNot;
  uint64_t found_bytes = 0;  // Of those that lay at the target from an earlier attempt.
  int attempts = 1;
};

// Errors of the source carry the context "read …", those of the target "write …".
// kPrecondition: the source keeps changing, or has changed and `listed_only` (IsSourceChanged,
// relay.h); else `if_absent` and there is an object, or it is not that of `if_match`. kCorrupt: the
// bytes were wrong each time. kCancelled: stop. Others as the stores give them, after their own
// retries.
Async<CopyOutcome> CopyObject(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options);

// The store was at work on another write or delete of the name, so neither happened, nor does it
// say that there is an object: the copy is to be sent again, which CopyObject does a few times.
// (S3 API Reference, PutObject and CompleteMultipartUpload, 409.)
bool IsWriteConflict(const Error& error);

// The best checksum of the whole object, if there is one: CRC64NVME, CRC32C, CRC32, SHA-256, SHA-1.
std::optional<Checksum> WholeChecksum(const ObjectInfo& info);

}  // namespace longhaul
