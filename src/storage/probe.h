// ProbeStore: finds out what a store really does, by doing it.
//
// Servers accept conditions and ignore them, or store a key under another name; nothing that
// longhaul promises may rest on what a server calls itself.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "storage/store.h"

namespace longhaul {

// A place for a probe that nobody else has: "<prefix>probe/<32 hex digits>/".
std::string NewProbeBase(std::string_view prefix, Random& random);

// Tries everything in `bucket` below `base` (about 60 small requests, two of them at once for the
// races; what gets no answer is tried again) and removes whatever it wrote there, every version of
// it, also when it fails. What cannot be tried without changing a bucket (versions) or moving
// gigabytes (size limits) stays as the store declares it. Errors: those of the store, when it does
// not answer or does not let us write there at all; whatever else a server says to a trial means
// that it cannot do it.
//
// What the work can do without may be denied: tags, whose ability stays as the store declares it,
// and listing uploads. `without`, where given, gets a line for each such thing: what may not be
// done there, and what follows.
Async<Capabilities> ProbeStore(Store& store, std::string bucket, std::string base,
                               std::vector<std::string>* without = nullptr);

// Removes what a probe at `base` may have left that was killed. It must not run any more. OK:
// nothing is there. Errors: those of the store.
Async<void> RemoveProbe(Store& store, std::string bucket, std::string base);

}  // namespace longhaul
