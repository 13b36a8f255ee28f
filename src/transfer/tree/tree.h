// A tree: all objects below a prefix of a bucket. What follows the prefix in a key is the name of
// the object, the same at a source and its target.

#pragma once

#include <string>

#include "storage/store.h"

namespace longhaul {

struct TreeSource {
  Store& store;
  std::string bucket;
  std::string prefix;
};

struct TreeTarget {
  Store& store;
  std::string bucket;
  std::string prefix;
};

}  // namespace longhaul
