// ReadsLocks: a store that can be asked for the retention and the legal hold of an object by
// themselves. Besides storage/store.h, for S3 alone: what is asked for is the right to see them.
// (A HEAD tells them as well, but says nothing to who may not see them: ObjectInfo::lock.)
//
// Source: S3 API Reference, GetObjectRetention, GetObjectLegalHold.

#pragma once

#include <string>

#include "base/async.h"

namespace longhaul {

enum class LockPart { kRetention, kLegalHold };

class ReadsLocks {
 public:
  virtual ~ReadsLocks() = default;
  // OK: the object has one. kNotFound: it has none, or is not there. kDenied: without the right.
  // kInvalidInput: its bucket has no Object Lock.
  virtual Async<void> ReadLock(LockPart part, std::string bucket, std::string key) = 0;
};

}  // namespace longhaul
