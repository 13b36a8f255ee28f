// The route by parts through memory: the parts side by side, and what proves the whole.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/units.h"
#include "storage/placed_parts.h"
#include "transfer/object/copy_job.h"
#include "transfer/object/copy_plan.h"
#include "transfer/object/open_upload.h"
#include "transfer/object/part_layout.h"

namespace longhaul {

namespace {

using Again = CopyJob::Again;

bool IsCrc(ChecksumAlgorithm algorithm) {
  return algorithm == ChecksumAlgorithm::kCrc64Nvme || algorithm == ChecksumAlgorithm::kCrc32c ||
         algorithm == ChecksumAlgorithm::kCrc32;
}

class PartsCopy {
 public:
  PartsCopy(CopyJob& job, ObjectInfo info, PartLayout layout, PutRequest put)
      : job_(job),
        info_(std::move(info)),
        layout_(std::move(layout)),
        put_(std::move(put)),
        checksum_(WholeChecksum(info_)) {
    if (checksum_ && !IsCrc(checksum_->algorithm)) checksum_.reset();  // Parts do not combine.
    if (checksum_) {
      put_.checksum = Checksum{.algorithm = checksum_->algorithm};
      hash_ = HashKindOf(checksum_->algorithm);
    } else if (PlacedPartsOf(job_.target.store) != nullptr) {
      by_target_ = AddDigest(job_, info_, put_);
    }
  }

  Async<CopyOutcome> Run() {
    Result<OpenedUpload> opened = co_await OpenUpload(job_, info_, layout_, put_);
    if (!opened) co_return opened.error();
    opened_ = std::move(*opened);
    if (opened_.complete) co_return co_await Finish(*opened_.complete, Verified::kEtag);
    layout_ = opened_.layout;
    parts_ = PartsOf(layout_.sizes);
    for (UploadedPart& found : opened_.found) TakeFound(std::move(found));
    Result<void> filled = co_await Fill();
    Result<CopyOutcome> done = filled ? co_await Complete() : Result<CopyOutcome>(filled.error());
    if (!done) co_await LeaveUpload(job_, std::move(opened_), done.error());
    co_return done;
  }

 private:
  void TakeFound(UploadedPart found) {
    Part& part = parts_[static_cast<size_t>(found.number) - 1];
    part.found = true;
    found_bytes_ += part.range.size_bytes;
    if (hash_ && found.checksum && HashKindOf(found.checksum->algorithm) == *hash_) {
      Result<std::string> raw = Base64Decode(found.checksum->value);
      if (raw) part.digest = std::move(*raw);
    }
    auto md5 = opened_.md5s.find(found.number);
    if (md5 != opened_.md5s.end()) part.md5 = std::move(md5->second);
    part.uploaded = std::move(found);
  }

  // Whether the parts together may have the ETag of the source.
  [[nodiscard]] bool MayHaveEtag() const { return layout_.as_source && !info_.etag_opaque; }

  // Whether the ETag of the parts can prove the whole, so that no digest is needed.
  [[nodiscard]] bool ProvedByEtag(const Part& part) const {
    return MayHaveEtag() && !job_.etag_disputed && IsPlainMd5Etag(part.uploaded.etag);
  }

  // Whether the range of a part that lies there is to be read once more.
  [[nodiscard]] bool WantsReading(const Part& part) const {
    if (etags_in_doubt_) return part.md5.empty();
    return hash_ && part.digest.empty() && !ProvedByEtag(part);
  }

  // Sends what is not there, and reads what cannot be proved without.
  Async<void> Fill() {
    const Runtime& runtime = job_.runtime;
    TaskGroup group(runtime.executor);
    std::optional<Error> failure;
    for (Part& part : parts_) {
      if (part.found ? !WantsReading(part) : part.uploaded.number != 0) continue;
      co_await group.WaitBelow(job_.options.parts_in_flight);
      if (group.failed()) break;
      if (job_.options.stop != nullptr && job_.options.stop->is_set()) {
        failure = Cancelled("stopped on request");
        break;
      }
      // Here and not in the task: memory is handed out in the order of the parts.
      Result<Reservation> memory =
          co_await runtime.memory.Reserve(static_cast<int64_t>(BytesHeld(part)));
      if (!memory) {
        failure = memory.error();
        break;
      }
      group.Spawn(part.found ? Digest(part, std::move(*memory)) : Carry(part, std::move(*memory)));
    }
    Result<void> joined = co_await group.Join();
    if (!joined) co_return joined.error();
    if (failure) co_return *failure;
    co_return Ok();
  }

