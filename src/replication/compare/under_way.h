// UnderWay: what archives in a target's staging will bring, that no receipt of the target settles.
//
// A comparison that did not know of it would send all of it again: after a target has been away, a
// second time everything that has waited for it. Of an archive of which something is parked only
// that is under way: the rest has been applied, and whoever removes it there by hand gets it back.
// What is in doubt counts as not under way: archives that cannot be opened, that are refused as a
// whole, segments of giants, and what is beyond the bounds. An object too many costs its bytes; one
// too few would wait for the next comparison (a file that was replaced by one of the same size with
// an older time does).

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "archive/entry.h"
#include "base/runtime.h"
#include "replication/context/rule_context.h"
#include "state/state.h"
#include "storage/store.h"

namespace longhaul {

class UnderWay {
 public:
  // Before the target is listed: what is applied in between is found there, or was seen here. Opens
  // at most `archives_max` archives, the newest, and remembers at most `keys_max` keys.
  static Async<UnderWay> Look(Runtime& runtime, State& state, const RuleContext& rule,
                              const TargetContext& target, size_t archives_max, size_t keys_max);

  // Whether the newest reading of the key that waits is of this object, as a listing shows it.
  [[nodiscard]] bool Brings(const ListedObject& object) const;
  // Whether it is of a delete.
  [[nodiscard]] bool Removes(const std::string& key) const;
  [[nodiscard]] size_t size() const { return readings_.size(); }

 private:
  struct Reading {
    bool deletes = false;
    SystemTime stamp{};
    uint64_t size_bytes = 0;
    std::string etag;  // Empty: it follows from the bytes, and is not known here.
  };
  class Looking;

  std::map<std::string, Reading, std::less<>> readings_;  // By source key; the newest of each.
};

}  // namespace longhaul
