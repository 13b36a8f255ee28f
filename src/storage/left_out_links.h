// LeavesOutLinks: what a folder of files is besides a store. Its listings follow no link to a
// folder, nor one that leads nowhere: whoever copies such a folder is told how many there were.

#pragma once

#include <cstdint>
#include <string>

#include "storage/store.h"

namespace longhaul {

// What a plain folder is, and what stands before a store that may be one.
class LeavesOutLinks {
 public:
  virtual ~LeavesOutLinks() = default;
  // How many the listings of `bucket` have met so far, each listing its own.
  [[nodiscard]] virtual uint64_t links_left_out(const std::string& bucket) const = 0;
};

// Of other stores none.
inline uint64_t LinksLeftOut(const Store& store, const std::string& bucket) {
  const auto* has = dynamic_cast<const LeavesOutLinks*>(&store);
  return has != nullptr ? has->links_left_out(bucket) : 0;
}

}  // namespace longhaul
