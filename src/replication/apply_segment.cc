#include "replication/apply_segment.h"

#include <utility>

#include "replication/archive_body.h"
#include "replication/giant_uploads.h"

namespace longhaul {

namespace {

ApplyOutcome Superseded(std::string reason) {
  return {.state = ApplyState::kSuperseded, .reason = std::move(reason)};
}

ApplyOutcome Reread(std::string reason) {
  return {.state = ApplyState::kReread, .reason = std::move(reason)};
}

// Completes the upload: the bytes are there already.
class CompletingBody : public ReplicaBody {
 public:
  CompletingBody(GiantUploads& giants, const GiantUpload& upload, const ArchiveEntry& entry)
      : giants_(giants), upload_(upload), entry_(entry) {}

  Async<PutResult> Write(Store& store, PutRequest request) override {
    Result<std::vector<UploadedPart>> parts = co_await giants_.Parts(upload_);
    if (!parts) co_return parts.error();
    CompleteRequest complete{
        .upload = {.bucket = request.bucket, .key = request.key, .upload_id = upload_.upload_id},
        .parts = std::move(*parts),
        .condition = request.condition,
        .checksum = {}};
    if (entry_.checksum && entry_.checksum->algorithm == ChecksumAlgorithm::kCrc64Nvme &&
        !entry_.checksum->composite) {
      complete.checksum = entry_.checksum;  // The target compares it with that of its parts.
    }
    Result<PutResult> put = co_await store.CompleteMultipart(std::move(complete));
    if (!put || request.tags.empty() || !store.capabilities().tags) co_return put;
    // Not every store takes tags with an upload, and the process that knew of it may be gone.
    Result<Tags> tags = co_await store.GetTags(request.bucket, request.key, put->version_id);
    if (tags && *tags == request.tags) co_return put;
    Result<void> tagged = co_await store.PutTags(request.bucket, request.key, request.tags);
    if (!tagged) co_return tagged.error();
    co_return put;
  }

