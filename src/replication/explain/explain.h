// Explain: what becomes of one object, and why, told from what can be seen now: the rules, the
// source, the replicas and their marks, State, and staging. Changes nothing.
//
// Hints in the Queue cannot be seen, nor what processes keep to themselves: when they try again is
// told by what they write down, as rows in State.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/entry.h"
#include "replication/context/context.h"
#include "replication/life/parked.h"
#include "replication/life/rule_control.h"
#include "replication/life/rule_meter.h"
#include "replication/staging/staging.h"
#include "transfer/uploads/shared_uploads.h"

namespace longhaul {

// As S3's x-amz-replication-status says it of an object at the source, or of a replica.
enum class ReplicationStatus { kNone, kPending, kCompleted, kFailed, kReplica };
std::string_view ToString(ReplicationStatus status);

// A reading of the key in an archive in staging.
struct StagedReading {
  std::string archive;
  EntryOp op = EntryOp::kPut;
  SystemTime stamp{};
  std::optional<Segment> segment;  // Of a giant: it holds this much of it.
};

// What a target has said of an archive that held the key, and nobody has cleared away yet.
struct LeftReceipt {
  // Of one that cannot be read, as the source takes it: kCorrupt, and nothing but the reason.
  ArchiveReceipt receipt;
  std::optional<StagedReading> reading;  // None: the archive is gone, or damaged.
  bool rereads = false;                  // It has the source read the key anew.
  bool archive_there = false;
  std::vector<std::string> waits_for;  // Targets of this staging that have not left one.
};

// The transfer of an object that travels in segments.
struct GiantTransfer {
  std::string plan;                    // ULID; empty: only an upload is left of it.
  std::optional<SharedUpload> upload;  // None: no segment has arrived.
};

struct TargetExplanation {
  std::string name;
  std::string address;  // "west:copy/a.log"
  std::string key;
  std::optional<ObjectInfo> replica;  // What is there under the key, replica or not.
  std::optional<Error> error;         // It could not be looked at.
  std::optional<Mark> mark;
  bool mark_in_state = false;  // Kept there, as the object has no room for it or was adopted.
  bool foreign_mark = false;   // It has a mark, of another bucket or key.
  std::optional<Floor> floor;
  std::vector<StagedReading> pending;  // Not applied yet, the newest first.
  std::vector<LeftReceipt> receipts;   // The newest first.
  std::vector<ParkedKey> refused;      // Archives as a whole, that hold the key or may.
  size_t archives_not_read = 0;        // Too many, or unreadable: the key may be in them.
  std::optional<ParkedKey> parked;
  std::optional<Pause> pause;
  std::optional<OpenTarget> open;  // It is left alone, by the process that says so.
  std::optional<GiantTransfer> giant;
  bool spooled = false;
  const Rule* carrier = nullptr;  // Of higher priority; it carries the object instead.
  ReplicationStatus status = ReplicationStatus::kNone;
  std::string next;  // What happens next, or what to do.
  // When that is, as far as it is known; `next` says whether it is sure, a guess or a limit.
  std::optional<SystemTime> next_try;
};

struct RuleExplanation {
  const Rule* rule = nullptr;
  bool matches = false;
  std::string why_not;
  std::string source_key;
  std::optional<ObjectInfo> source;   // None: there is no object.
  std::optional<Tags> tags;           // Of it, where they are known.
  std::optional<Error> source_error;  // It could not be read.
  std::optional<ParkedKey> parked;    // At the source.
  // Of `transport: auto` and an object whose content decides: what a sample of it shrinks to.
  std::optional<double> shrinks_to;
  // Of `compression: auto`: what the processes that run the rule take for kinds that objects with
  // such keys have had; empty: nobody has packed one lately.
  std::vector<KindLevel> levels;
  std::vector<TargetExplanation> targets;
};

struct Explanation {
  std::vector<RuleExplanation> from;  // Rules whose source bucket it lies in.
  std::vector<RuleExplanation> to;    // Rules that write to where it lies; that target alone.
  ReplicationStatus status = ReplicationStatus::kNone;
  std::string next;
  std::optional<SystemTime> next_try;  // As in TargetExplanation.
};

struct ExplainOptions {
  // Archives and receipts read, for each target: a few requests each.
  size_t archives_max = 50;
};

// `stores`: the names under which the configuration knows the store. Of what cannot be looked at
// the error stands in the result; an error of the whole is one of State.
Async<Explanation> Explain(ReplicationContext& context, const Configuration& configuration,
                           std::vector<std::string> stores, std::string bucket, std::string key,
                           ExplainOptions options);

}  // namespace longhaul
