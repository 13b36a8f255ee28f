// How the keys of a bucket become names in a folder, and back.
//
// A key is split at its slashes: folders, and a file. A segment is a name as it is where a file
// system can hold it, so a tree that other programs wrote is a bucket, and the other way round.
// Everything else has a name of the reserved kind, which begins with ".longhaul":
//
//   .longhaul        the bucket's own folder: side files, uploads, locks
//   .longhaul=SEG    a file:   segments "", ".", "..", ".longhaul…", and files beside a folder SEG
//   .longhaul+SEG    a folder: the same, and folders beside a file SEG
//   .longhaul~PART   a folder: the first 245 bytes of a longer segment, which goes on inside
//
// No two keys share a name. A key can have two (SEG and .longhaul=SEG): the plain one wins.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

inline constexpr std::string_view kFilePrivateFolder = ".longhaul";

// The names under which a segment may be found, the preferred one first. Each is a path of one
// component, or of several for a segment longer than 245 bytes.
std::vector<std::string> FileNamesOf(std::string_view segment);
std::vector<std::string> FolderNamesOf(std::string_view segment);

// What a name in a folder stands for.
struct DecodedName {
  enum class Kind {
    kSegment,    // A whole segment.
    kContinued,  // The beginning of a long one (a folder).
    kPrivate,    // Not part of any key.
  };
  Kind kind = Kind::kSegment;
  std::string_view segment;  // Into the name that was decoded.
};
DecodedName DecodeName(std::string_view name, bool is_folder);

// The segments of a key: "a//b" has three. nullopt: no file can stand for it (empty, longer than
// 1,024 bytes, or with a zero byte).
std::optional<std::vector<std::string>> SegmentsOf(std::string_view key);

// A bucket is a folder of the root: letters, digits, '.', '-', '_', not beginning with a dot.
bool IsFileBucketName(std::string_view name);

}  // namespace longhaul
