#include "replication/target/staging_queue.h"

#include <algorithm>
#include <utility>

namespace longhaul {

void StagingQueue::Saw(const std::vector<StagedArchive>& listed, SteadyTime begun_at) {
  std::set<std::string> seen;
  for (const StagedArchive& staged : listed) {
    if (!staged.archive) continue;
    seen.insert(staged.ulid);
    StagingWork& work = work_[staged.ulid];
    if (work.done_at >= begun_at) continue;  // It was there when the listing began.
    if (!work.under_way) work.done_at.reset();
    work.staged = staged;
  }
  std::erase_if(work_, [&](const auto& entry) {
    return !entry.second.under_way && !seen.contains(entry.first);
  });
}

void StagingQueue::RetryParked() {
  for (auto& [ulid, work] : work_) {
    if (work.parked) work.due = {};
  }
}

void StagingQueue::Done(StagingWork& work, SteadyTime now) {
  work = {.staged = std::move(work.staged), .done_at = now};
}

std::vector<StagingWork*> StagingQueue::InOrder() {
  std::vector<StagingWork*> works;
  for (const bool large : {false, true}) {
    for (auto& [ulid, work] : work_) {
      if (IsLarge(work) == large) works.push_back(&work);
    }
  }
  return works;
}

bool StagingQueue::IsSettled(const StagingWork& work) const {
  return work.done_at || work.staged.HasReceipt(target_);
}

std::optional<SteadyTime> StagingQueue::NextDue(SteadyTime now) const {
  std::optional<SteadyTime> next;
  for (const auto& [ulid, work] : work_) {
    if (work.under_way || IsSettled(work) || work.due <= now) continue;
    if (!next || work.due < *next) next = work.due;
  }
  return next;
}

std::set<std::string> StagingQueue::Archives() const {
  std::set<std::string> archives;
  for (const auto& [ulid, work] : work_) archives.insert(ulid);
  return archives;
}

uint64_t StagingQueue::CountLeft() const {
  return static_cast<uint64_t>(
      std::ranges::count_if(work_, [&](const auto& entry) { return !IsSettled(entry.second); }));
}

std::optional<SystemTime> StagingQueue::OldestLeft() const {
  std::optional<SystemTime> oldest;
  for (const auto& [ulid, work] : work_) {
    if (IsSettled(work)) continue;
    const SystemTime written = work.staged.archive->last_modified;
    if (!oldest || written < *oldest) oldest = written;
  }
  return oldest;
}

}  // namespace longhaul
