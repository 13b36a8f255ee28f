// The makers of all commands: each is defined in its own <name>_command.cc, listed in commands.cc.

#pragma once

#include <memory>

namespace longhaul {

class Command;

std::unique_ptr<Command> MakeApplyCommand();
std::unique_ptr<Command> MakeArchiveCatCommand();
std::unique_ptr<Command> MakeArchiveExtractCommand();
std::unique_ptr<Command> MakeArchiveListCommand();
std::unique_ptr<Command> MakeArchiveVerifyCommand();
std::unique_ptr<Command> MakeCatCommand();
std::unique_ptr<Command> MakeCheckCommand();
std::unique_ptr<Command> MakeCompletionCommand();
std::unique_ptr<Command> MakeConfigCheckCommand();
std::unique_ptr<Command> MakeConfigSchemaCommand();
std::unique_ptr<Command> MakeConfigShowCommand();
std::unique_ptr<Command> MakeCopyCommand();
std::unique_ptr<Command> MakeDemoCommand();
std::unique_ptr<Command> MakeDiskUsageCommand();
std::unique_ptr<Command> MakeDoctorCommand();
std::unique_ptr<Command> MakeEstimateCommand();
std::unique_ptr<Command> MakeExplainCommand();
std::unique_ptr<Command> MakeListCommand();
std::unique_ptr<Command> MakeIamPolicyCommand();
std::unique_ptr<Command> MakeMigrateImportCommand();
std::unique_ptr<Command> MakeMigratePlanCommand();
std::unique_ptr<Command> MakeMigrateRetryCommand();
std::unique_ptr<Command> MakeMigrateStartCommand();
std::unique_ptr<Command> MakeMigrateStatusCommand();
std::unique_ptr<Command> MakeMigrateStopCommand();
std::unique_ptr<Command> MakeMigrateVerifyCommand();
std::unique_ptr<Command> MakeMigrateWorkerCommand();
std::unique_ptr<Command> MakeMoveCommand();
std::unique_ptr<Command> MakePricesCommand();
std::unique_ptr<Command> MakePricesUpdateCommand();
std::unique_ptr<Command> MakeRemoveCommand();
std::unique_ptr<Command> MakeReplicateCommand();
std::unique_ptr<Command> MakeRulesBackfillCommand();
std::unique_ptr<Command> MakeRulesCheckCommand();
std::unique_ptr<Command> MakeRulesDeadLettersCommand();
std::unique_ptr<Command> MakeRulesExportCommand();
std::unique_ptr<Command> MakeRulesImportCommand();
std::unique_ptr<Command> MakeRulesParkedCommand();
std::unique_ptr<Command> MakeRulesPauseCommand();
std::unique_ptr<Command> MakeRulesResumeCommand();
std::unique_ptr<Command> MakeRulesRetryCommand();
std::unique_ptr<Command> MakeRulesStatusCommand();
std::unique_ptr<Command> MakeSavingsCommand();
std::unique_ptr<Command> MakeServeS3Command();
std::unique_ptr<Command> MakeSetupCommand();
std::unique_ptr<Command> MakeStatCommand();
std::unique_ptr<Command> MakeSyncCommand();
std::unique_ptr<Command> MakeVersionCommand();

}  // namespace longhaul
