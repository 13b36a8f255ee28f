// From S3's own ReplicationConfiguration to rules.

#pragma once

#include "rules/import_draft.h"
#include "rules/native_replication.h"

namespace longhaul {

// Rules that differ in nothing but their destination become one rule with several targets, which
// reads and packs each object once, unless their priorities have a say.
ImportDraft DraftOfNative(const NativeConfiguration& native, const std::string& file,
                          const ImportOptions& options, ImportLog& log);

}  // namespace longhaul
