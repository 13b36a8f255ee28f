// StoreFinder finds what the rules of a process need before anything can be carried: buckets that
// are there, what their stores can do, and the appliers that follow from it.
//
// What has been found stays so (RuleContext, TargetContext). Errors are of a store as a whole.

#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "replication/context/context.h"

namespace longhaul {

class StoreFinder {
 public:
  // `packs`, `applies`: the roles of this process. `on_found` is called when something of a rule
  // has been found that KeepFinding was looking for.
  StoreFinder(ReplicationContext& context, bool packs, bool applies,
              std::function<void(RuleContext&)> on_found)
      : context_(context), packs_(packs), applies_(applies), on_found_(std::move(on_found)) {}

  // All that the rules need, side by side; the error names everything that failed.
  Async<void> FindAll();
  // The source of a rule, or one target of it, for ever: whatever has been found is put to work,
  // whatever else is away. `part` names it for the observer. OK: it has been found, or `stop` is
  // set.
  Async<void> KeepFinding(std::string part, RuleContext& rule, TargetContext* target, Event& stop);

 private:
  Async<void> FindSource(RuleContext& rule);
  // Why the tags of a source may not be read, where its objects may. Not OK: nobody knows.
  Async<std::optional<Error>> TagsDenied(const RuleContext& rule);
  Async<void> FindLocalStaging(RuleContext& rule);
  Async<void> FindTarget(RuleContext& rule, TargetContext& target);
  Async<void> PrepareTarget(RuleContext& rule, TargetContext& target);
  // Whether any rule may have the store copy objects into that bucket.
  [[nodiscard]] bool AnyCopiesTo(const Target& target) const;
  asio::awaitable<void> WarnOfVersions(const TargetContext& target);

  ReplicationContext& context_;
  bool packs_;
  bool applies_;
  std::function<void(RuleContext&)> on_found_;
  std::set<std::string> versions_warned_;  // Buckets.
};

}  // namespace longhaul
