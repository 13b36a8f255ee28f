// Ranges of giants: the pieces of their uploads, and what proves the whole.

#include <algorithm>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "migration/giant.h"
#include "storage/adopt_multipart.h"
#include "transfer/object/copy_job.h"
#include "transfer/object/copy_part.h"
#include "transfer/object/object_tags.h"
#include "transfer/object/upload_records.h"
#include "transfer/uploads/piece_upload.h"

namespace longhaul::migration {

namespace {

// The object's own parts were not as they were taken to be: cut it our own way.
constexpr std::string_view kOtherParts = "OtherParts";
// What is at the target is newer by now, and the run leaves such alone.
constexpr std::string_view kTargetNewer = "TargetNewer";

// MD5 of the MD5s of the parts and their number, as S3 does; empty where ETags are no MD5s. `md5s`:
// of the bytes, in place of their ETags.
std::string EtagOf(const std::vector<UploadedPart>& parts, const PartMd5s& md5s = {}) {
  std::string digests;
  for (const UploadedPart& part : parts) {
    auto md5 = md5s.find(part.number);
    if (md5 != md5s.end()) {
      digests += md5->second;
      continue;
    }
    if (!IsPlainMd5Etag(part.etag)) return "";
    Result<std::string> raw = HexDecode(part.etag);
    if (!raw) return "";
    digests += *raw;
  }
  return HexEncode(Md5(digests)) + "-" + std::to_string(parts.size());
}

}  // namespace

class GiantCarrier::RangeWork : public PieceWork {
 public:
  RangeWork(GiantCarrier& carrier, SharedUploads& uploads, const Run& run, const Task& task,
            const GiantRow& row, PutRequest request, Event& stop, Meter& meter)
      : carrier_(carrier),
        uploads_(uploads),
        run_(run),
        task_(task),
        row_(row),
        request_(std::move(request)),
        stop_(stop),
        meter_(meter) {}

  [[nodiscard]] UploadPlan Plan() const override {
    return {.plan = row_.plan, .stamp = row_.planned, .etag = row_.etag, .pieces = row_.ranges()};
  }
  [[nodiscard]] uint32_t number() const override { return task_.range; }
  [[nodiscard]] PutRequest Request() const override { return request_; }

  // At first State alone is asked: a range that comes twice costs no request. When the upload is
  // gone it is the target that tells whether somebody has completed it.
  Async<bool> Settled() override {
    if (!asked_) {
      asked_ = true;
      Result<std::optional<GiantRow>> row = co_await carrier_.Find(run_.id, task_.giant);
      if (!row) co_return row.error();
      co_return *row && (*row)->plan == row_.plan && (*row)->verdict == "settled";
    }
    Result<std::optional<SharedUpload>> upload = co_await uploads_.Find(request_.key);
    if (!upload) co_return upload.error();
    if (!*upload || (*upload)->plan != row_.plan || !(*upload)->complete()) co_return false;
    Result<std::vector<UploadedPart>> parts = co_await uploads_.Parts(**upload);
    if (!parts) co_return parts.error();
    Result<ObjectInfo> there =
        co_await carrier_.ends_.target->Head({.bucket = request_.bucket, .key = request_.key});
    if (!there && there.error().kind == ErrorKind::kNotFound) co_return false;
    if (!there) co_return there.error();
    if (there->size_bytes != row_.size_bytes) co_return false;
    // What stood there before is an earlier copy, however alike.
    if (WritingOf(*there) == row_.replaces) co_return false;
    const std::string etag = EtagOf(*parts);
    if (!etag.empty() && there->etag == etag) co_return true;
    const std::optional<Checksum> whole = WholeChecksum(*there);
    if (!whole) co_return false;
    if (row_.checksum) co_return *whole == *row_.checksum;
    co_return Combined(*parts) == whole;
  }

  Async<std::vector<UploadedPart>> Send(MultipartUpload upload) override {
    Runtime& runtime = carrier_.runtime_;
    AdoptMultipart(*carrier_.ends_.target, upload, request_);
    std::vector<UploadedPart> parts;
    for (uint32_t number = row_.FirstPart(task_.range); number < row_.EndPart(task_.range);
         ++number) {
      parts.push_back({.number = static_cast<int>(number)});
    }
    TaskGroup group(runtime.executor);
    std::optional<Error> failure;
    for (UploadedPart& part : parts) {
      co_await carrier_.limits_.slots->Acquire();
      auto permit = std::make_unique<Permit>(carrier_.limits_.slots);
      if (group.failed()) break;
      if (stop_.is_set()) {
        failure = Cancelled("stopped on request");
        break;
      }
      const ByteRange range = row_.RangeOfPart(static_cast<uint32_t>(part.number));
      Result<Reservation> memory =
          co_await runtime.memory.Reserve(static_cast<int64_t>(range.size_bytes));
      if (!memory) {
        failure = memory.error();
        break;
      }
      group.Spawn(One(upload, part, range, std::move(*memory), std::move(permit)));
    }
    Result<void> joined = co_await group.Join();
    if (!joined) co_return joined.error();
    if (failure) co_return *failure;
    co_return parts;
  }

