// What a file system makes of a path that takes two names for one: "README" and "Readme", as exFAT
// does (FoldsAsciiCase), or two forms of an accent, as ZFS may (FoldsAccents). For a LocalFolder on
// one that does not.

#pragma once

#include <strings.h>

#include <filesystem>
#include <string>

namespace longhaul::testing {

template <typename AreOne>
std::string Folds(const std::string& path, const AreOne& are_one) {
  namespace fs = std::filesystem;
  fs::path found;
  for (const fs::path& name : fs::path(path)) {
    fs::path next = found / name;
    std::error_code ignored;
    if (!name.empty() && !fs::exists(next, ignored)) {
      for (const auto& entry : fs::directory_iterator(found, ignored)) {
        if (are_one(entry.path().filename().string(), name.string())) next = entry.path();
      }
    }
    found = std::move(next);
  }
  return found.string();
}

inline std::string FoldsAsciiCase(const std::string& path) {
  return Folds(path, [](const std::string& one, const std::string& other) {
    return ::strcasecmp(one.c_str(), other.c_str()) == 0;
  });
}

// Of all that Unicode has: an e with an acute accent, in one piece and in two.
inline constexpr const char* kComposed = "caf\xc3\xa9";
inline constexpr const char* kDecomposed = "cafe\xcc\x81";
inline std::string FoldsAccents(const std::string& path) {
  return Folds(path, [](const std::string& one, const std::string& other) {
    return (one == kComposed && other == kDecomposed) || (one == kDecomposed && other == kComposed);
  });
}

}  // namespace longhaul::testing
