#include "replication/apply/keep_archive.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "backup/catalog.h"
#include "replication/apply/direct_body.h"
#include "transfer/tree/same_bytes.h"

namespace longhaul {

namespace {

// Of an archive in the vault: the ETag that it had in staging.
constexpr char kStagedEtag[] = "longhaul-staged-etag";
constexpr int kSegmentTries = 10;

class Keeping {
 public:
  Keeping(ReplicationContext& context, Runtime& runtime, const RuleContext& rule,
          TargetContext& target, ArchiveReader& reader, std::string staged_key)
      : context_(context),
        runtime_(runtime),
        rule_(rule),
        target_(target),
        reader_(reader),
        staged_key_(std::move(staged_key)),
        vault_{.bucket = target.config->to.bucket, .prefix = target.config->to.prefix},
        name_{.folder = backup::VaultFolder(rule.rule->source, target.config->backup->partition,
                                            reader.manifest().id),
              .ulid = reader.manifest().id} {}

  Async<ArchiveApplication> Run(const StoreArchiveFile& file) {
    const int64_t needed = reader_.held_bytes() + reader_.FrameMemoryNeeded();
    if (needed > runtime_.memory.limit_bytes()) {
      co_return InvalidInput("keeping the archive takes " + std::to_string(needed) +
                             " bytes of memory; one archive may take " +
                             std::to_string(runtime_.memory.limit_bytes()) + " (--memory)");
    }
    for (const ArchiveEntry& entry : reader_.entries()) {
      std::optional<std::string> refusal =
          RefusalByRule(*rule_.rule, entry.key, entry.stamp, runtime_.clock.Now());
      if (refusal) co_return InvalidInput(entry.key + ": " + *refusal);
    }
    Result<std::vector<backup::CatalogRecord>> records = co_await backup::ReadRecords(
        runtime_, reader_, [this](uint64_t bytes) { context_.bytes_moved += bytes; });
    if (!records) co_return records.error();
    Result<void> kept = co_await PutArchive(file);
    if (!kept) co_return kept.error().In("keep it in the vault");
    kept = co_await PutCatalog(std::move(*records));
    if (!kept) co_return kept.error().In("write its catalog");
    co_return co_await Settle();
  }

 private:
  [[nodiscard]] PutRequest Request(std::string key) const {
    const Target& to = *target_.config;
    PutRequest request{.bucket = to.to.bucket, .key = std::move(key)};
    request.sse = to.sse;
    request.kms_key = to.kms_key;
    request.bucket_key = to.bucket_key;
    request.acl = to.acl;
    request.bucket_owner = to.bucket_owner;
    return request;
  }

  // Whether the archive in the vault is the one in staging, perhaps staged anew.
  Async<bool> IsSame(std::string key, const ObjectInfo& there, const StoreArchiveFile& file) {
    if (there.size_bytes != file.size_bytes()) co_return false;
    const auto staged = there.metadata.find(kStagedEtag);
    if (staged != there.metadata.end() && staged->second == file.etag()) co_return true;
    Result<SameBytes> same = co_await LookAtBytes(
        runtime_, {.store = *target_.store, .bucket = vault_.bucket, .key = std::move(key)},
        {.store = *target_.staging_store, .bucket = target_.staging_bucket, .key = staged_key_},
        true);
    // What cannot be compared, as in GLACIER, is not known to be the same.
    if (!same && same.error().Transient()) co_return same.error();
    co_return same && *same == SameBytes::kSame;
  }

  Async<void> PutArchive(const StoreArchiveFile& file) {
    const std::string key = backup::VaultArchiveKey(vault_, name_);
    Result<ObjectInfo> there = co_await target_.store->Head({.bucket = vault_.bucket, .key = key});
    if (!there && there.error().kind != ErrorKind::kNotFound) co_return there.error();
    if (there) {
      Result<bool> same = co_await IsSame(key, *there, file);
      if (!same) co_return same.error();
      if (*same) co_return Ok();
      // Whoever may write to staging may not age what is kept.
      co_return InvalidInput("the vault has another archive as " + key +
                             ", which is not overwritten");
    }
    Result<ObjectInfo> info = co_await target_.staging_store->Head(
        {.bucket = target_.staging_bucket, .key = staged_key_});
    if (!info) co_return info.error().In("look at staging");
    // What has been read and found right, and nothing else.
    if (info->etag != file.etag()) co_return Retryable("the archive changed while it was read");
    // The store's own clock decides when the lock ends: ours may be years from it.
    const SystemTime now =
        info->server_time == SystemTime{} ? runtime_.clock.Now() : info->server_time;
    DirectSource source{.store = target_.staging_store,
                        .bucket = target_.staging_bucket,
                        .key = staged_key_,
                        .info = std::move(*info)};
    const BackupOptions& options = *target_.config->backup;
    PutRequest request = Request(key);
    request.headers.content_type = "application/zstd";
    request.metadata[kStagedEtag] = file.etag();
    request.storage_class = options.storage_class;
    if (!options.lock_mode.empty()) {
      request.lock = ObjectLock{.mode = options.lock_mode,
                                .until = std::chrono::floor<std::chrono::seconds>(now) +
                                         std::chrono::days(options.lock_days)};
    }
    if (target_.staging_store == target_.store) {
      CopyBody copy(runtime_, source, *context_.uploads);
      Result<PutResult> copied = co_await copy.Write(*target_.store, request);
      if (copied) co_return Ok();
      const ErrorKind kind = copied.error().kind;
      if (kind != ErrorKind::kDenied && kind != ErrorKind::kInvalidInput) co_return copied.error();
      // A store that does not copy, or not this, may take it all the same.
    }
    const int64_t parts = runtime_.memory.limit_bytes() - runtime_.memory.reserved_bytes();
    Result<Reservation> memory = co_await runtime_.memory.Reserve(std::max<int64_t>(parts, 0));
    if (!memory) co_return memory.error();
    StreamBody stream(runtime_, std::move(source), *context_.uploads,
                      static_cast<uint64_t>(std::max<int64_t>(parts, 0)), context_.bytes_moved);
    Result<PutResult> put = co_await stream.Write(*target_.store, std::move(request));
    if (!put) co_return put.error();
    co_return Ok();
  }