  [[nodiscard]] PartMd5s md5s() const override { return md5s_; }

  // Before the upload's row goes: without either, a range that is late would begin another.
  Async<void> BeforeEnd() override {
    Result<void> tagged = completed_ ? Result<void>(Ok()) : co_await SeeToTags();
    if (!tagged) co_return tagged.error().In("tags");
    co_return co_await carrier_.Judge(run_, task_, "settled", "");
  }

  Async<void> Complete(SharedUploads& uploads, SharedUpload upload) override {
    PartMd5s md5s;
    Result<std::vector<UploadedPart>> parts = co_await uploads.Parts(upload, &md5s);
    if (!parts) co_return parts.error();
    std::ranges::sort(*parts, {}, &UploadedPart::number);
    Result<void> proven = Prove(*parts, md5s);
    if (!proven) co_return proven.error();
    // The last look: what has been written meanwhile is not to be covered by what was before.
    Result<ObjectInfo> now = co_await carrier_.ends_.source->Head(
        {.bucket = run_.source.bucket, .key = run_.source.prefix + row_.name});
    if (!now && now.error().kind != ErrorKind::kNotFound) co_return now.error();
    if (!now || now->etag != row_.etag || now->last_modified != row_.last_modified) {
      co_return SourceChanged(run_.source.bucket, run_.source.prefix + row_.name);
    }
    if (run_.options.compare.update) {
      Result<void> looked = co_await LookAtTarget(*now);
      if (!looked) co_return looked.error();
    }
    const bool checksums = carrier_.ends_.target->capabilities().checksums;
    CompleteRequest complete{
        .upload = {.bucket = request_.bucket, .key = request_.key, .upload_id = upload.upload_id},
        .parts = std::move(*parts)};
    if (row_.checksum && checksums) complete.checksum = row_.checksum;
    for (UploadedPart& part : complete.parts) {
      if (!checksums) part.checksum.reset();
    }
    AdoptMultipart(*carrier_.ends_.target, complete.upload, request_);
    Result<PutResult> done = co_await carrier_.ends_.target->CompleteMultipart(std::move(complete));
    if (!done) co_return done.error();
    if (!row_.replaces.empty()) {
      Result<ObjectInfo> there =
          co_await carrier_.ends_.target->Head({.bucket = request_.bucket, .key = request_.key});
      if (there && StillStands(*there, row_.replaces, done->server_time)) {
        Error error = Retryable("the upload is complete, and what it replaces still there");
        error.code = "NoSuchUpload";
        co_return error;
      }
    }
    completed_ = true;
    ++meter_.objects;
    co_return Ok();
  }

 private:
  // Whoever completed it may not have come to set the tags that its store forgets of uploads.
  Async<void> SeeToTags() {
    if (request_.tags.empty()) co_return Ok();
    Result<std::optional<GiantRow>> row = co_await carrier_.Find(run_.id, task_.giant);
    if (!row) co_return row.error();
    // Somebody has seen to them, perhaps long ago: what they are by now is not ours to say.
    if (*row && (*row)->verdict == "settled") co_return Ok();
    Store& store = *carrier_.ends_.target;
    Result<ObjectInfo> there =
        co_await store.Head({.bucket = request_.bucket, .key = request_.key});
    if (!there && there.error().kind == ErrorKind::kNotFound) co_return Ok();
    if (!there) co_return there.error();
    if (there->size_bytes != row_.size_bytes) co_return Ok();
    UploadedObject object{.store = store,
                          .bucket = request_.bucket,
                          .key = request_.key,
                          .etag = there->etag,
                          .tags = request_.tags};
    Result<void> tagged = co_await SetMissingTags(object);
    if (!tagged && tagged.error().code == "AccessDenied") {
      tagged = co_await SetTags(std::move(object));
    }
    co_return tagged;
  }

