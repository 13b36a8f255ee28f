#include "transfer/tree/apply_plan.h"

#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "transfer/local/local_folder.h"
#include "transfer/object/prove_gone.h"
#include "transfer/tree/carry_object.h"
#include "transfer/tree/plan_done.h"
#include "transfer/tree/sync_run.h"

namespace longhaul {

namespace {

constexpr size_t kReadBytes = 1 << 20;

// Lines of a file, a batch at a time; all of it blocks.
class PlanFile {
 public:
  explicit PlanFile(std::string path) : path_(std::move(path)) {}

  // The next lines; empty at the end.
  Result<std::vector<PlanParser::Line>> Next() {
    std::vector<PlanParser::Line> lines;
    if (file_ == nullptr) {
      file_.reset(std::fopen(path_.c_str(), "re"));
      if (file_ == nullptr) return InvalidInput("cannot read the plan '" + path_ + "'");
    }
    while (lines.empty()) {
      const size_t before = text_.size();
      text_.resize(before + kReadBytes);
      const size_t count = std::fread(text_.data() + before, 1, kReadBytes, file_.get());
      text_.resize(before + count);
      if (count == 0) {
        if (std::ferror(file_.get()) != 0) return Retryable("read the plan '" + path_ + "'");
        if (!text_.empty()) return InvalidInput(path_ + ": the plan ends in the middle of a line");
        Result<void> whole = parser_.Finish();
        if (!whole) return whole.error().In(path_);
        return lines;
      }
      size_t at = 0;
      for (size_t end = 0; (end = text_.find('\n', at)) != std::string::npos; at = end + 1) {
        Result<PlanParser::Line> line = parser_.Next(std::string_view(text_).substr(at, end - at));
        if (!line) return line.error().In(path_);
        lines.push_back(std::move(*line));
      }
      text_.erase(0, at);
      if (text_.size() > kPlanLineBytesMax) {
        return InvalidInput(path_ + ": a line of over 64 KiB");
      }
    }
    return lines;
  }

 private:
  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
  std::string text_;
  PlanParser parser_;
};

class Application {
 public:
  Application(Runtime runtime, TreeSource source, TreeTarget target, ApplyOptions options,
              SyncObserver& observer, SyncTotals& totals)
      : runtime_(runtime),
        source_(std::move(source)),
        target_(std::move(target)),
        options_(std::move(options)),
        run_(observer, totals, FailureWatch(options_.in_flight)),
        group_(runtime.executor) {}

  Async<void> Run(PlanFile file) {
    Result<void> done = co_await ApplyAll(file);
    Result<void> joined = co_await group_.Join();
    if (run_.whole) co_return *run_.whole;
    if (done && run_.cancelled) co_return Cancelled("stopped on request");
    co_return done ? joined : done;
  }

 private:
  Async<void> ApplyAll(PlanFile& file) {
    while (true) {
      Result<std::vector<PlanParser::Line>> lines =
          co_await runtime_.pool.Run([&file] { return file.Next(); });
      if (!lines) co_return lines.error();
      if (lines->empty()) {
        run_.observer.OnListedAll();
        co_return Ok();
      }
      for (PlanParser::Line& line : *lines) {
        if (!line.step) continue;
        Result<void> begun = co_await Begin(std::move(*line.step));
        if (!begun) co_return begun;
        if (run_.whole || run_.totals.removals_withheld) co_return Ok();
      }
    }
  }

  Async<void> Begin(PlanStep step) {
    Event* stop = options_.carry.copy.stop;
    if (stop != nullptr && stop->is_set()) co_return Cancelled("stopped on request");
    if (step.kind == PlanStep::Kind::kRemove && !removing_) {
      removing_ = true;
      Result<void> copied = co_await group_.Join();
      if (!copied) co_return copied;
      if (run_.cancelled) co_return Cancelled("stopped on request");
      if (run_.totals.failed > 0) {
        run_.totals.removals_withheld = true;
        co_return Ok();
      }
    }
    co_await group_.WaitBelow(run_.watch.proven() ? options_.in_flight : 1);
    if (run_.whole) co_return Ok();
    if (step.kind == PlanStep::Kind::kCopy) {
      group_.Spawn(Copy(std::move(step)));
    } else {
      group_.Spawn(Remove(std::move(step)));
    }
    co_return Ok();
  }

