// Command: one thing that longhaul does, as one file in cli/: its flags, its help with numbered
// examples, its run function. commands.cc lists them all; parsing, help, "did you mean" and shell
// completion are made from that list.
//
// To add one: write cli/<name>_command.cc with a class and `std::unique_ptr<Command>
// Make…Command()`, and one line in commands.cc.

#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "cli/exit_code.h"
#include "cli/flags.h"

namespace longhaul {

class Console;
class RunContext;
class Output;

struct CommandExample {
  std::string_view what;     // "Copy a bucket to another region's store".
  std::string_view command;  // "longhaul cp --recursive s3://a/ west:b/". One line, no prompt.
};

struct CommandHelp {
  std::string_view name;         // "cp", "config check": the words after `longhaul`.
  std::string_view summary;      // One line without a full stop: "copy objects and files".
  std::string_view description;  // Paragraphs separated by an empty line; wrapped when printed.
  std::vector<CommandExample> examples;
  std::vector<ExitCode> exit_codes;  // Besides 0 and 2.
};

// Made anew for each run. Either Run or RunAsync is what it does.
class Command {
 public:
  virtual ~Command() = default;

  [[nodiscard]] virtual CommandHelp help() const = 0;
  // Binds flags and arguments to members.
  virtual void Declare(FlagSet& flags) = 0;

  // Whether the command does its work in RunAsync, in a RunContext (clock, memory, signals).
  // Such commands get the common flags --config, --memory, --grace, --json, --log-level too.
  [[nodiscard]] virtual bool asynchronous() const { return true; }

  // Whether --json=s5cmd means something for it.
  [[nodiscard]] virtual bool has_s5cmd_lines() const { return false; }

  // A configuration file that an argument names, instead of --config. Asked after parsing.
  [[nodiscard]] virtual std::optional<std::string> ConfigurationFile() const {
    return std::nullopt;
  }

  // On the thread of the context's shard. An error is printed and becomes the exit code by
  // ExitCodeOf; what failed for single objects is printed by the command, which returns
  // kSomeFailed. When RunContext::stop is set, finish or hand back soon and return anything: the
  // exit code is then 130 or 143 by the signal, unless it is kDone.
  virtual Async<ExitCode> RunAsync(RunContext& context);
  // For commands that need none of that.
  virtual Result<ExitCode> Run(Output& output);
};

using CommandFactory = std::unique_ptr<Command> (*)();

// In the order in which `longhaul --help` names them.
std::span<const CommandFactory> AllCommands();

// The whole program: parses `arguments` (without the program's name), runs one command, returns the
// exit code. Used by main and by tests. Never throws, never exits by itself but on a second signal.
int RunProgram(const std::vector<std::string>& arguments, Console& console);

}  // namespace longhaul
