#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "rules/configuration_schema.h"

namespace longhaul {

namespace {

class ConfigSchemaCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "config schema",
            .summary = "print the JSON Schema of configurations, for editors",
            .description =
                "Prints a JSON Schema (draft 2020-12) of the configuration: all fields, their "
                "kinds, words and bounds. An editor that knows it completes and explains fields "
                "while one writes: one with a YAML language server, by a first line of the "
                "configuration that says `# yaml-language-server: $schema=longhaul.schema.json`. "
                "The schema knows each field by itself; how fields, stores and rules fit together "
                "`config check` says.",
            .examples = {{"For the editor, beside the configuration",
                          "longhaul config schema > longhaul.schema.json"}},
            .exit_codes = {}};
  }

  void Declare(FlagSet&) override {}
  [[nodiscard]] bool asynchronous() const override { return false; }
  Result<ExitCode> Run(Output& output) override {
    output.Raw(ConfigurationSchema());
    return ExitCode::kDone;
  }
};

}  // namespace

std::unique_ptr<Command> MakeConfigSchemaCommand() {
  return std::make_unique<ConfigSchemaCommand>();
}

}  // namespace longhaul
