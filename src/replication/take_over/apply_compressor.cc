#include "replication/take_over/apply_compressor.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "replication/apply/apply_archive.h"
#include "replication/apply/direct_body.h"
#include "replication/apply/hidden_keys.h"
#include "replication/staging/archive_body.h"

namespace longhaul {

namespace {

using Proof = CompressorEntry::Proof;

constexpr std::string_view kRoute = "take-over";
constexpr uint64_t kPartsMax = 10'000;
constexpr uint64_t kPartBytes = 16 << 20;

std::optional<SystemTime> AgeByTag(const Tags& tags) {
  const auto found = tags.find(std::string(archive::kCompressorTimeTag));
  return found == tags.end() ? std::nullopt : archive::CompressorTime(found->second);
}

// The bytes of a member; the last of them are given out only when all are what they were before.
class MemberSource : public ByteSource {
 public:
  MemberSource(CompressorCursor& cursor, const CompressorEntry& entry, uint64_t& bytes_moved)
      : cursor_(cursor), entry_(entry), bytes_moved_(bytes_moved) {}

  [[nodiscard]] uint64_t size_bytes() const override { return entry_.size_bytes; }
  Async<size_t> Read(std::span<std::byte> out) override {
    if (read_ == entry_.size_bytes) co_return 0;
    Result<size_t> count = co_await cursor_.Read(out);
    if (!count || *count == 0) {
      failure_ = count ? Corrupt("the archive holds less of an object than before") : count.error();
      co_return *failure_;
    }
    read_ += *count;
    bytes_moved_ += *count;
    crc_ = Crc64Nvme(out.first(*count), crc_);
    if (read_ > entry_.size_bytes || (read_ == entry_.size_bytes && !IsAsBefore())) {
      failure_ = Corrupt("the archive holds other bytes than before");
      co_return *failure_;
    }
    co_return *count;
  }
  // Set when it could not give the bytes: not the target's fault then.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  [[nodiscard]] bool IsAsBefore() const {
    std::string digest;
    for (int shift = 56; shift >= 0; shift -= 8) digest += static_cast<char>(crc_ >> shift);
    return digest == entry_.crc64;
  }

  CompressorCursor& cursor_;
  const CompressorEntry& entry_;
  uint64_t& bytes_moved_;
  uint64_t read_ = 0;
  uint64_t crc_ = 0;
  std::optional<Error> failure_;
};

// A member too large to be held in memory.
class MemberBody : public ReplicaBody {
 public:
  MemberBody(Runtime& runtime, CompressorCursor& cursor, const CompressorEntry& entry,
             UploadLedger& ledger, uint64_t memory_bytes, uint64_t& bytes_moved)
      : runtime_(runtime),
        cursor_(cursor),
        entry_(entry),
        ledger_(ledger),
        memory_bytes_(memory_bytes),
        bytes_moved_(bytes_moved) {}

  Async<PutResult> Write(Store& store, PutRequest request) override {
    Result<void> there = co_await cursor_.SeekTo(entry_.member);
    if (!there) {
      failure_ = there.error();
      co_return there.error();
    }
    MemberSource source(cursor_, entry_, bytes_moved_);
    Result<PutResult> put = co_await Send(store, std::move(request), source);
    failure_ = source.failure();
    co_return put;
  }
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  Async<PutResult> Send(Store& store, PutRequest request, ByteSource& source) {
    const Capabilities can = store.capabilities();
    if (entry_.size_bytes <= can.put_size_bytes_max) {
      co_return co_await store.Put(std::move(request), source);
    }
    request.checksum.reset();  // Of the whole: the source compares it.
    const uint64_t part = std::max({std::min(memory_bytes_, kPartBytes), can.part_size_bytes_min,
                                    entry_.size_bytes / kPartsMax + 1});
    if (part > memory_bytes_) {
      co_return InvalidInput("a part of it takes " + std::to_string(part) + " bytes of memory, " +
                             std::to_string(memory_bytes_) + " are there (--memory)");
    }
    co_return co_await PutInParts(runtime_, ledger_, store, std::move(request), source, part,
                                  memory_bytes_);
  }

  Runtime& runtime_;
  CompressorCursor& cursor_;
  const CompressorEntry& entry_;
  UploadLedger& ledger_;
  uint64_t memory_bytes_;
  uint64_t& bytes_moved_;
  std::optional<Error> failure_;
};

// A checksum that a store finds besides its own.
class CheckedBody : public ReplicaBody {
 public:
  CheckedBody(ReplicaBody& body, const CompressorEntry& entry) : body_(body), entry_(entry) {}
  Async<PutResult> Write(Store& store, PutRequest request) override {
    request.checksum =
        Checksum{.algorithm = ChecksumAlgorithm::kCrc64Nvme, .value = Base64Encode(entry_.crc64)};
    return body_.Write(store, std::move(request));
  }

