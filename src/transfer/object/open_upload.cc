#include "transfer/object/open_upload.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "storage/adopt_multipart.h"
#include "storage/placed_parts.h"
#include "transfer/object/copy_plan.h"

namespace longhaul {

namespace {

// Servers' clocks may differ by this much.
constexpr std::chrono::minutes kClockTolerance{15};
// A creation without an answer happens by then, or never.
constexpr std::chrono::minutes kCreationPatience{2};

std::string SourceText(const CopyJob& job) {
  return job.source.store.description() + " " + NameOf(job.source.bucket, job.source.key) +
         (job.source.version_id.empty() ? "" : " version " + job.source.version_id);
}

asio::awaitable<void> Drop(CopyJob& job, UploadRecord record) {
  if (!record.upload.upload_id.empty()) {
    Result<void> aborted = co_await job.target.store.AbortMultipart(record.upload);
    if (!aborted && aborted.error().kind != ErrorKind::kNotFound) {
      job.runtime.log.Warning("upload not aborted", {{"bucket", record.upload.bucket},
                                                     {"key", record.upload.key},
                                                     {"upload_id", record.upload.upload_id},
                                                     aborted.error()});
      co_return;  // Its row stays, so that it is not forgotten.
    }
  }
  Result<void> forgotten = co_await job.options.uploads->Forget(std::move(record));
  if (!forgotten) job.runtime.log.Warning("an upload stays recorded", {forgotten.error()});
}

// What stands at the target: WritingOf it; empty: nothing.
Async<std::string> LookAtTarget(CopyJob& job) {
  Result<ObjectInfo> info =
      co_await job.target.store.Head({.bucket = job.target.bucket, .key = job.target.key});
  if (info) co_return WritingOf(*info);
  // Whoever may not list a bucket is denied what is not there; what is there he may not see later
  // either.
  const bool absent =
      info.error().kind == ErrorKind::kNotFound || info.error().kind == ErrorKind::kDenied;
  if (!absent) co_return job.WriteError(info.error());
  co_return std::string();
}

Error ThereAlready(const CopyJob& job) {
  return job.WriteError({.kind = ErrorKind::kPrecondition,
                         .message = "there is an object already",
                         .code = "PreconditionFailed"});
}

// Nothing is sent for an object that would be refused at the end. Once more it is looked then.
Async<void> RefuseIfThere(CopyJob& job, bool if_absent) {
  if (!if_absent) co_return Ok();
  Result<std::string> there = co_await LookAtTarget(job);
  if (!there) co_return there.error();
  if (!there->empty()) co_return ThereAlready(job);
  co_return Ok();
}

// Before the upload is completed: what the object's ETag will be, if that is known, and what it
// replaces.
asio::awaitable<void> NoteCompletion(CopyJob& job, OpenedUpload& opened, std::string etag,
                                     std::string replaces) {
  if (!opened.record || etag.empty()) co_return;
  opened.record->completes_as = std::move(etag);
  opened.record->replaces = std::move(replaces);
  Result<void> noted = co_await job.options.uploads->Change(*opened.record);
  // Then an answer that is lost costs another copy.
  if (!noted) job.runtime.log.Debug("a completion is not noted", {noted.error()});
}

// The object, if it is there although nobody said so. An earlier copy, which stood there before,
// has the same ETag, and perhaps other metadata: it is `replaces`, and not what was written.
Async<std::optional<PutResult>> FindCompleted(CopyJob& job, std::string etag, uint64_t size_bytes,
                                              std::string replaces) {
  Result<ObjectInfo> info =
      co_await job.target.store.Head({.bucket = job.target.bucket, .key = job.target.key});
  if (!info && info.error().kind == ErrorKind::kNotFound) co_return std::nullopt;
  if (!info) co_return job.WriteError(info.error());
  if (etag.empty() || info->etag != etag || info->size_bytes != size_bytes) {
    co_return std::nullopt;
  }
  if (WritingOf(*info) == replaces) co_return std::nullopt;
  co_return PutResult{
      .etag = info->etag, .version_id = info->version_id, .server_time = info->server_time};
}

// As RefuseIfThere, where the upload may have been completed: the object, if that is what is there.
Async<std::optional<PutResult>> RefuseUnlessCompleted(CopyJob& job, std::string etag,
                                                      uint64_t size_bytes, std::string replaces) {
  Result<std::string> there = co_await LookAtTarget(job);
  if (!there) co_return there.error();
  if (there->empty()) co_return std::nullopt;
  Result<std::optional<PutResult>> done =
      co_await FindCompleted(job, std::move(etag), size_bytes, std::move(replaces));
  if (done && !*done) co_return ThereAlready(job);
  co_return done;
}

class Opener {
 public:
  Opener(CopyJob& job, ObjectInfo info, PartLayout wanted, PutRequest put)
      : job_(job),
        records_(*job.options.uploads),
        store_(job.target.store),
        info_(std::move(info)),
        wanted_(std::move(wanted)),
        put_(std::move(put)) {}

