#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/help.h"
#include "cli/output.h"

namespace longhaul {

namespace {

class CompletionCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "completion",
            .summary = "print shell completion for bash, zsh or fish",
            .description =
                "Prints a script that teaches the shell the commands and options of longhaul, made "
                "from the same table as the help.",
            .examples = {{"Now, in bash", "source <(longhaul completion bash)"},
                         {"For every zsh", "longhaul completion zsh > \"${fpath[1]}/_longhaul\""},
                         {"For every fish",
                          "longhaul completion fish > ~/.config/fish/completions/longhaul.fish"}},
            .exit_codes = {}};
  }
  void Declare(FlagSet& flags) override { flags.Argument("SHELL", "bash, zsh or fish.", shell_); }
  [[nodiscard]] bool asynchronous() const override { return false; }
  Result<ExitCode> Run(Output& output) override {
    if (shell_ == "bash") {
      output.Raw(RenderCompletion(Shell::kBash));
    } else if (shell_ == "zsh") {
      output.Raw(RenderCompletion(Shell::kZsh));
    } else if (shell_ == "fish") {
      output.Raw(RenderCompletion(Shell::kFish));
    } else {
      return InvalidInput("no completion for '" + shell_ + "': there is bash, zsh and fish");
    }
    return ExitCode::kDone;
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> MakeCompletionCommand() { return std::make_unique<CompletionCommand>(); }

}  // namespace longhaul
