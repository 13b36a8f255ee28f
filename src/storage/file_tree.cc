#include "storage/file_tree.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/directory_reader.h"
#include "storage/file_names.h"

namespace longhaul {
namespace {

constexpr mode_t kFolderMode = 0777;  // Less the umask.
// A writer makes a folder that a remover takes away before the file is in it: so often it tries.
constexpr int kPlaceAttemptsMax = 100;
constexpr time_t kLeftOverSeconds = 24 * 3600;

// Splits "a/b/c" into the folder "a/b" and the name "c".
std::pair<std::string_view, std::string> SplitLast(std::string_view path) {
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {{}, std::string(path)};
  return {path.substr(0, slash), std::string(path.substr(slash + 1))};
}

// Makes each folder of `path` that is not there, and opens the last.
Fd MakeFolderPath(int folder, std::string_view path) {
  Fd current(::openat(folder, ".", kFolderFlags));
  while (current.valid() && !path.empty()) {
    size_t slash = path.find('/');
    std::string name(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (::mkdirat(current.get(), name.c_str(), kFolderMode) != 0 && errno != EEXIST) return Fd();
    current = Fd(::openat(current.get(), name.c_str(), kFolderFlags));
  }
  return current;
}

bool IsMissing(int error_number) {
  return error_number == ENOENT || error_number == ENOTDIR || error_number == ELOOP;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) {
    int kept = errno;
    ::close(fd_);
    errno = kept;
  }
}

Error NoSuchKey() { return NotFound("no such key", "NoSuchKey"); }

Error KeyNotStorable(std::string_view why) {
  Error error = InvalidInput("a file store cannot hold this key: " + std::string(why));
  error.code = "KeyNotStorable";
  return error;
}

Error FileError(int error_number, std::string_view what) {
  std::string message = std::string(what) + ": " + std::strerror(error_number);
  switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS:
      return {.kind = ErrorKind::kDenied, .message = std::move(message)};
    case ENAMETOOLONG:
      return KeyNotStorable(message);
    case EIO:
    case EUCLEAN:
      return Corrupt(std::move(message));
    default:
      return Retryable(std::move(message));
  }
}

std::string KeyDigest(std::string_view key) { return HexEncode(Sha256(key).substr(0, 16)); }

Fd OpenFolderPath(int folder, std::string_view path) {
  Fd current(::openat(folder, ".", kFolderFlags));
  while (current.valid() && !path.empty()) {
    size_t slash = path.find('/');
    std::string name(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    current = Fd(::openat(current.get(), name.c_str(), kFolderFlags));
  }
  return current;
}

// exFAT, FAT, SMB and folders of ext4 that fold names take "README" for "Readme": of two keys one
// would replace the other, and be read as the other.
Result<void> FileTree::CheckTellsCase() const {
  static const std::string kOther = [] {
    std::string name(kFilePrivateFolder);
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
  }();
  struct stat other{};
  struct stat own{};
  const bool folds = ::fstatat(bucket_.get(), kOther.c_str(), &other, 0) == 0 &&
                     ::fstatat(bucket_.get(), kFilePrivateFolder.data(), &own, 0) == 0 &&
                     other.st_dev == own.st_dev && other.st_ino == own.st_ino;
  if (!folds) return Ok();
  Error error = InvalidInput(bucket_path_ +
                             " is on a file system that takes names for one that differ in upper "
                             "and lower case only: a store of type file needs one that does not");
  error.code = std::string(kFoldsNames);
  return error;
}

Result<FileTree> FileTree::Open(const std::string& root, const std::string& bucket, bool durable) {
  FileTree tree;
  tree.durable_ = durable;
  tree.bucket_path_ = root + "/" + bucket;
  if (IsFileBucketName(bucket)) {
    tree.bucket_ = Fd(::open(tree.bucket_path_.c_str(), kFolderFlags));
  } else {
    errno = ENOENT;
  }
  if (!tree.bucket_.valid()) {
    if (IsMissing(errno)) return NotFound("no such bucket: " + bucket, "NoSuchBucket");
    return FileError(errno, "open " + tree.bucket_path_);
  }
  Result<void> tells = tree.CheckTellsCase();
  if (!tells) return tells.error();
  return tree;
}

Result<FileTree> FileTree::Clone() const {
  FileTree tree;
  tree.durable_ = durable_;
  tree.bucket_path_ = bucket_path_;
  tree.bucket_ = Fd(::openat(bucket_.get(), ".", kFolderFlags));
  if (!tree.bucket_.valid()) return FileError(errno, "open bucket");
  return tree;
}

Result<FoundFile> FileTree::Find(std::string_view key) const {
  auto segments = SegmentsOf(key);
  if (!segments) return NoSuchKey();
  return FindBelow(Fd(::openat(bucket_.get(), ".", kFolderFlags)), "", *segments, 0);
}

Result<FoundFile> FileTree::FindBelow(const Fd& folder, const std::string& path,
                                      const std::vector<std::string>& segments, size_t at) const {
  if (at + 1 < segments.size()) {
    // Where a folder has two names, the key may be below either.
    for (const std::string& name : FolderNamesOf(segments[at])) {
      Fd below = OpenFolderPath(folder.get(), name);
      if (!below.valid()) {
        if (!IsMissing(errno)) return FileError(errno, "open folder " + name);
        continue;
      }
      Result<FoundFile> found = FindBelow(below, path + name + "/", segments, at + 1);
      if (found || found.error().kind != ErrorKind::kNotFound) return found;
    }
    return NoSuchKey();
  }
  for (const std::string& leaf : FileNamesOf(segments[at])) {
    auto [parent, name] = SplitLast(leaf);
    Fd in = OpenFolderPath(folder.get(), parent);
    if (!in.valid()) {
      if (!IsMissing(errno)) return FileError(errno, "open folder");
      continue;
    }
    // O_NONBLOCK: a fifo must not stop us before we see that it is one.
    Fd file(::openat(in.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) {
      if (!IsMissing(errno) && errno != EISDIR && errno != ENXIO) {
        return FileError(errno, "open " + name);
      }
      continue;
    }
    FoundFile found;
    if (::fstat(file.get(), &found.status) != 0) return FileError(errno, "stat " + name);
    if (!S_ISREG(found.status.st_mode)) continue;
    found.folder = std::move(in);
    found.name = name;
    found.path = path + leaf;
    found.file = std::move(file);
    return found;
  }
  return NoSuchKey();
}

Result<Fd> FileTree::MakeParent(const std::vector<std::string>& segments) const {
  Fd current(::openat(bucket_.get(), ".", kFolderFlags));
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    std::vector<std::string> names = FolderNamesOf(segments[i]);
    Fd next;
    for (const std::string& name : names) {
      next = OpenFolderPath(current.get(), name);
      if (next.valid()) break;
      if (!IsMissing(errno)) return FileError(errno, "open folder " + name);
    }
    for (size_t n = 0; n < names.size() && !next.valid(); ++n) {
      next = MakeFolderPath(current.get(), names[n]);
      // A file (or a link) of that name is in the way: the next name is for that.
      if (!next.valid() && errno != ENOTDIR && errno != ELOOP) {
        return FileError(errno, "make folder " + names[n]);
      }
      if (next.valid() && durable_) ::fsync(current.get());
    }
    if (!next.valid()) return KeyNotStorable("its folder's name is taken");
    current = std::move(next);
  }
  return current;
}

Result<void> FileTree::Place(const std::string& temporary, std::string_view key) const {
  auto segments = SegmentsOf(key);
  if (!segments) return KeyNotStorable("it is empty, too long or holds a zero byte");
  for (int attempt = 0; attempt < kPlaceAttemptsMax; ++attempt) {
    Result<Fd> parent = MakeParent(*segments);
    if (!parent) {
      if (errno == ENOENT) continue;  // Removed under our feet.
      return parent.error();
    }
    std::vector<std::string> paths = FileNamesOf(segments->back());
    bool again = false;
    for (size_t i = 0; i < paths.size() && !again; ++i) {
      auto [between, name] = SplitLast(paths[i]);
      Fd folder = MakeFolderPath(parent->get(), between);
      if (!folder.valid()) return FileError(errno, "make folder");
      if (::renameat(bucket_.get(), temporary.c_str(), folder.get(), name.c_str()) == 0) {
        // What stood under the other name is older now.
        for (size_t other = i + 1; other < paths.size(); ++other) {
          auto [other_between, other_name] = SplitLast(paths[other]);
          Fd other_folder = OpenFolderPath(parent->get(), other_between);
          if (other_folder.valid()) ::unlinkat(other_folder.get(), other_name.c_str(), 0);
        }
        return Sync(folder.get(), "folder of the key");
      }
      if (errno == ENOENT) again = true;
      if (errno != EISDIR && errno != ENOENT) return FileError(errno, "rename to " + name);
    }
    if (!again) return KeyNotStorable("a folder of that name is there");
  }
  return Retryable("the key's folder goes away again and again");
}

Result<void> FileTree::Erase(std::string_view key) const {
  auto segments = SegmentsOf(key);
  if (!segments) return Ok();
  while (true) {
    Result<FoundFile> found = Find(key);
    if (!found) {
      if (found.error().kind != ErrorKind::kNotFound) return found.error();
      break;
    }
    if (::unlinkat(found->folder.get(), found->name.c_str(), 0) != 0 && errno != ENOENT) {
      return FileError(errno, "remove " + found->name);
    }
    Result<void> synced = Sync(found->folder.get(), "folder of the key");
    if (!synced) return synced;
    Prune(found->path);
  }
  return Ok();
}

// Folders are no objects: an empty one has no reason to stay. Whatever is in the way stops this.
void FileTree::Prune(std::string_view path) const {
  while (true) {
    path = SplitLast(path).first;
    if (path.empty()) return;
    auto [above, name] = SplitLast(path);
    Fd folder = OpenFolderPath(bucket_.get(), above);
    if (!folder.valid()) return;
    if (::unlinkat(folder.get(), name.c_str(), AT_REMOVEDIR) != 0) return;
  }
}

Result<FileTree::Temporary> FileTree::NewTemporary() const {
  static std::atomic<uint64_t> next{1};
  Result<Fd> folder = PrivateFolder("tmp");
  if (!folder) return folder.error();
  std::string name = std::to_string(::getpid()) + "-" + std::to_string(next.fetch_add(1));
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::string tried = attempt == 0 ? name : name + "-" + std::to_string(attempt);
    Fd file(::openat(folder->get(), tried.c_str(),
                     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (file.valid()) {
      return Temporary{std::move(file), std::string(kFilePrivateFolder) + "/tmp/" + tried};
    }
    if (errno != EEXIST) break;  // A process with our number left it when it crashed.
  }
  return FileError(errno, "make a temporary file");
}

Result<Fd> FileTree::PrivateFolder(const std::string& path) const {
  std::string whole = std::string(kFilePrivateFolder) + (path.empty() ? "" : "/" + path);
  Fd folder = OpenFolderPath(bucket_.get(), whole);
  const bool anew = !folder.valid() && errno == ENOENT;
  if (anew) folder = MakeFolderPath(bucket_.get(), whole);
  if (!folder.valid()) return FileError(errno, "open " + whole);
  if (anew) {
    Result<void> tells = CheckTellsCase();
    if (!tells) return tells.error();
  }
  return folder;
}

Result<Fd> FileTree::Lock(std::string_view key) const {
  return LockNamed(KeyDigest(key).substr(0, 2));
}

Result<std::vector<Fd>> FileTree::LockAll() const {
  std::vector<Fd> locks;
  for (int i = 0; i < 256; ++i) {
    const std::string name = HexEncode(std::string(1, static_cast<char>(i)));
    Result<Fd> lock = LockNamed(name);
    if (!lock) return lock.error();
    locks.push_back(std::move(*lock));
  }
  return locks;
}

Result<Fd> FileTree::LockNamed(const std::string& name) const {
  for (int attempt = 0; attempt < kPlaceAttemptsMax; ++attempt) {
    Result<Fd> folder = PrivateFolder(std::string(kFileLockFolder));
    if (!folder) return folder.error();
    Fd file(::openat(folder->get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file.valid()) return FileError(errno, "open lock " + name);
    while (::flock(file.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return FileError(errno, "lock " + name);
    }
    // One that was removed meanwhile, with the bucket, holds off nobody.
    struct stat status;
    if (::fstat(file.get(), &status) != 0) return FileError(errno, "stat lock " + name);
    if (status.st_nlink > 0) return file;
  }
  return Retryable("the bucket's locks go away again and again");
}

void FileTree::CleanUp() const {
  Fd folder = OpenFolderPath(bucket_.get(), std::string(kFilePrivateFolder) + "/tmp");
  if (!folder.valid()) return;
  DirectoryReader reader(folder.get());
  time_t now = ::time(nullptr);
  while (const dirent* entry = reader.Next()) {
    struct stat status;
    // By the time of the last write to the name or the bytes; what is being written is younger.
    if (::fstatat(folder.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode) && now - status.st_ctim.tv_sec > kLeftOverSeconds) {
      ::unlinkat(folder.get(), entry->d_name, 0);
    }
  }
}

Result<void> FileTree::Sync(int fd, std::string_view what) const {
  if (durable_ && ::fsync(fd) != 0) return FileError(errno, "fsync " + std::string(what));
  return Ok();
}

}  // namespace longhaul
