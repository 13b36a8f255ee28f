// The makers of the commands for runs and uploads (runs_command.cc, uploads_command.cc), listed in
// commands.cc as those of command_list.h are.

#pragma once

#include <memory>

namespace longhaul {

class Command;

std::unique_ptr<Command> MakeRunsForgetCommand();
std::unique_ptr<Command> MakeRunsListCommand();
std::unique_ptr<Command> MakeRunsResumeCommand();
std::unique_ptr<Command> MakeRunsShowCommand();
std::unique_ptr<Command> MakeUploadsAbortCommand();
std::unique_ptr<Command> MakeUploadsListCommand();

}  // namespace longhaul