  // Days may lie between the comparison and the last range: what has been written there meanwhile
  // and is newer stays. The object is begun anew, and its first look says so.
  Async<void> LookAtTarget(ObjectInfo source) {
    Result<ObjectInfo> there =
        co_await carrier_.ends_.target->Head({.bucket = request_.bucket, .key = request_.key});
    if (!there && there.error().kind == ErrorKind::kNotFound) co_return Ok();
    if (!there) co_return there.error().In("target");
    if (there->last_modified <= source.last_modified + run_.options.compare.window) co_return Ok();
    Result<bool> settled = co_await Settled();  // By somebody who died before he could say so.
    if (!settled) co_return settled.error();
    if (*settled) co_return Ok();
    co_return Error{.kind = ErrorKind::kPrecondition,
                    .message = NameOf(request_.bucket, request_.key) + " is newer by now",
                    .code = std::string(kTargetNewer)};
  }

  Async<void> One(MultipartUpload upload, UploadedPart& part, ByteRange range, Reservation memory,
                  std::unique_ptr<Permit> permit) {
    std::optional<HashKind> hash;
    if (row_.checksum) hash = HashKindOf(row_.checksum->algorithm);
    Result<CopiedPart> copied = co_await CopyRangeToPart(
        carrier_.runtime_,
        {.store = *carrier_.ends_.source,
         .bucket = run_.source.bucket,
         .key = run_.source.prefix + row_.name,
         .version_id = row_.version_id,
         .etag = row_.etag},
        *carrier_.ends_.target,
        {.upload = std::move(upload),
         .number = part.number,
         .range = range,
         .digest = hash,
         .md5_if_opaque = row_.as_source && !hash},
        {.stop = &stop_,
         .on_bytes = [&meter =
                          meter_](uint64_t bytes) { meter.bytes += static_cast<int64_t>(bytes); }},
        std::move(memory));
    permit.reset();
    if (!copied) co_return copied.error();
    part = std::move(copied->uploaded);
    if (!copied->md5.empty()) md5s_[part.number] = std::move(copied->md5);
    // Kept with the part: whoever completes the upload combines them.
    if (hash) {
      part.checksum =
          Checksum{.algorithm = row_.checksum->algorithm, .value = Base64Encode(copied->digest)};
    }
    co_return Ok();
  }

  // The checksum of the whole that those of the parts make up; nullopt: they make up none.
  [[nodiscard]] std::optional<Checksum> Combined(const std::vector<UploadedPart>& parts) const {
    std::optional<Checksum> whole;
    std::string digest;
    for (const UploadedPart& part : parts) {
      if (!part.checksum || part.checksum->composite) return {};
      if (whole && whole->algorithm != part.checksum->algorithm) return {};
      Result<std::string> raw = Base64Decode(part.checksum->value);
      if (raw && whole) {
        const uint64_t bytes = row_.RangeOfPart(static_cast<uint32_t>(part.number)).size_bytes;
        raw = CombineDigests(HashKindOf(whole->algorithm), digest, *raw, bytes);
      }
      if (!raw) return {};
      digest = std::move(*raw);
      whole = Checksum{.algorithm = part.checksum->algorithm, .value = Base64Encode(digest)};
    }
    return whole;
  }

  // Whether the parts are the object. kCorrupt: they are not.
  [[nodiscard]] Result<void> Prove(const std::vector<UploadedPart>& parts,
                                   const PartMd5s& md5s) const {
    if (parts.size() != row_.parts()) return Corrupt("parts of the upload are missing");
    const std::string name = "read " + NameOf(run_.source.bucket, run_.source.prefix + row_.name);
    if (row_.checksum) {
      const std::optional<Checksum> whole = Combined(parts);
      if (!whole) return Corrupt("a part has no checksum");
      if (*whole == *row_.checksum) return Ok();
      return Corrupt(name + ": the bytes do not have the checksum of the object");
    }
    const std::string etag = EtagOf(parts, md5s);
    if (!row_.as_source || etag.empty() || etag == row_.etag) return Ok();
    Error error = Corrupt(name + ": the parts do not have the ETag of the object");
    error.code = kOtherParts;
    return error;
  }

