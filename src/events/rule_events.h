// RuleEvents: the rules of a configuration as takers of events: each event is a hint in the Queue.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "events/event_taker.h"
#include "queue/queue.h"
#include "rules/rule.h"

namespace longhaul {

class RuleEvents : public EventTaker {
 public:
  // `configuration` and `queue` are borrowed. `origin`: a label of metrics. `takes`: which rules
  // hear of events this way, where they are enabled.
  RuleEvents(Runtime runtime, const Configuration& configuration, Queue& queue, std::string origin,
             std::function<bool(const Rule&)> takes);

  [[nodiscard]] std::vector<Source> Sources() const override;
  // Also of rules that are disabled: what is theirs must not be taken for another one's.
  [[nodiscard]] std::string NamelessBucket(std::string_view store) const override;
  [[nodiscard]] std::string_view Unwanted(const StoreEvent& event) const override;
  Async<size_t> Take(std::vector<StoreEvent> events) override;
  [[nodiscard]] Words words() const override { return {"no rule replicates", "rules replicate"}; }

 private:
  [[nodiscard]] std::vector<const Rule*> RulesOf(const StoreEvent& event) const;

  Runtime runtime_;
  const Configuration& configuration_;
  Queue& queue_;
  std::string origin_;
  std::function<bool(const Rule&)> takes_;
};

}  // namespace longhaul
