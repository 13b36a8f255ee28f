// What the files of the applier share.

#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "replica/apply.h"

namespace longhaul {

// How often a key is looked at anew that changes while it is looked at.
inline constexpr int kAttemptsMax = 10;

inline ApplyOutcome Superseded(std::string reason) {
  return {.state = ApplyState::kSuperseded, .reason = std::move(reason)};
}

inline ApplyOutcome Reread(std::string reason) {
  return {.state = ApplyState::kReread, .reason = std::move(reason)};
}

inline Error KeyBusy(std::string why) {
  Error error = Retryable(std::move(why));
  error.code = kKeyBusyCode;
  return error;
}

// Keeps a locked key to one coroutine of this process until it goes out of scope.
class Applier::KeyGuard {
 public:
  KeyGuard(Applier& applier, std::string key) : keys_(applier.locked_keys_), key_(std::move(key)) {}
  ~KeyGuard() {
    auto node = keys_->extract(key_);
    LH_CHECK(!node.empty());
    if (node.mapped()) node.mapped()->NotifyAll();
  }
  KeyGuard(const KeyGuard&) = delete;
  KeyGuard& operator=(const KeyGuard&) = delete;

 private:
  std::shared_ptr<LockedKeys> keys_;
  std::string key_;
};

}  // namespace longhaul
