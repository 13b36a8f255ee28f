// The two ends of a tree's transfer, looked at before anything is listed or copied.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/run_context.h"
#include "cli/stores.h"
#include "cli/transfer_limits.h"
#include "cli/true_places.h"
#include "rules/in_use.h"
#include "transfer/tree/tree.h"

namespace longhaul {

// Whether two names are one object, whatever the stores are called: by their endpoints, and where
// both are folders by what the file system says.
bool IsSameObject(const OpenedAddress& one, const std::string& one_key, const OpenedAddress& two,
                  const std::string& two_key);
// Where an end is, to be kept and compared later: of folders the path with links followed, of
// others the endpoint. Never empty.
std::string LastingPlace(const OpenedAddress& end);
// kInvalidInput: the rules of the configuration in use have something there that `use` must not
// meet.
Result<void> CheckNotInUse(RunContext& context, const OpenedAddress& end, Use use);
// The folder in the file system that an end is, with a '/' behind it; "": it is none.
std::string FolderPathOf(const OpenedAddress& end);
// Whether what lies at `inner` lies in `outer` too. Both are folders; where both are of the file
// system it says whether they are (mounts, spellings).
bool LiesIn(const OpenedAddress& inner, const OpenedAddress& outer);

// Of copies of what is below `source` to `target`, both folders: which names land in `source`
// (SyncOptions::lands_in_source). Empty: none can.
std::function<bool(std::string_view name)> LandsIn(const OpenedAddress& source,
                                                   const OpenedAddress& target);

// Makes folders of both (a '/' at the end). kInvalidInput: no bucket is named, the source is a
// file, the target lies in the source. kNotFound: the source is a local folder that is not there.
Result<void> PrepareEnds(OpenedAddress& source, OpenedAddress& target);
// The last of these.
Result<void> CheckNotIntoItself(const OpenedAddress& source, const OpenedAddress& target);

// kInvalidInput: the source's bucket keeps no versions, so nobody knows what was there at a time.
Async<void> CheckKeepsVersions(OpenedAddress source);

// kInvalidInput: --versions of a store that has none; it would be asked what it ignores or refuses.
Result<void> CheckHasVersions(const OpenedAddress& end);

// kInvalidInput: --sse, --kms-key-id or --acl was typed, and the target is a folder, which knows
// none of them. Those of the environment are for all commands: what they mean the store says.
Result<void> CheckTakesEncryption(const RunContext& context, const OpenedAddress& target);
// kInvalidInput: --storage-class was typed, and the target's store has one class, which is another.
Result<void> CheckTakesClass(const RunContext& context, const OpenedAddress& target);
// The same of what a configuration or a run says; `flag`: what to call it.
Result<void> CheckTakesClass(const Store& store, const std::string& bucket,
                             const std::string& storage_class, const std::string& flag);

// Asks the target's bucket one question. Errors: what is wrong with it as a whole.
// True: it may not be listed, which says nothing of writing; the first object that is refused does.
Async<bool> IsTargetDenied(OpenedAddress target);

// Where --backup-dir points. kInvalidInput: it is not at the target's store, or lies in the target
// or the source (or they in it), which the run would then take for their own.
struct BackupEnd {
  TreeTarget tree;
  std::string place;  // LastingPlace
};
Result<BackupEnd> OpenBackup(StoreOpener& opener, LimitedStores& limited, const std::string& text,
                             const OpenedAddress& source, const OpenedAddress& target,
                             const TruePlaces& places = {});

// Of a local source: whether a name lies at or behind a link to a folder, or a link to nowhere,
// which listings leave out. Empty for others.
std::function<bool(const std::string& name)> BehindLinks(const OpenedAddress& source);

// A local folder that does not exist yet.
bool IsMissingFolder(const OpenedAddress& end);
// A local path at which there is nothing, neither folder nor file.
bool IsMissing(const OpenedAddress& end);

}  // namespace longhaul
