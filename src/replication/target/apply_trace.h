// ApplyTrace: the spans of one attempt at an archive at a target: it is read, then applied.
//
// They go on with the trace that the manifest names, whoever wrote it; nothing is done where this
// process traces nothing, or the source did not trace this archive.

#pragma once

#include <cstdint>
#include <optional>

#include "archive/entry.h"
#include "observe/otlp.h"
#include "replication/context/context.h"

namespace longhaul {

class ApplyTrace {
 public:
  // The archive has been opened; that began at `begin`.
  ApplyTrace(ReplicationContext& context, const TargetContext& target,
             const ArchiveManifest& manifest, SystemTime begin);
  // Tells of it; as a failure, where it was not Applied.
  ~ApplyTrace();
  ApplyTrace(const ApplyTrace&) = delete;
  ApplyTrace& operator=(const ApplyTrace&) = delete;

  // It has its receipt: so many objects in it, so many of them written.
  void Applied(uint64_t objects, uint64_t applied);

 private:
  ReplicationContext& context_;
  std::optional<Span> apply_;
};

}  // namespace longhaul
