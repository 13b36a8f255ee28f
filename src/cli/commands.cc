#include "cli/backup_common.h"
#include "cli/cache_common.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/run_commands.h"

namespace longhaul {

std::span<const CommandFactory> AllCommands() {
  static constexpr CommandFactory kCommands[] = {
      MakeDemoCommand,           MakeReplicateCommand,     MakeRulesStatusCommand,
      MakeRulesPauseCommand,     MakeRulesResumeCommand,   MakeRulesBackfillCommand,
      MakeRulesParkedCommand,    MakeRulesRetryCommand,    MakeRulesDeadLettersCommand,
      MakeRulesCheckCommand,     MakeRulesImportCommand,   MakeRulesExportCommand,
      MakeExplainCommand,        MakeListCommand,          MakeDiskUsageCommand,
      MakeStatCommand,           MakeCatCommand,           MakeCopyCommand,
      MakeSyncCommand,           MakeApplyCommand,         MakeMoveCommand,
      MakeRemoveCommand,         MakeCheckCommand,         MakeRunsListCommand,
      MakeRunsShowCommand,       MakeRunsResumeCommand,    MakeRunsForgetCommand,
      MakeUploadsListCommand,    MakeUploadsAbortCommand,  MakeMigratePlanCommand,
      MakeMigrateStartCommand,   MakeMigrateStatusCommand, MakeMigrateStopCommand,
      MakeMigrateRetryCommand,   MakeMigrateVerifyCommand, MakeMigrateWorkerCommand,
      MakeMigrateImportCommand,  MakeCacheFillCommand,     MakeCacheStatusCommand,
      MakeCacheListCommand,      MakeCachePinCommand,      MakeCacheUnpinCommand,
      MakeCacheEvictCommand,     MakeCacheSweepCommand,    MakeCacheServeCommand,
      MakeCacheWorkerCommand,    MakeBackupListCommand,    MakeBackupVersionsCommand,
      MakeBackupRestoreCommand,  MakeBackupVerifyCommand,  MakeBackupPruneCommand,
      MakeBackupCatalogCommand,  MakeBackupDrillCommand,   MakeBackupAthenaCommand,
      MakeServeS3Command,        MakeArchiveListCommand,   MakeArchiveCatCommand,
      MakeArchiveExtractCommand, MakeArchiveVerifyCommand, MakePricesCommand,
      MakePricesUpdateCommand,   MakeEstimateCommand,      MakeSavingsCommand,
      MakeSetupCommand,          MakeDoctorCommand,        MakeIamPolicyCommand,
      MakeConfigCheckCommand,    MakeConfigShowCommand,    MakeConfigSchemaCommand,
      MakeCompletionCommand,     MakeVersionCommand,
  };
  return kCommands;
}

}  // namespace longhaul
