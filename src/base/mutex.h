// A mutex that Clang's thread safety analysis knows: LH_GUARDED_BY(mutex_) is then checked.
//
// For the small things that shards share. Never held over a co_await: MutexLock belongs to plain
// functions only.

#pragma once

#include <mutex>

#define LH_GUARDED_BY(mutex) __attribute__((guarded_by(mutex)))
#define LH_REQUIRES(mutex) __attribute__((requires_capability(mutex)))

namespace longhaul {

class __attribute__((capability("mutex"))) Mutex {
 public:
  void Lock() __attribute__((acquire_capability())) { mutex_.lock(); }
  void Unlock() __attribute__((release_capability())) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class __attribute__((scoped_lockable)) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) __attribute__((acquire_capability(mutex))) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() __attribute__((release_capability())) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace longhaul
