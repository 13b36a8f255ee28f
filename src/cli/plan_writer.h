// Writes what a dry run would do as a plan (transfer/tree/plan_file.h).

#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "transfer/tree/plan_file.h"
#include "transfer/tree/sync_observer.h"

namespace longhaul {

class PlanWriter : public SyncObserver {
 public:
  // kInvalidInput: the file cannot be written.
  static Result<PlanWriter> Create(std::string path, const PlanHead& head);

  void OnChosen(const SyncStep& step) override;
  void OnRemoved(const SyncStep& step) override;

  // The end, without which the file is no plan. `failed`: what it has nothing of.
  // kRetryable: it could not be written in full.
  Result<void> Finish(uint64_t failed, bool removals_withheld);

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  PlanWriter(std::string path, File file) : path_(std::move(path)), file_(std::move(file)) {}
  void Write(const std::string& line);

  std::string path_;
  File file_;
  PlanEnd written_;
  bool failed_ = false;
};

}  // namespace longhaul
