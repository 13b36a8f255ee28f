// longhaul archive ls | cat | extract | verify

#pragma once

#include <memory>

#include "cli/command.h"

namespace longhaul {

std::unique_ptr<Command> MakeArchiveListCommand();
std::unique_ptr<Command> MakeArchiveCatCommand();
std::unique_ptr<Command> MakeArchiveExtractCommand();
std::unique_ptr<Command> MakeArchiveVerifyCommand();

}  // namespace longhaul
