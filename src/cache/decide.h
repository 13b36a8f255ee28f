// Decide: what a run has to do about one key. Pure, so that it can be tested and argued about.
//
// Runs have numbers, in the order in which they began. What is ready and of the listed state of the
// source is a hit. A forced run is a barrier: what an earlier run has copied, or is copying, counts
// no more for it; what a later one has copied is newer than what it was asked for.

#pragma once

#include <optional>
#include <string>

#include "cache/entry.h"

namespace longhaul::cache {

// What a run wants of a key that it has listed.
struct Wish {
  int64_t run = 0;
  std::string session;
  bool force = false;
  // The run may have written here without holding the key: whatever is there now, copy it again.
  bool again = false;
  std::string source;
  std::string target_prefix;
  std::string etag;
  uint64_t size_bytes = 0;
  SystemTime modified{};
  SystemTime until{};
};

enum class Verdict {
  kHit,      // Its time to live is to be extended.
  kCopy,     // It is to be claimed, and then copied.
  kCopyOwn,  // The claim of this very session has been written already: copy.
  kWait,     // Somebody else is copying it, or removing its copy.
  kForeign,  // A copy of another bucket's key lies there, or of another key of this one.
};

// `claim_lives`: of an entry that is claimed, whether its session does.
Verdict Decide(const std::optional<Entry>& entry, const Wish& wish, bool claim_lives,
               SystemTime now);

// Whether the source has been written since: the same bytes may have got other headers or metadata.
// Either time may be in whole seconds. None is never later; where nobody knows when what was copied
// was written, whatever time is told is.
bool IsLater(SystemTime seen, SystemTime copied);

// Whether what `run` is copying counts for the one who wishes.
bool CountsFor(const Wish& wish, int64_t run);

// The row to be written for a verdict of kHit, or of kCopy.
Entry Extended(Entry entry, const Wish& wish, SystemTime now);
Entry Claimed(const std::optional<Entry>& entry, const Wish& wish, SystemTime now);
// The claim, when its copy is there.
Entry Filled(Entry entry, SystemTime now);

}  // namespace longhaul::cache
