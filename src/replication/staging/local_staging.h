// The source's side of `transport: s3-replication`.
//
// An archive is uploaded once, into the rule's local staging; the store replicates that bucket to
// the staging of every target, where it has the same key. What lies in the local staging is the
// record of what has not been settled everywhere: a copy goes when every target has left a receipt,
// not before, and with all of its versions: a bucket that is replicated keeps them.
//
// That there was a receipt is a row of State for archive and target: receipts go as soon as their
// archive has left the target's staging, and another target may be slow. A row too few costs an
// archive too many at a target, which is harmless; so whatever is in doubt counts as not settled.
//
// Replication promises no time, and it may fail, or never have been configured. What has not come
// to a target's staging after Rule::replication_timeout is uploaded there from the local copy; what
// takes a third of that is told of.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replication/context/context.h"

namespace longhaul {

struct LocalArchive {
  std::string ulid;
  std::string key;
  SystemTime written{};
  uint64_t bytes = 0;                 // Of all its versions.
  std::string newest_version;         // Empty where the bucket keeps none, as are all below.
  std::vector<std::string> versions;  // All that is to be removed, with delete markers.
  std::set<std::string> settled;      // Targets.
};
using LocalArchives = std::map<std::string, LocalArchive>;  // By ULID.

// Where a target's archives of a rule lie; several targets may share it.
std::string StagingPlace(const TargetContext& target);
// What was seen at each such place: the ULIDs of archives and receipts. A place that could not be
// listed is missing.
using SeenInStaging = std::map<std::string, std::set<std::string>>;

// Whether archives for these targets (indexes) go by the local staging: only what is for all of
// them, for the store replicates to all.
bool GoesByLocalStaging(const RuleContext& rule, size_t targets);
// Of a bundle's bytes, how many go to the targets: the store carries each archive to every staging.
uint64_t StagingsOf(const RuleContext& rule);
// What lies in the local staging of a rule that has one. `stale` gets the rows of State that tell
// of what is not there any more.
Async<LocalArchives> ReadLocalStaging(State& state, const RuleContext& rule,
                                      std::vector<std::string>* stale);
Async<bool> LocalStagingIsEmpty(const RuleContext& rule);

struct LocalPass {
  int on_the_way = 0;  // Archives that have not come to a target's staging, once for each target.
  int repaired = 0;    // Uploaded there by the source itself.
  // Local copies that are damaged, and a target that needs one: their keys must be read anew, then
  // Settle.
  std::vector<std::pair<std::string, std::string>> unreadable;
  std::optional<Error> failure;
};

class LocalStaging {
 public:
  explicit LocalStaging(ReplicationContext& context) : context_(context) {}

  // ReadLocalStaging, and removes stale rows. Before the stagings of the targets are listed.
  Async<LocalArchives> Look(const RuleContext& rule);
  // A target has left a receipt; OK: that is remembered, or there is no local copy. Before the
  // receipt goes. `archives` is null where Look failed.
  Async<void> Settle(const RuleContext& rule, LocalArchives* archives, std::string ulid,
                     std::string target);
  // Removes what every target has settled, and brings what is late. After the stagings have been
  // listed.
  asio::awaitable<LocalPass> Tend(const RuleContext& rule, const LocalArchives& archives,
                                  const SeenInStaging& seen);
  // Nothing is waited for longer than this, whatever a rule says.
  void WaitAtMost(std::chrono::milliseconds patience) { patience_max_ = patience; }

 private:
  struct Late {
    int archives = 0;
    SystemTime oldest = SystemTime::max();
  };

  Async<void> RemoveCopy(const RuleContext& rule, const LocalArchive& archive);
  void Tell(const RuleContext& rule, const TargetContext& target, const Late& late);
  Async<bool> Bring(const RuleContext& rule, const TargetContext& target,
                    const LocalArchive& archive);
  Async<void> Upload(const RuleContext& rule, const TargetContext& target,
                     const LocalArchive& archive);

  ReplicationContext& context_;
  std::optional<std::chrono::milliseconds> patience_max_;
  std::set<const TargetContext*> late_;  // Those that have been told of.
};

}  // namespace longhaul
