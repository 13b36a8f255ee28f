// OpenArchive: one archive being packed: an upload to the stagings of its targets, a writer on it,
// and their memory.

#pragma once

#include <memory>
#include <vector>

#include "archive/writer.h"
#include "replication/context/context.h"
#include "replication/source/pack.h"
#include "replication/source/pack_trace.h"
#include "replication/staging/archive_upload.h"

namespace longhaul {

ArchiveOptions ArchiveOptionsFor(const ReplicationLimits& limits, int level, int slots);

// No key has been read yet, no target has failed.
PackResult EmptyPackResult(size_t keys, size_t targets);

// Without its hints: what is to be read anew when an archive turns out to be damaged.
HintMessage HintsOfArchive(const Rule& rule);

class OpenArchive {
 public:
  // `targets` are indexes into rule.targets. `heard`: of the oldest event, for traces.
  OpenArchive(ReplicationContext& context, const RuleContext& rule,
              const std::vector<size_t>& targets, PackMemory memory, ArchiveKind kind,
              SystemTime heard);

  Async<void> Open();
  // Finishes and says, for each target, whether the archive is durable there. `keys`: what it
  // carries.
  asio::awaitable<void> Finish(PackResult& result, HintMessage keys);
  asio::awaitable<void> Abort();

  // No staging takes it any more: what the writer says then is said of them, not of an object.
  [[nodiscard]] bool NobodyTakesIt() const;
  // The archive came to nothing: each target's own failure, else `error`.
  void FailTargets(PackResult& result, const Error& error) const;

  [[nodiscard]] ArchiveWriter& writer() { return *writer_; }

 private:
  void CountFailed(const std::vector<Result<void>>& uploads) const;
  void Trace(const PackResult& result, const Result<ArchiveSummary>& summary);

  ReplicationContext& context_;
  const RuleContext& rule_;
  MemoryBudget memory_budget_;
  Runtime runtime_;
  ArchiveOptions options_;
  ArchiveManifest manifest_;
  PackTrace trace_;
  std::vector<size_t> destination_of_target_;
  uint64_t copies_ = 1;  // That a store makes of what is uploaded, on the way to the targets.
  std::unique_ptr<ArchiveUpload> upload_;
  std::unique_ptr<ArchiveWriter> writer_;
};

}  // namespace longhaul