 private:
  GiantUploads& giants_;
  const GiantUpload& upload_;
  const ArchiveEntry& entry_;
};

// An archive is not believed: the parts of a segment make it up, and fit into an upload.
Result<void> CheckParts(const ArchiveEntry& entry) {
  const Segment& segment = *entry.segment;
  uint64_t left = entry.size_bytes;
  bool good = !entry.part_sizes.empty() && segment.first_part + entry.part_sizes.size() <= 10'001;
  for (uint64_t part : entry.part_sizes) {
    good = good && part > 0 && part <= left;
    left -= good ? part : 0;
  }
  if (good && left == 0) return Ok();
  return Corrupt("the parts of a segment do not make it up: " + entry.key);
}

bool UploadIsGone(const Error& error) { return error.code == "NoSuchUpload"; }

// It was completed by another process, superseded, or removed by someone.
Async<std::optional<ApplyOutcome>> AfterUploadIsGone(TargetContext& target,
                                                     const ReplicaWrite& write,
                                                     GiantUpload upload) {
  Result<std::optional<ApplyOutcome>> decided = co_await target.applier->Decided(write);
  if (!decided) co_return decided.error();
  Result<void> ended = co_await target.giants->End(write.key, std::move(upload));
  if (!ended) co_return ended.error();
  if (*decided) co_return decided;
  co_return std::optional<ApplyOutcome>(Reread("its upload is not there any more"));
}

}  // namespace

Async<std::optional<ApplyOutcome>> ApplySegment(ReplicationContext& context, Runtime& runtime,
                                                TargetContext& target, ArchiveReader& reader,
                                                size_t index, ReplicaWrite write,
                                                uint64_t memory_bytes,
                                                std::optional<Error>& archive_failure) {
  const ArchiveEntry& entry = reader.entries()[index];
  const Segment& segment = *entry.segment;
  GiantUploads& giants = *target.giants;
  Applier& applier = *target.applier;
  using Outcome = std::optional<ApplyOutcome>;
  if (Result<void> good = CheckParts(entry); !good) {
    archive_failure = good.error();
    co_return good.error();
  }

  Result<std::optional<GiantUpload>> found = co_await giants.Find(write.key);
  if (!found) co_return found.error();
  const bool same_plan = *found && (*found)->plan == segment.plan;
  // First: whoever completed it may have been killed before he could say so.
  Result<Outcome> decided = co_await applier.Decided(write);
  if (!decided) co_return decided.error();
  if (*decided) {
    if (same_plan) {
      Result<void> ended = co_await giants.End(write.key, std::move(**found));
      if (!ended) co_return ended.error();
    }
    co_return decided;
  }
  if (*found && !same_plan && (*found)->stamp >= entry.stamp) {
    if ((*found)->stamp == entry.stamp && (*found)->etag != entry.etag) {
      co_return Outcome(Reread("another reading of it has the same stamp"));
    }
    co_return Outcome(Superseded("a newer reading of it is under way"));
  }
  if (same_plan && (*found)->stored.size() != segment.count) {
    archive_failure = Corrupt("a transfer of " + std::to_string((*found)->stored.size()) +
                              " segments has one of " + std::to_string(segment.count));
    co_return *archive_failure;
  }

  GiantUpload upload;
  if (same_plan) {
    upload = std::move(**found);
  } else {
    Result<GiantUpload> begun =
        co_await giants.Begin(entry, applier.RequestFor(write), std::move(*found));
    // Another process began it at the same time: the next try finds its upload.
    if (!begun && begun.error().kind == ErrorKind::kPrecondition) {
      co_return Retryable("another process has begun the upload");
    }
    if (!begun) co_return begun.error();
    upload = std::move(*begun);
  }

  if (!upload.stored[segment.number]) {
    const MultipartUpload multipart{
        .bucket = target.config->to.bucket, .key = write.key, .upload_id = upload.upload_id};
    PartSender sender(runtime, reader, index, memory_bytes, context.bytes_moved);
    Result<std::vector<UploadedPart>> parts = co_await sender.Send(
        *target.store, multipart, static_cast<int>(segment.first_part), entry.part_sizes);
    archive_failure = sender.archive_failure();
    if (!parts) {
      if (!archive_failure && UploadIsGone(parts.error()))
        co_return co_await AfterUploadIsGone(target, write, upload);
      co_return parts.error();
    }
    Result<GiantUpload> stored =
        co_await giants.Store(write.key, upload, segment.number, std::move(*parts));
    if (!stored && stored.error().kind == ErrorKind::kPrecondition) {
      co_return Retryable(stored.error().message);
    }
    if (!stored) co_return stored.error();
    upload = std::move(*stored);
  }
  if (!upload.complete()) co_return std::nullopt;

  CompletingBody body(giants, upload, entry);
  Result<ApplyOutcome> outcome = co_await applier.Put(write, body);
  if (!outcome) {
    if (UploadIsGone(outcome.error())) co_return co_await AfterUploadIsGone(target, write, upload);
    co_return outcome.error();
  }
  // Completed or not wanted any more.
  Result<void> ended = co_await giants.End(write.key, std::move(upload));
  if (!ended) co_return ended.error();
  co_return Outcome(std::move(*outcome));
}

Async<int> SweepGiantUploads(ReplicationContext& context, TargetContext& target,
                             std::vector<std::pair<std::string, GiantUpload>> uploads,
                             std::chrono::nanoseconds idle_max) {
  int swept = 0;
  for (auto& [key, upload] : uploads) {
    bool doomed = context.runtime.clock.Now() - upload.touched >= idle_max;
    if (!doomed) {
      Result<std::optional<ApplyOutcome>> decided =
          co_await target.applier->Decided({.key = key,
                                            .stamp = upload.stamp,
                                            .source_etag = upload.etag,
                                            .sites_passed = {},
                                            .headers = {},
                                            .metadata = {},
                                            .tags = {},
                                            .storage_class = {}});
      if (!decided) co_return decided.error();
      doomed = decided->has_value() && (*decided)->state != ApplyState::kConflict;
    }
    if (!doomed) continue;
    Result<std::optional<GiantUpload>> now = co_await target.giants->Find(key);
    if (!now) co_return now.error();
    if (!*now || (*now)->revision != upload.revision) continue;
    Result<void> ended = co_await target.giants->End(key, std::move(upload));
    if (!ended) co_return ended.error();
    ++swept;
  }
  co_return swept;
}

}  // namespace longhaul
