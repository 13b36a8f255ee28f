#include "cli/transfer_ends.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "storage/s3_bucket_name.h"
#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {

bool IsLocal(const OpenedAddress& end) { return end.address.kind == CommandAddress::Kind::kLocal; }

std::string PathOf(const OpenedAddress& end) { return end.address.bucket + end.address.key; }

// What an end is in the file system; "": nothing there.
std::string FileOf(const OpenedAddress& end, const std::string& key) {
  if (!IsLocal(end) && end.root.empty()) return "";
  const std::string path =
      IsLocal(end) ? end.address.bucket + key : end.root + "/" + end.address.bucket + "/" + key;
  std::error_code ignored;
  // Absolute first: what is not there yet has no canonical name else.
  const std::filesystem::path whole = std::filesystem::absolute(path, ignored);
  std::string text = std::filesystem::weakly_canonical(whole, ignored).string();
  return text.ends_with('/') ? text : text + "/";
}

// What `file` is called in `folder`; nullopt: it is not in it. Both end in '/'.
std::optional<std::string> BelowFolder(const std::string& file, const std::string& folder) {
  if (file.starts_with(folder)) return file.substr(folder.size());
  // Another mount, or on a disk that does not tell capitals from small letters.
  struct stat wanted{};
  if (::stat(folder.c_str(), &wanted) != 0) return std::nullopt;
  for (size_t end = file.size(); end > 1; end = file.rfind('/', end - 2) + 1) {
    struct stat status{};
    if (::stat(file.substr(0, end).c_str(), &status) != 0) continue;  // Not yet.
    if (status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino) return file.substr(end);
  }
  return std::nullopt;
}

}  // namespace

bool IsSameObject(const OpenedAddress& one, const std::string& one_key, const OpenedAddress& two,
                  const std::string& two_key) {
  const std::string file = FileOf(one, one_key);
  if (!file.empty()) return file == FileOf(two, two_key);
  return one.place == two.place && one.address.bucket == two.address.bucket && one_key == two_key &&
         FileOf(two, two_key).empty();
}

std::string LastingPlace(const OpenedAddress& end) {
  const std::string file = FileOf(end, end.address.key);
  return file.empty() ? end.place : "folder " + file;
}

Result<void> CheckNotInUse(RunContext& context, const OpenedAddress& end, Use use) {
  if (context.configuration() == nullptr) return Ok();
  const std::string below = end.address.bucket + "/" + end.address.key;
  const std::string file = FileOf(end, end.address.key);
  const KeySpace space = IsLocal(end) ? KeySpace{.place = "file", .path = file}
                         : end.root.empty()
                             ? KeySpace{.place = end.place, .path = below}
                             : KeySpace{.place = "file", .path = PathBelow(end.root, below)};
  const std::optional<std::string> taken =
      FindInUse(*context.configuration(), space, use,
                [&context](const StoreSettings& store) { return PlaceOfNamed(context, store); });
  if (!taken) return Ok();
  return InvalidInput("'" + end.address.text + "' overlaps " + *taken +
                      ": give a bucket or a prefix that no rule uses");
}

std::string FolderPathOf(const OpenedAddress& end) { return FileOf(end, end.address.key); }

bool LiesIn(const OpenedAddress& inner, const OpenedAddress& outer) {
  const std::string file = FolderPathOf(inner);
  const std::string folder = FolderPathOf(outer);
  if (file.empty() != folder.empty()) return false;
  if (!file.empty()) return BelowFolder(file, folder).has_value();
  return inner.place == outer.place && inner.address.bucket == outer.address.bucket &&
         inner.address.key.starts_with(outer.address.key);
}

std::function<bool(std::string_view name)> LandsIn(const OpenedAddress& source,
                                                   const OpenedAddress& target) {
  if (LiesIn(target, source)) return [](std::string_view) { return true; };
  if (!LiesIn(source, target)) return {};
  const std::string folder = FolderPathOf(target);
  std::string inside;  // Of the target: where the source begins.
  if (folder.empty()) {
    inside = source.address.key.substr(target.address.key.size());
  } else {
    inside = BelowFolder(FolderPathOf(source), folder).value_or("");
  }
  return [inside = std::move(inside)](std::string_view name) { return name.starts_with(inside); };
}

bool IsMissingFolder(const OpenedAddress& end) {
  std::error_code ignored;
  return IsLocal(end) && !std::filesystem::is_directory(PathOf(end), ignored);
}

bool IsMissing(const OpenedAddress& end) {
  std::error_code ignored;
  return IsLocal(end) && !std::filesystem::exists(PathOf(end), ignored);
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
  return CheckNotIntoItself(source, target);
}