  [[nodiscard]] uint64_t BytesHeld(const Part& part) const {
    if (!opened_.placed || part.found) return part.range.size_bytes;
    return std::min(part.range.size_bytes, kStreamedPartBytes);
  }

  [[nodiscard]] PinnedObject Pinned() const {
    return {.store = job_.source.store,
            .bucket = job_.source.bucket,
            .key = job_.source.key,
            .version_id = job_.source.version_id,
            .etag = info_.etag};
  }

  Async<void> Digest(Part& part, Reservation memory) {
    std::vector<HashKind> kinds;
    const bool by_checksum =
        etags_in_doubt_ && part.uploaded.checksum && !part.uploaded.checksum->composite;
    if (etags_in_doubt_) kinds.push_back(HashKind::kMd5);
    if (by_checksum) kinds.push_back(HashKindOf(part.uploaded.checksum->algorithm));
    if (hash_) kinds.push_back(*hash_);
    Result<std::vector<std::string>> digests =
        co_await DigestsOfRange(job_.runtime, Pinned(), part.range, std::move(kinds),
                                {.stop = job_.options.stop, .on_bytes = {}}, std::move(memory));
    if (!digests) {
      if (IsSourceChanged(digests.error())) job_.again = Again::kFresh;
      co_return digests.error();
    }
    if (hash_) part.digest = digests->back();
    if (!etags_in_doubt_) co_return Ok();
    part.md5 = digests->front();
    const bool same = HexEncode(part.md5) == part.uploaded.etag ||
                      (by_checksum && Base64Encode((*digests)[1]) == part.uploaded.checksum->value);
    if (same) co_return Ok();
    // Whatever lies there, nothing says that it is this range.
    found_bytes_ -= part.range.size_bytes;
    part = {.number = part.number, .range = part.range};
    co_return Ok();
  }

  Async<void> Carry(Part& part, Reservation memory) {
    Result<CopiedPart> copied = co_await CopyRangeToPart(job_.runtime, Pinned(), job_.target.store,
                                                         {.upload = opened_.upload,
                                                          .number = part.number,
                                                          .range = part.range,
                                                          .digest = hash_,
                                                          .md5_if_opaque = !hash_ && MayHaveEtag(),
                                                          .streamed = opened_.placed},
                                                         job_.Relaying(), std::move(memory));
    if (!copied) {
      const Error& error = copied.error();
      // Someone may have aborted the upload.
      if (IsSourceChanged(error) || BytesWereWrong(error) || error.code == "NoSuchUpload") {
        job_.again = Again::kFresh;
      }
      co_return error;
    }
    part.uploaded = std::move(copied->uploaded);
    part.digest = std::move(copied->digest);
    part.md5 = std::move(copied->md5);
    co_return Ok();
  }

  [[nodiscard]] bool HaveDigests() const {
    return hash_ &&
           std::ranges::none_of(parts_, [](const Part& part) { return part.digest.empty(); });
  }

  // What the parts prove. kCorrupt: they are not the object.
  Result<Verified> Verify() {
    if (HaveDigests()) {
      std::string whole = parts_[0].digest;
      for (size_t i = 1; i < parts_.size(); ++i) {
        Result<std::string> combined =
            CombineDigests(*hash_, whole, parts_[i].digest, parts_[i].range.size_bytes);
        if (!combined) return combined.error();
        whole = std::move(*combined);
      }
      if (Base64Encode(whole) != checksum_->value) {
        job_.again = Again::kFresh;
        return job_.ReadError(Corrupt("the bytes do not have the checksum of the object"));
      }
      return Verified::kChecksum;
    }
    if (by_target_) return *by_target_;
    std::string etag = EtagOfBytes(parts_);
    if (!MayHaveEtag() || etag.empty()) return Verified::kNot;
    if (etag == info_.etag) return Verified::kEtag;
    if (job_.etag_disputed) return Verified::kNot;
    // Parts of other sizes, wrong bytes, or an ETag that is made of something else.
    job_.again = job_.ask_all_parts ? Again::kDisputed : Again::kAllParts;
    return job_.ReadError(Corrupt("the parts do not have the ETag of the object"));
  }

