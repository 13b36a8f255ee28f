// Help texts, laid out like a manual page, made from the command table.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace longhaul {

// `longhaul --help`.
std::string RenderProgramHelp(int width);
// `longhaul serve --help`: the commands whose name starts with that word.
std::string RenderGroupHelp(std::string_view group, int width);
// `longhaul cp --help`.
std::string RenderCommandHelp(const CommandHelp& help, const FlagSet& flags, int width);
// One line: "longhaul cp [OPTION]... SOURCE... TARGET".
std::string RenderSynopsis(const CommandHelp& help, const FlagSet& flags);

// Breaks `text` at spaces so that no line is longer than `width`; each line starts with `indent`
// spaces. Paragraphs (empty lines) stay; lines that start with two spaces stay as they are.
std::string Wrap(std::string_view text, int indent, int width);

// All flags of a command, the common ones included, bound to `command` and to a scratch set of
// common values: for help and completion (cli/completion.h) only.
void DeclareForHelp(Command& command, FlagSet& flags);

}  // namespace longhaul