  Async<OpenedUpload> Run() {
    Result<std::vector<UploadRecord>> rows =
        co_await records_.Find(store_.description(), job_.target.bucket, job_.target.key);
    if (!rows) co_return co_await CreateUnrecorded(rows.error());
    std::vector<std::string> known;
    for (const UploadRecord& record : *rows) {
      known.push_back(record.upload.upload_id);
      if (records_.InUse(record)) continue;
      Result<std::optional<UploadRecord>> taken = co_await records_.Take(record);
      if (!taken) co_return co_await CreateUnrecorded(taken.error());
      if (!*taken) continue;
      Result<std::optional<OpenedUpload>> opened = co_await TakeRecorded(**taken);
      if (!opened) co_return opened.error();
      if (*opened) co_return std::move(**opened);
    }
    Result<std::optional<OpenedUpload>> found = co_await TakeListed(std::move(known));
    if (!found) co_return found.error();
    if (*found) co_return std::move(**found);
    co_return co_await Create();
  }

 private:
  [[nodiscard]] UploadRecord NewRecord() const {
    return {.store = store_.description(),
            .upload = {.bucket = job_.target.bucket, .key = job_.target.key},
            .source = StateText(),
            .source_etag = info_.etag,
            .source_size_bytes = info_.size_bytes,
            .request = RequestDigest(put_),
            .part_size_bytes = wanted_.as_source ? 0 : wanted_.sizes.front()};
  }

  // Parts that a store copied by itself were read by nobody here, and not every server heeds the
  // condition on them: they are of this state if it has not been written since.
  [[nodiscard]] std::string StateText() const {
    std::string text = SourceText(job_);
    if (put_.parts_copied) text += " written " + FormatRfc3339(info_.last_modified);
    return text;
  }

  Async<OpenedUpload> Create() {
    Result<void> refused = co_await RefuseIfThere(job_, put_.condition.if_absent);
    if (!refused) co_return refused.error();
    Result<UploadRecord> record = co_await records_.Add(NewRecord());
    if (!record) co_return co_await CreateUnrecorded(record.error());
    PutRequest put = put_;
    put.at_most_once = true;  // A second one would leave the first without a row that names it.
    Result<MultipartUpload> upload = co_await store_.CreateMultipart(std::move(put));
    if (!upload) {
      // Else it may be there; the row is what it will be looked for by.
      if (upload.error().Transient()) {
        job_.again = CopyJob::Again::kSame;
      } else {
        Result<void> forgotten = co_await records_.Forget(*record);
        static_cast<void>(forgotten);
      }
      co_return job_.WriteError(upload.error());
    }
    record->upload = *upload;
    Result<void> named = co_await records_.Change(*record);
    if (!named) {
      co_await Drop(job_, *record);
      co_return named.error();
    }
    co_return OpenedUpload{.upload = std::move(*upload), .layout = wanted_, .record = *record};
  }

  // A State that cannot be written is no reason not to copy.
  Async<OpenedUpload> CreateUnrecorded(Error error) {
    job_.runtime.log.Warning("this copy cannot be gone on with when it breaks off",
                             {{"bucket", job_.target.bucket}, {"key", job_.target.key}, error});
    Result<MultipartUpload> upload = co_await store_.CreateMultipart(put_);
    if (!upload) co_return job_.WriteError(upload.error());
    co_return OpenedUpload{.upload = std::move(*upload), .layout = wanted_};
  }

