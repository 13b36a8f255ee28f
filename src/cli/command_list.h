// The makers of all commands: each is defined in its own <name>_command.cc, listed in commands.cc.

#pragma once

#include <memory>

namespace longhaul {

class Command;

std::unique_ptr<Command> MakeCompletionCommand();
std::unique_ptr<Command> MakeReplicateCommand();
std::unique_ptr<Command> MakeVersionCommand();

}  // namespace longhaul
