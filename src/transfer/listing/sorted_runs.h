// SortedRuns: runs of listed objects in a file without a name. All of it blocks: on the CPU pool.
//
// Internal to SortListing.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/object.h"

namespace longhaul {

// Key ascending, then the newest first.
bool ListedBefore(const ListedObject& a, const ListedObject& b);

class SortedRuns {
 public:
  static Result<std::unique_ptr<SortedRuns>> Open(const std::string& folder);
  ~SortedRuns();
  SortedRuns(const SortedRuns&) = delete;
  SortedRuns& operator=(const SortedRuns&) = delete;

  // A new run begins; what is added to it must be in order.
  void Begin() { runs_.emplace_back(); }
  // A block of the last run.
  Result<void> Add(std::span<const ListedObject> objects);
  [[nodiscard]] size_t count() const { return runs_.size(); }
  [[nodiscard]] uint64_t size_bytes() const { return end_; }

  // Reads runs [0, count) side by side, then they are dropped.
  class Merge;
  std::unique_ptr<Merge> OpenMerge();
  // Drops the first `count` runs.
  void Drop(size_t count);

 private:
  struct Block {
    uint64_t offset = 0;
    uint32_t size_bytes = 0;
    uint32_t raw_bytes = 0;
  };
  explicit SortedRuns(int fd) : fd_(fd) {}
  Result<std::vector<ListedObject>> Read(const Block& block) const;

  int fd_;
  uint64_t end_ = 0;
  std::vector<std::vector<Block>> runs_;
};

class SortedRuns::Merge {
 public:
  explicit Merge(SortedRuns& runs) : runs_(runs) {}
  // Up to `count` objects in order; none: the end.
  Result<std::vector<ListedObject>> Next(size_t count);

 private:
  struct Run {
    size_t block = 0;
    std::vector<ListedObject> objects;
    size_t next = 0;
  };
  // Makes the run's next object ready. False: it has ended.
  Result<bool> Load(size_t run);

  SortedRuns& runs_;
  bool started_ = false;
  std::vector<Run> open_;
  std::vector<size_t> heap_;  // Of runs, the smallest object on top.
};

}  // namespace longhaul
