#include "transfer/object/object_tags.h"

#include <utility>

#include "storage/is_gone.h"

namespace longhaul {

Async<FoundTags> FindTags(Store& store, std::string bucket, std::string key, std::string version_id,
                          int told) {
  if (told == 0 && !store.capabilities().tags) co_return FoundTags();
  Result<Tags> tags =
      co_await store.GetTags(std::move(bucket), std::move(key), std::move(version_id));
  if (tags) co_return FoundTags{.tags = std::move(*tags)};
  const std::string& code = tags.error().code;
  if (told == 0 && code == "NotImplemented") co_return FoundTags();
  // Not whatever else is kDenied: keys that have expired since are no word on tags.
  if (told == 0 && code == "AccessDenied") co_return FoundTags{.denied = tags.error()};
  co_return tags.error();
}

Async<void> SetMissingTags(UploadedObject object) {
  if (object.tags.empty()) co_return Ok();
  Result<FoundTags> there =
      co_await FindTags(object.store, object.bucket, object.key, "", /*told=*/0);
  if (!there && there.error().kind == ErrorKind::kNotFound) co_return Ok();
  if (!there) co_return there.error();
  if (there->denied) co_return *there->denied;
  if (!object.store.capabilities().tags || there->tags == object.tags) co_return Ok();
  co_return co_await SetTags(std::move(object));
}

// Tags are written without a condition: never where another object is seen.
Async<void> SetTags(UploadedObject object) {
  Result<ObjectInfo> now = co_await object.store.Head({.bucket = object.bucket, .key = object.key});
  if (!now && now.error().kind == ErrorKind::kNotFound) co_return Ok();
  if (!now) co_return now.error();
  if (!object.etag.empty() && now->etag != object.etag) co_return Ok();
  Result<void> tagged =
      co_await object.store.PutTags(object.bucket, object.key, std::move(object.tags));
  if (!tagged && (IsGone(tagged.error()) || tagged.error().code == "NotImplemented")) {
    co_return Ok();
  }
  co_return tagged;
}

}  // namespace longhaul
