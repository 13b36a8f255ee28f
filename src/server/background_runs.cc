#include "server/background_runs.h"

#include <utility>

namespace longhaul {

bool BackgroundRuns::Start(const std::string& id, Work work) {
  if (ending_) return false;
  std::unique_ptr<One>& one = runs_[id];
  one = std::make_unique<One>();
  one->id = id;
  one->work = std::move(work);
  group_.Spawn(Carry(*one));
  return true;
}

void BackgroundRuns::Rename(const std::string& from, const std::string& to) {
  auto one = runs_.extract(from);
  if (one.empty()) return;  // It has ended.
  one.mapped()->id = to;
  one.key() = to;
  runs_.insert(std::move(one));
}

bool BackgroundRuns::Stop(const std::string& id) {
  const auto found = runs_.find(id);
  if (found == runs_.end()) return false;
  found->second->stop.Set();
  return true;
}

int BackgroundRuns::Count(const std::string& id_prefix) const {
  int count = 0;
  for (auto at = runs_.lower_bound(id_prefix);
       at != runs_.end() && at->first.starts_with(id_prefix); ++at) {
    ++count;
  }
  return count;
}

asio::awaitable<void> BackgroundRuns::End() {
  ending_ = true;
  for (auto& [id, one] : runs_) one->stop.Set();
  Result<void> joined = co_await group_.Join();
  static_cast<void>(joined);
}

Async<void> BackgroundRuns::Carry(One& one) {
  co_await one.work(one.stop);
  const std::string id = one.id;
  runs_.erase(id);
  co_return Ok();
}

}  // namespace longhaul
