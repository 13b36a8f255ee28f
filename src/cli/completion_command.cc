#include "base/yaml.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/completion.h"
#include "cli/output.h"
#include "rules/configuration.h"

namespace longhaul {

namespace {

class CompletionCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "completion",
            .summary = "print shell completion for bash, zsh or fish",
            .description =
                "Prints a script that teaches the shell the commands and options of longhaul, made "
                "from the same table as the help. Where addresses go, the scripts offer the stores "
                "of the configuration (--config, LONGHAUL_CONFIG) and what its rules name: "
                "`completion addresses` prints these. Where the id of a rule goes, they offer what "
                "`completion rules` prints.",
            .examples = {{"Now, in bash", "source <(longhaul completion bash)"},
                         {"For every zsh", "longhaul completion zsh > \"${fpath[1]}/_longhaul\""},
                         {"For every fish",
                          "longhaul completion fish > ~/.config/fish/completions/longhaul.fish"}},
            .exit_codes = {}};
  }
  void Declare(FlagSet& flags) override {
    flags.Argument("SHELL", "bash, zsh or fish; or `addresses` or `rules`.", shell_).offers =
        "bash zsh fish";
    flags.Text({.name = "config",
                .help = "Of `addresses` and `rules`: the configuration.",
                .value_name = "FILE",
                .letter = 'c',
                .completes = Completes::kFiles},
               config_path_);
  }
  [[nodiscard]] bool asynchronous() const override { return false; }
  Result<ExitCode> Run(Output& output) override {
    if (shell_ == "bash") {
      output.Raw(RenderCompletion(Shell::kBash));
    } else if (shell_ == "zsh") {
      output.Raw(RenderCompletion(Shell::kZsh));
    } else if (shell_ == "fish") {
      output.Raw(RenderCompletion(Shell::kFish));
    } else if (shell_ == "addresses" || shell_ == "rules") {
      PrintKnown(output);
    } else {
      return InvalidInput("no completion for '" + shell_ + "': there is bash, zsh and fish");
    }
    return ExitCode::kDone;
  }

 private:
  // For a script in the middle of someone's typing: says nothing about what is wrong, and does not
  // care for variables, which only hold secrets.
  void PrintKnown(Output& output) const {
    if (config_path_.empty()) return;
    Result<Configuration> loaded =
        LoadConfiguration(config_path_, [&](std::string_view name) -> std::optional<std::string> {
          return output.console()
              .Environment(std::string(name))
              .value_or(std::string(kAssumedText));
        });
    if (!loaded) return;
    if (shell_ == "rules") {
      for (const Rule& rule : loaded->rules) output.Raw(rule.id + "\n");
      return;
    }
    for (const std::string& address : KnownAddresses(*loaded)) output.Raw(address + "\n");
  }

  std::string config_path_;
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> MakeCompletionCommand() { return std::make_unique<CompletionCommand>(); }

}  // namespace longhaul
