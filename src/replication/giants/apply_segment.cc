#include "replication/giants/apply_segment.h"

#include <utility>

#include "replication/staging/archive_body.h"
#include "transfer/uploads/piece_upload.h"

namespace longhaul {

namespace {

static_assert(kSegmentsMax == kPiecesMax);

ApplyOutcome Reread(std::string reason) {
  return {.state = ApplyState::kReread, .reason = std::move(reason)};
}

// Completes the upload: the bytes are there already.
class CompletingBody : public ReplicaBody {
 public:
  CompletingBody(SharedUploads& uploads, const SharedUpload& upload, const ArchiveEntry& entry)
      : uploads_(uploads), upload_(upload), entry_(entry) {}

  Async<PutResult> Write(Store& store, PutRequest request) override {
    Result<std::vector<UploadedPart>> parts = co_await uploads_.Parts(upload_);
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
  SharedUploads& uploads_;
  const SharedUpload& upload_;
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

// One segment at one target: stamps, marks and floors decide what becomes of the upload.
class SegmentWork : public PieceWork {
 public:
  SegmentWork(Runtime& runtime, uint64_t& bytes_moved, TargetContext& target, ArchiveReader& reader,
              size_t index, ReplicaWrite write, uint64_t memory_bytes)
      : runtime_(runtime),
        bytes_moved_(bytes_moved),
        target_(target),
        reader_(reader),
        index_(index),
        entry_(reader.entries()[index]),
        write_(std::move(write)),
        memory_bytes_(memory_bytes) {}

  [[nodiscard]] UploadPlan Plan() const override {
    return {.plan = entry_.segment->plan,
            .stamp = entry_.stamp,
            .etag = entry_.etag,
            .pieces = entry_.segment->count};
  }
  [[nodiscard]] uint32_t number() const override { return entry_.segment->number; }
  [[nodiscard]] PutRequest Request() const override { return target_.applier->RequestFor(write_); }

  Async<bool> Settled() override {
    Result<std::optional<ApplyOutcome>> decided = co_await target_.applier->Decided(write_);
    if (!decided) co_return decided.error();
    outcome_ = std::move(*decided);
    co_return outcome_.has_value();
  }

  Async<std::vector<UploadedPart>> Send(MultipartUpload upload) override {
    PartSender sender(runtime_, reader_, index_, memory_bytes_, bytes_moved_);
    Result<std::vector<UploadedPart>> parts = co_await sender.Send(
        *target_.store, upload, static_cast<int>(entry_.segment->first_part), entry_.part_sizes);
    archive_failure_ = sender.archive_failure();
    if (parts || !archive_failure_) co_return parts;
    Error error = parts.error();
    if (error.code == "NoSuchUpload") error.code.clear();  // The target did not say it.
    co_return error;
  }

  Async<void> Complete(SharedUploads& uploads, SharedUpload upload) override {
    CompletingBody body(uploads, upload, entry_);
    Result<ApplyOutcome> outcome = co_await target_.applier->Put(write_, body);
    if (!outcome) {
      Error error = outcome.error();
      // Two that have sent the same segment, one of them late, may have recorded other parts than
      // lie there: under SSE-KMS each has an ETag of its own. No other try can help that upload.
      if (error.code == "InvalidPart") error.code = "NoSuchUpload";
      co_return error;
    }
    outcome_ = std::move(*outcome);
    co_return Ok();
  }

  // Who began it may have died before he had looked at its tags; and the upload may have been swept
  // since.
  Async<void> BeforeEnd() override {
    Result<ApplyOutcome> tagged =
        co_await target_.applier->EnsureTags(write_, std::move(*outcome_));
    if (!tagged) co_return tagged.error();
    outcome_ = std::move(*tagged);
    co_return Ok();
  }

  // What there is to say of the object once its piece has been sent.
  SegmentApplication Said(const PieceResult& piece) {
    switch (piece.end) {
      case PieceEnd::kStored:
        return {};
      case PieceEnd::kSettled:
        break;
      case PieceEnd::kOutdated:
        outcome_ = {.state = ApplyState::kSuperseded,
                    .reason = "a newer reading of it is under way"};
        break;
      case PieceEnd::kClash:
        outcome_ = Reread("another reading of it has the same stamp");
        break;
      case PieceEnd::kLost:
        outcome_ = Reread("its upload is not there any more");
        break;
    }
    SegmentApplication said{.over = true, .outcome = std::nullopt};
    // That it must be read anew is said by each that finds it so: none may count on another. (That
    // the upload is lost all of them find, and the one that found it first lives on in its
    // archive.)
    const bool reread = outcome_->state == ApplyState::kReread && piece.end != PieceEnd::kLost;
    if (piece.speaks || reread) said.outcome = std::move(outcome_);
    return said;
  }

  [[nodiscard]] const std::optional<Error>& archive_failure() const { return archive_failure_; }

 private:
  Runtime& runtime_;
  uint64_t& bytes_moved_;
  TargetContext& target_;
  ArchiveReader& reader_;
  size_t index_;
  const ArchiveEntry& entry_;
  const ReplicaWrite write_;
  uint64_t memory_bytes_;
  std::optional<ApplyOutcome> outcome_;
  std::optional<Error> archive_failure_;
};

class GiantJudge : public UploadJudge {
 public:
  explicit GiantJudge(Applier& applier) : applier_(applier) {}

  Async<bool> IsSettled(std::string key, SharedUpload upload) override {
    Result<std::optional<ApplyOutcome>> decided =
        co_await applier_.Decided({.key = std::move(key),
                                   .stamp = upload.stamp,
                                   .source_etag = std::move(upload.etag),
                                   .sites_passed = {},
                                   .headers = {},
                                   .metadata = {},
                                   .tags = {},
                                   .storage_class = {}});
    if (!decided) co_return decided.error();
    co_return decided->has_value() && (*decided)->state != ApplyState::kConflict;
  }

 private:
  Applier& applier_;
};

}  // namespace

Async<SegmentApplication> ApplySegment(Runtime& runtime, uint64_t& bytes_moved,
                                       TargetContext& target, ArchiveReader& reader, size_t index,
                                       ReplicaWrite write, uint64_t memory_bytes,
                                       std::optional<Error>& archive_failure) {
  if (Result<void> good = CheckParts(reader.entries()[index]); !good) {
    archive_failure = good.error();
    co_return good.error();
  }
  const bool locked = target.config->object_lock && write.lock;
  SegmentWork work(runtime, bytes_moved, target, reader, index, std::move(write), memory_bytes);
  Result<PieceResult> sent = co_await SendPiece(*target.giants, work);
  if (work.archive_failure()) archive_failure = work.archive_failure();
  if (sent) co_return work.Said(*sent);
  Error error = locked ? WithLockRemedy(sent.error()) : sent.error();
  if (error.code == kOtherPiecesCode) archive_failure = error;
  if (error.code == kUploadBusyCode) error.code = kKeyBusyCode;
  co_return error;
}

Async<int> SweepGiantUploads(Clock& clock, TargetContext& target,
                             std::vector<std::pair<std::string, SharedUpload>> uploads,
                             std::chrono::nanoseconds idle_max) {
  GiantJudge judge(*target.applier);
  co_return co_await SweepSharedUploads(*target.giants, clock, judge, std::move(uploads), idle_max);
}

}  // namespace longhaul
