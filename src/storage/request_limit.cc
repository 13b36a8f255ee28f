#include "storage/request_limit.h"

#include <algorithm>
#include <utility>

namespace longhaul {

asio::awaitable<void> RequestLimit::WaitForRoom(std::shared_ptr<RequestLimit> limit) {
  while (!limit->has_room()) co_await limit->waiters_.Wait();
}

void RequestLimit::Turn::StopCounting() {
  if (!std::exchange(counts_, false)) return;
  --limit_->under_way_;
  limit_->waiters_.NotifyOne();
}

bool RequestLimit::Turn::Answered(bool throttled) {
  RequestLimit& of = *limit_;
  if (throttled) {
    if (burst_ != of.burst_) return false;
    const int now = counts_ ? std::min(of.limit_, of.under_way_) : of.limit_;
    const int before = std::exchange(of.limit_, std::max(1, now / 2));
    ++of.burst_;
    of.answered_ = 0;
    return of.limit_ != before;
  }
  if (of.limit_ == of.most_ || ++of.answered_ < of.limit_) return false;
  of.answered_ = 0;
  ++of.limit_;
  of.waiters_.NotifyAll();
  return true;
}

}  // namespace longhaul
