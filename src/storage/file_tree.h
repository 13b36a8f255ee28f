// A bucket's folder: where the file of a key is, without ever following a link out of it.
//
// Everything here blocks and belongs on the CPU pool. Each step opens one component with
// O_NOFOLLOW below a folder that is already open, so no key and no link leads outside.

#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace longhaul {

inline constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
inline constexpr std::string_view kFileLockFolder = "locks";  // Below .longhaul.

// An open file or folder.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// The Error for `errno`: full disk or too many files kRetryable, no permission kDenied, …
Error FileError(int error_number, std::string_view what);
inline constexpr std::string_view kFoldsNames = "FoldsNames";
Error NoSuchKey();
Error KeyNotStorable(std::string_view why);

// The file of a key, in the folder where it stands.
struct FoundFile {
  Fd folder;
  std::string name;
  std::string path;  // Below the bucket.
  Fd file;
  struct stat status;
};

class FileTree {
 public:
  // kNotFound, code NoSuchBucket. kInvalidInput, code kFoldsNames: its file system takes two keys
  // for one; also from PrivateFolder, in a bucket that had none.
  static Result<FileTree> Open(const std::string& root, const std::string& bucket, bool durable);

  // Another handle of the same folder, for a job of its own.
  [[nodiscard]] Result<FileTree> Clone() const;

  [[nodiscard]] int bucket_fd() const { return bucket_.get(); }
  [[nodiscard]] const std::string& bucket_path() const { return bucket_path_; }
  [[nodiscard]] bool durable() const { return durable_; }

  // Opens the file of `key` for reading. kNotFound, code NoSuchKey.
  Result<FoundFile> Find(std::string_view key) const;

  // Moves the file `temporary` (a path below the bucket) to where `key` is, replacing what is
  // there. Durable, when the tree is, before it returns.
  Result<void> Place(const std::string& temporary, std::string_view key) const;

  // Removes the file of `key`, under every name it has, and the folders that become empty.
  Result<void> Erase(std::string_view key) const;

  // A new file under .longhaul/tmp, open for reading and writing, and its path below the bucket.
  struct Temporary {
    Fd file;
    std::string path;
  };
  Result<Temporary> NewTemporary() const;

  // A folder below .longhaul ("meta/ab"), made when it is not there.
  Result<Fd> PrivateFolder(const std::string& path) const;

  // Holds off other writers of `key`, also of other processes, while it lives.
  Result<Fd> Lock(std::string_view key) const;

  // The same of all keys at once.
  Result<std::vector<Fd>> LockAll() const;

  // Removes what crashed writers left more than a day ago.
  void CleanUp() const;

  // fsync, when durable.
  Result<void> Sync(int fd, std::string_view what) const;

 private:
  Result<void> CheckTellsCase() const;
  Result<Fd> LockNamed(const std::string& name) const;
  Result<FoundFile> FindBelow(const Fd& folder, const std::string& path,
                              const std::vector<std::string>& segments, size_t at) const;
  // Removes the folders of `path`, from the innermost on, as far as they are empty.
  void Prune(std::string_view path) const;
  // The folder for `segments` but the last, made when it is not there.
  Result<Fd> MakeParent(const std::vector<std::string>& segments) const;

  Fd bucket_;
  std::string bucket_path_;
  bool durable_ = true;
};

// Opens a path of folders below `folder`, one component at a time; an invalid Fd with errno.
Fd OpenFolderPath(int folder, std::string_view path);

// 32 hex digits that stand for a key in private names.
std::string KeyDigest(std::string_view key);

}  // namespace longhaul
