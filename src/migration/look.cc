#include "migration/look.h"

#include <utility>

#include "transfer/object/prove_gone.h"
#include "transfer/tree/decide.h"
#include "transfer/tree/same_bytes.h"
#include "transfer/tree/store_wide.h"

namespace longhaul::migration {

namespace {

ListedObject AsListed(const std::string& name, const ObjectInfo& info) {
  return {.key = name,
          .size_bytes = info.size_bytes,
          .etag = info.etag,
          .storage_class = info.storage_class,
          .last_modified = info.last_modified};
}

// What belongs to two objects of the same bytes.
Async<bool> SameDescription(ObjectPlace source, const ObjectInfo& here, ObjectPlace target,
                            const ObjectInfo& there) {
  if (here.headers != there.headers || here.metadata != there.metadata) co_return false;
  if (!source.store.capabilities().tags || !target.store.capabilities().tags) co_return true;
  Result<Tags> tags = co_await source.store.GetTags(source.bucket, source.key, "");
  if (!tags) co_return tags.error();
  Result<Tags> copied = co_await target.store.GetTags(target.bucket, target.key, "");
  if (!copied) co_return copied.error();
  co_return *tags == *copied;
}

}  // namespace

Async<Looked> LookAtBoth(Runtime& runtime, const Run& run, Ends ends, TaskObject object,
                         bool written) {
  const ObjectPlace source{*ends.source, run.source.bucket, run.source.prefix + object.name};
  const ObjectPlace target{*ends.target, run.target.bucket, run.target.prefix + object.name};
  Result<ObjectInfo> here =
      co_await source.store.Head({.bucket = source.bucket, .key = source.key});
  if (!here) {
    if (here.error().kind != ErrorKind::kNotFound) co_return here.error();
    Result<void> gone = co_await ProveGone(source.store, source.bucket, source.key);
    if (!gone) co_return gone.error();
    co_return NotFound("it is not at the source any more", "NoSuchKey");
  }
  Looked looked{
      .size_bytes = here->size_bytes, .etag = here->etag, .last_modified = here->last_modified};
  const ListedObject source_now = AsListed(object.name, *here);
  if (object.look == Look::kEvent && !run.options.filter.Matches(object.name, source_now)) {
    looked.kind = Looked::Kind::kLeftOut;
    co_return looked;
  }
  Result<ObjectInfo> there =
      co_await target.store.Head({.bucket = target.bucket, .key = target.key});
  if (!there && there.error().kind == ErrorKind::kNotFound) co_return looked;
  // By their times it is there, and who copies need not be allowed to read. With `update` nobody
  // has said so: each object is in doubt, and what is newer at the target is for the target to say.
  if (!there && there.error().kind == ErrorKind::kDenied && object.look == Look::kDoubt &&
      !run.options.compare.update && !IsStoreWide(there.error())) {
    looked.kind = Looked::Kind::kSame;
    co_return looked;
  }
  if (!there) co_return there.error().In("target");

  CompareRules rules = run.options.compare;
  if (object.look == Look::kBytes || object.look == Look::kEvent || run.options.events) {
    rules.checksum = true;
  }
  // By it finders choose. What has been chosen may be there in an older state of the same size.
  if (object.look != Look::kNone) rules.size_only = false;
  if (written) rules.update = false;
  const ListedObject target_now = AsListed(object.name, *there);
  Decision decision = Decide(source_now, &target_now, rules);
  if (decision.verdict == SyncVerdict::kLook) {
    Result<SameBytes> told = co_await CompareBytes(runtime, source, *here, target, *there, false);
    if (!told) co_return told.error();
    // Times say that it is there, and ETags that look like MD5s, and are none, say nothing.
    const bool by_time = *told == SameBytes::kUnknown && !rules.checksum;
    decision = DecideByBytes(by_time || *told != SameBytes::kUnknown,
                             by_time || *told == SameBytes::kSame, rules);
    const bool all = object.look == Look::kEvent || (written && run.options.events);
    if (all && decision.verdict == SyncVerdict::kSkip) {
      Result<bool> same = co_await SameDescription(source, *here, target, *there);
      if (!same) co_return same.error();
      if (!*same) co_return looked;
    }
  }
  if (decision.verdict == SyncVerdict::kSkip) looked.kind = Looked::Kind::kSame;
  co_return looked;
}

Async<bool> IsStillSo(const Run& run, Ends ends, std::string name, Looked copied) {
  const std::string key = run.source.prefix + name;
  Result<ObjectInfo> now = co_await ends.source->Head({.bucket = run.source.bucket, .key = key});
  // A run deletes nothing: what came after the delete has an event of its own.
  if (!now && now.error().kind == ErrorKind::kNotFound) co_return true;
  if (!now) co_return now.error().In("look at the source again");
  const bool same_time =
      copied.last_modified == SystemTime{} || now->last_modified == copied.last_modified;
  co_return now->etag == copied.etag && now->size_bytes == copied.size_bytes&& same_time;
}

}  // namespace longhaul::migration
