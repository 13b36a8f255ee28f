#include "transfer/tree/may_remove_at.h"

#include <chrono>
#include <utility>

#include "transfer/local/local_folder.h"

namespace longhaul {

namespace {

// Files have no ETag of their bytes, and the time of what they were copied from.
bool IsSame(const ListedObject& version, const ListedObject& there) {
  if (version.is_delete_marker || version.size_bytes != there.size_bytes) return false;
  if (!IsLocalEtag(there.etag)) return version.etag == there.etag;
  return std::chrono::floor<std::chrono::seconds>(version.last_modified) ==
         std::chrono::floor<std::chrono::seconds>(there.last_modified);
}

}  // namespace

Async<void> MayRemoveAt(Store& source, std::string bucket, std::string key, SystemTime time,
                        ListedObject there) {
  ListRequest request{.bucket = std::move(bucket), .prefix = key, .versions = true};
  bool younger = false;
  bool others = false;
  do {
    Result<ListPage> page = co_await source.List(request);
    if (!page) co_return page.error().In("look at its versions at the source");
    for (const ListedObject& version : page->objects) {
      if (version.key != key) {
        others = true;
        continue;
      }
      if (version.last_modified <= time || IsSame(version, there)) co_return Ok();
      younger = true;
    }
    request.token = page->next_token;
    // Of all that begin so the key itself comes first.
  } while (!request.token.empty() && !(others && source.capabilities().sorted_listing));
  if (!younger) co_return Ok();
  co_return PreconditionFailed(
      "not removed: at the source all that is left of it is younger than the time of --at, and "
      "the copy is none of that; the state of then may have expired");
}

}  // namespace longhaul
