// Whether an object has to be copied, by what two listings say of it: pure, so that it can be
// tested and argued about. `sync` and migration decide by the same words.
//
// Two objects are the same when their sizes are and the source is not newer than the target, as in
// `aws s3 sync` and s5cmd. The time of an object is when its store was given it (LastModified), so
// a copy is newer than its source; the time of a file is its own (transfer/local/local_folder.h
// says what a downloaded file's is). No request is needed for any of this. But S3 dates what was
// uploaded in parts by its beginning: where such an object has another ETag than its copy, the
// bytes are looked at, and the times count only where nothing tells.
//
// A migration hears its ETags first (`etags`): it goes on for days while the source changes, and an
// object that changed while it was copied has a copy that is newer and not the same.

#pragma once

#include <chrono>
#include <string_view>

#include "storage/object.h"

namespace longhaul {

struct CompareRules {
  bool size_only = false;        // Times tell nothing.
  bool checksum = false;         // Neither do they; the bytes do: SyncVerdict::kLook.
  bool ignore_times = false;     // Copy what is there as well, whatever it is.
  bool ignore_existing = false;  // Leave alone what is there, whatever it is.
  bool update = false;           // Leave alone what is newer at the target, whatever its size.
  bool immutable = false;        // What differs is a mistake of someone.
  bool etags = false;            // Equal ETags are the same; two MD5s that differ are looked at.
  bool past = false;  // The source as it was: its times tell nothing, equal ETags alone do.
  // Times that are no further apart are the same: for file systems with coarse times.
  std::chrono::microseconds window{0};

  bool operator==(const CompareRules&) const = default;
};

enum class SyncVerdict {
  kCopy,
  kSkip,
  kLook,     // Equal sizes, and only the bytes (checksums, ETags) can tell.
  kRefused,  // It differs, and `immutable` says that it must not.
};

// Whether nobody has said when it was modified: a column that an inventory lacks, or a text that is
// no time. It is neither old nor new then. (A file of 1970 is as old as it says.)
bool HasNoTime(const ListedObject& object);

// Why, in words that reports and `-vv` show; they are part of the interface (docs/guide.md).
namespace reason {
inline constexpr std::string_view kNew = "new";
inline constexpr std::string_view kNotCompared = "not compared";
inline constexpr std::string_view kSizeDiffers = "size differs";
inline constexpr std::string_view kSourceNewer = "source is newer";
inline constexpr std::string_view kTargetNewer = "target is newer";
inline constexpr std::string_view kTimeUnknown = "time unknown";
inline constexpr std::string_view kSame = "same";
inline constexpr std::string_view kSameSize = "same size";
inline constexpr std::string_view kSameBytes = "same bytes";
inline constexpr std::string_view kBytesDiffer = "bytes differ";
inline constexpr std::string_view kDescriptionDiffers = "headers, metadata or tags differ";
inline constexpr std::string_view kNotEnded = "its copy did not end";
inline constexpr std::string_view kEtagDiffers = "ETag differs";
inline constexpr std::string_view kBytesUnknown = "bytes cannot be compared";
inline constexpr std::string_view kExists = "exists";
inline constexpr std::string_view kAlways = "times are ignored";
inline constexpr std::string_view kExcluded = "excluded";
inline constexpr std::string_view kOnlyAtTarget = "only at the target";
inline constexpr std::string_view kFolderMarker = "folder marker";
}  // namespace reason

struct Decision {
  SyncVerdict verdict = SyncVerdict::kCopy;
  std::string_view reason;  // One of the above.

  bool operator==(const Decision&) const = default;
};

// `target`: null where there is none.
Decision Decide(const ListedObject& source, const ListedObject* target, const CompareRules& rules);

// After a look: whether the bytes are the same; `known` false: nothing tells. What cannot be
// compared is copied: a copy too many is cheaper than a change that was missed.
Decision DecideByBytes(bool known, bool same, const CompareRules& rules);
// The bytes are the same, and what belongs to them is not.
Decision DecideByDescription(const CompareRules& rules);

}  // namespace longhaul
