// What an object is called inside the tar: a path that any tar may unpack, made from its key.
//
//   "logs/2026/a b.txt"  ->  "objects/logs/2026/a b.txt"
//   "../x//y\n"          ->  "objects/%2E%2E/x/%/y%0A"
//
// A path is ASCII without control characters and backslashes, relative, without "." and "..", and
// unique in its archive, also where letter case does not count; no path is a folder of another one.
// What keeps all that from being the key itself is in docs/archive-format.md, "Paths".

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "archive/entry.h"

namespace longhaul::archive {

inline constexpr std::string_view kManifestPath = "longhaul/manifest.json";
inline constexpr std::string_view kIndexPath = "longhaul/index.json";

// What a path is made of: the key, and which segment of the object it is.
//
//   "logs/all.bin"  ->  "logs/all.bin.segment-00002-of-00040"
//
// Numbers are from 0 and sort, so that cat puts an object together again.
std::string MemberKey(const ArchiveEntry& entry);

// The paths that one archive has given away.
class MemberPaths {
 public:
  // `number`: of the entry, for paths that cannot be made from the key alone.
  std::string PathFor(std::string_view key, uint64_t number);

 private:
  bool Claim(std::string_view path);
  // Hashes of paths without letter case. Two paths with one hash only cost one of them its name.
  std::unordered_set<uint64_t> files_;
  std::unordered_set<uint64_t> folders_;
  std::string last_folder_;
};

// The key that PathFor gave `path`, where it can be told from the path.
std::optional<std::string> KeyFromPath(std::string_view path);

}  // namespace longhaul::archive
