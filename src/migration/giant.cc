#include "migration/giant.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "migration/finder.h"
#include "migration/look.h"
#include "storage/part_rules.h"
#include "transfer/object/copy_object.h"
#include "transfer/object/copy_plan.h"
#include "transfer/object/prove_gone.h"
#include "transfer/object/upload_records.h"
#include "transfer/uploads/piece_upload.h"

namespace longhaul::migration {

namespace {

constexpr int kAttemptsMax = 100;  // To write a row while others write it.
// An upload to the same key that moved so lately is somebody's who is at work.
constexpr std::chrono::hours kStandstill{1};

bool IsCrc(ChecksumAlgorithm algorithm) {
  return algorithm == ChecksumAlgorithm::kCrc64Nvme || algorithm == ChecksumAlgorithm::kCrc32c ||
         algorithm == ChecksumAlgorithm::kCrc32;
}

std::string RangeId(const std::string& task, const std::string& plan, uint32_t range) {
  return NumberedId(task + "-" + plan.substr(plan.size() - std::min<size_t>(8, plan.size())),
                    range);
}

}  // namespace

GiantCarrier::GiantCarrier(Runtime& runtime, State& state, TaskBoard& board, const Run& run,
                           Ends ends, const std::string& process, Limits limits)
    : runtime_(runtime),
      state_(state),
      board_(board),
      ends_(ends),
      limits_(std::move(limits)),
      // One for each run: the names of their uploads in State are their owner's.
      ledger_(runtime, state, process + "/" + run.id,
              {{run.target_place + " " + run.target.store, ends.target}}, 3 * limits_.lease) {}

SharedUploads GiantCarrier::UploadsOf(const Run& run) {
  return {runtime_,
          state_,
          *ends_.target,
          ledger_,
          run.target.bucket,
          {.uploads = "migration uploads/", .parts = "migration parts/"},
          run.id};
}

Async<void> GiantCarrier::DropAll(Run run) {
  SharedUploads uploads = UploadsOf(run);
  Result<std::vector<std::pair<std::string, SharedUpload>>> all = co_await uploads.All();
  if (!all) co_return all.error();
  for (auto& [key, upload] : *all) {
    Result<void> ended = co_await uploads.End(key, std::move(upload));
    if (!ended) co_return ended.error();
  }
  Result<int> stray = co_await uploads.ForgetStrayParts();
  if (!stray) co_return stray.error();
  co_return Ok();
}

namespace {

// An upload is wanted as long as a row of a giant names its transfer.
class WantedPlans : public UploadJudge {
 public:
  WantedPlans(State& state, std::string run) : state_(state), run_(std::move(run)) {}
  Async<bool> IsSettled(std::string, SharedUpload upload) override {
    if (!read_) {
      Result<void> read = co_await Read();
      if (!read) co_return read.error();
    }
    co_return !plans_.contains(upload.plan);
  }

 private:
  Async<void> Read() {
    std::string after = GiantKey("");
    while (true) {
      Result<std::vector<StateRow>> page = co_await state_.Scan(RowsOf(run_), after, 500);
      if (!page) co_return page.error();
      for (const StateRow& row : *page) {
        if (!row.key.starts_with(GiantKey(""))) break;
        Result<GiantRow> giant = DecodeGiant(row);
        if (!giant) co_return giant.error();
        plans_.insert(giant->plan);
      }
      if (page->empty() || !page->back().key.starts_with(GiantKey(""))) break;
      after = page->back().key;
    }
    read_ = true;
    co_return Ok();
  }

