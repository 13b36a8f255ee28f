#include "cli/command.h"
#include "cli/command_list.h"

namespace longhaul {

std::span<const CommandFactory> AllCommands() {
  static constexpr CommandFactory kCommands[] = {
      MakeDemoCommand,           MakeReplicateCommand,     MakeRulesStatusCommand,
      MakeRulesPauseCommand,     MakeRulesResumeCommand,   MakeRulesBackfillCommand,
      MakeRulesParkedCommand,    MakeRulesRetryCommand,    MakeRulesCheckCommand,
      MakeRulesImportCommand,    MakeRulesExportCommand,   MakeExplainCommand,
      MakeListCommand,           MakeStatCommand,          MakeCatCommand,
      MakeCopyCommand,           MakeRemoveCommand,        MakeCheckCommand,
      MakeServeS3Command,        MakeArchiveListCommand,   MakeArchiveCatCommand,
      MakeArchiveExtractCommand, MakeArchiveVerifyCommand, MakeConfigCheckCommand,
      MakeCompletionCommand,     MakeVersionCommand,
  };
  return kCommands;
}

}  // namespace longhaul
