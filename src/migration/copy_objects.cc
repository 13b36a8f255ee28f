#include "migration/copy_objects.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "migration/look.h"
#include "storage/is_gone.h"
#include "transfer/object/copy_object.h"

namespace longhaul::migration {

namespace {

// A look at the target reads so many keys for each object of the task, and some more: below a
// prefix that is shared with much else it is cheaper to copy again.
constexpr size_t kLooksPerObject = 4;
// Of one object that changes while it is copied; then it waits for another try.
constexpr int kRoundsMax = 5;

struct Batch {
  Runtime& runtime;
  const Run& run;
  Ends ends;
  CopyLimits limits;
  Event& stop;
  Meter& meter;
  TaskEnd& end;
  std::vector<TaskObject> left{};
  struct Copied {
    TaskObject object;
    SystemTime source_modified;
  };
  std::vector<Copied> copied{};  // As they were read, where nobody has looked again.

  Async<void> One(TaskObject object, std::unique_ptr<Permit> permit) {
    SystemTime source_modified{};
    Result<Carried> carried = co_await Carry(object, source_modified);
    permit.reset();
    --meter.open;
    if (!carried) {
      NoteFailure(run, std::move(object), carried.error(), runtime.clock.Now(), end, left, meter);
      co_return Ok();
    }
    switch (*carried) {
      case Carried::kGiant:
        end.giants.push_back(std::move(object));
        co_return Ok();
      case Carried::kLeftOut:
        co_return Ok();
      case Carried::kSame:
        ++end.task.counts.equal;
        break;
      case Carried::kCopied:
        ++end.task.counts.copied;
        end.task.counts.bytes += static_cast<int64_t>(object.size_bytes);
        ++meter.objects;
        if (!looks_again()) copied.push_back({object, source_modified});
        break;
    }
    // Whoever was here before may have called it failed, and died.
    if (limits.look_first) end.settled.push_back(object.name);
    co_return Ok();
  }

  // Whether each write is followed by a look at the source. Where others may carry the object too,
  // a write that was late may have covered theirs.
  [[nodiscard]] bool looks_again() const {
    return run.options.events || limits.look_first || others_were_here;
  }
  bool others_were_here = false;

  // Of one that was copied before others came.
  Async<void> Again(TaskObject object, SystemTime source_modified) {
    co_await limits.slots->Acquire();
    const Permit permit(limits.slots);
    Result<bool> still = co_await IsStillSo(
        run, ends, object.name,
        {.size_bytes = object.size_bytes, .etag = object.etag, .last_modified = source_modified});
    if (still && *still) co_return Ok();
    object.look = Look::kBytes;
    const auto bytes_before = static_cast<int64_t>(object.size_bytes);
    Result<Carried> carried =
        still ? co_await Carry(object, source_modified, true) : Result<Carried>(still.error());
    end.task.counts.bytes -= bytes_before;
    if (carried && *carried != Carried::kGiant) {
      end.task.counts.bytes += static_cast<int64_t>(object.size_bytes);
      co_return Ok();
    }
    --end.task.counts.copied;
    if (carried) {
      end.giants.push_back(std::move(object));
    } else {
      NoteFailure(run, std::move(object), carried.error(), runtime.clock.Now(), end, left, meter);
    }
    co_return Ok();
  }

  enum class Carried { kCopied, kSame, kLeftOut, kGiant };

  // Until the source is what has been copied, where that is asked for; `source_modified` is of what
  // was read last. `written`: the target has been, by this worker.
  Async<Carried> Carry(TaskObject& object, SystemTime& source_modified, bool written = false) {
    for (int round = 0; round < kRoundsMax; ++round) {
      if (object.look != Look::kNone) {
        Result<Looked> looked =
            co_await LookAtBoth(runtime, run, ends, object, written || round > 0);
        if (!looked) co_return looked.error();
        if (looked->kind == Looked::Kind::kLeftOut) co_return Carried::kLeftOut;
        if (looked->kind == Looked::Kind::kSame) {
          co_return round == 0 ? Carried::kSame : Carried::kCopied;
        }
        object.size_bytes = looked->size_bytes;
        object.etag = looked->etag;
        if (IsGiant(run.options, ends, object.size_bytes, object.etag)) {
          // What an event named is compared by all that belongs to it, by its task as well.
          if (object.look != Look::kEvent) object.look = Look::kBytes;
          co_return Carried::kGiant;
        }
      }
      Result<CopyOutcome> outcome = co_await Copy(object);
      if (!outcome) co_return outcome.error();
      object.size_bytes = outcome->size_bytes;
      object.etag = outcome->source_etag;
      source_modified = outcome->source_modified;
      if (!looks_again()) co_return Carried::kCopied;
      Result<bool> still = co_await IsStillSo(run, ends, object.name,
                                              {.size_bytes = outcome->size_bytes,
                                               .etag = outcome->source_etag,
                                               .last_modified = source_modified});
      if (!still) co_return still.error();
      if (*still) co_return Carried::kCopied;
      if (object.look == Look::kNone) object.look = Look::kBytes;
    }
    co_return Retryable("the source changes faster than it can be copied");
  }

  Async<CopyOutcome> Copy(const TaskObject& object) {
    co_return co_await CopyObject(
        runtime,
        {.store = *ends.source,
         .bucket = run.source.bucket,
         .key = run.source.prefix + object.name,
         .listed = CopySource::Listed{.size_bytes = object.size_bytes, .etag = object.etag}},
        {.store = *ends.target,
         .bucket = run.target.bucket,
         .key = run.target.prefix + object.name},
        {.storage_class = run.options.storage_class,
         .kms_key = run.options.kms_key,
         // What goes in parts is a giant: nobody would abort the upload of a worker that dies.
         .multipart_threshold_bytes = UINT64_MAX,
         .stop = &stop,
         .on_bytes = [&meter = meter](uint64_t bytes) {
           meter.bytes += static_cast<int64_t>(bytes);
         }});
  }

