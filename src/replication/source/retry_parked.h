// Parked keys that no archive in staging holds are read anew from time to time: whoever allows
// again what was denied need not know which keys were refused meanwhile.

#pragma once

#include <map>
#include <string>

#include "replication/context/context.h"

namespace longhaul {

class ParkedRetries {
 public:
  explicit ParkedRetries(ReplicationContext& context) : context_(context) {}

  // Sends hints for those whose time has come (NextReading), a page of each place once a minute,
  // until `stop` is set; for rules that are not paused. What fails is told and tried again.
  asio::awaitable<void> Run(Event& stop);

 private:
  Async<uint64_t> RetryAt(const RuleContext& rule, const std::string& target);

  ReplicationContext& context_;
  std::map<std::string, std::string> after_;  // Where the next page begins, by rule and target.
};

}  // namespace longhaul
