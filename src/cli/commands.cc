#include "cli/command.h"
#include "cli/command_list.h"

namespace longhaul {

std::span<const CommandFactory> AllCommands() {
  static constexpr CommandFactory kCommands[] = {
      MakeCompletionCommand,
      MakeVersionCommand,
  };
  return kCommands;
}

}  // namespace longhaul
