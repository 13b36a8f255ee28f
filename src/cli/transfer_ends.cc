#include "cli/transfer_ends.h"

#include <filesystem>
#include <system_error>

#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {

bool IsLocal(const OpenedAddress& end) { return end.address.kind == CommandAddress::Kind::kLocal; }

std::string PathOf(const OpenedAddress& end) { return end.address.bucket + end.address.key; }

}  // namespace

bool LiesIn(const OpenedAddress& inner, const OpenedAddress& outer) {
  if (inner.store != outer.store) return false;
  if (!IsLocal(inner)) {
    return inner.address.bucket == outer.address.bucket &&
           inner.address.key.starts_with(outer.address.key);
  }
  auto path = [](const OpenedAddress& end) {
    std::error_code ignored;
    std::string text = std::filesystem::weakly_canonical(PathOf(end), ignored).string();
    return text.ends_with('/') ? text : text + "/";
  };
  return path(inner).starts_with(path(outer));
}

bool IsMissingFolder(const OpenedAddress& end) {
  std::error_code ignored;
  return IsLocal(end) && !std::filesystem::is_directory(PathOf(end), ignored);
}

Result<void> PrepareEnds(OpenedAddress& source, OpenedAddress& target) {
  for (OpenedAddress* end : {&source, &target}) {
    if (end->address.bucket.empty()) {
      return InvalidInput("'" + end->address.text + "' names no bucket");
    }
    if (!end->address.folder()) end->address.key += '/';
  }
  if (IsMissingFolder(source)) {
    std::error_code ignored;
    std::string path = PathOf(source);
    path.pop_back();
    if (std::filesystem::exists(path, ignored)) {
      return InvalidInput("'" + source.address.text + "' is a file: copy it with cp alone");
    }
    return NotFound("there is no folder '" + source.address.text + "'");
  }
  if (LiesIn(target, source)) {
    return InvalidInput("'" + target.address.text + "' lies in '" + source.address.text +
                        "': the copy would copy itself");
  }
  return Ok();
}

Result<TreeTarget> OpenBackup(StoreOpener& opener, LimitedStores& limited, const std::string& text,
                              const OpenedAddress& source, const OpenedAddress& target) {
  Result<OpenedAddress> backup = opener.Open(text, StoreEnd::kTarget);
  if (!backup) return backup.error();
  if (backup->address.bucket.empty()) return InvalidInput("'" + text + "' names no bucket");
  if (!backup->address.folder()) backup->address.key += '/';
  if (backup->store != target.store) {
    return InvalidInput("--backup-dir '" + text + "' has to be at the store of the target");
  }
  for (const OpenedAddress* end : {&source, &target}) {
    if (LiesIn(*backup, *end) || LiesIn(*end, *backup)) {
      return InvalidInput("--backup-dir '" + text + "' and '" + end->address.text +
                          "' lie in one another");
    }
  }
  limited.Wrap(*backup);
  return TreeTarget{
      .store = *backup->store, .bucket = backup->address.bucket, .prefix = backup->address.key};
}

Async<bool> IsTargetDenied(OpenedAddress target) {
  if (IsLocal(target)) co_return false;
  Result<ListPage> page = co_await target.store->List(
      {.bucket = target.address.bucket, .prefix = target.address.key, .count_max = 1});
  if (page) co_return false;
  const Error& error = page.error();
  if (IsStoreWide(error) || error.Transient() || error.kind == ErrorKind::kCancelled) {
    co_return error.In(target.address.text);
  }
  co_return error.kind == ErrorKind::kDenied;  // Others: a server that cannot list like this.
}

}  // namespace longhaul
