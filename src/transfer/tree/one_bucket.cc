#include "transfer/tree/one_bucket.h"

#include <string_view>
#include <utility>

#include "transfer/tree/carry_object.h"

namespace longhaul {

namespace {

bool MayPass(const Error& error) {
  return error.Transient() || error.kind == ErrorKind::kCancelled;
}

// Whether an object that appears at the target does so at the source.
Async<bool> ShowsAnother(Runtime runtime, TreeSource source, TreeTarget target) {
  const std::string key = target.prefix + ProbeName(runtime);
  MemorySource nothing(std::string_view{});
  Result<PutResult> put = co_await target.store.Put({.bucket = target.bucket, .key = key}, nothing);
  if (!put) {
    if (MayPass(put.error())) co_return put.error();
    co_return true;  // Who may not write there loses little by a refusal.
  }
  Result<std::optional<ObjectInfo>> seen = co_await InfoIfAny(source.store, source.bucket, key);
  Result<void> removed = co_await target.store.Remove(
      {.bucket = target.bucket, .key = key, .version_id = put->version_id});
  if (!seen) co_return seen.error();
  if (!removed) co_return removed.error().In("remove " + key);
  co_return seen->has_value();
}

}  // namespace

std::string ProbeName(const Runtime& runtime) {
  return "longhaul-probe-" + NewUlid(runtime.clock.Now(), runtime.random);
}

Async<std::optional<ObjectInfo>> InfoIfAny(Store& store, std::string bucket, std::string key) {
  Result<ObjectInfo> info =
      co_await store.Head({.bucket = std::move(bucket), .key = std::move(key)});
  if (info) co_return std::optional(std::move(*info));
  if (MayPass(info.error())) co_return info.error();
  co_return std::nullopt;
}

Async<bool> AreOneBucket(Runtime runtime, TreeSource source, TreeTarget target) {
  Result<ListPage> page = co_await source.store.List(
      {.bucket = source.bucket, .prefix = source.prefix, .count_max = 1});
  // Whoever lists it next says what is wrong.
  if (!page || page->objects.empty()) co_return false;
  const std::string key = page->objects.front().key;
  Result<std::optional<ObjectInfo>> there = co_await InfoIfAny(target.store, target.bucket, key);
  if (!there) co_return there.error();
  if (!*there) co_return false;
  Result<std::optional<ObjectInfo>> here = co_await InfoIfAny(source.store, source.bucket, key);
  if (!here) co_return here.error();
  if (!*here || !MayBeOne(**here, **there)) co_return false;
  co_return co_await ShowsAnother(runtime, source, target);
}

}  // namespace longhaul
