// The bytes of replicas that go from the source to a target without an archive.

#pragma once

#include <string>

#include "base/runtime.h"
#include "replica/apply.h"
#include "transfer/uploads/uploads.h"

namespace longhaul {

// The object at the source, as it was when it was read; a body that finds another one fails with
// kRetryable.
struct DirectSource {
  Store* store = nullptr;
  std::string bucket;
  std::string key;
  ObjectInfo info;
};

// Sends `body` as an upload in parts of `part_bytes`, as many under way as `memory_bytes` hold; the
// condition of `request` is that of the completion.
Async<PutResult> PutInParts(Runtime& runtime, UploadLedger& ledger, Store& store,
                            PutRequest request, ByteSource& body, uint64_t part_bytes,
                            uint64_t memory_bytes);

// Streams the object: in one PUT when its source has one part, so that the ETag stays; else in
// parts, the source's own where memory allows. It is verified before its last bytes go out.
class StreamBody : public ReplicaBody {
 public:
  // `memory_bytes`: for parts, reserved by the caller. `bytes_moved` counts what is read.
  StreamBody(Runtime& runtime, DirectSource source, UploadLedger& ledger, uint64_t memory_bytes,
             uint64_t& bytes_moved)
      : runtime_(runtime),
        source_(std::move(source)),
        ledger_(ledger),
        memory_bytes_(memory_bytes),
        bytes_moved_(bytes_moved) {}
  Async<PutResult> Write(Store& store, PutRequest request) override;
  // Whether a Write has failed for what the source is or does, and not at the target.
  [[nodiscard]] bool source_failed() const { return source_failed_; }

 private:
  Async<PutResult> WriteStream(Store& store, PutRequest request, ObjectStream stream);

  Runtime& runtime_;
  DirectSource source_;
  UploadLedger& ledger_;
  uint64_t memory_bytes_;
  uint64_t& bytes_moved_;
  bool source_failed_ = false;
};

// Has the target's store copy the object, which lies in the same store: in one request, or in parts
// where it is larger than capabilities().copy_size_bytes_max. `request` must have no condition:
// whether a server heeds it for a copy has not been probed.
class CopyBody : public ReplicaBody {
 public:
  CopyBody(Runtime& runtime, DirectSource source, UploadLedger& ledger)
      : runtime_(runtime), source_(std::move(source)), ledger_(ledger) {}
  Async<PutResult> Write(Store& store, PutRequest request) override;

 private:
  Async<PutResult> WriteParts(Store& store, PutRequest request);
  Async<std::vector<UploadedPart>> CopyParts(Store& store, const MultipartUpload& upload,
                                             uint64_t part_bytes);

  Runtime& runtime_;
  DirectSource source_;
  UploadLedger& ledger_;
};

}  // namespace longhaul
