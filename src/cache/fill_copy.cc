#include "cache/fill_copy.h"

#include <algorithm>
#include <utility>

#include "cache/decide.h"
#include "storage/is_gone.h"

namespace longhaul::cache {

namespace {

// As long as the reference keeps the rows of runs that failed.
constexpr std::chrono::hours kFailureKept{2};

// What a session that died had taken may have arrived. For a forced run, and where an earlier
// copy may lie there still, only what is younger than the claim counts: LastModified has whole
// seconds, so at times one is copied once more.
Async<std::optional<ObjectInfo>> LookAtCopy(const FillRequest& request, const FillTask& task,
                                            std::string target_key) {
  Result<ObjectInfo> found =
      co_await request.target.Head({.bucket = request.bucket, .key = std::move(target_key)});
  if (!found) co_return found.error();
  // Where a claim before that one left a copy, it may be of the source with other headers.
  const bool of_one = !request.force && task.claim.filled == SystemTime{} &&
                      task.claim.unfinished >= *task.looks_from;
  const bool same = found->etag == task.key.etag && found->size_bytes == task.key.size_bytes &&
                    (of_one || found->last_modified > *task.looks_from);
  if (!same) co_return std::optional<ObjectInfo>();
  co_return std::optional(std::move(*found));
}

// What this run has put there while somebody else had the key is removed like any other copy, if it
// is what lies there.
asio::awaitable<void> LookAtOwn(const FillRequest& request, FillTask& task,
                                std::string target_key) {
  Result<ObjectInfo> found =
      co_await request.target.Head({.bucket = request.bucket, .key = std::move(target_key)});
  if (!found || found->etag != task.key.put_etag) co_return;
  task.claim.cached_etag = found->etag;
  task.claim.filled = found->last_modified;
}

}  // namespace

SystemTime ModifiedOf(const CopyOutcome& copied, std::string_view listed_etag, SystemTime listed) {
  if (copied.source_modified != SystemTime{}) return copied.source_modified;
  return copied.source_etag == listed_etag ? listed : SystemTime{};
}

Async<Outcome> CopyClaimed(Runtime runtime, const FillRequest& request, const FillOptions& options,
                           FillTask& task) {
  const std::string target_key = request.target_prefix + task.key.key;
  if (task.looks_from) {
    Result<std::optional<ObjectInfo>> found = co_await LookAtCopy(request, task, target_key);
    if (found && *found) {
      task.claim.cached_etag = (*found)->etag;
      co_return Outcome::kFound;
    }
  }
  Result<CopyOutcome> copied = co_await CopyObject(
      runtime,
      {.store = request.source,
       .bucket = request.source_bucket,
       .key = task.key.key,
       .listed = CopySource::Listed{.size_bytes = task.key.size_bytes,
                                    .etag = task.key.etag,
                                    .modified = task.key.modified}},
      {.store = request.target, .bucket = request.bucket, .key = target_key},
      {.keep_storage_class = false, .uploads = options.uploads, .stop = options.stop});
  if (copied) {
    task.claim.modified = ModifiedOf(*copied, task.key.etag, task.claim.modified);
    task.claim.etag = copied->source_etag;
    task.claim.cached_etag = copied->put.etag;
    task.claim.size_bytes = copied->size_bytes;
    co_return Outcome::kCopied;
  }
  const Error& error = copied.error();
  if (error.kind == ErrorKind::kCancelled) co_return error;
  if (IsGone(error)) {
    if (!task.key.put_etag.empty()) co_await LookAtOwn(request, task, target_key);
    co_return Outcome::kGone;
  }
  task.claim.reason = error.Describe();
  co_return Outcome::kFailed;
}

FillEnding EndingOf(FillTask task, Outcome outcome, SystemTime now, std::chrono::seconds ttl) {
  FillEnding ending{.outcome = outcome};
  Entry entry = task.claim;
  entry.session.clear();
  entry.used = now;
  if (outcome == Outcome::kFailed) {
    entry.state = EntryState::kFailed;
    entry.until = std::max(entry.until, now + kFailureKept);
    ending.entry = std::move(entry);
  } else if (outcome == Outcome::kGone) {
    // Of an earlier copy that lies there, or may, the row must stay.
    if (entry.filled != SystemTime{} || entry.unfinished != SystemTime{}) {
      entry.state = EntryState::kFailed;
      entry.reason = "it is not at the source any more";
      entry.until = now;
      ending.entry = std::move(entry);
    }
  } else {
    entry = Filled(std::move(entry), now);
    entry.until = std::max(entry.until, now + ttl);
    ending.entry = std::move(entry);
  }
  ending.task = std::move(task);
  return ending;
}

}  // namespace longhaul::cache
