// A file of a LocalFolder: opened, described, read and written. All of it blocks: on the CPU pool.
//
// Internal to LocalFolder.

#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/cpu_pool.h"
#include "storage/store.h"
#include "transfer/local/spelling.h"

namespace longhaul {

// Closes what it holds.
class FileHandle {
 public:
  explicit FileHandle(int fd = -1) : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileHandle() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

// The folder in which a `file` store keeps what a bucket's files cannot hold. To a plain folder it
// is not there: sync --delete must not empty it, nor a copy take it for files.
inline constexpr std::string_view kStoreFolder = ".longhaul";

// Whether a file or folder of this name is what somebody is writing, or has left so: whoever writes
// next removes it, and no listing shows it.
bool IsHiddenName(std::string_view name);
// KeyNotStorable: no file below a folder can have this name, or it would be taken for one of those.
Result<void> CheckFileKey(std::string_view key);
std::string FilePathOf(const std::string& bucket, std::string_view key);
// KeyNotStorable: a folder between `root` and the file is a link. Listings do not show what lies
// behind it: what is there would be taken for missing, and replaced or removed whatever it is.
Result<void> CheckFoldersAbove(const std::string& root, std::string_view key);

// What a failed system call on `what` means.
Error FromErrno(int number, const std::string& what);

// Not 32 hex digits and not "…-N", so nobody takes it for an MD5.
std::string EtagOf(const struct stat& status);
SystemTime TimeOf(const timespec& time);

struct FileAttributes {
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
  // The time that its writer gave the file: while it has that one, nobody has changed it.
  std::optional<timespec> file_time;
  std::optional<SystemTime> modified;  // LastModified of the object it was written from.
};

// What an object has besides its bytes, as the value of an extended attribute: one line per entry,
// "h.content-type=text%2Fplain" with both sides percent-encoded. Written by Put, read by Head and
// Get; other tools do not see it, and file systems without attributes do without.
// `modified`: FileAttributes::modified; epoch: not known.
std::string EncodeAttributes(const PutRequest& request, timespec file_time, SystemTime modified);

// The user metadata entry in which rclone keeps the time of a file: seconds since 1970 with up to
// nine digits of fraction.
inline constexpr const char* kFileTimeName = "mtime";
std::string FormatFileTime(const timespec& time);
std::optional<timespec> ParseFileTime(std::string_view text);

// LastModified of the file `path`, as of the object that it is: of one that was written here and
// has not been touched since, that of its source; else the file's own time.
SystemTime ModifiedOf(const std::string& path, const struct stat& status);

struct OpenedFile {
  FileHandle file;
  struct stat status{};
  std::optional<FileAttributes> attributes;
};

// kNotFound, code NoSuchKey: there is none, or what is there is no file.
Result<OpenedFile> OpenFile(const std::string& path);
ObjectInfo InfoOf(const OpenedFile& opened, std::string_view key, SystemTime now);

// Reads a part of an opened file; kPrecondition when it has changed since `etag` was made of it.
std::unique_ptr<ByteReader> ReadFilePart(CpuPool& pool, FileHandle file, std::string etag,
                                         std::string path, uint64_t offset_bytes,
                                         uint64_t length_bytes);

// Gives a new file all but its bytes: attributes and the file's time, which is that of the file
// that was uploaded once (kFileTimeName), else LastModified. Where the file system has no
// attributes, or no room for them, the bytes are kept without, and the time is LastModified: it has
// to be one by which the file can be compared with its source.
void DescribeFile(int fd, const PutRequest& request, SystemTime modified);
// By which a file gets a name that nothing has; others in tests.
struct NameCalls {
  std::function<int(const char*, const char*)> rename_anew;  // Empty: renameat2, RENAME_NOREPLACE.
  std::function<int(const char*, const char*)> link = ::link;
};
// As rename(2), but EEXIST where something has that name; also where the file system has no such
// rename, or no hard links. Where it has neither, a crash in between may leave an empty file.
int NameAnew(const std::string& from, const std::string& to, const NameCalls& calls = {});
// Gives the file `hidden` the name `path`, in the same folder or the one above its own.
// kPrecondition: `if_absent`, and there is one. KeyNotStorable: there is one that is spelled
// otherwise (spelling.h); it stays as it is.
Result<void> PlaceFile(const std::string& hidden, const std::string& path, bool if_absent,
                       const FoldPath& fold = {});

// "." where the path names none.
std::string FolderOfFile(const std::string& path);
// Puts a file on the disk, and its name in `folder`, which it lies in; with `above` the names of
// all folders up to the root, too. `sync`: as fsync.
Result<void> SyncFile(const std::string& path, const std::string& folder, bool above,
                      const std::function<int(int)>& sync);
// All that has been written to the file system that `folder` is on. OK also without the folder.
Result<void> SyncFileSystem(const std::string& folder);

// A file under a hidden name until Commit, and locked; unlinked when it never comes to that. What a
// process that was killed has left of one is removed by the next that writes the same file.
class NewFile {
 public:
  // Makes the folders above `path`.
  static Result<std::unique_ptr<NewFile>> Create(std::string path, const FoldPath& fold = {});
  ~NewFile();

  Result<void> Write(std::span<const std::byte> bytes);
  void Describe(const PutRequest& request, SystemTime modified) {
    DescribeFile(file_.fd(), request, modified);
  }
  // Errors as of PlaceFile.
  Result<struct stat> Commit(bool if_absent, const FoldPath& fold = {});
  [[nodiscard]] const std::string& hidden() const { return hidden_; }

 private:
  NewFile(FileHandle file, std::string path, std::string hidden)
      : file_(std::move(file)), path_(std::move(path)), hidden_(std::move(hidden)) {}
  FileHandle file_;
  std::string path_;
  std::string hidden_;
  bool committed_ = false;
};

}  // namespace longhaul
