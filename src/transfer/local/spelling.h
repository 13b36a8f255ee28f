// Whether a name in a folder is spelled as the key says.
//
// Some file systems take two names for one: exFAT, vfat, SMB and drives of Windows do not tell
// "README" from "Readme", some leave off dots and blanks at the end, and some (HFS+, ZFS with
// `normalization`) take letters with accents in all their forms for one. To a store these are two
// objects, and the second would replace the first. All of it blocks: on the CPU pool.
//
// Internal to LocalFolder.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul {

// What a file system makes of a path. Empty: itself knows; else for tests.
using FoldPath = std::function<std::string(const std::string& path)>;

inline std::string Folded(const FoldPath& fold, const std::string& path) {
  return fold ? fold(path) : path;
}

// Whether another spelling of `names`, one name or several below each other, can be the same there.
// `probe`: an entry of our own, with letters in its name. Letters beyond ASCII are not tried: with
// them it can, but on file systems that are known to compare bytes.
bool FoldsNames(const std::string& probe, std::string_view names, const FoldPath& fold);

// What there is under the name `path` has this very name. OK also where there is nothing.
// KeyNotStorable: it has another one, and the error names both.
Result<void> CheckSpelling(const std::string& path, const FoldPath& fold);

// The same of each folder between `root` and the file `path` below it.
Result<void> CheckFolderSpelling(const std::string& root, const std::string& path,
                                 const FoldPath& fold);

}  // namespace longhaul
