#include "transfer/tree/carry_object.h"

#include <utility>

#include "storage/makes_durable.h"
#include "transfer/local/local_folder.h"
#include "transfer/object/copy_to_move.h"
#include "transfer/object/prove_gone.h"
#include "transfer/object/relay.h"
#include "transfer/tree/plan_done.h"

namespace longhaul {

namespace {

// Whether a name holds what has that ETag; none: nothing.
Async<bool> Holds(Store& store, std::string bucket, std::string key,
                  std::optional<std::string> etag) {
  Result<ObjectInfo> now = co_await store.Head({.bucket = bucket, .key = key});
  if (now) co_return etag == now->etag;
  if (now.error().kind == ErrorKind::kNotFound) co_return !etag;
  co_return now.error();
}

constexpr int kConditionalTries = 4;
constexpr std::chrono::milliseconds kTryAgain{1'000};
constexpr std::string_view kOneObject = "OneObject";
constexpr std::string_view kNotRemoved = "CopiedNotRemoved";

// The copy has worked: no condition of its own was refused.
Error Kept(Error error) {
  if (error.kind == ErrorKind::kPrecondition && error.code != kOneObject) error.code = kNotRemoved;
  return error.In("copied, but not removed at the source");
}

// What a move has written.
struct Written {
  ObjectInfo info;
  bool may_be_source = false;  // It might be the object itself, under another name.
  bool is_file = false;        // Of a plain folder.
  UserMetadata given;          // In place of the source's.
};

std::string BackupKey(const TreeTarget& target, const TreeTarget& backup, const std::string& key) {
  return backup.prefix + key.substr(target.prefix.size());
}

// Whether something is set aside under that name already, and the target holds the copy that took
// its place: of a run that broke off, and does not know that it was made. `source`: then what it
// was is listed.
Async<bool> IsSetAside(Runtime runtime, CopySource& source, ObjectPlace there, ObjectPlace aside,
                       const CopyOptions& options) {
  Result<ObjectInfo> kept = co_await aside.store.Head({.bucket = aside.bucket, .key = aside.key});
  if (!kept && kept.error().kind == ErrorKind::kNotFound) co_return false;
  // Whoever sets aside need not be allowed to read what lies there.
  if (!kept && kept.error().kind == ErrorKind::kDenied) co_return false;
  if (!kept) co_return kept.error().In("look what is set aside");
  Result<ObjectInfo> one = co_await source.store.Head(
      {.bucket = source.bucket, .key = source.key, .version_id = source.version_id});
  if (!one) co_return one.error();
  Result<ObjectInfo> two = co_await there.store.Head({.bucket = there.bucket, .key = there.key});
  if (!two && two.error().kind == ErrorKind::kNotFound) co_return false;
  if (!two) co_return two.error();
  CopySource::Listed listed{
      .size_bytes = one->size_bytes, .etag = one->etag, .modified = one->last_modified};
  Result<bool> same = co_await IsCopyOf(runtime,
                                        {.store = source.store,
                                         .bucket = source.bucket,
                                         .key = source.key,
                                         .version_id = source.version_id},
                                        std::move(*one), there, std::move(*two), options);
  if (same && *same) source.listed = std::move(listed);
  co_return same;
}

// As RemoveIfMatch. `modified`: its LastModified, where it is known; headers and metadata change
// without the ETag. `copy`: not where it is the object itself (kPrecondition with kOneObject), nor
// where it lacks something of it.
Async<void> RemoveCopied(Store& store, std::string bucket, std::string key, std::string etag,
                         SystemTime modified, std::optional<Written> copy) {
  Result<ObjectInfo> now = co_await store.Head({.bucket = bucket, .key = key});
  if (!now) co_return now.error();
  if (copy && copy->may_be_source && MayBeOne(*now, copy->info)) {
    Error error = PreconditionFailed("source and target look like one object under two names");
    error.code = kOneObject;
    co_return error;
  }
  if (now->etag != etag) co_return PreconditionFailed(key + " has changed");
  if (modified != SystemTime{} && now->last_modified != modified) {
    co_return PreconditionFailed(key + " has been written since");
  }
  const std::string lost = copy && copy->is_file ? LostOf(copy->info, *now, copy->given) : "";
  if (!lost.empty()) co_return PreconditionFailed("the copy's file system has not kept " + lost);
  RemoveRequest request{.bucket = bucket, .key = key};
  if (store.capabilities().delete_if_match) request.if_match = etag;
  Result<void> removed = co_await store.Remove(request);
  if (!removed && removed.error().code == "NotImplemented" && !request.if_match.empty()) {
    request.if_match.clear();  // It has just been looked at.
    removed = co_await store.Remove(request);
  }
  co_return removed;
}

// Not a coroutine, as each object of a tree passes through.
Async<CopyOutcome> Carry(Runtime runtime, CopySource from, CopyTarget to, CopyOptions options,
                         bool move) {
  return move ? MoveObject(runtime, std::move(from), std::move(to), std::move(options))
              : CopyObject(runtime, std::move(from), std::move(to), std::move(options));
}

// `there` is set aside first.
Async<CopyOutcome> CarryPastBackup(Runtime runtime, CopySource from, CopyTarget to,
                                   TreeTarget target, ListedObject there, CarryOptions options) {
  const TreeTarget& backup = *options.backup;
  Result<bool> kept = co_await IsSetAside(
      runtime, from, {.store = target.store, .bucket = target.bucket, .key = there.key},
      {.store = backup.store, .bucket = backup.bucket, .key = BackupKey(target, backup, there.key)},
      options.copy);
  if (!kept) co_return kept.error();
  if (*kept) {
    // What the source becomes meanwhile would take the place of what was not set aside.
    options.copy.listed_only = true;
  } else {
    Result<void> aside = co_await SetAside(runtime, target, backup, std::move(there), options.copy);
    if (!aside) co_return aside.error();
  }
  co_return co_await Carry(runtime, std::move(from), std::move(to), std::move(options.copy),
                           options.move);
}

}  // namespace

bool MayBeOne(const ObjectInfo& one, const ObjectInfo& two) {
  return one.last_modified == two.last_modified && one.etag == two.etag &&
         one.size_bytes == two.size_bytes && one.version_id == two.version_id;
}

bool IsThereAlready(const Error& error) {
  // Another request for the name was under way, and may have been a delete.
  const bool conflict = error.http_status == 409 || IsWriteConflict(error);
  return !conflict && error.kind == ErrorKind::kPrecondition && !IsSourceChanged(error) &&
         error.code != kOneObject && error.code != kNotRemoved;
}

Async<void> RemoveIfMatch(Store& store, std::string bucket, std::string key, std::string etag) {
  co_return co_await RemoveCopied(store, std::move(bucket), std::move(key), std::move(etag),
                                  SystemTime{}, std::nullopt);
}

Async<void> SetAside(Runtime runtime, TreeTarget target, TreeTarget backup, ListedObject there,
                     CopyOptions options) {
  const std::string key = BackupKey(target, backup, there.key);
  options.if_absent = false;
  options.if_match.clear();
  options.storage_class.clear();
  options.on_bytes = nullptr;
  Result<CopyOutcome> copied = co_await CopyObject(
      runtime,
      {.store = target.store,
       .bucket = target.bucket,
       .key = there.key,
       .listed = CopySource::Listed{.size_bytes = there.size_bytes, .etag = there.etag}},
      {.store = backup.store, .bucket = backup.bucket, .key = key}, std::move(options));
  // Of what is to be replaced or removed it is all there is.
  if (copied) co_return co_await MakeDurable(backup.store, backup.bucket, key);
  // Gone meanwhile, if the target says so itself: what is "not found" may be where the copy goes.
  if (copied.error().kind == ErrorKind::kNotFound) {
    Result<void> gone = co_await ProveGone(target.store, target.bucket, there.key);
    if (gone) co_return Ok();
  }
  co_return copied.error().In("set aside what is there");
}

Async<CopyOutcome> MoveObject(Runtime runtime, CopySource source, CopyTarget target,
                              CopyOptions options) {
  // Times are told in seconds: two objects may have the same once.
  constexpr std::chrono::milliseconds kNextSecond{1'100};
  const bool same_key = source.key == target.key &&
                        (&source.store != &target.store || source.bucket != target.bucket);
  for (bool again = true;; again = false) {
    Result<CopyOutcome> outcome = co_await CopyToMove(runtime, source, target, options);
    if (!outcome) co_return again ? outcome.error() : Kept(outcome.error());
    Result<ObjectInfo> copy =
        co_await target.store.Head({.bucket = target.bucket, .key = target.key});
    if (!copy) co_return Kept(copy.error());
    const bool as_written = copy->size_bytes == outcome->size_bytes &&
                            (outcome->put.etag.empty() || copy->etag == outcome->put.etag);
    if (!as_written) co_return Kept(PreconditionFailed("the copy is not what was written"));
    Result<void> durable = co_await MakeDurable(target.store, target.bucket, target.key);
    if (!durable) co_return Kept(durable.error());
    const std::string copy_etag = copy->etag;
    Result<void> removed = co_await RemoveCopied(
        source.store, source.bucket, source.key, outcome->source_etag, outcome->source_modified,
        Written{.info = std::move(*copy),
                .may_be_source = same_key,
                .is_file = IsPlainFolder(target.store.capabilities()),
                .given = options.metadata});
    if (removed) co_return outcome;
    if (removed.error().code != kOneObject || !again) co_return Kept(removed.error());
    if (options.if_absent) {  // What was written here is all that may be replaced.
      if (!target.store.capabilities().replace_if_match) co_return Kept(removed.error());
      options.if_absent = false;
      options.if_match = copy_etag;
    }
    co_await runtime.clock.Sleep(kNextSecond);
  }
}

Async<CopyOutcome> CarryObject(Runtime runtime, TreeSource source, TreeTarget target,
                               ListedObject object, std::optional<ListedObject> there,
                               CarryOptions options) {
  CopySource from{.store = source.store,
                  .bucket = std::move(source.bucket),
                  .key = object.key,
                  .version_id = std::move(object.version_id),
                  .listed = CopySource::Listed{.size_bytes = object.size_bytes,
                                               .etag = std::move(object.etag),
                                               .modified = object.last_modified}};
  CopyTarget to{.store = target.store,
                .bucket = target.bucket,
                .key = target.prefix + object.key.substr(source.prefix.size())};
  if (options.backup && there) {
    return CarryPastBackup(runtime, std::move(from), std::move(to), std::move(target),
                           std::move(*there), std::move(options));
  }
  return Carry(runtime, std::move(from), std::move(to), std::move(options.copy), options.move);
}

Async<CopyOutcome> CarryInPlaceOf(Runtime runtime, TreeSource source, TreeTarget target,
                                  ListedObject object, std::optional<ListedObject> there,
                                  CarryOptions options, std::string since) {
  const std::string key = target.prefix + object.key.substr(source.prefix.size());
  const std::optional<std::string> etag = there ? std::optional(there->etag) : std::nullopt;
  const Error changed = PreconditionFailed("the target has changed since " + since);
  const Capabilities can = target.store.capabilities();
  options.copy.if_absent = !etag && can.create_if_absent;
  if (etag && can.replace_if_match) options.copy.if_match = *etag;
  const bool conditional = options.copy.if_absent || !options.copy.if_match.empty();
  Result<bool> holds = true;
  // Of what is new the condition alone tells, where it is known to be heeded however it is written.
  const bool proven =
      can.conditions_proven && (&source.store != &target.store || can.copy_conditions);
  if (!options.copy.if_absent || !can.complete_if_absent || !proven) {
    holds = co_await Holds(target.store, target.bucket, key, etag);
  }
  if (!holds) co_return holds.error();
  if (!*holds) co_return changed;
  Result<CopyOutcome> outcome =
      co_await CarryObject(runtime, source, target, object, there, options);
  // A store does not send a write again that has a condition: had the first one arrived, the second
  // would be refused for it. Where nothing has arrived, another one does no harm.
  for (int tries = 1; !outcome && conditional && !options.move &&
                      outcome.error().kind == ErrorKind::kRetryable && tries < kConditionalTries;
       ++tries) {
    co_await runtime.clock.Sleep(kTryAgain * tries);
    holds = co_await Holds(target.store, target.bucket, key, etag);
    if (!holds || !*holds) co_return outcome;
    outcome = co_await CarryObject(runtime, source, target, object, there, options);
  }
  if (outcome || !conditional || options.move) co_return outcome;
  const Error& error = outcome.error();
  const bool refused = error.kind == ErrorKind::kPrecondition && !IsSourceChanged(error);
  if (!refused && error.code != "NotImplemented") co_return outcome;
  // Ceph refuses each If-Match in a bucket that keeps versions.
  holds = co_await Holds(target.store, target.bucket, key, etag);
  if (!holds) co_return holds.error();
  if (!*holds) co_return changed;
  options.copy.if_absent = false;
  options.copy.if_match.clear();
  co_return co_await CarryObject(runtime, source, target, object, there, options);
}

}  // namespace longhaul