  GiantCarrier& carrier_;
  SharedUploads& uploads_;
  const Run& run_;
  const Task& task_;
  const GiantRow& row_;
  PutRequest request_;
  Event& stop_;
  Meter& meter_;
  PartMd5s md5s_;  // Of the parts of this range.
  bool asked_ = false;
  bool completed_ = false;  // By this one, with its tags.
};

Async<TaskStep> GiantCarrier::Carry(Run run, Task task, Event& stop, const bool& late, Meter& meter,
                                    std::function<std::chrono::milliseconds(int)> delay_after) {
  Result<std::optional<GiantRow>> row = co_await Find(run.id, task.giant);
  if (!row) co_return row.error();
  if (!*row || (*row)->plan != task.plan || !(*row)->verdict.empty()) {
    // Of a transfer that has ended. Who said so may have died before he told anybody.
    if (*row && (*row)->plan == task.plan) {
      const Task giant{.run = run.id, .id = task.giant, .kind = TaskKind::kGiant};
      Result<void> sent = co_await board_.Send(giant);
      if (!sent) co_return sent.error();
    }
    Result<void> finished = co_await board_.Finish(std::move(task), {});
    if (!finished) co_return finished.error();
    co_return TaskStep{};
  }
  const GiantRow& giant = **row;
  const auto weight = static_cast<int64_t>(giant.EndPart(task.range) - giant.FirstPart(task.range));
  meter.open += weight;
  SharedUploads uploads = UploadsOf(run);
  CopyJob job(
      runtime_,
      {.store = *ends_.source,
       .bucket = run.source.bucket,
       .key = run.source.prefix + giant.name,
       .version_id = giant.version_id},
      {.store = *ends_.target, .bucket = run.target.bucket, .key = run.target.prefix + giant.name},
      {.storage_class = run.options.storage_class, .kms_key = run.options.kms_key, .stop = &stop});
  Result<PieceResult> sent = Cancelled("stopped on request");
  Result<ObjectInfo> info = co_await job.HeadSource();
  if (!info) {
    sent = info.error();
    if (info.error().kind == ErrorKind::kNotFound) {
      sent = SourceChanged(run.source.bucket, run.source.prefix + giant.name);
    }
  } else if (info->etag != giant.etag || info->size_bytes != giant.size_bytes) {
    sent = SourceChanged(run.source.bucket, run.source.prefix + giant.name);
  } else {
    Result<PutRequest> request = co_await job.DescribeTarget(*info, ToldBy::kHead);
    if (!request) {
      sent = request.error();
    } else {
      if (giant.checksum) request->checksum = Checksum{.algorithm = giant.checksum->algorithm};
      RangeWork work(*this, uploads, run, task, giant, std::move(*request), stop, meter);
      sent = co_await SendPiece(uploads, work);
    }
  }
  meter.open -= weight;

  if (sent) {
    Result<void> judged;
    switch (sent->end) {
      case PieceEnd::kStored:
        break;
      case PieceEnd::kSettled:
        judged = co_await Judge(run, task, "settled", "");
        break;
      case PieceEnd::kOutdated:
      case PieceEnd::kClash:
        judged = co_await Judge(run, task, "changed", "another transfer writes to its key");
        break;
      case PieceEnd::kLost:
        judged = co_await Judge(run, task, "changed", "somebody removed the upload");
        break;
    }
    if (!judged) co_return judged.error();
    Result<void> finished = co_await board_.Finish(std::move(task), {});
    if (!finished) co_return finished.error();
    co_return TaskStep{};
  }
  Error error = sent.error();
  if (error.kind == ErrorKind::kCancelled && late) {
    error = Retryable("the task took longer than its timeout");
  }
  // Under SSE-KMS a part that two workers have sent has an ETag of each: the one that is recorded
  // may be that of the other.
  const bool wrong = BytesWereWrong(error) || error.code == "InvalidPart";
  TaskObject& object = task.objects.front();
  std::chrono::milliseconds delay{0};
  if (IsSourceChanged(error) || wrong || error.code == kTargetNewer) {
    Result<void> judged =
        co_await Judge(run, task, "changed", error.Describe(), error.code == kOtherParts);
    if (!judged) co_return judged.error();
    Result<void> finished = co_await board_.Finish(std::move(task), {});
    if (!finished) co_return finished.error();
    co_return TaskStep{};
  }
  if (error.code == kUploadBusyCode) {
    delay = limits_.delay;
  } else if (error.kind != ErrorKind::kCancelled) {
    ++meter.failures;
    ++object.tries;
    task.reason = error.Describe();
    if (object.tries >= run.options.tries_max || error.kind == ErrorKind::kInvalidInput) {
      Result<void> judged = co_await Judge(run, task, "failed", task.reason);
      if (!judged) co_return judged.error();
      Result<void> finished = co_await board_.Finish(std::move(task), {});
      if (!finished) co_return finished.error();
      co_return TaskStep{};
    }
    delay = delay_after(object.tries);
  }
  Result<void> put = co_await board_.PutBack(std::move(task), {});
  if (!put && put.error().kind != ErrorKind::kPrecondition) co_return put.error();
  co_return TaskStep{.kind = TaskStep::Kind::kRelease, .delay = delay};
}

}  // namespace longhaul::migration