  State& state_;
  std::string run_;
  bool read_ = false;
  std::set<std::string> plans_;
};

}  // namespace

Async<int> GiantCarrier::Sweep(Run run) {
  Result<int> swept = co_await ledger_.Sweep();
  if (!swept) co_return swept.error();
  SharedUploads uploads = UploadsOf(run);
  Result<std::vector<std::pair<std::string, SharedUpload>>> all = co_await uploads.All();
  if (!all) co_return all.error();
  // After the uploads: whoever began one of these had his row before that.
  WantedPlans judge(state_, run.id);
  // One that is wanted stays for as long as a run stands still: its ranges that are done are not
  // sent again.
  Result<int> stale = co_await SweepSharedUploads(uploads, runtime_.clock, judge, std::move(*all),
                                                  std::chrono::nanoseconds::max());
  if (!stale) co_return stale.error();
  Result<int> stray = co_await uploads.ForgetStrayParts();
  if (!stray) co_return stray.error();
  co_return *swept + *stale;
}

Async<std::optional<GiantRow>> GiantCarrier::Find(const std::string& run, const std::string& task) {
  Result<std::optional<StateRow>> state = co_await state_.Get(RowsOf(run), GiantKey(task));
  if (!state) co_return state.error().In("look for a giant");
  if (!*state) co_return std::nullopt;
  Result<GiantRow> row = DecodeGiant(**state);
  if (!row) co_return row.error();
  co_return std::optional<GiantRow>(std::move(*row));
}

Async<void> GiantCarrier::Judge(const Run& run, const Task& range, std::string verdict,
                                std::string reason, bool own_parts) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    Result<std::optional<GiantRow>> row = co_await Find(run.id, range.giant);
    if (!row) co_return row.error();
    if (!*row || (*row)->plan != range.plan) co_return Ok();
    if ((*row)->verdict.empty()) {
      (*row)->verdict = verdict;
      (*row)->reason = reason;
      (*row)->own_parts = own_parts;
      StateWrite write{.key = GiantKey(range.giant),
                       .value = EncodeGiant(**row),
                       .expected = Expected::Revision((*row)->revision)};
      Result<int64_t> written = co_await state_.Write(RowsOf(run.id), std::move(write));
      if (!written && written.error().kind == ErrorKind::kPrecondition) continue;
      if (!written) co_return written.error().In("end a transfer");
    }
    const Task giant{.run = run.id, .id = range.giant, .kind = TaskKind::kGiant};
    co_return co_await board_.Send(giant);
  }
  co_return Retryable("the row of a giant changes faster than it can be written");
}

Async<void> GiantCarrier::GiveUp(Run run, Task range, std::string reason) {
  Result<void> judged = co_await Judge(run, range, "failed", std::move(reason));
  if (!judged) co_return judged.error();
  co_return co_await board_.Finish(std::move(range), {});
}

Async<TaskStep> GiantCarrier::Begin(Run run, Task task, bool look_first, Event& stop,
                                    Meter& meter) {
  Result<std::optional<GiantRow>> row = co_await Find(run.id, task.id);
  if (!row) co_return row.error();
  if (*row && !(*row)->verdict.empty()) {
    co_return co_await Conclude(run, std::move(task), std::move(**row));
  }
  if (*row) {
    // Under way. Ranges whose messages were lost are sent again; where all are stored and nobody
    // completed the upload, the first of them does.
    SharedUploads uploads = UploadsOf(run);
    Result<std::optional<SharedUpload>> upload =
        co_await uploads.Find(run.target.prefix + (*row)->name);
    if (!upload) co_return upload.error();
    if (*upload && (*upload)->plan == (*row)->plan && (*upload)->complete()) {
      Task range{.run = run.id,
                 .id = RangeId(task.id, (*row)->plan, 0),
                 .kind = TaskKind::kRange,
                 .objects = task.objects,
                 .giant = task.id,
                 .plan = (*row)->plan};
      const bool late = false;
      Result<TaskStep> carried = co_await Carry(run, std::move(range), stop, late, meter,
                                                [delay = limits_.delay](int) { return delay; });
      if (!carried) co_return carried.error();
    } else {
      Result<bool> lost = co_await HasLostParts(run, task, **row);
      if (!lost) co_return lost.error();
      const Task range{.run = run.id, .id = task.id, .giant = task.id, .plan = (*row)->plan};
      Result<void> sent = *lost ? co_await Judge(run, range, "changed", "its upload is gone")
                                : co_await SendRanges(run, task, **row);
      if (!sent) co_return sent.error();
    }
    Result<void> left = co_await board_.Unclaim(run.id, task.id);
    if (!left) co_return left.error();
    co_return TaskStep{};
  }
  if (look_first) {
    TaskObject object = task.objects.front();
    // An earlier try may have completed what the source is no more, of the same size.
    const bool tried = object.look == Look::kNone && object.tries > 0;
    if (tried && run.options.compare.size_only) object.look = Look::kBytes;
    Result<Looked> looked = co_await LookAtBoth(runtime_, run, ends_, std::move(object));
    // What is wrong is found when it is planned, and a try then.
    if (looked && looked->kind != Looked::Kind::kCarry) {
      ++task.counts.equal;
      task.objects.clear();
      Result<void> finished = co_await board_.Finish(std::move(task), {});
      if (!finished) co_return finished.error();
      co_return TaskStep{};
    }
  }
  co_return co_await Plan(run, std::move(task), stop);
}

