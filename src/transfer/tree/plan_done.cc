#include "transfer/tree/plan_done.h"

#include <utility>

#include "transfer/local/local_folder.h"
#include "transfer/object/object_tags.h"

namespace longhaul {

namespace {

std::string PlainClass(const std::string& name) { return name == "STANDARD" ? "" : name; }

bool LooksAlike(const ObjectInfo& source, const ObjectInfo& target, const Capabilities& can,
                const CopyOptions& options) {
  SystemHeaders have = target.headers;
  // Stores give those that were not sent a default.
  if (source.headers.content_type.empty()) have.content_type.clear();
  UserMetadata wanted = source.metadata;
  for (const auto& [name, value] : options.metadata) wanted[name] = value;
  const std::string& storage_class = options.storage_class.empty() && options.keep_storage_class
                                         ? source.storage_class
                                         : options.storage_class;
  const bool class_told = can.storage_classes && !storage_class.empty();
  return have == source.headers && target.metadata == wanted &&
         (!class_told || PlainClass(target.storage_class) == PlainClass(storage_class));
}

}  // namespace

Async<bool> IsCopyOf(Runtime runtime, ObjectPlace source, ObjectInfo source_info,
                     ObjectPlace target, ObjectInfo target_info, const CopyOptions& options) {
  if (source_info.size_bytes != target_info.size_bytes) co_return false;
  const Capabilities can = target.store.capabilities();
  if (!IsPlainFolder(can)) {
    if (!LooksAlike(source_info, target_info, can, options)) co_return false;
    if (can.tags) {
      Result<FoundTags> wanted = co_await FindTags(source.store, source.bucket, source.key,
                                                   source.version_id, source_info.tag_count);
      if (!wanted) co_return wanted.error();
      Result<FoundTags> have =
          co_await FindTags(target.store, target.bucket, target.key, "", target_info.tag_count);
      if (!have) co_return have.error();
      if (have->tags != wanted->tags) {
        if (wanted->denied) co_return *wanted->denied;
        if (have->denied) co_return *have->denied;
        co_return false;
      }
    }
  }
  Result<SameBytes> same = co_await CompareBytes(runtime, source, source_info, target, target_info,
                                                 /*download=*/true);
  if (!same) co_return same.error();
  co_return *same == SameBytes::kSame;
}

}  // namespace longhaul
