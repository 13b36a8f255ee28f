// KeptFile: lines of text as a zstd file that appears under its name when it is complete.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/runtime.h"

namespace longhaul {

class KeptFile {
 public:
  KeptFile(Runtime runtime, std::string path);
  ~KeptFile();
  KeptFile(const KeptFile&) = delete;
  KeptFile& operator=(const KeptFile&) = delete;

  // Adds whole lines; nothing is written yet.
  void Add(std::string_view lines);
  // Whether there is enough to be written.
  [[nodiscard]] bool full() const;
  // kInvalidInput: the file cannot be made there; kRetryable: the disk is full or broken.
  Async<void> Write();
  // After the last line: the file gets its name.
  Async<void> Finish();
  // The SHA-256 in hex of all lines added so far. Once.
  Async<std::string> Sum();

 private:
  struct Impl;
  Runtime runtime_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul
