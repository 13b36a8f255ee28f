#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"

namespace longhaul {

namespace {

class VersionCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "version",
            .summary = "print the version",
            .description = "Prints the name and version of the program.",
            .examples = {{"Print the version", "longhaul version"}},
            .exit_codes = {}};
  }
  void Declare(FlagSet&) override {}
  [[nodiscard]] bool asynchronous() const override { return false; }
  Result<ExitCode> Run(Output& output) override {
    output.Print(
        Message("version").With("version", LONGHAUL_VERSION).Says("longhaul " LONGHAUL_VERSION));
    return ExitCode::kDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakeVersionCommand() { return std::make_unique<VersionCommand>(); }

}  // namespace longhaul
