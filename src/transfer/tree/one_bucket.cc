#include "transfer/tree/one_bucket.h"

#include <string_view>
#include <utility>

#include "transfer/tree/carry_object.h"

namespace longhaul {

namespace {

bool MayPass(const Error& error) {
  return error.Transient() || error.kind == ErrorKind::kCancelled;
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

Async<bool> ShowsProbe(Runtime runtime, TreeTarget at, LookForProbe look) {
  const std::string name = ProbeName(runtime);
  const std::string key = at.prefix + name;
  MemorySource nothing(std::string_view{});
  Result<PutResult> put = co_await at.store.Put({.bucket = at.bucket, .key = key}, nothing);
  Error unknown;
  if (!put) unknown = put.error().In("make sure that source and target are two places");
  // To remove what is not there would leave a marker where versions are kept.
  if (!put && !MayPass(put.error())) co_return unknown;
  Result<bool> seen = false;
  if (put) seen = co_await look(name);
  const std::string version_id = put ? put->version_id : "";
  Result<void> removed =
      co_await at.store.Remove({.bucket = at.bucket, .key = key, .version_id = version_id});
  if (!removed && !version_id.empty()) {
    removed = co_await at.store.Remove({.bucket = at.bucket, .key = key});
  }
  if (!removed && put) {
    runtime.log.Warning("a probe is left behind", {{"key", key}, removed.error()});
  }
  if (!put) co_return unknown;
  co_return seen;
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
  co_return co_await ShowsProbe(
      runtime, target, [source, prefix = target.prefix](std::string name) -> Async<bool> {
        Result<std::optional<ObjectInfo>> seen =
            co_await InfoIfAny(source.store, source.bucket, prefix + name);
        if (!seen) co_return seen.error();
        co_return seen->has_value();
      });
}

}  // namespace longhaul
