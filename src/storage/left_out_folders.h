// LeavesOutFolders: a folder of files whose listings can go on past folders that may not be read.
//
// A listing that leaves a part out without a word is worse than one that stops. So it goes on only
// where somebody has asked for it, who then tells what was left out, and removes nothing because
// such a listing does not name it.

#pragma once

#include <string>
#include <vector>

#include "storage/store.h"

namespace longhaul {

struct LeftOutFolder {
  std::string prefix;  // What all keys in it begin with: "a/b/".
  Error error;         // kDenied.
};

// What a plain folder is, and what stands before a store that may be one.
class LeavesOutFolders {
 public:
  virtual ~LeavesOutFolders() = default;
  // From now on listings of `bucket` go on past folders below `prefix`. That of `prefix` itself
  // ends a listing as ever.
  virtual void LeaveOutUnreadable(const std::string& bucket, const std::string& prefix) = 0;
  // Those below `prefix` that listings of `bucket` have met since the last call. What a page leaves
  // out is here before the page is.
  virtual std::vector<LeftOutFolder> TakeUnreadable(const std::string& bucket,
                                                    const std::string& prefix) = 0;
};

// Of other stores there are none.
inline void LeaveOutUnreadable(Store& store, const std::string& bucket, const std::string& prefix) {
  auto* has = dynamic_cast<LeavesOutFolders*>(&store);
  if (has != nullptr) has->LeaveOutUnreadable(bucket, prefix);
}
inline std::vector<LeftOutFolder> TakeUnreadable(Store& store, const std::string& bucket,
                                                 const std::string& prefix) {
  auto* has = dynamic_cast<LeavesOutFolders*>(&store);
  return has != nullptr ? has->TakeUnreadable(bucket, prefix) : std::vector<LeftOutFolder>();
}

}  // namespace longhaul
