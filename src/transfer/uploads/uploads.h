// UploadLedger: every multipart upload that a process has open, so that none is left when it dies.
//
// Some stores do not list uploads, so a row in State comes first: before the upload is created,
// then with its id before the first part. A process shows that it lives by a row that it renews
// (Heartbeat); Sweep aborts the uploads of those that do not.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "state/state.h"
#include "storage/store.h"

namespace longhaul {

class UploadLedger {
 public:
  UploadLedger(Runtime& runtime, State& state, std::string owner,
               std::map<std::string, Store*> stores, std::chrono::milliseconds process_lease);

  // Creates an upload that the ledger knows. `store` is one of `stores`.
  Async<MultipartUpload> Create(Store& store, PutRequest request);
  // Forgets an upload that has been completed or aborted; a row that stays is swept later.
  asio::awaitable<void> Forget(Store& store, const MultipartUpload& upload);
  // Aborts and forgets.
  asio::awaitable<void> Abort(Store& store, const MultipartUpload& upload);
  // Of an upload that outlives this process, because it is recorded elsewhere: no Sweep takes it
  // for what a lost creation left, until it is released by whoever ends it.
  asio::awaitable<void> Keep(Store& store, const MultipartUpload& upload);
  Async<void> Release(Store& store, const MultipartUpload& upload);

  // Says that this process lives; call it at least every third of `process_lease`.
  Async<void> Heartbeat();
  // Whether process `owner`, which was heard of at `heard`, may still be at work.
  Async<bool> Lives(std::string owner, SystemTime heard);
  // Aborts what dead processes left; the count. What cannot be looked at is left for the next
  // sweep, and is the error when all else has been swept.
  Async<int> Sweep();

 private:
  struct Row;
  [[nodiscard]] std::string NameOf(const Store& store) const;
  Async<std::vector<Row>> Rows();
  // Whether its owner lives and may use it.
  Async<bool> InUse(const Row& row);
  Async<std::optional<std::vector<MultipartUpload>>> Orphans(Store& store, const Row& orphan);

  Runtime& runtime_;
  State& state_;
  std::string owner_;
  std::map<std::string, Store*> stores_;
  std::chrono::milliseconds process_lease_;
  uint64_t next_ = 0;
  // Row keys of the uploads of this process. Two stores may give out the same id.
  std::map<std::pair<const Store*, std::string>, std::string> rows_;
};

}  // namespace longhaul
