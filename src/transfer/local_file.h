// A file of a LocalFolder: opened, described, read and written. All of it blocks: on the CPU pool.
//
// Internal to LocalFolder.

#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/cpu_pool.h"
#include "storage/store.h"

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

// What a failed system call on `what` means.
Error FromErrno(int number, const std::string& what);

// Not 32 hex digits and not "…-N", so nobody takes it for an MD5.
std::string EtagOf(const struct stat& status);
SystemTime TimeOf(const timespec& time);

struct FileAttributes {
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
};

// What an object has besides its bytes, as the value of an extended attribute: one line per entry,
// "h.content-type=text%2Fplain" with both sides percent-encoded. Written by Put, read by Head and
// Get; other tools do not see it, and file systems without attributes do without.
std::string EncodeAttributes(const PutRequest& request);

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

// A file under a hidden name until Commit; unlinked when it never comes to that.
class NewFile {
 public:
  // `id`: unique in this process. Makes the folders above `path`.
  static Result<std::unique_ptr<NewFile>> Create(std::string path, uint64_t id);
  ~NewFile();

  Result<void> Write(std::span<const std::byte> bytes);
  // Where the file system has no attributes, or no room for them, the bytes are kept without.
  void Describe(const std::string& attributes);
  // kPrecondition: `if_absent`, and there is one.
  Result<struct stat> Commit(bool if_absent);

 private:
  NewFile(FileHandle file, std::string path, std::string hidden)
      : file_(std::move(file)), path_(std::move(path)), hidden_(std::move(hidden)) {}
  FileHandle file_;
  std::string path_;
  std::string hidden_;
  bool committed_ = false;
};

}  // namespace longhaul
