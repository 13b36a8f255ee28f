#include "replication/apply/apply_archive.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/md5_lanes.h"
#include "replication/apply/hidden_keys.h"
#include "replication/apply/replica_write.h"
#include "replication/giants/apply_segment.h"
#include "replication/staging/archive_body.h"

namespace longhaul {

namespace {

// Of the object, of which the entry may hold a segment.
uint64_t SizeOf(const ArchiveEntry& entry) {
  return entry.segment ? entry.segment->object_size_bytes : entry.size_bytes;
}

// As this configuration has it: an archive does not tell how it came.
std::string RouteOfArchives(const Rule& rule) {
  return rule.transport == Transport::kS3Replication ? "s3-replication" : "archive";
}

// One run over one archive: what all of its writes share.
struct Run {
  ReplicationContext& context;
  Runtime& runtime;
  const RuleContext& rule;
  TargetContext& target;
  ArchiveReader& reader;
  ArchiveApplication result;

  void Tell(const ArchiveEntry& entry, OutcomeState state, std::string reason) {
    context.observer.OnOutcome({.time = runtime.clock.Now(),
                                .rule = rule.rule->id,
                                .target = target.config->name,
                                .op = OpName(entry.op),
                                .key = entry.key,
                                .size_bytes = SizeOf(entry),
                                .stamp = entry.stamp,
                                .archive = reader.manifest().id,
                                .route = RouteOfArchives(*rule.rule),
                                .state = state,
                                .reason = std::move(reason)});
  }

  void Take(size_t index, const Result<ApplyOutcome>& outcome) {
    const ArchiveEntry& entry = reader.entries()[index];
    if (!outcome) {
      const Error& error = outcome.error();
      // A whole store that is gone is not the object's fault, nor an upload that was aborted.
      const bool waiting = error.Transient() || error.kind == ErrorKind::kCancelled ||
                           error.code == "NoSuchBucket" || error.code == "NoSuchUpload";
      if (waiting) {
        if (result.pending.empty() || BusyFor(error) < BusyFor(result.pending_error)) {
          result.pending_error = error;
        }
        result.pending.insert(index);
      } else if (error.kind == ErrorKind::kDenied || error.kind == ErrorKind::kCorrupt) {
        result.refused.emplace(index, error);
      } else {
        result.parked.emplace(index, error);
      }
      return;
    }
    ++result.settled;
    const bool stays_parked =
        outcome->state == ApplyState::kConflict || outcome->state == ApplyState::kReread;
    if (!stays_parked && target.parked->MayHold(entry.key)) result.unparked.push_back(entry.key);
    switch (outcome->state) {
      case ApplyState::kApplied:
        ++result.applied;
        Tell(entry, OutcomeState::kApplied, outcome->reason);
        break;
      case ApplyState::kEqual:
        Tell(entry, OutcomeState::kEqual, outcome->reason);
        break;
      case ApplyState::kSuperseded:
        Tell(entry, OutcomeState::kSuperseded, outcome->reason);
        break;
      case ApplyState::kConflict:
        result.conflicting.emplace(index, outcome->reason);
        Tell(entry, OutcomeState::kConflict, outcome->reason);
        break;
      case ApplyState::kReread:
        result.reread.push_back(entry.key);
        Tell(entry, OutcomeState::kReread, outcome->reason);
        break;
    }
  }
};

// A clock may be ahead of ours by this much. A stamp further ahead, by mistake or on purpose, would
// keep every later change away until its time has come: it waits itself.
constexpr std::chrono::hours kStampAheadMax{1};

Async<void> ApplyDelete(Run& run, size_t index, std::string target_key) {
  Result<ApplyOutcome> outcome =
      co_await run.target.applier->Remove(std::move(target_key), run.reader.entries()[index].stamp);
  run.Take(index, outcome);
  co_return Ok();
}

Async<void> ApplyAttributes(Run& run, size_t index, std::string target_key) {
  Result<ApplyOutcome> outcome = co_await run.target.applier->PutAttributes(ReplicaWriteOf(
      *run.rule.rule, run.reader.entries()[index], std::move(target_key), run.context.site));
  run.Take(index, outcome);
  co_return Ok();
}

// What keeps the bytes of a small object alive while it is written.
struct Content {
  std::shared_ptr<ArchiveFrame> frame;  // shared by the objects of a frame.
  std::unique_ptr<std::vector<std::byte>> joined;
  Reservation memory;
  std::span<const std::byte> bytes;
  std::string md5;  // Raw, where the entry's ETag follows from the bytes.
};

bool EtagFollows(const ArchiveEntry& entry) { return entry.etag.empty() && entry.etag_is_md5; }

Async<void> ApplyMemory(Run& run, size_t index, std::string target_key, Content content) {
  const ArchiveEntry& entry = run.reader.entries()[index];
  ReplicaWrite write =
      ReplicaWriteOf(*run.rule.rule, entry, std::move(target_key), run.context.site);
  if (EtagFollows(entry)) write.source_etag = HexEncode(content.md5);
  MemoryBody body(content.bytes);
  Result<ApplyOutcome> outcome = co_await run.target.applier->Put(std::move(write), body);
  if (outcome) run.context.bytes_moved += content.bytes.size();
  run.Take(index, outcome);
  co_return Ok();
}

// The frames of a bundle, each read once: an object asks for them in order, and those before the
// first that is still asked for are dropped.
class FrameCache {
 public:
  explicit FrameCache(ArchiveReader& reader) : reader_(reader) {}