 private:
  ReplicaBody& body_;
  const CompressorEntry& entry_;
};

class Application {
 public:
  Application(ReplicationContext& context, Runtime& runtime, const RuleContext& rule,
              TargetContext& target, CompressorArchivePlace place,
              const CompressorContents& contents, std::string name, std::set<size_t>& settled)
      : context_(context),
        runtime_(runtime),
        rule_(rule),
        target_(target),
        contents_(contents),
        name_(std::move(name)),
        settled_(settled),
        cursor_(runtime, std::move(place)) {}

  Async<CompressorApplication> Run() {
    std::vector<size_t> entries;
    for (size_t i = 0; i < contents_.entries.size(); ++i) {
      if (!settled_.contains(i)) entries.push_back(i);
    }
    std::vector<size_t> aside;
    Result<void> applied = co_await ApplyEach(entries, &aside);
    // What was in the way may have been deleted by now, and what was to be written need not be
    // there.
    if (applied && !aside.empty()) applied = co_await ApplyEach(aside, nullptr);
    if (!applied) co_return applied.error();
    co_return std::move(result_);
  }

 private:
  [[nodiscard]] std::optional<std::string> KeyOf(const CompressorEntry& entry) const {
    return TargetKey(*rule_.rule, *target_.config, entry.key);
  }

  // What the store would hide comes to `aside`, and is parked where that is null.
  Async<void> ApplyEach(const std::vector<size_t>& entries, std::vector<size_t>* aside) {
    if (!target_.applier->policy().capabilities.key_file_beside_folder) {
      std::set<std::string> keys;
      for (size_t i : entries) {
        if (auto key = KeyOf(contents_.entries[i])) keys.insert(*key);
      }
      hidden_.emplace(*target_.store, target_.config->to.bucket, std::move(keys));
    }
    TaskGroup writes(runtime_.executor);
    Result<void> status;
    for (size_t i : entries) {
      status = co_await Begin(i, writes, aside);
      if (!status) break;
    }
    Result<void> joined = co_await writes.Join();
    co_return status ? joined : status;
  }

  [[nodiscard]] std::optional<std::string> RefusalOf(const CompressorEntry& entry) const {
    if (!entry.refusal.empty()) return entry.refusal;
    if (entry.proof == Proof::kOtherEtag && target_.config->take_over->etags_are_md5) {
      return "its bytes are not those of its ETag: damaged, or encrypted under KMS at the source "
             "(then say take_over: { etags: opaque })";
    }
    return RefusalByRule(*rule_.rule, entry.key, entry.stamp, runtime_.clock.Now());
  }

  // An error is that of the archive.
  Async<void> Begin(size_t index, TaskGroup& writes, std::vector<size_t>* aside) {
    const CompressorEntry& entry = contents_.entries[index];
    if (std::optional<std::string> refusal = RefusalOf(entry)) {
      result_.parked.emplace(index, InvalidInput(std::move(*refusal)));
      co_return Ok();
    }
    if (hidden_) {
      Result<void> stored = co_await hidden_->Check(*KeyOf(entry));
      if (!stored && IsHidden(stored.error()) && aside != nullptr) {
        aside->push_back(index);
        co_return Ok();
      }
      if (!stored) {
        Take(index, stored.error());
        co_return Ok();
      }
    }
    if (entry.size_bytes > context_.limits.bundle_object_bytes_max) {
      Result<void> joined = co_await writes.Join();  // Their memory is needed.
      if (!joined) co_return joined.error();
      co_return co_await ApplyLarge(index);
    }
    co_await writes.WaitBelow(target_.writes_max);
    // First, so that the archive's window is in what is reserved.
    Result<void> there = co_await cursor_.SeekTo(entry.member);
    if (!there) co_return there.error();
    const int64_t needed = static_cast<int64_t>(entry.size_bytes) + 1024;
    std::optional<Reservation> memory = runtime_.memory.TryReserve(needed);
    if (!memory) {
      Result<void> joined = co_await writes.Join();
      if (!joined) co_return joined.error();
      memory = runtime_.memory.TryReserve(needed);
    }
    if (!memory) {
      co_return InvalidInput("an object of it takes " + std::to_string(needed) +
                             " bytes of memory beside what unpacking takes (--memory)");
    }
    std::vector<std::byte> content(entry.size_bytes);
    MemberSource source(cursor_, entry, context_.bytes_moved);
    for (size_t filled = 0; filled < content.size();) {
      Result<size_t> count = co_await source.Read(std::span(content).subspan(filled));
      if (!count) co_return count.error();
      filled += *count;
    }
    writes.Spawn(ApplySmall(index, std::move(content), std::move(*memory)));
    co_return Ok();
  }