  // The layout that the parts were made by; nullopt: none that can be gone on with.
  [[nodiscard]] std::optional<PartLayout> LayoutOf(uint64_t part_size_bytes) const {
    if (part_size_bytes == 0) {
      return wanted_.as_source ? std::optional(wanted_) : std::nullopt;
    }
    PartLayout layout{.sizes = EqualParts(info_.size_bytes, part_size_bytes)};
    // Another machine may have less memory. No less than what a new upload would need.
    const uint64_t fits_bytes =
        std::max(PartBytesMax(job_.runtime.memory.limit_bytes()), wanted_.sizes.front());
    bool fits = put_.parts_copied || part_size_bytes <= fits_bytes;
    if (!fits || layout.sizes.size() > static_cast<size_t>(kPartsMax)) return std::nullopt;
    if (wanted_.as_source && layout.sizes == wanted_.sizes) return wanted_;
    return layout;
  }

  Async<std::optional<OpenedUpload>> TakeRecorded(UploadRecord record) {
    const UploadRecord mine = NewRecord();
    // This is what proves that nothing of another state is in it.
    bool same = record.source == mine.source && record.source_etag == mine.source_etag &&
                record.source_size_bytes == mine.source_size_bytes &&
                record.request == mine.request;
    if (record.upload.upload_id.empty()) {
      Result<void> swept = co_await SweepUnnamed(record);
      if (!swept) co_return swept.error();
      co_return std::nullopt;
    }
    if (!same) {
      co_await Drop(job_, record);
      co_return std::nullopt;
    }
    Result<std::vector<UploadedPart>> parts = co_await store_.ListParts(record.upload);
    if (!parts && parts.error().kind != ErrorKind::kNotFound) {
      co_return job_.WriteError(parts.error());
    }
    if (!parts) {
      std::optional<PutResult> done;
      if (!record.completes_as.empty()) {
        Result<std::optional<PutResult>> found =
            co_await FindCompleted(job_, record.completes_as, info_.size_bytes, record.replaces);
        if (!found) co_return found.error();
        done = std::move(*found);
      }
      if (!done) {
        co_await Drop(job_, record);
        co_return std::nullopt;
      }
      co_return OpenedUpload{
          .upload = record.upload, .layout = wanted_, .record = record, .complete = *done};
    }
    std::optional<PartLayout> layout = LayoutOf(record.part_size_bytes);
    std::optional<std::vector<UploadedPart>> found;
    if (layout) found = PartsThatFit(*layout, std::move(*parts), /*all=*/false);
    if (!found) {
      co_await Drop(job_, record);
      co_return std::nullopt;
    }
    AdoptMultipart(store_, record.upload, put_);
    co_return OpenedUpload{.upload = record.upload,
                           .layout = std::move(*layout),
                           .found = std::move(*found),
                           .record = record};
  }

  // The parts that have the size of their number. nullopt: some have a number behind the last
  // (some servers complete an upload with all of its parts or not at all), or one is of another
  // size and `all` have to fit.
  static std::optional<std::vector<UploadedPart>> PartsThatFit(const PartLayout& layout,
                                                               std::vector<UploadedPart> parts,
                                                               bool all) {
    std::vector<UploadedPart> found;
    for (UploadedPart& part : parts) {
      if (part.number < 1 || static_cast<size_t>(part.number) > layout.sizes.size()) {
        return std::nullopt;
      }
      bool fits = part.size_bytes == layout.sizes[static_cast<size_t>(part.number) - 1];
      if (!fits && all) return std::nullopt;
      if (fits) found.push_back(std::move(part));
    }
    return found;
  }