Result<void> CheckNotIntoItself(const OpenedAddress& source, const OpenedAddress& target) {
  if (!LiesIn(target, source)) return Ok();
  return InvalidInput("'" + target.address.text + "' lies in '" + source.address.text +
                      "': the copy would copy itself");
}

Async<void> CheckKeepsVersions(OpenedAddress source) {
  const Error none = InvalidInput("--at: '" + source.address.text +
                                  "' keeps no versions, so what has been overwritten or deleted "
                                  "since is not known");
  if (!source.store->capabilities().versions) co_return none;
  Result<bool> kept = co_await source.store->GetVersioning(source.address.bucket);
  if (kept && !*kept) co_return none;
  // Who may not ask may list versions all the same.
  if (!kept && kept.error().kind != ErrorKind::kDenied) {
    co_return kept.error().In("--at: " + source.address.text);
  }
  co_return Ok();
}

Result<void> CheckHasVersions(const OpenedAddress& end) {
  if (end.store->capabilities().versions) return Ok();
  return InvalidInput("--versions: '" + end.address.text + "' is at a store that has no versions");
}

Result<void> CheckTakesEncryption(const RunContext& context, const OpenedAddress& target) {
  if (!IsLocal(target) && target.root.empty()) return Ok();
  for (const std::string_view name : {"sse", "kms-key-id", "acl"}) {
    const GivenWords::Option* given = context.flags().given.Find(name);
    if (given == nullptr || given->of_environment) continue;
    return InvalidInput("--" + std::string(name) + ": '" + target.address.text +
                        "' is a folder, which " +
                        (name == "acl" ? "has no ACLs" : "encrypts nothing"));
  }
  return Ok();
}

Result<void> CheckTakesClass(const Store& store, const std::string& bucket,
                             const std::string& storage_class, const std::string& flag) {
  const std::string_view only = IsDirectoryBucket(bucket) ? "EXPRESS_ONEZONE" : "STANDARD";
  if (store.capabilities().storage_classes || storage_class.empty() || storage_class == only) {
    return Ok();
  }
  return InvalidInput(flag + " " + storage_class + ": " + bucket + " is at " + store.description() +
                      ", which has no storage classes: leave it out");
}

Result<void> CheckTakesClass(const RunContext& context, const OpenedAddress& target) {
  const GivenWords::Option* given = context.flags().given.Find("storage-class");
  if (given == nullptr || given->of_environment) return Ok();
  if (IsLocal(target)) {
    if (given->value.empty() || given->value == "STANDARD") return Ok();
    return InvalidInput("--storage-class " + given->value + ": '" + target.address.text +
                        "' is a folder, which has no storage classes: leave it out");
  }
  return CheckTakesClass(*target.store, target.address.bucket, given->value, "--storage-class");
}

std::function<bool(const std::string& name)> BehindLinks(const OpenedAddress& source) {
  const std::string folder = FileOf(source, source.address.key);
  if (folder.empty()) return {};
  return [folder](const std::string& name) {
    size_t end = 0;
    for (size_t from = 0; end != std::string::npos; from = end + 1) {
      end = name.find('/', from);
      const std::filesystem::path path(folder + name.substr(0, end));
      std::error_code ignored;
      if (!std::filesystem::is_symlink(path, ignored)) continue;
      if (!std::filesystem::is_regular_file(path, ignored)) return true;
    }
    return false;
  };
}

Result<BackupEnd> OpenBackup(StoreOpener& opener, LimitedStores& limited, const std::string& text,
                             const OpenedAddress& source, const OpenedAddress& target,
                             const TruePlaces& places) {
  Result<OpenedAddress> backup = opener.Open(text, StoreEnd::kTarget);
  if (!backup) return backup.error();
  if (backup->address.bucket.empty()) return InvalidInput("'" + text + "' names no bucket");
  if (!backup->address.folder()) backup->address.key += '/';
  if (backup->store != target.store) {
    return InvalidInput("--backup-dir '" + text + "' has to be at the store of the target");
  }
  const OpenedAddress aside = places.Of(*backup);
  for (const OpenedAddress& end : {places.Of(source), places.Of(target)}) {
    if (LiesIn(aside, end) || LiesIn(end, aside)) {
      return InvalidInput("--backup-dir '" + text + "' and '" + end.address.text +
                          "' lie in one another");
    }
  }
  limited.Wrap(*backup);
  return BackupEnd{.tree = {.store = *backup->store,
                            .bucket = backup->address.bucket,
                            .prefix = backup->address.key},
                   .place = LastingPlace(*backup)};
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
