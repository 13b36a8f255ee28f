#include "transfer/copy_tree.h"

#include <memory>

#include "transfer/listing.h"
#include "transfer/local_folder.h"

namespace longhaul {

namespace {

struct TreeCopy {
  Runtime runtime;
  TreeSource source;
  TreeTarget target;
  TreeCopyOptions options;
  TreeObserver& observer;
  TreeTotals& totals;

  Async<void> One(ListedObject object) {
    std::string target_key = target.prefix + object.key.substr(source.prefix.size());
    Result<CopyOutcome> outcome = co_await CopyObject(
        runtime,
        {.store = source.store,
         .bucket = source.bucket,
         .key = object.key,
         .listed = CopySource::Listed{.size_bytes = object.size_bytes, .etag = object.etag}},
        {.store = target.store, .bucket = target.bucket, .key = target_key}, options.copy);
    if (outcome) {
      ++totals.copied;
      totals.bytes += outcome->size_bytes;
      if (outcome->verified == Verified::kNot && !IsLocalEtag(outcome->source_etag)) {
        ++totals.not_verified;
      }
      observer.OnCopied(object, target_key, *outcome);
    } else if (options.copy.if_absent && outcome.error().kind == ErrorKind::kPrecondition) {
      ++totals.existing;
    } else {
      if (outcome.error().kind != ErrorKind::kCancelled) ++totals.failed;
      observer.OnFailed(object, target_key, outcome.error());
    }
    co_return Ok();  // One failed object does not stop the others.
  }
};

}  // namespace

Async<void> CopyTree(Runtime runtime, TreeSource source, TreeTarget target, TreeCopyOptions options,
                     TreeObserver& observer, TreeTotals& totals) {
  TreeCopy copy{runtime, source, target, options, observer, totals};
  Listing listing(runtime, source.store, source.bucket, source.prefix);
  TaskGroup group(runtime.executor);
  Event* stop = options.copy.stop;
  std::optional<Error> failure;
  while (true) {
    if (stop != nullptr && stop->is_set()) {
      failure = Cancelled("stopped on request");
      break;
    }
    Result<std::optional<ListedObject>> object = co_await listing.Next();
    if (!object) {
      failure = object.error();
      break;
    }
    if (!*object) break;
    std::string_view name = std::string_view((*object)->key).substr(source.prefix.size());
    if (!options.filter.Matches(name)) continue;
    ++totals.listed;
    observer.OnListed(**object);
    if (options.dry_run) {
      observer.OnCopied(**object, target.prefix + std::string(name),
                        {.size_bytes = (*object)->size_bytes});
      continue;
    }
    co_await group.WaitBelow(options.in_flight);
    group.Spawn(copy.One(std::move(**object)));
  }
  if (!failure) observer.OnListedAll();
  Result<void> joined = co_await group.Join();
  co_await listing.Close();
  if (failure) co_return *failure;
  co_return joined;
}

}  // namespace longhaul
