// Archives that not every target has told of.
//
// Who takes one out of a staging (a person, a rule that lets objects expire there) takes what it
// held as well, and a comparison does not find all of that: so its keys are read anew. An archive
// that waits for long has a row in State, and one that goes while nobody runs is found by the next
// process: "t1 t2", the targets, and "gone=TIME" before them.
//
// Where targets have stagings of their own, each may be told of to another process; of what one has
// taken the others learn from State, when an archive has gone that they miss something of.
//
// A target of which only the source's side knows never tells of anything, and what goes from the
// staging that it shares has been applied: nothing is sent anew for a target that has never
// answered while others of its staging have. One that answers within the hour and a half misses
// nothing.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/async.h"
#include "replication/context/context.h"

namespace longhaul {

// Sends what is remembered of the keys of an archive again, to be read anew. false: nothing is.
Async<bool> SendArchiveKeys(State& state, Queue& queue, std::string rule, std::string archive);

class UntoldArchives {
 public:
  explicit UntoldArchives(ReplicationContext& context) : context_(context) {}

  // What other processes and earlier runs knew; until that is known the next call asks again.
  asio::awaitable<void> Load();
  // Of an archive that is in some staging: whether the target has told of it.
  void Note(const std::string& rule, const std::string& archive, const std::string& target,
            bool told);
  // Its keys are in the Queue.
  void Drop(const std::string& archive);
  bool Contains(const std::string& archive) const;
  // Before receipts of these targets go from a staging: where others of the rule have another one,
  // and have not all told of the archive here, other processes are to know. Not OK: they do not.
  Async<void> RememberTold(const RuleContext& rule, const std::string& archive,
                           std::vector<std::string> targets);
  // After a look at the stagings: what is in any, and whether all of them were seen. Sends the keys
  // of what went one and a half hours ago; returns those archives, which are to be forgotten.
  asio::awaitable<std::vector<std::string>> Tend(const std::set<std::string>& present,
                                                 bool complete);

 private:
  struct Untold {
    std::string rule;
    std::set<std::string> targets;  // That have not told; empty: nothing is to be done any more.
    std::optional<SystemTime> gone_since;  // From every staging.
    std::string row;                       // In State; empty: none.
  };

  asio::awaitable<bool> SendAnew(const std::string& archive, Untold& untold);
  // One that has just gone: by what another process has taken, or it has a row. True: all have told
  // of it, and its keys are to be forgotten.
  asio::awaitable<bool> NoteGone(const std::string& archive, Untold& untold);
  // Takes those out that have told another process, or that have never answered.
  Async<void> LeaveOutTold(const std::string& archive, Untold& untold);
  Async<void> LeaveOutSilent(Untold& untold);
  // Not OK: not all is sent.
  Async<bool> SendFor(const std::string& archive, const Untold& untold);
  const RuleContext* Find(const std::string& rule) const;
  asio::awaitable<void> WriteRow(const std::string& archive, Untold& untold);
  asio::awaitable<void> RemoveRow(const std::string& archive, const Untold& untold);

  ReplicationContext& context_;
  std::set<std::string> loaded_;            // Rules.
  std::map<std::string, Untold> archives_;  // By ULID.
  std::set<std::string> silent_told_;       // Targets that have never answered, with their rules.
};

}  // namespace longhaul
