// UnlistedFolders: what the listing of one side of a comparison could not read, so that nobody
// takes it for empty.

#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "storage/left_out_folders.h"
#include "transfer/tree/filter.h"

namespace longhaul {

class UnlistedFolders {
 public:
  // Listings of this tree go on past what may not be read from here on.
  UnlistedFolders(Store& store, std::string bucket, std::string prefix, const ObjectFilter& filter)
      : store_(store), bucket_(std::move(bucket)), prefix_(std::move(prefix)), filter_(filter) {
    LeaveOutUnreadable(store_, bucket_, prefix_);
  }

  // Notes what the listing has met by now; of what the filter leaves out as a whole nobody wants to
  // hear. To be called after each page.
  void Look() {
    for (LeftOutFolder& folder : TakeUnreadable(store_, bucket_, prefix_)) {
      std::string name = folder.prefix.substr(prefix_.size());
      if (filter_.LeavesOutFolder(name)) continue;
      names_.insert(name);
      untold_.insert_or_assign(std::move(name), std::move(folder.error));
    }
  }
  // By name below the prefix: what nobody has been told of yet. The caller empties it.
  std::map<std::string, Error>& untold() { return untold_; }

  // Whether there may be something of this name that was not listed.
  [[nodiscard]] bool Hides(std::string_view name) const {
    if (names_.empty()) return false;
    for (size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
      if (names_.contains(name.substr(0, slash + 1))) return true;
    }
    return false;
  }

 private:
  Store& store_;
  std::string bucket_;
  std::string prefix_;
  const ObjectFilter& filter_;
  std::set<std::string, std::less<>> names_;
  std::map<std::string, Error> untold_;
};

}  // namespace longhaul
