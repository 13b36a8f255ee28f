// Explain: what becomes of one object, and why, told from what can be seen now: the rules, the
// source, the replicas and their marks, State, and staging. Changes nothing.
//
// Hints in the Queue cannot be seen; all else can.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/entry.h"
#include "replication/context.h"
#include "replication/parked.h"
#include "replication/rule_control.h"

namespace longhaul {

// As S3's x-amz-replication-status says it of an object at the source, or of a replica.
enum class ReplicationStatus { kNone, kPending, kCompleted, kFailed, kReplica };
std::string_view ToString(ReplicationStatus status);

// An archive in staging that holds a reading of the key and is not applied yet.
struct PendingReading {
  std::string archive;
  EntryOp op = EntryOp::kPut;
  SystemTime stamp{};
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
  std::vector<PendingReading> pending;
  size_t archives_not_read = 0;  // Too many, or unreadable: the key may be in them.
  std::optional<ParkedKey> parked;
  std::optional<Pause> pause;
  bool spooled = false;
  const Rule* carrier = nullptr;  // Of higher priority; it carries the object instead.
  ReplicationStatus status = ReplicationStatus::kNone;
  std::string next;  // What happens next, or what to do.
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
  std::vector<TargetExplanation> targets;
};

struct Explanation {
  std::vector<RuleExplanation> from;  // Rules whose source bucket it lies in.
  std::vector<RuleExplanation> to;    // Rules that write to where it lies; that target alone.
  ReplicationStatus status = ReplicationStatus::kNone;
  std::string next;
};

struct ExplainOptions {
  size_t archives_max = 50;  // Opened, for each target: a few requests each.
};

// `stores`: the names under which the configuration knows the store. Of what cannot be looked at
// the error stands in the result; an error of the whole is one of State.
Async<Explanation> Explain(ReplicationContext& context, const Configuration& configuration,
                           std::vector<std::string> stores, std::string bucket, std::string key,
                           ExplainOptions options);

}  // namespace longhaul
