#include "replication/source/suspects.h"

#include <algorithm>
#include <utility>

namespace longhaul {

bool Suspects::AreDone(SteadyTime now) {
  if (under_way_.empty()) return true;
  std::erase_if(under_way_, [](const auto& message) { return message->closed; });
  const bool well = under_way_.empty();
  if (!well && now < until_) return false;
  together_ = well ? std::min(2 * together_, kTogetherMax) : 1;
  under_way_.clear();
  return true;
}

bool Suspects::MayReceive(SteadyTime now) { return waiting_.empty() && AreDone(now); }

std::vector<Suspects::Suspect> Suspects::Take(SteadyTime now) {
  std::vector<Suspect> taken;
  if (waiting_.empty() || !AreDone(now)) return taken;
  ++company_;
  until_ = now + kPatience;
  while (!waiting_.empty() && taken.size() < together_) {
    std::swap(waiting_[random_.Below(waiting_.size())], waiting_.back());
    taken.push_back(std::move(waiting_.back()));
    waiting_.pop_back();
    under_way_.push_back(taken.back().open);
  }
  return taken;
}

}  // namespace longhaul
