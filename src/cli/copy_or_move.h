// What cp and mv have in common: all but their help.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/listing_flags.h"
#include "cli/run_session.h"
#include "cli/stores.h"
#include "cli/transfer_flags.h"
#include "cli/transfer_limits.h"
#include "cli/transfer_run.h"

namespace longhaul {

class CopyOrMove : public Command {
 public:
  explicit CopyOrMove(bool move) : move_(move) {}

  [[nodiscard]] bool has_s5cmd_lines() const override { return true; }
  void Declare(FlagSet& flags) override;
  Async<ExitCode> RunAsync(RunContext& context) override;

 private:
  // Of names of the target: which are those of a source's objects. Empty: none can be.
  Async<std::function<bool(std::string_view name)>> LandsInASource(RunContext& context,
                                                                   StoreOpener& opener,
                                                                   OpenedAddress target);
  // kInvalidInput: what is moved would be moved onto itself.
  static Async<void> CheckApart(RunContext& context, OpenedAddress source, OpenedAddress target,
                                std::string key, std::string target_key);
  // kInvalidInput: two sources would become one name.
  [[nodiscard]] Result<void> CheckNamesApart(const CommandAddress& target) const;
  // kInvalidInput: flags that choose among many, without --recursive.
  [[nodiscard]] Result<void> CheckOne() const;
  // An error ends the run: there is only this object, or its store refuses as a whole.
  Async<void> CarryOne(RunContext& context, OpenedAddress source, OpenedAddress target,
                       TransferRun& run);
  Async<void> CarryBelow(RunContext& context, StoreOpener& opener, OpenedAddress source,
                         OpenedAddress target, TransferRun& run, SyncOptions options);

  bool move_;
  std::vector<std::string> sources_;
  std::string target_;
  bool recursive_ = false;
  bool dry_run_ = false;
  bool no_clobber_ = false;
  VerboseFlag verbose_;
  FilterFlags filters_;
  CopyFlags copies_;
  AtFlag at_;
  SystemTime time_at_{};  // What that means.
  VersionsFlag versions_;
  ListingFlags listings_;
  LimitFlags limits_;
  ReportFlags reports_;
  RunFlags run_flags_;
  StoreFlags store_flags_;
};

}  // namespace longhaul