  // A creation whose end nobody knows: what it may have left has no parts. It may still happen;
  // the row stays until that is out of question.
  Async<void> SweepUnnamed(const UploadRecord& record) {
    Result<std::vector<MultipartUpload>> listed =
        co_await records_.ListedNow(store_, job_.target.bucket, job_.target.key);
    if (!listed) co_return job_.WriteError(listed.error());
    Result<std::vector<UploadRecord>> rows =
        co_await records_.Find(store_.description(), job_.target.bucket, job_.target.key);
    if (!rows) co_return rows.error();
    for (const MultipartUpload& upload : *listed) {
      bool then = upload.initiated >= record.created - kClockTolerance &&
                  upload.initiated <= record.created + kCreationPatience + kClockTolerance;
      bool named = std::ranges::any_of(
          *rows, [&](const UploadRecord& row) { return row.upload.upload_id == upload.upload_id; });
      if (!then || named) continue;
      Result<std::vector<UploadedPart>> parts = co_await store_.ListParts(upload);
      if (!parts || !parts->empty()) continue;
      Result<void> aborted = co_await store_.AbortMultipart(upload);
      if (!aborted) co_return job_.WriteError(aborted.error());
    }
    if (job_.runtime.clock.Now() < record.created + kCreationPatience) co_return Ok();
    co_return co_await records_.Forget(record);
  }

  // ---- without a row

  Async<std::optional<OpenedUpload>> TakeListed(std::vector<std::string> known) {
    // What would have to be read to prove its parts need not be read to copy them again.
    if (put_.parts_copied) co_return std::nullopt;
    // What it was created with is put right by a copy onto itself.
    if (job_.target_can.copy_size_bytes_max == 0) co_return std::nullopt;
    Result<std::vector<MultipartUpload>> listed =
        co_await records_.Listed(store_, job_.target.bucket, job_.target.key);
    if (!listed) co_return job_.WriteError(listed.error());
    for (const MultipartUpload& upload : *listed) {
      if (std::ranges::find(known, upload.upload_id) != known.end()) continue;
      // Begun before the source was written as it is: of another state.
      if (upload.initiated + kClockTolerance < info_.last_modified) continue;
      Result<std::vector<UploadedPart>> parts = co_await store_.ListParts(upload);
      if (!parts && parts.error().kind == ErrorKind::kNotFound) continue;
      if (!parts) co_return job_.WriteError(parts.error());
      std::optional<PartLayout> layout = GuessLayout(*parts);
      if (!layout || !SameAlgorithm(*parts)) continue;
      Result<bool> proved = co_await Prove(*layout, *parts);
      if (!proved) co_return proved.error();
      if (!*proved) continue;
      UploadRecord record = NewRecord();
      record.upload = upload;
      record.part_size_bytes = layout->as_source ? 0 : layout->sizes.front();
      record.found = true;
      Result<UploadRecord> added = co_await records_.Add(std::move(record));
      if (!added) co_return added.error();
      AdoptMultipart(store_, upload, put_);
      co_return OpenedUpload{.upload = upload,
                             .layout = std::move(*layout),
                             .found = std::move(*parts),
                             .md5s = std::move(md5s_),
                             .record = std::move(*added)};
    }
    co_return std::nullopt;
  }

  // By which all of the parts, of which there are some, may have been made.
  [[nodiscard]] std::optional<PartLayout> GuessLayout(
      const std::vector<UploadedPart>& parts) const {
    if (parts.empty()) return std::nullopt;
    // All have one size but perhaps the last of the object.
    uint64_t largest = 0;
    for (const UploadedPart& part : parts) largest = std::max(largest, part.size_bytes);
    for (std::optional<PartLayout> layout :
         {std::optional(wanted_), largest > 0 ? LayoutOf(largest) : std::nullopt}) {
      if (layout && PartsThatFit(*layout, parts, /*all=*/true)) return layout;
    }
    return std::nullopt;
  }

  // Servers refuse parts with another checksum than the upload was created for.
  [[nodiscard]] bool SameAlgorithm(const std::vector<UploadedPart>& parts) const {
    ChecksumAlgorithm mine =
        put_.checksum ? put_.checksum->algorithm : ChecksumAlgorithm::kCrc64Nvme;
    return std::ranges::all_of(parts, [&](const UploadedPart& part) {
      return !part.checksum || part.checksum->algorithm == mine;
    });
  }