  Async<std::shared_ptr<ArchiveFrame>> Get(size_t frame) {
    auto found = frames_.find(frame);
    if (found != frames_.end()) co_return found->second;
    Result<ArchiveFrame> read = co_await reader_.ReadFrame(frame);
    if (!read) co_return read.error();
    auto shared = std::make_shared<ArchiveFrame>(std::move(*read));
    frames_[frame] = shared;
    co_return shared;
  }
  void DropBefore(size_t frame) { frames_.erase(frames_.begin(), frames_.lower_bound(frame)); }

 private:
  ArchiveReader& reader_;
  std::map<size_t, std::shared_ptr<ArchiveFrame>> frames_;
};

// An entry to be applied, and the frame in which its bytes begin.
struct Work {
  size_t frame;
  size_t entry;
};

// The MD5s from which ETags follow, of several objects of a frame at a time.
class FollowingEtags {
 public:
  FollowingEtags(const ArchiveReader& reader, const std::vector<Work>& work)
      : reader_(reader), work_(work) {}

  // Of the object at `work[at]`. Each is asked for once, in the order of the work.
  std::string Md5Of(size_t at, const Content& content) {
    if (!EtagFollows(reader_.entries()[work_[at].entry])) return {};
    if (!content.frame) return Md5(AsText(content.bytes));
    auto found = md5s_.find(at);
    if (found == md5s_.end()) {
      Compute(at, *content.frame);
      found = md5s_.find(at);
    }
    return std::move(md5s_.extract(found).mapped());
  }

 private:
  // This many objects, until they come to this many bytes.
  static constexpr size_t kAtOnce = 16;
  static constexpr size_t kBytesAtOnce = 128 << 10;

  // Of those after it that lie in the same frame as a whole.
  void Compute(size_t at, const ArchiveFrame& frame) {
    md5s_.clear();
    std::vector<size_t> whose;
    std::vector<std::span<const std::byte>> bodies;
    size_t bytes = 0;
    for (size_t i = at; i < work_.size() && work_[i].frame == work_[at].frame &&
                        whose.size() < kAtOnce && bytes < kBytesAtOnce;
         ++i) {
      const ArchiveEntry& entry = reader_.entries()[work_[i].entry];
      if (!EtagFollows(entry)) continue;
      const std::vector<ContentPiece> pieces = reader_.Pieces(work_[i].entry);
      if (pieces.size() != 1) continue;
      whose.push_back(i);
      bodies.push_back(frame.bytes().subspan(pieces[0].offset_bytes, pieces[0].size_bytes));
      bytes += bodies.back().size();
    }
    std::vector<std::string> digests = Md5OfEach(bodies);
    for (size_t i = 0; i < whose.size(); ++i) md5s_.emplace(whose[i], std::move(digests[i]));
  }