  // Leaves out what the target has: of one size and one ETag. An error is no harm: it is copied.
  asio::awaitable<void> LookFirst(std::vector<TaskObject>& objects) {
    // Those that are looked at anyway need no listing.
    const auto is_looked_at = [](const TaskObject& object) { return object.look != Look::kNone; };
    if (std::ranges::all_of(objects, is_looked_at)) co_return;
    auto by_name = [](const TaskObject& one, const TaskObject& two) { return one.name < two.name; };
    std::ranges::sort(objects, by_name);
    const std::string& prefix = run.target.prefix;
    std::string after = prefix + objects.front().name;
    // What comes after the key before the first one: there is no greatest such key, but this one
    // leaves little between.
    if (!after.empty()) {
      if (after.back() == '\0') {
        after.pop_back();
      } else {
        after.back() = static_cast<char>(static_cast<unsigned char>(after.back()) - 1);
        after += "\x7f";
      }
    }
    if (after < prefix) after.clear();
    std::unique_ptr<Listing> listing =
        OpenListing(runtime, *ends.target, run.target.bucket, prefix,
                    {.start_after = after, .up_to = prefix + objects.back().name});
    std::unordered_set<std::string> there;
    size_t next = 0;
    const size_t looks_max = kLooksPerObject * objects.size() + 1000;
    for (size_t looks = 0; looks < looks_max && next < objects.size() && !stop.is_set(); ++looks) {
      Result<std::optional<ListedObject>> found = co_await listing->Next();
      if (!found || !*found) break;
      const std::string_view name = std::string_view((*found)->key).substr(prefix.size());
      while (next < objects.size() && objects[next].name < name) ++next;
      if (next == objects.size() || objects[next].name != name) continue;
      if ((*found)->size_bytes == objects[next].size_bytes && !objects[next].etag.empty() &&
          (*found)->etag == objects[next].etag) {
        there.insert(objects[next].name);
      }
    }
    co_await listing->Close();
    std::erase_if(objects, [&](const TaskObject& object) {
      if (!there.contains(object.name)) return false;
      end.settled.push_back(object.name);
      ++end.task.counts.equal;
      --meter.open;
      return true;
    });
  }
};

}  // namespace

void NoteFailure(const Run& run, TaskObject object, const Error& error, SystemTime now,
                 TaskEnd& end, std::vector<TaskObject>& left, Meter& meter) {
  if (error.kind == ErrorKind::kCancelled) {
    left.push_back(std::move(object));
    return;
  }
  // What came by an event and went again is as if it had never been.
  if (IsGone(error) && object.look == Look::kEvent) return;
  if (IsGone(error)) {
    ++end.task.counts.gone;
    end.rows.push_back({.state = ObjectRow::State::kGone,
                        .object = std::move(object),
                        .reason = "it was not at the source any more",
                        .time = now});
    return;
  }
  ++meter.failures;
  ++object.tries;
  const bool hopeless = error.kind == ErrorKind::kInvalidInput;
  if (hopeless || object.tries >= run.options.tries_max) {
    ++end.task.counts.failed;
    end.rows.push_back({.object = std::move(object), .reason = error.Describe(), .time = now});
    return;
  }
  end.failed = true;
  end.task.reason = error.Describe();
  left.push_back(std::move(object));
}

asio::awaitable<TaskEnd> CopyObjects(Runtime& runtime, const Run& run, Ends ends, Task task,
                                     CopyLimits limits, Event& stop, Meter& meter) {
  TaskEnd end{.task = std::move(task)};
  std::vector<TaskObject> objects = std::move(end.task.objects);
  end.task.objects.clear();
  meter.open += static_cast<int64_t>(objects.size());
  Batch batch{.runtime = runtime,
              .run = run,
              .ends = ends,
              .limits = limits,
              .stop = stop,
              .meter = meter,
              .end = end};
  // What somebody who died has carried, or an earlier try of which nobody knows whether it came to
  // the target, may be older than what the source has become since.
  const bool carried = limits.died || (limits.look_first && run.options.events);
  for (TaskObject& object : objects) {
    if (object.look == Look::kNone && (carried || object.tries > 0)) object.look = Look::kBytes;
  }
  if (run.options.compare.update) {
    // Days may lie between the comparison and this try; what is newer by now is left alone too.
    for (TaskObject& object : objects) {
      if (object.look == Look::kNone) object.look = Look::kDoubt;
    }
  }
  if (limits.look_first) co_await batch.LookFirst(objects);
  TaskGroup group(runtime.executor);
  for (TaskObject& object : objects) {
    std::unique_ptr<Permit> permit;
    if (!stop.is_set()) {
      co_await limits.slots->Acquire();
      permit = std::make_unique<Permit>(limits.slots);
    }
    if (stop.is_set()) {
      --meter.open;
      batch.left.push_back(std::move(object));
      continue;
    }
    group.Spawn(batch.One(std::move(object), std::move(permit)));
  }
  Result<void> joined = co_await group.Join();
  static_cast<void>(joined);
  if (!batch.copied.empty()) {
    Result<bool> others = co_await limits.others();
    batch.others_were_here = !others || *others;
  }
  if (batch.others_were_here) {
    TaskGroup again(runtime.executor);
    for (Batch::Copied& one : batch.copied) {
      again.Spawn(batch.Again(std::move(one.object), one.source_modified));
    }
    joined = co_await again.Join();
    static_cast<void>(joined);
  }
  end.task.objects = std::move(batch.left);
  co_return end;
}

}  // namespace longhaul::migration
