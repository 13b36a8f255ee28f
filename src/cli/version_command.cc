#include "base/version.h"
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
            .examples = {{"Print the version", "longhaul version"},
                         {"For a script", "longhaul version --json | jq -r .version"}},
            .exit_codes = {}};
  }
  void Declare(FlagSet& flags) override {
    flags.Switch({.name = "json", .help = "Print it as a JSON event."}, json_);
  }
  [[nodiscard]] bool asynchronous() const override { return false; }
  Result<ExitCode> Run(Output& output) override {
    const Message message =
        Message("version").With("version", kVersion).Says("longhaul " + std::string(kVersion));
    output.Raw((json_ ? message.Json() : message.text()) + "\n");
    return ExitCode::kDone;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeVersionCommand() { return std::make_unique<VersionCommand>(); }

}  // namespace longhaul