  const ArchiveReader& reader_;
  const std::vector<Work>& work_;
  std::map<size_t, std::string> md5s_;
};

Async<Content> LoadContent(Run& run, FrameCache& frames, size_t index) {
  const std::vector<ContentPiece> pieces = run.reader.Pieces(index);
  Content content;
  if (pieces.empty()) co_return content;
  frames.DropBefore(pieces.front().frame);
  if (pieces.size() == 1) {
    Result<std::shared_ptr<ArchiveFrame>> frame = co_await frames.Get(pieces[0].frame);
    if (!frame) co_return frame.error();
    content.frame = std::move(*frame);
    content.bytes = content.frame->bytes().subspan(pieces[0].offset_bytes, pieces[0].size_bytes);
    co_return content;
  }
  const uint64_t size = run.reader.entries()[index].size_bytes;
  Result<Reservation> memory = co_await run.runtime.memory.Reserve(static_cast<int64_t>(size));
  if (!memory) co_return memory.error();
  content.memory = std::move(*memory);
  content.joined = std::make_unique<std::vector<std::byte>>(size);
  size_t filled = 0;
  for (const ContentPiece& piece : pieces) {
    frames.DropBefore(piece.frame);
    Result<std::shared_ptr<ArchiveFrame>> frame = co_await frames.Get(piece.frame);
    if (!frame) co_return frame.error();
    std::span<const std::byte> bytes =
        (*frame)->bytes().subspan(piece.offset_bytes, piece.size_bytes);
    std::memcpy(content.joined->data() + filled, bytes.data(), bytes.size());
    filled += bytes.size();
  }
  content.bytes = *content.joined;
  co_return content;
}

// Large objects are not held in memory but streamed, one at a time.
Async<void> ApplyLarge(Run& run, size_t index, std::string target_key) {
  ReplicaWrite write = ReplicaWriteOf(*run.rule.rule, run.reader.entries()[index],
                                      std::move(target_key), run.context.site);
  const int64_t frames = 2 * run.reader.FrameMemoryNeeded();
  const int64_t parts =
      run.runtime.memory.limit_bytes() - run.runtime.memory.reserved_bytes() - frames;
  if (parts < static_cast<int64_t>(5 << 20)) {
    co_return InvalidInput("applying a large object needs " + std::to_string(frames + (5 << 20)) +
                           " bytes of memory (--memory)");
  }
  Result<Reservation> memory = co_await run.runtime.memory.Reserve(parts);
  if (!memory) co_return memory.error();
  if (run.reader.entries()[index].segment) {
    std::optional<Error> damage;
    Result<SegmentApplication> applied =
        co_await ApplySegment(run.runtime, run.context.bytes_moved, run.target, run.reader, index,
                              std::move(write), static_cast<uint64_t>(parts), damage);
    if (!applied) {
      if (damage && damage->kind == ErrorKind::kCorrupt) co_return *damage;
      run.Take(index, applied.error());
      co_return Ok();
    }
    run.result.transfer_over = applied->over;
    if (applied->outcome) {
      run.Take(index, std::move(*applied->outcome));
    } else {
      ++run.result.settled;
    }
    co_return Ok();
  }
  ArchiveBody body(run.runtime, run.reader, index, *run.context.uploads,
                   static_cast<uint64_t>(parts), run.context.bytes_moved);
  Result<ApplyOutcome> outcome = co_await run.target.applier->Put(std::move(write), body);
  // A row of State or an answer of the target may be corrupt, too: that is not the archive's fault.
  const std::optional<Error>& damage = body.archive_failure();
  if (!outcome && damage && damage->kind == ErrorKind::kCorrupt) co_return *damage;
  run.Take(index, outcome);
  co_return Ok();
}

// The keys that are written by `work`.
std::set<std::string> KeysWritten(const Run& run, const std::vector<Work>& work) {
  std::set<std::string> keys;
  for (const Work& one : work) {
    const ArchiveEntry& entry = run.reader.entries()[one.entry];
    if (entry.op != EntryOp::kPut) continue;
    if (auto key = TargetKey(*run.rule.rule, *run.target.config, entry.key)) keys.insert(*key);
  }
  return keys;
}

// In its order. `hidden`: null where the store hides nothing. What it hides comes to `aside`, and
// is parked where that is null.
Async<void> ApplyWork(Run& run, const std::vector<Work>& work, HiddenKeys* hidden,
                      std::vector<Work>* aside) {
  const std::vector<ArchiveEntry>& entries = run.reader.entries();
  FrameCache frames(run.reader);
  FollowingEtags etags(run.reader, work);
  TaskGroup writes(run.runtime.executor);
  Result<void> status;
  for (size_t at = 0; at < work.size(); ++at) {
    const Work& next = work[at];
    const ArchiveEntry& entry = entries[next.entry];
    if (std::optional<std::string> refusal =
            RefusalByRule(*run.rule.rule, entry.key, entry.stamp, run.runtime.clock.Now())) {
      run.Take(next.entry, InvalidInput(std::move(*refusal)));
      continue;
    }
    std::optional<std::string> key = TargetKey(*run.rule.rule, *run.target.config, entry.key);
    if (hidden != nullptr && entry.op == EntryOp::kPut) {
      Result<void> stored = co_await hidden->Check(*key);
      if (!stored && IsHidden(stored.error()) && aside != nullptr) {
        aside->push_back(next);
        continue;
      }
      if (!stored) {
        run.Take(next.entry, stored.error());
        continue;
      }
    }
    co_await writes.WaitBelow(run.target.writes_max);
    if (entry.op == EntryOp::kDelete) {
      writes.Spawn(ApplyDelete(run, next.entry, std::move(*key)));
    } else if (entry.op == EntryOp::kAttributes) {
      writes.Spawn(ApplyAttributes(run, next.entry, std::move(*key)));
    } else if (entry.segment || entry.size_bytes > run.context.limits.bundle_object_bytes_max) {
      frames.DropBefore(next.frame + 1);
      status = co_await ApplyLarge(run, next.entry, std::move(*key));
    } else {
      Result<Content> content = co_await LoadContent(run, frames, next.entry);
      if (content) {
        content->md5 = etags.Md5Of(at, *content);
        writes.Spawn(ApplyMemory(run, next.entry, std::move(*key), std::move(*content)));
      } else {
        status = content.error();
      }
    }
    if (!status) break;
  }
  Result<void> joined = co_await writes.Join();
  co_return status ? joined : status;
}

}  // namespace

std::optional<std::string> RefusalByRule(const Rule& rule, const std::string& key, SystemTime stamp,
                                         SystemTime now) {
  if (!key.starts_with(rule.source.prefix)) return "the key is not below the rule's source";
  if (!rule.MatchesKey(rule.source.bucket, key)) return "the rule does not carry this key";
  if (stamp > now + kStampAheadMax) {
    return "its stamp, " + FormatRfc3339(stamp) +
           ", is more than an hour ahead of this machine's clock";
  }
  return std::nullopt;
}

std::string OpName(EntryOp op) {
  return op == EntryOp::kDelete ? "delete" : op == EntryOp::kAttributes ? "attributes" : "put";
}

Async<ArchiveApplication> ApplyArchive(ReplicationContext& context, Runtime& runtime,
                                       const RuleContext& rule, TargetContext& target,
                                       ArchiveReader& reader, std::set<size_t> only) {
  Run run{.context = context,
          .runtime = runtime,
          .rule = rule,
          .target = target,
          .reader = reader,
          .result = {}};
  const std::vector<ArchiveEntry>& entries = reader.entries();
  // A small object that lies in several frames is put together beside the next one of them: what
  // could never be reserved must not be waited for.
  uint64_t in_pieces = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].size_bytes > context.limits.bundle_object_bytes_max) continue;
    if (reader.Pieces(i).size() > 1) in_pieces = std::max(in_pieces, entries[i].size_bytes);
  }
  const int64_t needed =
      reader.held_bytes() + reader.FrameMemoryNeeded() + static_cast<int64_t>(in_pieces);
  if (needed > runtime.memory.limit_bytes()) {
    co_return InvalidInput("applying the archive takes " + std::to_string(needed) +
                           " bytes of memory; one archive may take " +
                           std::to_string(runtime.memory.limit_bytes()) + " (--memory)");
  }
  run.result.entries = entries.size();
  run.result.stamp_oldest = runtime.clock.Now();

  // By the frame in which the bytes begin: an entry that is a link to an equal one goes with it.
  std::vector<Work> work;
  for (size_t i = 0; i < entries.size(); ++i) {
    run.result.stamp_oldest = std::min(run.result.stamp_oldest, entries[i].stamp);
    if (!only.empty() && !only.contains(i)) continue;
    const std::vector<ContentPiece> pieces = reader.Pieces(i);
    work.push_back({.frame = pieces.empty() ? 0 : pieces.front().frame, .entry = i});
  }
  std::sort(work.begin(), work.end(), [](const Work& a, const Work& b) {
    return std::pair(a.frame, a.entry) < std::pair(b.frame, b.entry);
  });

  std::optional<HiddenKeys> hidden;
  auto hidden_by = [&](const std::vector<Work>& written) -> HiddenKeys* {
    if (target.applier->policy().capabilities.key_file_beside_folder) return nullptr;
    return &hidden.emplace(*target.store, target.config->to.bucket, KeysWritten(run, written));
  };
  std::vector<Work> aside;
  Result<void> applied = co_await ApplyWork(run, work, hidden_by(work), &aside);
  // What was in the way may have been deleted by now, and what was to be written need not be there.
  if (applied && !aside.empty()) {
    applied = co_await ApplyWork(run, aside, hidden_by(aside), nullptr);
  }
  if (!applied) co_return applied.error();
  co_return std::move(run.result);
}

}  // namespace longhaul
