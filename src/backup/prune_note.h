// The prune note of a vault: since when it can tell every state of a bucket.
//
//   <to>longhaul-catalog/<source bucket>.pruned.json
//   {"pruned":[{"prefix":"logs","since":"2026-10-01T00:00:00Z"}]}
//
// Of keys that begin with `prefix` the states since `since` are all there. Of an earlier time what
// was pruned may be missing, and what is older would be taken for it. A prune writes the note
// before it removes its first archive; no time in it is ever made earlier. Vaults that were pruned
// before there were notes have none. It lies beside the catalogs' folders, where no listing and no
// query of catalogs comes across it.

#pragma once

#include <map>
#include <string>
#include <string_view>

#include "backup/catalog.h"

namespace longhaul::backup {

std::string PruneNoteKey(const VaultPlace& vault, const std::string& source_bucket);

// OK: nothing was pruned that the states at `at` of keys with `source.prefix` may need.
// kInvalidInput with code kPrunedCode: something was; says the earliest time that can be asked for.
// kCorrupt: the note cannot be read. Else those of the store.
Async<void> CheckNotPruned(CatalogSource source, SystemTime at);
inline constexpr std::string_view kPrunedCode = "StatePruned";

// Notes that of keys with `prefix` the states before `since` may be gone. OK: it is durable.
// `request`: how it is written. Any error: do not prune.
Async<void> NotePruned(CatalogSource source, std::string prefix, SystemTime since,
                       PutRequest request);

// What a note tells: since when, by prefix. kCorrupt: `text` is none.
using PrunedSince = std::map<std::string, SystemTime>;
Result<PrunedSince> ParsePruneNote(std::string_view text);
std::string EncodePruneNote(const PrunedSince& pruned);

}  // namespace longhaul::backup