  Async<void> PutCatalog(std::vector<backup::CatalogRecord> records) {
    std::string text = co_await backup::PackCatalog(
        runtime_, {.vault = vault_, .name = name_, .source = rule_.rule->source},
        std::move(records));
    PutRequest request = Request(backup::VaultCatalogKey(vault_, name_));
    request.headers.content_type = "application/zstd";
    Result<PutResult> put = co_await PutText(*target_.store, std::move(request), std::move(text));
    if (!put) co_return put.error();
    co_return Ok();
  }

  Async<ArchiveApplication> Settle() {
    ArchiveApplication result;
    const std::vector<ArchiveEntry>& entries = reader_.entries();
    result.entries = result.settled = result.applied = entries.size();
    result.stamp_oldest = runtime_.clock.Now();
    for (const ArchiveEntry& entry : entries) {
      result.stamp_oldest = std::min(result.stamp_oldest, entry.stamp);
      if (target_.parked->MayHold(entry.key)) result.unparked.push_back(entry.key);
      // Without bytes it is no state of the object that could be given back.
      if (entry.op == EntryOp::kAttributes) result.reread.push_back(entry.key);
      if (entry.segment) {
        Result<bool> whole = co_await NoteSegment(*entry.segment);
        if (!whole) co_return whole.error();
        result.transfer_over = *whole;
        if (!*whole) continue;  // Told once, by the segment with which the object is whole.
      }
      context_.observer.OnOutcome(
          {.time = runtime_.clock.Now(),
           .rule = rule_.rule->id,
           .target = target_.config->name,
           .op = OpName(entry.op),
           .key = entry.key,
           .size_bytes = entry.segment ? entry.segment->object_size_bytes : entry.size_bytes,
           .stamp = entry.stamp,
           .archive = name_.ulid,
           .route = "backup",
           .state = OutcomeState::kApplied,
           .reason = "kept"});
    }
    co_return result;
  }

  // Remembers that the segment is in the vault. True: all of its object are.
  Async<bool> NoteSegment(const Segment& segment) {
    const std::string partition = "backup-segments/" + StatePartition(*rule_.rule, *target_.config);
    for (int i = 0; i < kSegmentTries; ++i) {
      Result<std::optional<StateRow>> row = co_await context_.state.Get(partition, segment.plan);
      if (!row) co_return row.error();
      std::string kept = *row ? (*row)->value : std::string();
      kept.resize(segment.count, '0');
      kept[segment.number] = '1';
      const bool whole = kept.find('0') == std::string::npos;
      if (*row && (*row)->value == kept) co_return whole;
      Result<int64_t> written = co_await context_.state.Write(
          partition, {.key = segment.plan,
                      .value = std::move(kept),
                      .expected = *row ? Expected::Revision((*row)->revision) : Expected::Absent(),
                      .expires = runtime_.clock.Now() + std::chrono::days(15)});
      if (written) co_return whole;
      if (written.error().kind != ErrorKind::kPrecondition) co_return written.error();
    }
    co_return Retryable("other segments of the object are being noted");
  }

  ReplicationContext& context_;
  Runtime& runtime_;
  const RuleContext& rule_;
  TargetContext& target_;
  ArchiveReader& reader_;
  std::string staged_key_;
  backup::VaultPlace vault_;
  backup::VaultName name_;
};

}  // namespace

Async<ArchiveApplication> KeepArchive(ReplicationContext& context, Runtime& runtime,
                                      const RuleContext& rule, TargetContext& target,
                                      ArchiveReader& reader, const StoreArchiveFile& file,
                                      std::string staged_key) {
  Keeping keeping(context, runtime, rule, target, reader, std::move(staged_key));
  co_return co_await keeping.Run(file);
}

}  // namespace longhaul