// Whether ranges are done of which no upload has the parts: nobody would send them again. It may
// have been removed by hand, or made room for that of another start, which has ended.
Async<bool> GiantCarrier::HasLostParts(const Run& run, const Task& task, const GiantRow& row) {
  std::vector<uint32_t> done;
  for (uint32_t range = 0; range < row.ranges(); ++range) {
    Result<bool> is_done = co_await board_.IsDone(run.id, RangeId(task.id, row.plan, range));
    if (!is_done) co_return is_done.error();
    if (*is_done) done.push_back(range);
  }
  if (done.empty()) co_return false;
  // After these: what is done was stored before. (An upload that has ended has a verdict.)
  Result<std::optional<SharedUpload>> upload =
      co_await UploadsOf(run).Find(run.target.prefix + row.name);
  if (!upload) co_return upload.error();
  if (!*upload || (*upload)->plan != row.plan) co_return true;
  co_return !std::ranges::all_of(
      done, [&](uint32_t range) { return static_cast<bool>((*upload)->stored[range]); });
}

// The transfer has ended: its upload goes, and the object is done, or begun anew.
Async<TaskStep> GiantCarrier::Conclude(const Run& run, Task task, GiantRow row) {
  if (row.verdict == "settled") {
    // Its completion may have been late, and lie over what another start, or an event, has brought
    // meanwhile as a small object.
    Result<bool> still = co_await IsStillSo(
        run, ends_, row.name,
        {.size_bytes = row.size_bytes, .etag = row.etag, .last_modified = row.last_modified});
    if (!still && still.error().Transient()) co_return still.error();
    if (!still) {
      row.verdict = "failed";
      row.reason = still.error().Describe();
    } else if (!*still) {
      row.verdict = "changed";
      row.reason = "the source has changed while it was copied";
    }
  }
  SharedUploads uploads = UploadsOf(run);
  const std::string key = run.target.prefix + row.name;
  Result<std::optional<SharedUpload>> upload = co_await uploads.Find(key);
  if (!upload) co_return upload.error();
  if (*upload && (*upload)->plan == row.plan) {
    Result<void> ended = co_await uploads.End(key, std::move(**upload));
    if (!ended) co_return ended.error();
  }
  // Workers that were late have left rows of parts behind.
  Result<int> stray = co_await uploads.ForgetStrayParts();
  if (!stray) co_return stray.error();
  std::vector<std::string> ranges;
  for (uint32_t range = 0; range < row.ranges(); ++range) {
    ranges.push_back(RangeId(task.id, row.plan, range));
  }
  Result<void> forgotten = co_await board_.Forget(run.id, std::move(ranges));
  if (!forgotten) co_return forgotten.error();
  TaskObject object = task.objects.empty() ? TaskObject{} : task.objects.front();
  if (row.verdict == "settled") {
    ++task.counts.copied;
    task.counts.bytes += static_cast<int64_t>(row.size_bytes);
  }
  // A change of the source costs a try: one that never stands still is given up.
  const bool anew = row.verdict == "changed" && ++object.tries < run.options.tries_max;
  if (!anew) {
    std::vector<ObjectRow> rows;
    if (row.verdict != "settled") {
      const bool gone = row.verdict == "gone";
      ++(gone ? task.counts.gone : task.counts.failed);
      rows.push_back({.state = gone ? ObjectRow::State::kGone : ObjectRow::State::kFailed,
                      .object = std::move(object),
                      .reason = row.reason,
                      .time = runtime_.clock.Now()});
    }
    task.objects.clear();
    Result<void> finished = co_await board_.Finish(std::move(task), std::move(rows));
    if (!finished) co_return finished.error();
    co_return TaskStep{};
  }
  task.objects = {std::move(object)};
  task.reason = row.reason;
  task.own_parts = task.own_parts || row.own_parts;
  const std::string id = task.id;
  Result<void> put = co_await board_.PutBack(std::move(task), {});
  if (!put) co_return put.error();
  StateWrite removal{.key = GiantKey(id), .expected = Expected::Revision(row.revision)};
  Result<int64_t> removed = co_await state_.Write(RowsOf(run.id), std::move(removal));
  if (!removed && removed.error().kind != ErrorKind::kPrecondition) co_return removed.error();
  co_return TaskStep{.kind = TaskStep::Kind::kRelease, .delay = limits_.delay};
}

