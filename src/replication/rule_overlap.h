// RuleOverlap notices processes that pack by another configuration, as they do while a change of it
// is rolled out, and says when the last of them has gone.
//
// They take messages and events of a rule, too, and acknowledge what is nothing to them: keys below
// another prefix, of another filter, for a target that they do not have. Nobody keeps those; a
// comparison that begins when they have gone finds what they have left.
//
//   partition "configurations", key <process>   {"events":true,"rules":{RULE:DIGEST}}; expires
//
// Costs a write and a scan of a row for each process, once a minute. Nobody removes a row: it stays
// for long enough that the others see every process, however short it lived.

#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "replication/context/context.h"

namespace longhaul {

// Of all that decides which keys of a rule are carried where.
std::string DigestOfRule(const RuleContext& rule);

class RuleOverlap {
 public:
  // `gone`: nobody packs `rule` by another configuration any more.
  RuleOverlap(ReplicationContext& context, std::function<void(const std::string& rule)> gone);

  // Until `stop`; what fails is told and tried again. `events`: this process takes events of
  // stores, and drops those of which no rule of its own speaks.
  asio::awaitable<void> Watch(bool events, Event& stop);

 private:
  Async<void> Say(bool events);
  Async<void> Look();

  ReplicationContext& context_;
  std::function<void(const std::string& rule)> gone_;
  std::map<std::string, std::string> digests_;  // Of this process, by rule.
  std::set<std::string> overlapped_;            // Rules, at the last look.
  std::set<std::string> left_;                  // Overlapped before, and not compared since.
  std::map<std::string, SteadyTime> compared_;  // When that began last.
};

}  // namespace longhaul