  [[nodiscard]] ReplicaWrite WriteOf(const CompressorEntry& entry) const {
    ReplicaWrite write{.key = *KeyOf(entry),
                       .stamp = entry.stamp,
                       // What is known of these bytes: an ETag that is not proved may be another's.
                       .source_etag = entry.md5,
                       .size_bytes = entry.size_bytes,
                       .tags = entry.tags.value_or(Tags()),
                       .storage_class = entry.storage_class};
    write.caution =
        Caution{.creates_only = entry.proof != Proof::kEtag, .age_of_unmarked = AgeByTag};
    return write;
  }

  Async<void> ApplySmall(size_t index, std::vector<std::byte> content, Reservation memory) {
    const CompressorEntry& entry = contents_.entries[index];
    MemoryBody body(content);
    CheckedBody checked(body, entry);
    Take(index, co_await target_.applier->Put(WriteOf(entry), checked));
    co_return Ok();
  }

  Async<void> ApplyLarge(size_t index) {
    const CompressorEntry& entry = contents_.entries[index];
    // Not to unpack it in vain.
    Result<std::optional<ApplyOutcome>> decided = co_await target_.applier->Decided(WriteOf(entry));
    if (!decided) {
      Take(index, decided.error());
      co_return Ok();
    }
    if (*decided) {
      Take(index, std::move(**decided));
      co_return Ok();
    }
    // First, so that the archive's window is in what is reserved.
    Result<void> there = co_await cursor_.SeekTo(entry.member);
    if (!there) co_return there.error();
    const int64_t free = runtime_.memory.limit_bytes() - runtime_.memory.reserved_bytes();
    Result<Reservation> memory = co_await runtime_.memory.Reserve(std::max<int64_t>(free, 1));
    if (!memory) co_return memory.error();
    MemberBody body(runtime_, cursor_, entry, *context_.uploads,
                    static_cast<uint64_t>(memory->size_bytes()), context_.bytes_moved);
    CheckedBody checked(body, entry);
    Result<ApplyOutcome> outcome = co_await target_.applier->Put(WriteOf(entry), checked);
    if (!outcome && body.failure()) co_return *body.failure();
    Take(index, std::move(outcome));
    co_return Ok();
  }

  void Tell(const CompressorEntry& entry, OutcomeState state, std::string reason) {
    if (!entry.tags && state == OutcomeState::kApplied) {
      reason = "without tags: whoever packed it could not read them";
    }
    context_.observer.OnOutcome({.time = runtime_.clock.Now(),
                                 .rule = rule_.rule->id,
                                 .target = target_.config->name,
                                 .op = "put",
                                 .key = entry.key,
                                 .size_bytes = entry.size_bytes,
                                 .stamp = entry.stamp,
                                 .archive = name_,
                                 .route = std::string(kRoute),
                                 .state = state,
                                 .reason = std::move(reason)});
  }

  void Take(size_t index, const Result<ApplyOutcome>& outcome) {
    const CompressorEntry& entry = contents_.entries[index];
    if (!outcome) {
      const Error& error = outcome.error();
      const bool waiting = error.Transient() || error.kind == ErrorKind::kCancelled ||
                           error.code == "NoSuchBucket" || error.code == "NoSuchUpload";
      auto& failed = waiting                            ? result_.pending
                     : error.kind == ErrorKind::kDenied ? result_.refused
                                                        : result_.parked;
      failed.emplace(index, error);
      return;
    }
    if (outcome->state == ApplyState::kReread) {
      result_.reread.emplace(index, outcome->reason);
      return;
    }
    ++result_.settled;
    settled_.insert(index);
    switch (outcome->state) {
      case ApplyState::kApplied:
        Tell(entry, OutcomeState::kApplied, outcome->reason);
        break;
      case ApplyState::kEqual:
        Tell(entry, OutcomeState::kEqual, outcome->reason);
        break;
      case ApplyState::kConflict:
        result_.conflicting.emplace(index, outcome->reason);
        Tell(entry, OutcomeState::kConflict, outcome->reason);
        break;
      case ApplyState::kSuperseded:
      case ApplyState::kReread:
        Tell(entry, OutcomeState::kSuperseded, outcome->reason);
        break;
    }
  }

  ReplicationContext& context_;
  Runtime& runtime_;
  const RuleContext& rule_;
  TargetContext& target_;
  const CompressorContents& contents_;
  std::string name_;
  std::set<size_t>& settled_;
  CompressorCursor cursor_;
  std::optional<HiddenKeys> hidden_;
  CompressorApplication result_;
};

}  // namespace

Async<CompressorApplication> ApplyCompressorArchive(ReplicationContext& context, Runtime& runtime,
                                                    const RuleContext& rule, TargetContext& target,
                                                    CompressorArchivePlace place,
                                                    const CompressorContents& contents,
                                                    std::string name, std::set<size_t>& settled) {
  Application application(context, runtime, rule, target, std::move(place), contents,
                          std::move(name), settled);
  co_return co_await application.Run();
}

}  // namespace longhaul
