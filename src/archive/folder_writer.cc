#include "archive/folder_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace longhaul::archive {
namespace {

Error SystemError(std::string_view what, int number) {
  Error error = InvalidInput(std::string(what) + ": " + std::strerror(number));
  if (number == EACCES || number == EPERM || number == EROFS) error.kind = ErrorKind::kDenied;
  if (number == ENOSPC || number == EDQUOT || number == EIO) error.kind = ErrorKind::kRetryable;
  return error;
}

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

}  // namespace

FolderWriter::File::~File() {
  ::close(fd_);
  if (!closed_) ::unlinkat(folder_fd_, name_.c_str(), 0);
  ::close(folder_fd_);
}

Result<void> FolderWriter::File::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError("write", errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return Ok();
}

Result<void> FolderWriter::File::Close(SystemTime modified) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(modified);
  timespec times[2];
  times[0].tv_nsec = UTIME_OMIT;
  times[0].tv_sec = 0;
  times[1].tv_sec = seconds.time_since_epoch().count();
  times[1].tv_nsec = std::chrono::nanoseconds(modified - seconds).count();
  if (::futimens(fd_, times) != 0) return SystemError("futimens", errno);
  closed_ = true;
  return Ok();
}

Result<std::unique_ptr<FolderWriter>> FolderWriter::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  const int fd = ::open(path.c_str(), kFolderFlags);
  if (fd < 0) return SystemError(path, errno);
  return std::unique_ptr<FolderWriter>(new FolderWriter(fd));
}

FolderWriter::~FolderWriter() { ::close(fd_); }

Result<std::unique_ptr<FolderWriter::File>> FolderWriter::Create(std::string_view path,
                                                                 bool overwrite) {
  int folder = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (folder < 0) return SystemError("dup", errno);
  const auto failed = [&folder](std::string_view what, int number) {
    ::close(folder);
    return SystemError(what, number);
  };
  while (true) {
    const size_t slash = path.find('/');
    const std::string name(path.substr(0, slash));
    if (name.empty() || name == "." || name == ".." || name.contains('\0')) {
      return failed(name, EINVAL);
    }
    if (slash == std::string_view::npos) {
      if (overwrite && ::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) {
        return failed(name, errno);
      }
      const int fd = ::openat(folder, name.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
      if (fd < 0) return failed(name, errno);
      return std::make_unique<File>(folder, fd, name);
    }
    if (::mkdirat(folder, name.c_str(), 0777) != 0 && errno != EEXIST) return failed(name, errno);
    const int next = ::openat(folder, name.c_str(), kFolderFlags | O_NOFOLLOW);
    if (next < 0) return failed(name, errno);
    ::close(folder);
    folder = next;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace longhaul::archive
