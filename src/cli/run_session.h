// RunSession: what a command that copies remembers: its run's journal, and the uploads that did not
// end. Without a State (it cannot be opened) the command works all the same, and says that it
// cannot be resumed.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/flags.h"
#include "cli/local_state.h"
#include "cli/run_context.h"
#include "transfer/object/upload_records.h"
#include "transfer/runs/run_journal.h"

namespace longhaul {

struct RunFlags {
  StateFlag state;
  std::string resume;        // --resume RUN
  std::string retry_failed;  // --retry-failed RUN

  void Declare(FlagSet& flags);
};

class RunSession {
 public:
  struct What {
    std::string command;
    std::string source;  // Addresses.
    std::string target;
    std::string below;  // Prefix of the target's keys.
    // Where both are (LastingPlace); needed where a journal is kept.
    std::string source_place{};
    std::string target_place{};
    std::string listing{};  // As of RunRecord.
    SystemTime at{};
    bool journal = false;      // A run of many objects; else uploads are remembered alone.
    std::string no_journal{};  // Why a run of many objects has none, for people.
  };
  // Begins a run, or takes that of --resume or --retry-failed over. kInvalidInput: that is one of
  // another source or target or of another list of names, or their addresses mean another place by
  // now, or it has nothing left to be done; kPrecondition: it is under way.
  static Async<std::unique_ptr<RunSession>> Open(RunContext& context, const RunFlags& flags,
                                                 What what);

  // Null: no journal is kept.
  [[nodiscard]] RunJournal* journal() { return journal_.get(); }
  // Null: there is no State.
  [[nodiscard]] UploadRecords* uploads() { return uploads_.get(); }
  // The run as it was found; nullopt: it is a new one.
  [[nodiscard]] const std::optional<RunRecord>& found() const { return found_; }
  // Whether only what failed is to be done.
  [[nodiscard]] bool failed_only() const { return failed_only_; }
  // Names, in order, that a run that goes on does first: what was in flight, and what failed.
  Async<std::vector<std::string>> NamesToRedo();
  // Behind which name it goes on; nullopt: all have been looked at.
  [[nodiscard]] std::optional<std::string> GoesOnAfter() const;

  // The last write of the journal. `code`: with which the command ends, `error` instead if set.
  // Says on a terminal how to go on with a run that stopped.
  asio::awaitable<void> Close(ExitCode code, const std::optional<Error>& error);

 private:
  explicit RunSession(RunContext& context) : context_(context) {}
  Async<void> TakeOver(std::string id, const What& what);

  RunContext& context_;
  std::unique_ptr<State> state_;
  std::unique_ptr<RunJournal> journal_;
  std::unique_ptr<UploadRecords> uploads_;
  std::optional<RunRecord> found_;
  bool failed_only_ = false;
};

}  // namespace longhaul