  // What a name holds now, or nothing.
  static Async<std::optional<ObjectInfo>> InfoAt(ObjectPlace place) {
    Result<ObjectInfo> info = co_await place.store.Head({.bucket = place.bucket, .key = place.key});
    if (info) co_return std::optional<ObjectInfo>(std::move(*info));
    if (info.error().kind == ErrorKind::kNotFound) co_return std::nullopt;
    co_return info.error();
  }

  struct Ends {
    bool done = false;  // Already.
    uint64_t target_bytes = 0;
  };
  // kPrecondition: an end is not what it was.
  Async<Ends> LookAtEnds(PlanStep planned) {
    const ObjectPlace from{source_.store, source_.bucket, source_.prefix + planned.name};
    const ObjectPlace to{target_.store, target_.bucket, target_.prefix + planned.name};
    Result<std::optional<ObjectInfo>> source = co_await InfoAt(from);
    if (!source) co_return source.error();
    if (!*source || (*source)->etag != planned.etag) {
      co_return PreconditionFailed("the source has changed since the plan was made");
    }
    Result<std::optional<ObjectInfo>> target = co_await InfoAt(to);
    if (!target) co_return target.error();
    const bool as_planned =
        *target ? planned.target_etag == (*target)->etag : !planned.target_etag.has_value();
    if (as_planned) co_return Ends{.target_bytes = *target ? (*target)->size_bytes : 0};
    Result<bool> done = false;
    if (*target) {
      done = co_await IsCopyOf(runtime_, from, **source, to, **target, options_.carry.copy);
      if (!done) co_return done.error();
    }
    if (*done) co_return Ends{.done = true};
    co_return PreconditionFailed("the target has changed since the plan was made");
  }

  Async<void> Copy(PlanStep planned) {
    const ListedObject object{.key = source_.prefix + planned.name,
                              .size_bytes = planned.size_bytes,
                              .etag = planned.etag};
    std::optional<ListedObject> there;
    if (planned.target_etag) {
      there = ListedObject{.key = target_.prefix + planned.name, .etag = *planned.target_etag};
    }
    const SyncStep step{.name = planned.name,
                        .source = &object,
                        .target = there ? &*there : nullptr,
                        .decision = {SyncVerdict::kCopy, planned.reason}};
    ++run_.totals.source_objects;
    Result<Ends> ends = co_await LookAtEnds(planned);
    if (ends && ends->done) {
      run_.watch.Worked();
      ++run_.totals.skipped;
      SyncStep skipped = step;
      skipped.decision = {SyncVerdict::kSkip, reason::kSameBytes};
      run_.observer.OnSkipped(skipped);
      co_return Ok();
    }
    if (ends && there) there->size_bytes = ends->target_bytes;  // No plan says it.
    ++run_.totals.chosen;
    run_.totals.chosen_bytes += planned.size_bytes;
    run_.observer.OnChosen(step);
    Result<CopyOutcome> outcome =
        ends ? co_await CopyAsPlanned(planned, object, there) : Result<CopyOutcome>(ends.error());
    if (!outcome) {
      run_.Failed(step, outcome.error());
      co_return Ok();
    }
    run_.watch.Worked();
    ++run_.totals.copied;
    run_.totals.bytes += outcome->size_bytes;
    if (outcome->verified == Verified::kNot && !IsLocalEtag(outcome->source_etag)) {
      ++run_.totals.not_verified;
    }
    run_.observer.OnCopied(step, *outcome);
    co_return Ok();
  }

