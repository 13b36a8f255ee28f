// PackTrace: the spans of one archive at the source: the events taken up, the packing, the uploads.
//
// The archive carries the packing's span to the target, in its manifest. Nothing is done where the
// process traces nothing, or not this archive. What comes to nothing leaves no span.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "archive/writer.h"
#include "observe/otlp.h"
#include "replication/context/context.h"

namespace longhaul {

class PackTrace {
 public:
  // `heard`: the time of the oldest of the events that are packed.
  PackTrace(ReplicationContext& context, const Rule& rule, SystemTime heard);

  [[nodiscard]] bool on() const { return pack_.has_value(); }
  // What the manifest says; empty: it is not traced.
  [[nodiscard]] std::string traceparent() const {
    return on() ? FormatTraceparent(pack_->context) : "";
  }
  // It will be uploaded there.
  void Destination(const std::string& bucket, const std::string& key);
  struct Content {
    uint64_t objects = 0;
    uint64_t bytes = 0;
    int level = 0;  // Of most of it; 0: none.
  };
  // All of it has been handed to the uploads.
  void Packed(const std::string& archive, const Result<ArchiveSummary>& summary,
              const Content& content);
  // Its uploads have ended, so many of them as there are destinations.
  void Uploaded(const std::vector<Result<void>>& uploads);

 private:
  [[nodiscard]] SystemTime Now() const { return context_.runtime.clock.Now(); }

  ReplicationContext& context_;
  const Rule& rule_;
  std::optional<Span> events_;
  std::optional<Span> pack_;
  std::vector<Span> uploads_;
};

}  // namespace longhaul
