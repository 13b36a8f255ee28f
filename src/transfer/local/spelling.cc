#include "transfer/local/spelling.h"

#include <linux/magic.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/directory_reader.h"
#include "transfer/local/local_file.h"

namespace longhaul {

namespace {

std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

char OtherCase(char c) {
  if (c >= 'a' && c <= 'z') return static_cast<char>(c - 'a' + 'A');
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return c;
}

bool IsAscii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return (c & 0x80) != 0; });
}

// Whether the file system is one that knows nothing of Unicode, unless it also folds capitals. Of
// one that asks a server nobody knows.
bool ComparesBytes(const std::string& path) {
  struct statfs status{};
  if (::statfs(path.c_str(), &status) != 0) return false;
  constexpr std::array<decltype(status.f_type), 4> kByBytes{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,
                                                            BTRFS_SUPER_MAGIC, TMPFS_MAGIC};
  return std::ranges::find(kByBytes, status.f_type) != kByBytes.end();
}

bool IsThere(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace

bool FoldsNames(const std::string& probe, std::string_view names, const FoldPath& fold) {
  if (!IsAscii(names) && (fold || !ComparesBytes(probe))) return true;
  std::string other = probe;
  for (size_t i = other.rfind('/') + 1; i < other.size(); ++i) other[i] = OtherCase(other[i]);
  return IsThere(Folded(fold, other));
}

Result<void> CheckSpelling(const std::string& path, const FoldPath& fold) {
  if (!IsThere(Folded(fold, path))) return Ok();
  const std::string folder = FolderOfFile(path);
  const std::string name(NameOf(path));
  DirectoryReader directory(Folded(fold, folder));
  bool found = false;
  std::string alike;
  while (!found) {
    const dirent* entry = directory.Next();
    if (entry == nullptr) break;
    found = name == entry->d_name;
    if (::strcasecmp(name.c_str(), entry->d_name) == 0) alike = entry->d_name;
  }
  if (directory.error() != 0) return FromErrno(directory.error(), folder);
  if (found) return Ok();
  if (alike.empty()) alike = "another spelling of it";
  return Error{
      .kind = ErrorKind::kInvalidInput,
      .message = path + ": " + alike + " is there, and to this file system both names are one",
      .code = "KeyNotStorable"};
}

Result<void> CheckFolderSpelling(const std::string& root, const std::string& path,
                                 const FoldPath& fold) {
  size_t end = root.size();
  if (path.size() > end && path[end] == '/') ++end;
  for (end = path.find('/', end); end != std::string::npos; end = path.find('/', end + 1)) {
    Result<void> spelled = CheckSpelling(path.substr(0, end), fold);
    if (!spelled) return spelled;
  }
  return Ok();
}

}  // namespace longhaul
