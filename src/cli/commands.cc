#include "cli/command.h"
#include "cli/command_list.h"

namespace longhaul {

std::span<const CommandFactory> AllCommands() {
  static constexpr CommandFactory kCommands[] = {
      MakeDemoCommand,          MakeReplicateCommand,   MakeListCommand,
      MakeStatCommand,          MakeCatCommand,         MakeCopyCommand,
      MakeRemoveCommand,        MakeCheckCommand,       MakeServeS3Command,
      MakeArchiveListCommand,   MakeArchiveCatCommand,  MakeArchiveExtractCommand,
      MakeArchiveVerifyCommand, MakeRulesCheckCommand,  MakeRulesImportCommand,
      MakeRulesExportCommand,   MakeConfigCheckCommand, MakeCompletionCommand,
      MakeVersionCommand,
  };
  return kCommands;
}

}  // namespace longhaul
