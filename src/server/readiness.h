// Readiness: why this process cannot do its work now, reason by reason.
//
// Whoever waits for something outside sets a named reason ("store west", "queue") and clears it
// when the cause is gone; without reasons the process is ready. Thread-safe.

#pragma once

#include <map>
#include <string>

#include "base/mutex.h"

namespace longhaul {

class Readiness {
 public:
  // Also replaces the reason of that name.
  void Set(std::string name, std::string reason) {
    MutexLock lock(mutex_);
    reasons_[std::move(name)] = std::move(reason);
  }
  void Clear(const std::string& name) {
    MutexLock lock(mutex_);
    reasons_.erase(name);
  }
  // By name; empty: ready.
  [[nodiscard]] std::map<std::string, std::string> reasons() const {
    MutexLock lock(mutex_);
    return reasons_;
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::string> reasons_ LH_GUARDED_BY(mutex_);
};

}  // namespace longhaul
