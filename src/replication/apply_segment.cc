#include "replication/apply_segment.h"

#include <utility>

#include "replication/archive_body.h"
#include "replication/giant_uploads.h"

namespace longhaul {

namespace {

ApplyOutcome Reread(std::string reason) {
  return {.state = ApplyState::kReread, .reason = std::move(reason)};
}

// Another process was faster: the next try finds what it has done.
Error Busy(std::string why) {
  Error error = Retryable(std::move(why));
  error.code = kKeyBusyCode;
  return error;
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
    co_return co_await store.CompleteMultipart(std::move(complete));
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

// One segment at one target.
class SegmentApplier {
 public:
  SegmentApplier(TargetContext& target, const ArchiveEntry& entry, ReplicaWrite write)
      : target_(target), entry_(entry), segment_(*entry.segment), write_(std::move(write)) {}

  // The row of the upload that takes the segment, or what there is to say without one.
  Async<std::optional<SegmentApplication>> FindUpload(std::optional<Error>& archive_failure) {
    using Done = std::optional<SegmentApplication>;
    Result<std::optional<GiantUpload>> found = co_await giants().Find(write_.key);
    if (!found) co_return found.error();
    const bool same_plan = *found && (*found)->plan == segment_.plan;
    if (same_plan) upload_ = std::move(**found);
    // First: whoever completed it may have been killed before he could say so.
    Result<std::optional<ApplyOutcome>> decided = co_await applier().Decided(write_);
    if (!decided) co_return decided.error();
    if (*decided) {
      Result<SegmentApplication> over = co_await Over(std::move(**decided));
      if (!over) co_return over.error();
      co_return Done(std::move(*over));
    }
    if (same_plan && upload_->stored.size() != segment_.count) {
      archive_failure = Corrupt("a transfer of " + std::to_string(upload_->stored.size()) +
                                " segments has one of " + std::to_string(segment_.count));
      co_return *archive_failure;
    }
    if (same_plan && upload_->lost_at) co_return Done(Lost());
    if (same_plan) co_return std::nullopt;

    if (*found) {
      // A transfer whose upload is lost makes way for the one that was planned for it.
      const bool replaces =
          (*found)->stamp < entry_.stamp ||
          ((*found)->stamp == entry_.stamp && (*found)->lost_at && (*found)->plan < segment_.plan);
      if (!replaces) {
        const bool other = (*found)->stamp == entry_.stamp && (*found)->etag != entry_.etag;
        if (other) co_return Done(Told(Reread("another reading of it has the same stamp")));
        co_return Done(Told(
            {.state = ApplyState::kSuperseded, .reason = "a newer reading of it is under way"}));
      }
    }
    Result<GiantUpload> begun =
        co_await giants().Begin(entry_, applier().RequestFor(write_), std::move(*found));
    if (!begun && begun.error().kind == ErrorKind::kPrecondition) {
      co_return Busy("another process has begun the upload");
    }
    if (!begun) co_return begun.error();
    upload_ = std::move(*begun);
    co_return std::nullopt;
  }

  Async<SegmentApplication> Apply(Runtime& runtime, ReplicationContext& context,
                                  ArchiveReader& reader, size_t index, uint64_t memory_bytes,
                                  std::optional<Error>& archive_failure) {
    if (!upload_->stored[segment_.number]) {
      const MultipartUpload multipart{
          .bucket = target_.config->to.bucket, .key = write_.key, .upload_id = upload_->upload_id};
      PartSender sender(runtime, reader, index, memory_bytes, context.bytes_moved);
      Result<std::vector<UploadedPart>> parts = co_await sender.Send(
          *target_.store, multipart, static_cast<int>(segment_.first_part), entry_.part_sizes);
      archive_failure = sender.archive_failure();
      if (!parts) {
        if (!archive_failure && UploadIsGone(parts.error())) co_return co_await AfterLoss();
        co_return parts.error();
      }
      Result<GiantUpload> stored =
          co_await giants().RecordParts(write_.key, *upload_, segment_.number, std::move(*parts));
      if (!stored && stored.error().kind == ErrorKind::kPrecondition) {
        co_return Busy(stored.error().message);
      }
      if (!stored) co_return stored.error();
      upload_ = std::move(*stored);
    }
    if (!upload_->complete()) co_return SegmentApplication{};

    CompletingBody body(giants(), *upload_, entry_);
    Result<ApplyOutcome> outcome = co_await applier().Put(write_, body);
    if (!outcome) {
      if (UploadIsGone(outcome.error())) co_return co_await AfterLoss();
      co_return outcome.error();
    }
    co_return co_await Over(std::move(*outcome));
  }

 private:
  GiantUploads& giants() { return *target_.giants; }
  Applier& applier() { return *target_.applier; }

  // Settled, or not wanted any more. Said by whoever ends the upload; without one by the first
  // segment. That it must be read anew is said by each: none may count on another.
  SegmentApplication Told(ApplyOutcome outcome) {
    SegmentApplication said{.over = true, .outcome = std::nullopt};
    if (upload_ || segment_.number == 0 || outcome.state == ApplyState::kReread) {
      said.outcome = std::move(outcome);
    }
    return said;
  }

  Async<SegmentApplication> Over(ApplyOutcome outcome) {
    // Who completed it may not be who began it, and may have died before he had looked at its tags;
    // and the upload may have been swept since.
    Result<ApplyOutcome> tagged = co_await applier().EnsureTags(write_, std::move(outcome));
    if (!tagged) co_return tagged.error();
    outcome = std::move(*tagged);
    if (upload_) {
      Result<void> ended = co_await giants().End(write_.key, *upload_);
      if (!ended) co_return ended.error();
    }
    co_return Told(std::move(outcome));
  }

  // Its upload was completed by another process, superseded, or removed by someone.
  Async<SegmentApplication> AfterLoss() {
    Result<std::optional<ApplyOutcome>> decided = co_await applier().Decided(write_);
    if (!decided) co_return decided.error();
    if (*decided) co_return co_await Over(std::move(**decided));
    // The row stays until the object has been planned anew: without it the segments that are still
    // to come would begin an upload that nothing completes.
    Result<GiantUpload> lost = co_await giants().RecordLoss(write_.key, *upload_, segment_.number);
    if (!lost && lost.error().kind == ErrorKind::kPrecondition) {
      co_return Busy(lost.error().message);
    }
    if (!lost) co_return lost.error();
    upload_ = std::move(*lost);
    co_return Lost();
  }

  // One of them says so, each time that it is asked.
  SegmentApplication Lost() {
    SegmentApplication lost{.over = true, .outcome = std::nullopt};
    if (*upload_->lost_at == segment_.number) {
      lost.outcome = Reread("its upload is not there any more");
    }
    return lost;
  }

  TargetContext& target_;
  const ArchiveEntry& entry_;
  const Segment& segment_;
  const ReplicaWrite write_;
  std::optional<GiantUpload> upload_;  // That of this transfer.
};

}  // namespace

Async<SegmentApplication> ApplySegment(ReplicationContext& context, Runtime& runtime,
                                       TargetContext& target, ArchiveReader& reader, size_t index,
                                       ReplicaWrite write, uint64_t memory_bytes,
                                       std::optional<Error>& archive_failure) {
  const ArchiveEntry& entry = reader.entries()[index];
  if (Result<void> good = CheckParts(entry); !good) {
    archive_failure = good.error();
    co_return good.error();
  }
  SegmentApplier segment(target, entry, std::move(write));
  Result<std::optional<SegmentApplication>> said = co_await segment.FindUpload(archive_failure);
  if (!said) co_return said.error();
  if (*said) co_return std::move(**said);
  co_return co_await segment.Apply(runtime, context, reader, index, memory_bytes, archive_failure);
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