  // After Verify has found another ETag: it may be that those of the parts that lay there are no
  // MD5s. Then their ranges are read, and what does not have their checksum is sent again. False:
  // nothing has become of it, the parts are not the object.
  Async<bool> ProveFound() {
    auto first = std::ranges::find_if(
        parts_, [](const Part& part) { return part.found && part.md5.empty(); });
    if (HaveDigests() || by_target_ || first == parts_.end()) co_return false;
    etags_in_doubt_ = true;
    Result<Reservation> memory =
        co_await job_.runtime.memory.Reserve(static_cast<int64_t>(first->range.size_bytes));
    if (!memory) co_return memory.error();
    Result<void> read = co_await Digest(*first, std::move(*memory));
    if (!read) co_return read.error();
    // The first tells of all: the same server has made their ETags.
    if (first->found && HexEncode(first->md5) == first->uploaded.etag) co_return false;
    for (int pass = 0; pass < 2; ++pass) {  // What was not proved by the first, the second sends.
      Result<void> filled = co_await Fill();
      if (!filled) co_return filled.error();
    }
    co_return true;
  }

  Async<CopyOutcome> Complete() {
    Result<Verified> verified = Verify();
    if (!verified) {
      const Again again = std::exchange(job_.again, Again::kNo);
      Result<bool> proved = co_await ProveFound();
      if (!proved) co_return proved.error();
      if (*proved) {
        verified = Verify();
      } else {
        job_.again = again;
      }
    }
    if (!verified) co_return verified.error();
    CompleteRequest complete{.upload = opened_.upload, .condition = put_.condition};
    if (hash_ && job_.target_can.checksums) complete.checksum = checksum_;
    for (const Part& part : parts_) complete.parts.push_back(part.uploaded);
    Result<PutResult> done =
        co_await CompleteUpload(job_, opened_, std::move(complete), EtagOf(parts_));
    if (!done) co_return done.error();
    co_return co_await Finish(std::move(*done), *verified);
  }

  Async<CopyOutcome> Finish(PutResult done, Verified verified) {
    if (opened_.complete) found_bytes_ = info_.size_bytes;
    Result<PutResult> finished = co_await FinishUpload(job_, opened_, put_, std::move(done));
    if (!finished) co_return finished.error();
    co_return CopyOutcome{.size_bytes = info_.size_bytes,
                          .source_etag = info_.etag,
                          .source_modified = info_.last_modified,
                          .put = std::move(*finished),
                          .verified = verified,
                          .found_bytes = found_bytes_};
  }

  CopyJob& job_;
  ObjectInfo info_;  // The source, as it is pinned.
  PartLayout layout_;
  PutRequest put_;
  std::optional<Checksum> checksum_;  // Of the whole, that parts can be combined to.
  std::optional<HashKind> hash_;
  std::optional<Verified> by_target_;  // By what the target compares when it is completed.
  OpenedUpload opened_;
  std::vector<Part> parts_;
  uint64_t found_bytes_ = 0;
  bool etags_in_doubt_ = false;  // Those of the parts that were found.
};

}  // namespace

Async<CopyOutcome> CopyByParts(CopyJob& job, std::optional<ObjectInfo> head) {
  Result<ObjectInfo> info = co_await LookAtSource(job, std::move(head));
  if (!info) co_return info.error();
  if (info->etag.empty()) {
    co_return job.ReadError(
        InvalidInput("the store tells no ETag: the object cannot be read in parts"));
  }
  const uint64_t part_bytes_max = PartBytesMax(job.runtime.memory.limit_bytes());
  // Parts that are written in their place, or copied by the server, are not held.
  if (job.options.part_size_bytes > part_bytes_max && PlacedPartsOf(job.target.store) == nullptr) {
    co_return InvalidInput("parts of " + FormatSizeExact(job.options.part_size_bytes) +
                           " are more than three eighths of the memory there is (" +
                           FormatSizeExact(part_bytes_max) +
                           "): give a smaller --part-size, or more --memory");
  }
  Result<PartLayout> layout = co_await ChooseLayout(
      job, *info, OwnPartSize(info->size_bytes, job.target_can, job.options.part_size_bytes),
      part_bytes_max);
  if (!layout) co_return layout.error();
  Result<PutRequest> put = co_await job.DescribeTarget(*info, ToldBy::kHead);
  if (!put) co_return put.error();
  PartsCopy copy(job, std::move(*info), std::move(*layout), std::move(*put));
  co_return co_await copy.Run();
}

}  // namespace longhaul
