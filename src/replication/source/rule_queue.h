// What a SourceRole holds of one rule.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replication/source/reading.h"
#include "replication/source/source_role.h"

namespace longhaul {

struct SourceRole::RuleQueue {
  RuleQueue(ReplicationContext& roles, RuleContext& context, size_t number)
      : rule(&context),
        index(number),
        keys(context.rule->batch, roles.limits.bundle_object_bytes_max),
        health(roles.runtime, roles.observer, context),
        unverified(roles.runtime.metrics.counter("longhaul_objects_unverified_total",
                                                 "Objects that came without a checksum or an MD5 "
                                                 "of their bytes: their length was checked",
                                                 {{"rule", context.rule->id}})) {
    for (const std::unique_ptr<TargetContext>& target : context.targets) {
      has_rivals = has_rivals || !target->rivals_above.empty();
    }
  }

  [[nodiscard]] bool Has(const std::string& target) const {
    return std::ranges::any_of(rule->targets,
                               [&target](const auto& one) { return one->config->name == target; });
  }

  // The targets a hint is meant for, by their names ("": all, together) and as far as the key alone
  // tells: what rules of higher priority carry is left to them.
  [[nodiscard]] std::vector<std::string> TargetsOf(const std::string& key,
                                                   const std::string& only) const {
    if (!has_rivals) return {only};
    std::vector<size_t> meant;
    for (size_t i = 0; i < rule->targets.size(); ++i) {
      if (only.empty() || only == rule->targets[i]->config->name) meant.push_back(i);
    }
    const std::vector<size_t> wanted = WantedTargets(*rule, meant, key, {});
    if (wanted.size() == meant.size()) return {only};
    std::vector<std::string> names;
    for (size_t i : wanted) names.push_back(rule->targets[i]->config->name);
    return names;
  }

  RuleContext* rule;
  size_t index;  // Among the rules that share the process.
  PendingKeys keys;
  bool more_waits = true;  // In its lanes, as far as is known: a batch need not close yet.
  std::multimap<SystemTime, std::string> packing;  // The oldest key of each batch being packed.
  std::optional<Error> source_error;
  TargetHealth health;
  Counter& unverified;
  bool has_rivals = false;
};

// What is for a store that has not been found comes back so much later.
inline constexpr std::chrono::seconds kAwayDelay{5};

// What goes back of a key: all that is known of it.
HintMessage Left(const Rule& rule, const std::string& key, const PendingKey& pending, int tries);
// The same for some targets alone: what was decided of the others says nothing of them.
std::vector<HintMessage> LeftFor(const std::vector<std::string>& targets, const Rule& rule,
                                 const std::string& key, const PendingKey& pending);

}  // namespace longhaul
