// FoldsAsciiCase: what a file system makes of a path that takes "README" and "Readme" for one name,
// as exFAT does. For a LocalFolder on one that does not.

#pragma once

#include <strings.h>

#include <filesystem>
#include <string>

namespace longhaul::testing {

inline std::string FoldsAsciiCase(const std::string& path) {
  namespace fs = std::filesystem;
  fs::path found;
  for (const fs::path& name : fs::path(path)) {
    fs::path next = found / name;
    std::error_code ignored;
    if (!name.empty() && !fs::exists(next, ignored)) {
      for (const auto& entry : fs::directory_iterator(found, ignored)) {
        const std::string other = entry.path().filename().string();
        if (::strcasecmp(other.c_str(), name.c_str()) == 0) next = entry.path();
      }
    }
    found = std::move(next);
  }
  return found.string();
}

}  // namespace longhaul::testing
