// What somebody asks for who starts a run between two addresses, by command or by API.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "migration/compare.h"
#include "migration/run.h"
#include "rules/in_use.h"
#include "rules/migration.h"
#include "rules/rule.h"

namespace longhaul::migration {

// A migration from `source` to `target`, with options as they are by default. `name`: of its run;
// none: made from both addresses, so that the same ones are the same run. `listed`: those of the
// configuration, whose names are taken. kInvalidInput: an address that other workers would not
// find, a target inside the source, a name that is none or is taken; the code says which of
// "source", "target" and "id" is meant.
Result<Migration> MigrationBetween(const Configuration& configuration,
                                   const std::vector<Migration>& listed, const std::string& source,
                                   const std::string& target, std::optional<std::string> name);

// A run as it would be started by this configuration. `place_of`: where its stores are;
// empty: as the configuration says.
// kInvalidInput: no such store, a target that rules use.
Result<Run> RunOf(const Configuration& configuration, const Migration& migration, SystemTime now,
                  const PlaceOfStore& place_of);

// Whether both sides can be listed at all, and are apart; the error of the first that cannot.
// kNotFound: there is nothing below the source's prefix, and no event will tell of more.
Async<void> CheckEnds(Runtime runtime, Run run, Ends ends);
// kInvalidInput: one side lies in the other, though their names do not say so (AreOneBucket).
Async<void> CheckNotOneBucket(Runtime runtime, Run run, Ends ends);
// One of them; `holds_something`: where there is nothing it is not found.
Async<void> CheckEnd(Address end, Store& store, bool holds_something);

}  // namespace longhaul::migration
