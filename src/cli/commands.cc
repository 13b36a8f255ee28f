#include "cli/command.h"
#include "cli/command_list.h"

namespace longhaul {

std::span<const CommandFactory> AllCommands() {
  static constexpr CommandFactory kCommands[] = {
      MakeListCommand,        MakeStatCommand,       MakeCatCommand,
      MakeCopyCommand,        MakeRemoveCommand,     MakeCheckCommand,
      MakeConfigCheckCommand, MakeCompletionCommand, MakeVersionCommand,
  };
  return kCommands;
}

}  // namespace longhaul
