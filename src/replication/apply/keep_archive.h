// Keeping an archive: a backup target has it in its vault, as it came, with a catalog beside it.

#pragma once

#include "archive/archive_file.h"
#include "archive/reader.h"
#include "replication/apply/apply_archive.h"
#include "replication/context/context.h"

namespace longhaul {

// Reads all of `reader`, the archive that lies in the target's staging as `file`, puts it into the
// vault and then writes its catalog. Every step may be repeated: the second time finds the first
// one's result. Errors as of ApplyArchive, and kInvalidInput: the rule does not let something of it
// in, or the vault has another archive of its name, which stays.
Async<ArchiveApplication> KeepArchive(ReplicationContext& context, Runtime& runtime,
                                      const RuleContext& rule, TargetContext& target,
                                      ArchiveReader& reader, const StoreArchiveFile& file,
                                      std::string staged_key);

}  // namespace longhaul
