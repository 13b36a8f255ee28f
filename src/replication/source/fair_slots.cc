#include "replication/source/fair_slots.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace longhaul {

FairSlots::FairSlots(int slots, size_t rules)
    : free_(slots),
      each_max_(rules > 1 && slots > 1 ? slots - 1 : slots),
      sick_max_(rules > 1 && slots > 1 ? 1 : slots),
      rules_(rules) {}

bool FairSlots::MayHoldOneMore(const User& rule) const {
  if (rule.held >= each_max_) return false;
  if (!rule.sick) return true;
  int held = 0;
  for (const User& other : rules_) held += other.sick ? other.held : 0;
  return held < sick_max_;
}

std::optional<size_t> FairSlots::Next() const {
  std::optional<size_t> next;
  for (size_t i = 0; i < rules_.size(); ++i) {
    const User& rule = rules_[i];
    if (!rule.waits || !MayHoldOneMore(rule)) continue;
    if (!next || std::pair(rule.served_bytes, rule.ticket) <
                     std::pair(rules_[*next].served_bytes, rules_[*next].ticket)) {
      next = i;
    }
  }
  return next;
}

void FairSlots::Grant() {
  while (free_ > 0) {
    const std::optional<size_t> next = Next();
    if (!next) return;
    User& rule = rules_[*next];
    --free_;
    ++rule.held;
    rule.waits = false;
    served_last_ = std::max(served_last_, rule.served_bytes);
    rule.waiter.NotifyAll();
  }
}

asio::awaitable<void> FairSlots::Acquire(size_t index) {
  User& rule = rules_[index];
  LH_CHECK(!rule.waits);
  if (rule.held == 0) rule.served_bytes = std::max(rule.served_bytes, served_last_);
  rule.waits = true;
  rule.ticket = next_ticket_++;
  Grant();
  while (rule.waits) co_await rule.waiter.Wait();
}

void FairSlots::Release(size_t index) {
  --rules_[index].held;
  ++free_;
  Grant();
}

void FairSlots::SetSick(size_t index, bool sick) {
  rules_[index].sick = sick;
  if (!sick) Grant();
}

}  // namespace longhaul
