// Whether a name in a folder is spelled as the key says.
//
// Some file systems take two names for one: exFAT, vfat, SMB and drives of Windows do not tell
// "README" from "Readme", and some leave off dots and blanks at the end. To a store these are two
// objects, and the second would replace the first. All of it blocks: on the CPU pool.
//
// Internal to LocalFolder.

#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace longhaul {

// What a file system makes of a path. Empty: itself knows; else for tests.
using FoldPath = std::function<std::string(const std::string& path)>;

inline std::string Folded(const FoldPath& fold, const std::string& path) {
  return fold ? fold(path) : path;
}

// Whether two spellings can be one name there. `probe`: an entry of our own, with letters in its
// name.
bool FoldsNames(const std::string& probe, const FoldPath& fold);

// What there is under the name `path` has this very name. OK also where there is nothing.
// KeyNotStorable: it has another one, and the error names both.
Result<void> CheckSpelling(const std::string& path, const FoldPath& fold);

// The same of each folder between `root` and the file `path` below it.
Result<void> CheckFolderSpelling(const std::string& root, const std::string& path,
                                 const FoldPath& fold);

}  // namespace longhaul