  // Whether each part has the bytes of its range of the source.
  Async<bool> Prove(const PartLayout& layout, const std::vector<UploadedPart>& parts) {
    std::vector<uint64_t> offsets(layout.sizes.size());
    for (size_t i = 1; i < offsets.size(); ++i) offsets[i] = offsets[i - 1] + layout.sizes[i - 1];
    TaskGroup group(job_.runtime.executor);
    md5s_.clear();
    bool all = true;
    std::optional<Error> failure;
    for (size_t i = 0; i < parts.size() && all && !failure; ++i) {
      const auto at = static_cast<size_t>(parts[i].number) - 1;
      const ByteRange range{.offset_bytes = offsets[at], .size_bytes = layout.sizes[at]};
      // The first alone: what is not of this object is mostly seen by it.
      co_await group.WaitBelow(i <= 1 ? 1 : job_.options.parts_in_flight);
      if (!all || group.failed()) break;
      if (job_.options.stop != nullptr && job_.options.stop->is_set()) {
        failure = Cancelled("stopped on request");
        break;
      }
      Result<Reservation> memory =
          co_await job_.runtime.memory.Reserve(static_cast<int64_t>(range.size_bytes));
      if (!memory) {
        failure = memory.error();
        break;
      }
      group.Spawn(ProveOne(range, parts[i], all, std::move(*memory)));
    }
    Result<void> joined = co_await group.Join();
    if (failure) co_return *failure;
    if (!joined) co_return joined.error();
    co_return all;
  }

  // The checksum is asked first: the ETag may look like an MD5 and be none.
  Async<void> ProveOne(ByteRange range, const UploadedPart& part, bool& all, Reservation memory) {
    const bool by_checksum = part.checksum && !part.checksum->composite;
    const bool by_etag = IsPlainMd5Etag(part.etag);
    if (!by_checksum && !by_etag) {
      all = false;
      co_return Ok();
    }
    std::vector<HashKind> kinds;
    if (by_etag) kinds.push_back(HashKind::kMd5);
    if (by_checksum) kinds.push_back(HashKindOf(part.checksum->algorithm));
    Result<std::vector<std::string>> digests = co_await DigestsOfRange(
        job_.runtime,
        {.store = job_.source.store,
         .bucket = job_.source.bucket,
         .key = job_.source.key,
         .version_id = job_.source.version_id,
         .etag = info_.etag},
        range, std::move(kinds), {.stop = job_.options.stop, .on_bytes = {}}, std::move(memory));
    if (!digests) {
      if (IsSourceChanged(digests.error())) job_.again = CopyJob::Again::kFresh;
      co_return digests.error();
    }
    const bool same_md5 = by_etag && HexEncode(digests->front()) == part.etag;
    const bool same =
        by_checksum ? Base64Encode(digests->back()) == part.checksum->value : same_md5;
    if (!same) all = false;
    if (same && by_etag && !same_md5) md5s_[part.number] = std::move(digests->front());
    co_return Ok();
  }

