#include "storage/file_bucket.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "base/directory_reader.h"
#include "storage/file_listing.h"
#include "storage/file_names.h"

namespace longhaul {
namespace {

Error NotEmpty(const FileTree& tree) {
  Error full = PreconditionFailed("the bucket is not empty: " + tree.bucket_path());
  full.code = "BucketNotEmpty";
  return full;
}

struct Name {
  std::string name;
  bool is_folder = false;
};

Result<std::vector<Name>> NamesIn(const Fd& folder) {
  DirectoryReader reader(folder.get());
  std::vector<Name> names;
  while (const dirent* entry = reader.Next()) {
    names.push_back({entry->d_name, reader.TypeOf(*entry) == DT_DIR});
  }
  if (reader.error() != 0) return FileError(reader.error(), "read folder");
  return names;
}

// 0, or the error number.
int RemoveName(const Fd& folder, const Name& name) {
  int flags = name.is_folder ? AT_REMOVEDIR : 0;
  bool gone = ::unlinkat(folder.get(), name.name.c_str(), flags) == 0 || errno == ENOENT;
  return gone ? 0 : errno;
}

Result<void> RemoveFolder(const FileTree& tree, const Fd& above, const Name& name) {
  int failed = RemoveName(above, name);
  if (failed == 0) return Ok();
  if (failed == ENOTEMPTY || failed == EEXIST) return NotEmpty(tree);
  return FileError(failed, "remove folder " + name.name);
}

// Removes the folders in `folder`, which may hold folders alone; of the bucket all but our own.
Result<void> RemoveFolders(const FileTree& tree, const Fd& folder, bool is_bucket) {
  Result<std::vector<Name>> names = NamesIn(folder);
  if (!names) return names.error();
  for (const Name& name : *names) {
    if (is_bucket && name.name == kFilePrivateFolder) continue;
    if (!name.is_folder) return NotEmpty(tree);
    Fd below(::openat(folder.get(), name.name.c_str(), kFolderFlags));
    if (!below.valid()) return FileError(errno, "open folder " + name.name);
    Result<void> removed = RemoveFolders(tree, below, false);
    if (removed) removed = RemoveFolder(tree, folder, name);
    if (!removed) return removed;
  }
  return Ok();
}

// Removes what is in a folder of longhaul's own, but for `spared`.
Result<void> RemoveOwn(const FileTree& tree, const Fd& folder, std::string_view spared = "") {
  Result<std::vector<Name>> names = NamesIn(folder);
  if (!names) return names.error();
  for (const Name& name : *names) {
    if (name.name == spared) continue;
    if (name.is_folder) {
      Fd below(::openat(folder.get(), name.name.c_str(), kFolderFlags));
      if (!below.valid()) return FileError(errno, "open folder " + name.name);
      Result<void> removed = RemoveOwn(tree, below);
      if (removed) removed = RemoveFolder(tree, folder, name);
      if (!removed) return removed;
    } else if (int failed = RemoveName(folder, name); failed != 0) {
      return FileError(failed, "remove " + name.name);
    }
  }
  return Ok();
}

}  // namespace

Result<void> RemoveFileBucket(const FileTree& tree) {
  Result<bool> empty = IsEmptyBucket(tree);
  if (!empty) return empty.error();
  if (!*empty) return NotEmpty(tree);
  Result<std::vector<Fd>> locks = tree.LockAll();
  if (!locks) return locks.error();
  Fd bucket(::openat(tree.bucket_fd(), ".", kFolderFlags));
  if (!bucket.valid()) return FileError(errno, "open " + tree.bucket_path());
  Result<void> removed = RemoveFolders(tree, bucket, true);
  if (!removed) return removed;
  // There was no object, and none comes while the locks are there: so they go last, and from then
  // on nothing is removed but empty folders.
  Result<Fd> own = tree.PrivateFolder("");
  if (!own) return own.error();
  removed = RemoveOwn(tree, *own, kFileLockFolder);
  if (!removed) return removed;
  Result<Fd> folder = tree.PrivateFolder(std::string(kFileLockFolder));
  if (!folder) return folder.error();
  removed = RemoveOwn(tree, *folder);
  if (removed) removed = RemoveFolder(tree, *own, {std::string(kFileLockFolder), true});
  if (removed) removed = RemoveFolder(tree, bucket, {std::string(kFilePrivateFolder), true});
  if (!removed) return removed;
  if (::rmdir(tree.bucket_path().c_str()) == 0 || errno == ENOENT) return Ok();
  if (errno == ENOTEMPTY || errno == EEXIST) return NotEmpty(tree);
  return FileError(errno, "remove " + tree.bucket_path());
}

}  // namespace longhaul
