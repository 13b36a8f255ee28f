#include "transfer/object/prove_gone.h"

#include <utility>

#include "storage/is_gone.h"
#include "transfer/local/local_folder.h"

namespace longhaul {

Async<void> ProveGone(Store& store, std::string bucket, std::string key) {
  GetRequest probe{.bucket = bucket, .key = std::move(key)};
  probe.range = ByteRange{.offset_bytes = 0, .size_bytes = 1};
  Result<ObjectStream> proof = co_await store.Get(std::move(probe));
  // An empty one has no first byte.
  if (proof || proof.error().code == "InvalidRange") {
    co_return Retryable("a HEAD says that it is not there, a GET that it is");
  }
  if (!IsGone(proof.error())) co_return proof.error();
  // To open, a file is not there either where its folder is not.
  if (IsPlainFolder(store.capabilities())) co_return co_await store.HeadBucket(std::move(bucket));
  co_return Ok();
}

}  // namespace longhaul