  CopyJob& job_;
  UploadRecords& records_;
  Store& store_;
  ObjectInfo info_;  // Of the source, as it is pinned.
  PartLayout wanted_;
  PutRequest put_;
  std::map<int, std::string> md5s_;  // OpenedUpload::md5s
};

// Whether what belongs to the object is what was asked for, as far as it can be seen.
bool LooksAsWanted(const ObjectInfo& info, const PutRequest& put) {
  auto plain = [](const std::string& name) { return name == "STANDARD" ? "" : name; };
  SystemHeaders have = info.headers;
  // Servers give those that were not sent a default.
  if (put.headers.content_type.empty()) have.content_type.clear();
  return have == put.headers && info.metadata == put.metadata &&
         (put.storage_class.empty() || plain(info.storage_class) == plain(put.storage_class)) &&
         put.sse.empty() && put.kms_key.empty() && !put.bucket_key && put.acl.empty();
}

Async<PutResult> PutRight(CopyJob& job, PutRequest put, PutResult done) {
  Store& store = job.target.store;
  Result<ObjectInfo> info = co_await store.Head({.bucket = put.bucket, .key = put.key});
  if (!info) co_return info.error();
  if (info->etag != done.etag) co_return done;  // Someone has written since.
  bool same = LooksAsWanted(*info, put);
  if (same && job.target_can.tags) {
    Result<FoundTags> found = co_await FindTags(store, put.bucket, put.key, "", info->tag_count);
    if (!found) co_return found.error();
    same = found->tags == put.tags;
  }
  if (same) co_return done;
  if (info->size_bytes > job.target_can.copy_size_bytes_max) {
    CopyJob again(
        job.runtime,
        {.store = store,
         .bucket = put.bucket,
         .key = put.key,
         .listed = CopySource::Listed{.size_bytes = info->size_bytes, .etag = info->etag}},
        job.target, job.options);
    again.options.uploads = nullptr;  // There is a row of this key already.
    // What it is to take the place of is the object that has just been completed.
    again.options.if_absent = false;
    again.options.if_match.clear();
    put.condition = {};
    if (job.target_can.complete_if_match) put.condition.if_match = info->etag;
    Result<CopyOutcome> copied = co_await CopyInsideAs(again, std::move(*info), std::move(put));
    if (!copied) co_return copied.error();
    co_return copied->put;
  }
  co_return co_await store.Copy(
      {.source_bucket = put.bucket,
       .source_key = put.key,
       .source_if_match = info->etag,
       .bucket = put.bucket,
       .key = put.key,
       .replacement = CopyRequest::Replacement{.headers = put.headers, .metadata = put.metadata},
       .tags = put.tags,
       .storage_class = put.storage_class,
       .sse = put.sse,
       .kms_key = put.kms_key,
       .bucket_key = put.bucket_key,
       .acl = put.acl});
}

Async<OpenedUpload> OpenAtPlaces(CopyJob& job, PlacesParts& places, ObjectInfo info,
                                 PartLayout wanted, PutRequest put) {
  const std::string origin = SourceText(job) + "\n" + info.etag + "\n" + RequestDigest(put);
  PartPlaces parts{.origin = HexEncode(Sha256(origin)),
                   .size_bytes = info.size_bytes,
                   .part_size_bytes = wanted.sizes.front()};
  Result<PlacedUpload> placed = co_await places.OpenPlaced(std::move(put), std::move(parts));
  if (!placed) co_return job.WriteError(placed.error());
  co_return OpenedUpload{.upload = std::move(placed->upload),
                         .layout = {.sizes = EqualParts(info.size_bytes, placed->part_size_bytes)},
                         .found = std::move(placed->parts),
                         .placed = true};
}

// Whether another attempt, perhaps after someone has mended something, may go on with the parts.
bool WorthKeeping(const Error& error) {
  return error.Transient() || error.kind == ErrorKind::kCancelled ||
         error.kind == ErrorKind::kDenied;
}

}  // namespace

Async<OpenedUpload> OpenUpload(CopyJob& job, ObjectInfo info, PartLayout wanted, PutRequest put) {
  if (PlacesParts* places = PlacedPartsOf(job.target.store)) {
    co_return co_await OpenAtPlaces(job, *places, std::move(info), std::move(wanted),
                                    std::move(put));
  }
  if (job.options.uploads != nullptr) {
    Opener opener(job, std::move(info), std::move(wanted), std::move(put));
    co_return co_await opener.Run();
  }
  Result<void> refused = co_await RefuseIfThere(job, put.condition.if_absent);
  if (!refused) co_return refused.error();
  Result<MultipartUpload> upload = co_await job.target.store.CreateMultipart(std::move(put));
  if (!upload) co_return job.WriteError(upload.error());
  co_return OpenedUpload{.upload = std::move(*upload), .layout = std::move(wanted)};
}

asio::awaitable<void> LeaveUpload(CopyJob& job, OpenedUpload opened, Error error) {
  if (opened.record) {
    if (!WorthKeeping(error)) co_await Drop(job, *opened.record);
    co_return;
  }
  if (opened.placed && job.options.uploads != nullptr && WorthKeeping(error)) {
    PlacedPartsOf(job.target.store)->Leave(opened.upload);
    co_return;
  }
  Result<void> aborted = co_await job.target.store.AbortMultipart(opened.upload);
  if (aborted) co_return;
  job.runtime.log.Warning("upload not aborted", {{"bucket", opened.upload.bucket},
                                                 {"key", opened.upload.key},
                                                 {"upload_id", opened.upload.upload_id},
                                                 aborted.error()});
}

Async<PutResult> CompleteUpload(CopyJob& job, OpenedUpload& opened, CompleteRequest request,
                                std::string etag) {
  // Noted by an attempt that may have completed it.
  const bool noted = opened.record && !etag.empty() && opened.record->completes_as == etag;
  uint64_t size_bytes = 0;
  for (uint64_t size : opened.layout.sizes) size_bytes += size;
  std::string replaces;
  if (noted) {
    replaces = opened.record->replaces;
    // Not every server heeds the condition, and something may have come since.
    if (request.condition.if_absent) {
      Result<std::optional<PutResult>> there =
          co_await RefuseUnlessCompleted(job, etag, size_bytes, replaces);
      if (!there) co_return there.error();
      if (*there) co_return std::move(**there);
    }
  } else {
    Result<std::string> there = co_await LookAtTarget(job);
    if (!there) co_return there.error();
    if (request.condition.if_absent && !there->empty()) co_return ThereAlready(job);
    replaces = std::move(*there);
    co_await NoteCompletion(job, opened, etag, replaces);
  }
  Result<PutResult> done = co_await job.target.store.CompleteMultipart(std::move(request));
  if (done && !replaces.empty()) {
    Result<ObjectInfo> there =
        co_await job.target.store.Head({.bucket = job.target.bucket, .key = job.target.key});
    if (there && StillStands(*there, replaces, done->server_time)) {
      job.again = CopyJob::Again::kFresh;
      co_return job.WriteError(
          Retryable("the upload is complete, and what it replaces still there"));
    }
  }
  if (done) co_return done;
  const Error& error = done.error();
  // A part that a process had under way when it was killed may have come late and replaced ours.
  if (BytesWereWrong(error) || error.code == "InvalidPart") job.again = CopyJob::Again::kFresh;
  // It may have happened all the same: an answer that was lost, an upload that is gone.
  const bool unknown = error.Transient() || error.kind == ErrorKind::kPrecondition ||
                       error.kind == ErrorKind::kNotFound;
  if (!unknown) co_return job.WriteError(error);
  Result<std::optional<PutResult>> there =
      co_await FindCompleted(job, std::move(etag), size_bytes, std::move(replaces));
  if (there && *there) co_return std::move(**there);
  if (error.code == "NoSuchUpload") job.again = CopyJob::Again::kFresh;  // Someone aborted it.
  if (IsWriteConflict(error)) job.again = CopyJob::Again::kSame;
  co_return job.WriteError(error);
}

Async<PutResult> FinishUpload(CopyJob& job, OpenedUpload opened, PutRequest put, PutResult done) {
  if (opened.record && opened.record->found) {
    Result<PutResult> right = co_await PutRight(job, std::move(put), done);
    if (!right) co_return job.WriteError(right.error().In("headers and metadata"));
    done = std::move(*right);
  } else if (!opened.placed) {
    UploadedObject object{.store = job.target.store,
                          .bucket = put.bucket,
                          .key = put.key,
                          .etag = done.etag,
                          .tags = std::move(put.tags)};
    Result<void> tagged = co_await SetMissingTags(object);
    // Whoever may not ask relies on what the completion said; of an older one nobody has heard.
    if (!tagged && tagged.error().code == "AccessDenied") {
      tagged = opened.complete ? co_await SetTags(std::move(object)) : Result<void>(Ok());
    }
    if (!tagged) co_return job.WriteError(tagged.error().In("tags"));
  }
  if (!opened.record) co_return done;
  Result<void> forgotten = co_await job.options.uploads->Forget(*opened.record);
  // Whoever finds the row finds no upload, but the object.
  if (!forgotten) job.runtime.log.Warning("an upload stays recorded", {forgotten.error()});
  co_return done;
}

}  // namespace longhaul
