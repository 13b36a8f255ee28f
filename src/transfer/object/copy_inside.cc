// The route by parts within one store, which copies them by itself.

#include <algorithm>
#include <utility>
#include <vector>

#include "storage/is_gone.h"
#include "transfer/object/copy_job.h"
#include "transfer/object/copy_plan.h"
#include "transfer/object/open_upload.h"
#include "transfer/object/part_layout.h"
#include "transfer/object/relay.h"

namespace longhaul {

namespace {

using Again = CopyJob::Again;

class InsideCopy {
 public:
  InsideCopy(CopyJob& job, ObjectInfo info, PartLayout layout, PutRequest put)
      : job_(job), info_(std::move(info)), layout_(std::move(layout)), put_(std::move(put)) {
    put_.parts_copied = true;
  }

  Async<CopyOutcome> Run() {
    Result<OpenedUpload> opened = co_await OpenUpload(job_, info_, layout_, put_);
    if (!opened) co_return opened.error();
    opened_ = std::move(*opened);
    if (opened_.complete) {
      found_bytes_ = info_.size_bytes;
      co_return co_await Finish(*opened_.complete);
    }
    parts_ = PartsOf(opened_.layout.sizes);
    for (UploadedPart& found : opened_.found) {
      Part& part = parts_[static_cast<size_t>(found.number) - 1];
      part.found = true;
      found_bytes_ += part.range.size_bytes;
      part.uploaded = std::move(found);
    }
    Result<CopyOutcome> done = co_await FillAndComplete();
    if (!done) co_await LeaveUpload(job_, std::move(opened_), done.error());
    co_return done;
  }

 private:
  Async<CopyOutcome> FillAndComplete() {
    TaskGroup group(job_.runtime.executor);
    bool stopped = false;
    for (Part& part : parts_) {
      if (part.found) continue;
      co_await group.WaitBelow(job_.options.parts_in_flight);
      stopped = job_.options.stop != nullptr && job_.options.stop->is_set();
      if (group.failed() || stopped) break;
      group.Spawn(Carry(part));
    }
    Result<void> joined = co_await group.Join();
    if (!joined) co_return joined.error();
    if (stopped) co_return Cancelled("stopped on request");
    // Not every server heeds the condition on a part: all of them are of this state if the source
    // still is in it, and has not been written since.
    Result<ObjectInfo> now = co_await job_.HeadSource();
    if (!now) co_return now.error();
    if (now->etag != info_.etag || now->last_modified != info_.last_modified) {
      co_return job_.Outdated(*now);
    }
    CompleteRequest complete{.upload = opened_.upload, .condition = put_.condition};
    for (const Part& part : parts_) complete.parts.push_back(part.uploaded);
    Result<PutResult> done =
        co_await CompleteUpload(job_, opened_, std::move(complete), EtagOf(parts_));
    if (!done) co_return done.error();
    co_return co_await Finish(std::move(*done));
  }

  Async<CopyOutcome> Finish(PutResult done) {
    Result<PutResult> finished = co_await FinishUpload(job_, opened_, put_, std::move(done));
    if (!finished) co_return finished.error();
    co_return CopyOutcome{.size_bytes = info_.size_bytes,
                          .source_etag = info_.etag,
                          .source_modified = info_.last_modified,
                          .put = std::move(*finished),
                          .verified = Verified::kByStore,
                          .found_bytes = found_bytes_};
  }

  Async<void> Carry(Part& part) {
    CopyPartRequest request{.source_bucket = job_.source.bucket,
                            .source_key = job_.source.key,
                            .source_version_id = job_.source.version_id,
                            .source_if_match = info_.etag,
                            .range = part.range};
    Result<UploadedPart> copied =
        co_await job_.target.store.CopyPart(opened_.upload, part.number, std::move(request));
    if (!copied) {
      const Error& error = copied.error();
      if (error.code == "NoSuchUpload") job_.again = Again::kFresh;  // Someone has aborted it.
      if (error.kind == ErrorKind::kPrecondition || IsGone(error)) {
        job_.again = Again::kFresh;
        co_return SourceChanged(job_.source.bucket, job_.source.key);
      }
      co_return job_.WriteError(error);
    }
    part.uploaded = std::move(*copied);
    if (job_.options.on_bytes) job_.options.on_bytes(part.range.size_bytes);
    co_return Ok();
  }

  CopyJob& job_;
  ObjectInfo info_;
  PartLayout layout_;
  PutRequest put_;
  OpenedUpload opened_;
  std::vector<Part> parts_;
  uint64_t found_bytes_ = 0;
};

}  // namespace

Async<CopyOutcome> CopyInsideByParts(CopyJob& job, std::optional<ObjectInfo> head) {
  Result<ObjectInfo> info = co_await LookAtSource(job, std::move(head));
  if (!info) co_return info.error();
  Result<PutRequest> put = co_await job.DescribeTarget(*info, ToldBy::kHead);
  if (!put) co_return put.error();
  co_return co_await CopyInsideAs(job, std::move(*info), std::move(*put));
}

Async<CopyOutcome> CopyInsideAs(CopyJob& job, ObjectInfo info, PutRequest put) {
  const uint64_t copy_max = job.target_can.copy_size_bytes_max;
  const uint64_t wanted = std::max(kServerPartBytes, job.options.part_size_bytes);
  Result<PartLayout> layout = co_await ChooseLayout(
      job, info, std::min(OwnPartSize(info.size_bytes, job.target_can, wanted), copy_max),
      copy_max);
  if (!layout) co_return layout.error();
  InsideCopy copy(job, std::move(info), std::move(*layout), std::move(put));
  co_return co_await copy.Run();
}

}  // namespace longhaul
