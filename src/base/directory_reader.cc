#include "base/directory_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace longhaul {

DirectoryReader::DirectoryReader(const std::string& path) : directory_(::opendir(path.c_str())) {
  if (directory_ == nullptr) error_ = errno;
}

DirectoryReader::DirectoryReader(int folder_fd) {
  // A copy made by dup would move together with the caller's.
  const int copy = ::openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy >= 0) directory_ = ::fdopendir(copy);
  if (directory_ != nullptr) return;
  error_ = errno;
  if (copy >= 0) ::close(copy);
}

DirectoryReader::~DirectoryReader() {
  if (directory_ != nullptr) ::closedir(directory_);
}

const dirent* DirectoryReader::Next() {
  if (directory_ == nullptr) return nullptr;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(directory_);
    if (entry == nullptr) {
      error_ = errno;
      return nullptr;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return entry;
  }
}

unsigned char DirectoryReader::TypeOf(const dirent& entry) const {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type;
  struct stat status;
  if (::fstatat(fd(), entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return DT_UNKNOWN;
  return IFTODT(status.st_mode);
}

}  // namespace longhaul
