// DirectoryReader: the names in a folder, and whether these were all of them.
//
// readdir(3) ends in the same way at the last name and at an error. A folder that seems to hold
// less than it does reads as if what it held were gone.

#pragma once

#include <dirent.h>

#include <string>

namespace longhaul {

class DirectoryReader {
 public:
  // Blocks, as all here does. Of a folder that cannot be read, Next() says that it is over at once.
  explicit DirectoryReader(const std::string& path);
  // Reads what `folder_fd` is open for, which stays the caller's and is not moved.
  explicit DirectoryReader(int folder_fd);
  ~DirectoryReader();
  DirectoryReader(const DirectoryReader&) = delete;
  DirectoryReader& operator=(const DirectoryReader&) = delete;

  // Without "." and "..", in no order. nullptr: it is over, at an error if error() is not 0. Valid
  // until the next call.
  const dirent* Next();
  // errno of what failed: opening, or reading on.
  [[nodiscard]] int error() const { return error_; }
  // Only where it could be opened.
  [[nodiscard]] int fd() const { return ::dirfd(directory_); }

  // Its type as d_type says it (DT_DIR, DT_REG, ...), asked for where the file system does not put
  // it there; links are not followed. DT_UNKNOWN: it went away meanwhile, or cannot be looked at,
  // which errno says.
  [[nodiscard]] unsigned char TypeOf(const dirent& entry) const;

 private:
  DIR* directory_ = nullptr;
  int error_ = 0;
};

}  // namespace longhaul