Async<void> GiantCarrier::ChooseParts(const Run& run, const Task& task, const ObjectInfo& info,
                                      GiantRow& row) {
  const Capabilities can = ends_.target->capabilities();
  const uint64_t fits = static_cast<uint64_t>(runtime_.memory.limit_bytes()) / 2;
  const uint64_t wanted_bytes = run.options.part_bytes;
  const bool as_wanted = wanted_bytes >= std::max<uint64_t>(1, can.part_size_bytes_min) &&
                         wanted_bytes >= (info.size_bytes + kPartsMax - 1) / kPartsMax;
  row.part_bytes = as_wanted ? wanted_bytes : OwnPartSize(info.size_bytes, can, wanted_bytes);
  row.as_source = false;
  const std::optional<int> count = PartCountOfEtag(info.etag);
  const bool comparable = !info.etag_opaque && PartRulesOf(*ends_.target).etags_of_md5;
  const bool wanted = count && comparable && run.options.part_bytes == 0 && !task.own_parts &&
                      info.size_bytes / static_cast<uint64_t>(*count) >= kPartBytesMeanMin;
  if (wanted) {
    Result<ObjectInfo> first =
        co_await ends_.source->Head({.bucket = run.source.bucket,
                                     .key = run.source.prefix + task.objects.front().name,
                                     .version_id = row.version_id,
                                     .part_number = 1});
    uint64_t bytes = 0;
    if (first && first->etag == info.etag && first->part_count > 0) bytes = first->size_bytes;
    if (!first && first.error().kind != ErrorKind::kInvalidInput) co_return first.error();
    if (bytes == 0) bytes = GuessPartSize(info.size_bytes, *count);
    const bool even =
        bytes > 0 && EqualParts(info.size_bytes, bytes).size() == static_cast<size_t>(*count);
    if (even && bytes <= fits && bytes >= can.part_size_bytes_min) {
      row.part_bytes = bytes;
      row.as_source = true;
    }
  }
  if (row.part_bytes > fits) {
    co_return InvalidInput("a part of " + std::to_string(row.part_bytes) +
                           " bytes does not fit into half of the memory budget: give more by "
                           "--memory");
  }
  row.range_parts = static_cast<uint32_t>(
      std::clamp<uint64_t>(run.options.range_bytes / row.part_bytes, 1, kPartsMax));
  co_return Ok();
}

