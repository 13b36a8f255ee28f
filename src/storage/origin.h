// HasOrigin: what a store is besides, that answers reads from copies of its objects. A copy may be
// of an older state than its object; what is written by what was read must not be.

#pragma once

#include <utility>

#include "storage/store.h"

namespace longhaul {

class HasOrigin {
 public:
  virtual ~HasOrigin() = default;
  // As Head and Get of the store, of the object itself.
  virtual Async<ObjectInfo> HeadOrigin(HeadRequest request) = 0;
  virtual Async<ObjectStream> GetOrigin(GetRequest request) = 0;
};

// Null: it has no copies, and its own answers are those of the objects.
inline HasOrigin* OriginOf(Store& store) { return dynamic_cast<HasOrigin*>(&store); }

inline Async<ObjectInfo> HeadOrigin(Store& store, HeadRequest request) {
  HasOrigin* origin = OriginOf(store);
  return origin != nullptr ? origin->HeadOrigin(std::move(request))
                           : store.Head(std::move(request));
}

inline Async<ObjectStream> GetOrigin(Store& store, GetRequest request) {
  HasOrigin* origin = OriginOf(store);
  return origin != nullptr ? origin->GetOrigin(std::move(request)) : store.Get(std::move(request));
}

}  // namespace longhaul
