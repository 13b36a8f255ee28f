// What an object is at both sides, asked of their stores, and whether it is to be carried: for what
// two listings could not tell, and for what an event named.

#pragma once

#include <cstdint>
#include <string>

#include "base/runtime.h"
#include "migration/compare.h"
#include "migration/run.h"
#include "migration/task.h"

namespace longhaul::migration {

struct Looked {
  enum class Kind {
    kCarry,
    kSame,
    kLeftOut,  // By the filter of the run, which asks for more than a name.
  };
  Kind kind = Kind::kCarry;
  // Of the source, as it is now.
  uint64_t size_bytes = 0;
  std::string etag;
  SystemTime last_modified{};
};

// By the comparison of the run; times tell nothing of what an event named, nor in a run that takes
// events: a copy that was late is newer than its source. Nor does an equal size of what is to be
// carried (`object.look`), whatever the run says. Errors are those of the stores; IsGone: it
// is not at the source. `written`: what is at the target has just been written by whoever asks;
// that it is newer tells nothing, and in a run that takes events all that belongs to it is
// compared.
Async<Looked> LookAtBoth(Runtime& runtime, const Run& run, Ends ends, TaskObject object,
                         bool written = false);

// Whether the source still is what has been copied, or is gone. `copied.last_modified` counts where
// it is known. Whoever writes last and then finds this true has not put an older state over a newer
// one, however many carry the same object.
Async<bool> IsStillSo(const Run& run, Ends ends, std::string name, Looked copied);

}  // namespace longhaul::migration
