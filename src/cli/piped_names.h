// PipedNames: a list of names that comes by standard input or a pipe, kept in a file without a
// name: a pipe gives its bytes once, and both ends of a command read the list.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cli/run_context.h"

namespace longhaul {

class PipedNames {
 public:
  // Whether `path` is such a list: "-", or what is neither a file nor a folder.
  static bool Are(const std::string& path);
  // Reads `path` to its end. kRetryable: the disk is full or broken; kInvalidInput: it cannot be
  // read.
  static Async<std::shared_ptr<PipedNames>> Read(RunContext& context, std::string path);
  ~PipedNames();
  PipedNames(const PipedNames&) = delete;
  PipedNames& operator=(const PipedNames&) = delete;

  // Where it can be read, from its beginning each time, as long as this is there.
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  explicit PipedNames(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace longhaul
