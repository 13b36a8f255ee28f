// BucketKinds: a store whose buckets need not all take a conditional write alike. Besides
// storage/store.h, for S3 alone.
//
// What a condition does is tried in one bucket and relied on in another. Some servers tell buckets
// apart by their versioning: Ceph RGW refuses each If-Match in a bucket that keeps versions, and
// heeds no condition where versioning is suspended. (ceph/ceph #71584.)

#pragma once

#include <string>

#include "storage/store.h"

namespace longhaul {

class BucketKinds {
 public:
  virtual ~BucketKinds() = default;
  // The same for two buckets: what holds of conditional writes to one holds of the other. kDenied:
  // nobody may see it.
  virtual Async<std::string> KindOf(std::string bucket) = 0;
};

// Whether two buckets of a store take a conditional write alike. Errors: of KindOf.
inline Async<bool> AreOfOneKind(Store& store, std::string one, std::string other) {
  auto* kinds = dynamic_cast<BucketKinds*>(&store);
  if (kinds == nullptr || one == other) co_return true;
  Result<std::string> first = co_await kinds->KindOf(std::move(one));
  if (!first) co_return first.error();
  Result<std::string> second = co_await kinds->KindOf(std::move(other));
  if (!second) co_return second.error();
  co_return *first == *second;
}

}  // namespace longhaul
