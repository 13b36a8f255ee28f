// Restore: the objects that a vault has of a bucket at a time, written below a place of any store.
//
// What every restore has in common, whoever asks for it: which objects it is of, how what is at the
// target already is compared, and what of it would be replaced. RunRestore does all of it with a
// journal, for a process that does other things meanwhile.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/backup_store.h"
#include "state/state.h"
#include "transfer/runs/run_journal.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul::backup {

struct RestoreWhat {
  // What keys begin with. One that is the whole key of an object stands for that alone.
  std::string prefix;
  SystemTime at = SystemTime::max();
  // `prefix` is a key, and nothing is meant besides.
  bool one_key = false;
};

// What comes before the names of the objects below the target: up to the last '/'.
std::string RestoreFolder(std::string_view prefix);

// The objects that are meant. `troubles` lives as long as the listing.
std::unique_ptr<Listing> OpenRestored(BackupStore& vault, RestoreWhat what,
                                      CatalogTroubles& troubles,
                                      std::function<void(const std::string& text)> told);

// What is at the target under the names that the restore may write, and nothing else.
std::unique_ptr<Listing> OpenRestoreTarget(const Runtime& runtime, const RestoreWhat& what,
                                           const TreeTarget& target);

// How a restore compares and copies: what is equal in bytes, headers, metadata and tags stays.
void SetRestoreOptions(SyncOptions& options);

// What is to be known of a restore when it has ended.
class RestoreTally : public SyncObserver {
 public:
  void OnChosen(const SyncStep& step) override { replaced += step.target != nullptr ? 1 : 0; }
  void OnSkipped(const SyncStep& step) override {
    appeared += step.decision.reason == reason::kExists ? 1 : 0;
  }
  uint64_t replaced = 0;  // Or would be.
  uint64_t appeared = 0;  // Was not there when the target was looked at; left alone.
};

// How many objects at `target` differ from what would be written in their place. `options` as for
// the restore itself. Nothing is written. What cannot be compared counts as none: the restore looks
// at it again, names it and leaves it alone. Errors: those that end the comparison of all.
Async<uint64_t> CountDiffering(Runtime runtime, BackupStore& vault, RestoreWhat what,
                               TreeTarget target, SyncOptions options);
// kPrecondition: that many would be replaced. `remedy`: how to have it so.
Error WouldReplace(uint64_t differing, std::string_view target, std::string_view remedy);

// A restore as people ask for it, and as its run remembers it.
struct RestoreOrder {
  std::string rule;
  std::string target;  // Of the rule: the backup.
  RestoreWhat what;
  std::string destination;  // An address that ends where names begin.
  bool overwrite = false;
  bool dry_run = false;  // Counts what would be written, and writes nothing.
};
// The command of its runs in State.
inline constexpr std::string_view kRestoreCommand = "backup restore";

// The run that a restore begins, without what RunJournal makes: its arguments are those of the
// command, so that `longhaul runs resume` does the same. `vault`: its address.
RunRecord RestoreRun(const RestoreOrder& order, const std::string& config_file,
                     const std::string& vault);
// nullopt: a run of something else, or of another longhaul.
std::optional<RestoreOrder> OrderOf(const RunRecord& run);

// Does what the order says and finishes the journal with what came of it. All is borrowed. `stop`:
// end soon. `place`: of the destination.
asio::awaitable<void> RunRestore(Runtime runtime, State& state, BackupStore& vault,
                                 RestoreOrder order, TreeTarget place, RunJournal& journal,
                                 Event& stop);

}  // namespace longhaul::backup
