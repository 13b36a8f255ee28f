// A store that tells of a completion what is not so, as versitygw does of an upload that is gone
// where an object stands.

#pragma once

#include <memory>
#include <utility>

#include "tests/support/memory_store.h"

namespace longhaul::testing {

// Answers so many completions, `*lies`, with what stands there already, and drops their uploads.
class BelievesInWhatStands : public MemoryStore {
 public:
  BelievesInWhatStands(Runtime runtime, std::shared_ptr<MemoryStoreBackend> backend,
                       FaultPlan* faults, int* lies)
      : MemoryStore(std::move(runtime), std::move(backend), faults), lies_(*lies) {}

  Async<PutResult> CompleteMultipart(CompleteRequest request) override {
    if (lies_ <= 0) co_return co_await MemoryStore::CompleteMultipart(std::move(request));
    --lies_;
    MultipartUpload upload = request.upload;
    Result<void> gone = co_await AbortMultipart(upload);
    if (!gone) co_return gone.error();
    Result<ObjectInfo> there = co_await Head({.bucket = upload.bucket, .key = upload.key});
    if (!there) co_return there.error();
    co_return PutResult{.etag = there->etag, .server_time = there->server_time};
  }

 private:
  int& lies_;
};

}  // namespace longhaul::testing
