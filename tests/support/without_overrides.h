// WithoutOverrides: root is a user like any other to file systems, so that a folder without rights
// cannot be read in tests that run as root either.
//
// Of this thread and of those that it begins from here on, until it goes: make it before what has
// threads of its own. For other users it does nothing.

#pragma once

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "base/check.h"

namespace longhaul::testing {

class WithoutOverrides {
 public:
  WithoutOverrides() {
    LH_CHECK(::syscall(SYS_capget, &head_, before_) == 0);
    __user_cap_data_struct without[2] = {before_[0], before_[1]};
    without[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
    LH_CHECK(::syscall(SYS_capset, &head_, without) == 0);
  }
  ~WithoutOverrides() { static_cast<void>(::syscall(SYS_capset, &head_, before_)); }
  WithoutOverrides(const WithoutOverrides&) = delete;
  WithoutOverrides& operator=(const WithoutOverrides&) = delete;

 private:
  __user_cap_header_struct head_{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct before_[2] = {};
};

// A folder that nobody may read, until this goes: what removes it later has to.
class UnreadableFolder {
 public:
  explicit UnreadableFolder(std::string path) : path_(std::move(path)) {
    std::filesystem::permissions(path_, std::filesystem::perms::none);
  }
  ~UnreadableFolder() { Open(); }
  UnreadableFolder(const UnreadableFolder&) = delete;
  UnreadableFolder& operator=(const UnreadableFolder&) = delete;

  void Open() { std::filesystem::permissions(path_, std::filesystem::perms::owner_all); }

 private:
  std::string path_;
};

}  // namespace longhaul::testing