Async<TaskStep> GiantCarrier::Plan(const Run& run, Task task, Event& stop) {
  if (stop.is_set()) co_return Cancelled("stopped on request");
  TaskObject& object = task.objects.front();
  const std::string key = run.source.prefix + object.name;
  Result<ObjectInfo> info = co_await ends_.source->Head({.bucket = run.source.bucket, .key = key});
  if (!info) {
    if (info.error().kind != ErrorKind::kNotFound) {
      co_return TaskStep{.kind = TaskStep::Kind::kFailed, .error = info.error()};
    }
    Result<void> gone = co_await ProveGone(*ends_.source, run.source.bucket, key);
    if (!gone) co_return TaskStep{.kind = TaskStep::Kind::kFailed, .error = gone.error()};
    std::vector<ObjectRow> rows;
    ++task.counts.gone;
    rows.push_back({.state = ObjectRow::State::kGone,
                    .object = std::move(object),
                    .reason = "it was not at the source any more",
                    .time = runtime_.clock.Now()});
    task.objects.clear();
    Result<void> finished = co_await board_.Finish(std::move(task), std::move(rows));
    if (!finished) co_return finished.error();
    co_return TaskStep{};
  }
  if (!IsGiant(run.options, ends_, info->size_bytes, info->etag) || info->etag.empty()) {
    co_return TaskStep{.kind = TaskStep::Kind::kPlain};
  }
  SharedUploads uploads = UploadsOf(run);
  Result<std::optional<SharedUpload>> other =
      co_await uploads.Find(run.target.prefix + object.name);
  if (!other) co_return other.error();
  const SystemTime now = runtime_.clock.Now();
  if (*other && (*other)->etag == info->etag && !(*other)->lost_at &&
      now - (*other)->touched < kStandstill) {
    // An earlier start of the run has it under way.
    task.check = true;
    Result<void> put = co_await board_.PutBack(std::move(task), {});
    if (!put && put.error().kind != ErrorKind::kPrecondition) co_return put.error();
    co_return TaskStep{.kind = TaskStep::Kind::kRelease, .delay = 10 * limits_.delay};
  }
  GiantRow row{.plan = NewUlid(now, runtime_.random),
               .planned = now,
               .name = object.name,
               .etag = info->etag,
               .version_id = info->version_id,
               .last_modified = info->last_modified,
               .size_bytes = info->size_bytes,
               .checksum = WholeChecksum(*info)};
  if (row.checksum && !IsCrc(row.checksum->algorithm)) row.checksum.reset();
  Result<ObjectInfo> there = co_await ends_.target->Head(
      {.bucket = run.target.bucket, .key = run.target.prefix + object.name});
  if (!there && there.error().kind != ErrorKind::kNotFound &&
      there.error().kind != ErrorKind::kDenied) {
    co_return TaskStep{.kind = TaskStep::Kind::kFailed, .error = there.error().In("target")};
  }
  if (there) row.replaces = WritingOf(*there);
  Result<void> chosen = co_await ChooseParts(run, task, *info, row);
  if (!chosen) co_return TaskStep{.kind = TaskStep::Kind::kFailed, .error = chosen.error()};
  StateWrite write{
      .key = GiantKey(task.id), .value = EncodeGiant(row), .expected = Expected::Absent()};
  Result<int64_t> written = co_await state_.Write(RowsOf(run.id), std::move(write));
  if (!written && written.error().kind == ErrorKind::kPrecondition) {
    co_return TaskStep{.kind = TaskStep::Kind::kRelease, .delay = limits_.delay};
  }
  if (!written) co_return written.error().In("plan a giant");
  Result<void> sent = co_await SendRanges(run, task, row);
  if (!sent) co_return sent.error();
  Result<void> left = co_await board_.Unclaim(run.id, task.id);
  if (!left) co_return left.error();
  co_return TaskStep{};
}

Async<void> GiantCarrier::SendRanges(const Run& run, const Task& task, const GiantRow& row) {
  for (uint32_t range = 0; range < row.ranges(); ++range) {
    Task part{
        .run = run.id,
        .id = RangeId(task.id, row.plan, range),
        .kind = TaskKind::kRange,
        .objects = {{.name = row.name, .size_bytes = row.RangeBytes(range), .etag = row.etag}},
        .giant = task.id,
        .plan = row.plan,
        .range = range};
    Result<void> added = co_await board_.Add(std::move(part));
    if (!added) co_return added.error();
  }
  co_return Ok();
}

}  // namespace longhaul::migration