  Async<CopyOutcome> CopyAsPlanned(const PlanStep& planned, const ListedObject& object,
                                   const std::optional<ListedObject>& there) {
    CarryOptions carry = options_.carry;
    carry.copy.listed_only = true;
    co_return co_await CarryInPlaceOf(runtime_, source_, target_, object, there, carry,
                                      "the plan was made");
  }

  // kPrecondition: the source has by now what was only at the target. What is left out of it by the
  // filters was there.
  Async<void> CheckNotAtSource(PlanStep planned) {
    if (planned.reason == reason::kExcluded) co_return Ok();
    const std::string key = source_.prefix + planned.name;
    Result<ObjectInfo> info = co_await source_.store.Head({.bucket = source_.bucket, .key = key});
    if (info) co_return PreconditionFailed("the source has it by now");
    if (info.error().code == "KeyNotStorable") co_return Ok();  // And never will.
    if (info.error().kind != ErrorKind::kNotFound) co_return info.error();
    co_return co_await ProveGone(source_.store, source_.bucket, key);
  }

  Async<void> Remove(PlanStep planned) {
    const ListedObject there{.key = target_.prefix + planned.name,
                             .size_bytes = planned.size_bytes,
                             .etag = planned.etag};
    const SyncStep step{.name = planned.name,
                        .target = &there,
                        .decision = {SyncVerdict::kSkip, reason::kOnlyAtTarget}};
    Result<void> not_there = co_await CheckNotAtSource(planned);
    if (!not_there) {
      run_.Failed(step, not_there.error());
      co_return Ok();
    }
    Result<void> removed = Ok();
    if (options_.carry.backup) {
      removed =
          co_await SetAside(runtime_, target_, *options_.carry.backup, there, options_.carry.copy);
    }
    if (removed) {
      removed = co_await RemoveIfMatch(target_.store, target_.bucket, there.key, planned.etag);
    }
    if (!removed && removed.error().kind == ErrorKind::kNotFound) {
      Result<void> gone = co_await ProveGone(target_.store, target_.bucket, there.key);
      if (gone) {  // It has been removed already.
        run_.watch.Worked();
        co_return Ok();
      }
      removed = gone.error();
    }
    if (!removed) {
      Error error = removed.error();
      if (error.kind == ErrorKind::kPrecondition) {
        error.message = "the target has changed since the plan was made";
      }
      run_.Failed(step, error);
      co_return Ok();
    }
    run_.watch.Worked();
    ++run_.totals.removed;
    run_.observer.OnRemoved(step);
    co_return Ok();
  }

  Runtime runtime_;
  TreeSource source_;
  TreeTarget target_;
  ApplyOptions options_;
  SyncRun run_;
  TaskGroup group_;
  bool removing_ = false;
};

}  // namespace

Async<PlanEnds> ReadPlanEnds(Runtime runtime, std::string path) {
  PlanFile file(path);
  std::optional<PlanHead> head;
  PlanEnd end;
  while (true) {
    Result<std::vector<PlanParser::Line>> lines =
        co_await runtime.pool.Run([&file] { return file.Next(); });
    if (!lines) co_return lines.error();
    if (lines->empty()) break;
    if (!head) head = std::move((*lines)[0].head);
    if (lines->back().end) end = *lines->back().end;
  }
  if (!head) co_return InvalidInput(path + ": an empty plan");
  co_return PlanEnds{.head = std::move(*head), .end = end};
}

Async<void> ApplyPlan(Runtime runtime, std::string path, TreeSource source, TreeTarget target,
                      ApplyOptions options, SyncObserver& observer, SyncTotals& totals) {
  Result<PlanEnds> whole = co_await ReadPlanEnds(runtime, path);
  if (!whole) co_return whole.error();
  Application application(runtime, std::move(source), std::move(target), std::move(options),
                          observer, totals);
  co_return co_await application.Run(PlanFile(path));
}

}  // namespace longhaul
