#include "transfer/object/object_tags.h"

#include <utility>

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

}  // namespace longhaul
