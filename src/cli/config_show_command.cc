#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/effective_settings.h"
#include "cli/output.h"
#include "cli/run_context.h"

namespace longhaul {

namespace {

// Wider values move their origin along; they are few.
constexpr size_t kColumnMax = 44;

class ConfigShowCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "config show",
            .summary = "print what a configuration comes to, and who says so",
            .description =
                "Prints every setting that counts: those of the configuration, the defaults of "
                "what it leaves out, and what the AWS variables and profiles add for its stores, "
                "for its queue, its state and its event queues where they are in AWS, "
                "and for s3:// addresses: endpoint, region, where credentials are looked for, "
                "where a role is asked for, the login of `aws sso login`, certificates, proxy, "
                "attempts. With --origin each with "
                "the line, variable, "
                "option or profile that it comes from. Secrets are hidden; no store and no "
                "service is contacted.\n\n"
                "The order is: option, variable LONGHAUL_…, configuration, AWS variable, AWS "
                "profile, default.",
            .examples = {{"Where a region comes from",
                          "longhaul config show --origin --config longhaul.yaml"},
                         {"What s3:// addresses go by, without a configuration",
                          "longhaul config show --origin"},
                         {"For a script", "longhaul config show --json longhaul.yaml"}},
            .exit_codes = {}};
  }

  void Declare(FlagSet& flags) override {
    flags.Argument("FILE", "The configuration, instead of --config.", file_).completes =
        Completes::kFiles;
    flags.Switch({.name = "origin", .help = "Say of each value where it comes from."}, origin_);
  }

  [[nodiscard]] std::optional<std::string> ConfigurationFile() const override { return file_; }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<std::vector<EffectiveSetting>> settings = FindEffectiveSettings(context);
    if (!settings) co_return settings.error();
    size_t path_width = 0;
    size_t value_width = 0;
    for (const EffectiveSetting& one : *settings) {
      path_width = std::max(path_width, one.path.size());
      value_width = std::max(value_width, Shown(one).size());
    }
    path_width = std::min(path_width, kColumnMax);
    value_width = std::min(value_width, kColumnMax);
    for (const EffectiveSetting& one : *settings) {
      std::string line = Padded(one.path, path_width) + "  ";
      line += origin_ ? Padded(Shown(one), value_width) + "  " + one.origin : Shown(one);
      Message message("setting");
      message.With("path", one.path).With("value", one.value).With("hidden", one.hidden);
      if (origin_) message.With("origin", one.origin);
      context.output().Print(std::move(message).Says(Printable(line)));
    }
    co_return ExitCode::kDone;
  }

 private:
  static std::string Shown(const EffectiveSetting& setting) {
    return setting.hidden ? "(hidden)" : setting.value;
  }
  static std::string Padded(std::string text, size_t width) {
    if (text.size() < width) text.resize(width, ' ');
    return text;
  }

  std::optional<std::string> file_;
  bool origin_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeConfigShowCommand() { return std::make_unique<ConfigShowCommand>(); }

}  // namespace longhaul
