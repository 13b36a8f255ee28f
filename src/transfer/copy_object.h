// Carries one object from a store to another (or within one) with all that belongs to it: bytes,
// system headers, user metadata, tags, storage class. copy_plan.h says by which route.
//
// Bytes are verified from the source's checksum (else its MD5 ETag) to the target's server, which
// is given that digest to check; where the source has neither, the outcome says so. They are not
// hashed on the way in: what the target stored is what counts, and one digest proves both. The
// source may change while it is read: then the copy starts over with what is there now. Memory is
// reserved before the GET that fills it. An upload that does not end well is aborted.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/runtime.h"
#include "storage/store.h"

namespace longhaul {

struct CopySource {
  Store& store;
  std::string bucket;
  std::string key;
  std::string version_id;  // Empty: the current one.
  // What a listing said, when there was one; saves a HEAD. It may be out of date.
  struct Listed {
    uint64_t size_bytes = 0;
    std::string etag;
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
  std::string kms_key;
  bool if_absent = false;  // Only where there is no object yet; else kPrecondition.
  int parts_in_flight = 4;
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
  PutResult put;
  Verified verified = Verified::kNot;
  int attempts = 1;
};

// Errors of the source carry the context "read …", those of the target "write …".
// kPrecondition: `if_absent` and there is an object; or the source keeps changing. kCorrupt: the
// bytes were wrong each time. kCancelled: stop. Others as the stores give them, after their own
// retries.
Async<CopyOutcome> CopyObject(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options);

// "bucket/key" for messages.
std::string NameOf(std::string_view bucket, std::string_view key);

// The best checksum of the whole object, if there is one: CRC64NVME, CRC32C, CRC32, SHA-256, SHA-1.
std::optional<Checksum> WholeChecksum(const ObjectInfo& info);

}  // namespace longhaul
