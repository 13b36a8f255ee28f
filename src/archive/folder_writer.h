// FolderWriter makes files below a folder and nowhere else, whatever links lie in it.

#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul::archive {

// Blocking: call it on the CPU pool.
class FolderWriter {
 public:
  // A file that is gone again unless it was closed.
  class File {
   public:
    File(int folder_fd, int fd, std::string name)
        : folder_fd_(folder_fd), fd_(fd), name_(std::move(name)) {}
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    Result<void> Write(std::span<const std::byte> bytes);
    // Dates the file by `modified` and keeps it.
    Result<void> Close(SystemTime modified);

   private:
    int folder_fd_;
    int fd_;
    std::string name_;
    bool closed_ = false;
  };

  // Makes the folder and those above it.
  static Result<std::unique_ptr<FolderWriter>> Open(const std::string& path);
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  // `path`: relative, without empty parts, "." and "..". Folders on the way are made; one that is
  // a link is an error (kInvalidInput), as is a file that is there unless `overwrite`; a link there
  // is replaced, not followed.
  Result<std::unique_ptr<File>> Create(std::string_view path, bool overwrite);

 private:
  explicit FolderWriter(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace longhaul::archive
