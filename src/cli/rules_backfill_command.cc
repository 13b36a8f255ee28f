#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "replication/life/rule_control.h"
#include "replication/life/rule_meter.h"

namespace longhaul {

namespace {

class RulesBackfillCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rules backfill",
            .summary = "have a rule's source and targets compared now",
            .description =
                "Asks the process that runs the rule as source to compare source and targets by "
                "listing, as it does at its start and at the rule's interval, and to carry what "
                "differs. It begins within a few seconds; `rules status` shows what waits. Targets "
                "that are paused are left out.\n\n"
                "With --prefix only keys below it are listed and compared. Deletes found there "
                "stop at the same guard, and where the source has nothing below the prefix "
                "nothing is deleted.",
            .examples = {{"A whole rule",
                          "longhaul rules backfill app-logs --config "
                          "longhaul.yaml"},
                         {"One day of it",
                          "longhaul rules backfill app-logs --prefix 2026/03/01/ --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    DeclareRule(flags, rule_);
    flags.Text({.name = "prefix",
                .help = "Of keys at the source. Default: that of the rule.",
                .value_name = "PREFIX"},
               prefix_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    Result<const Rule*> found = RequireRule(**configuration, rule_);
    if (!found) co_return found.error();
    const Rule& rule = **found;
    if (!rule.enabled) co_return InvalidInput("rule " + rule.id + " is disabled");
    if (!prefix_.empty() && !prefix_.starts_with(rule.source.prefix)) {
      co_return InvalidInput("--prefix: rule " + rule.id + " has nothing below '" +
                             Printable(prefix_) + "': its keys begin with '" +
                             Printable(rule.source.prefix) + "'");
    }
    Result<Backends> backends = co_await OpenBackends(context.runtime(), **configuration);
    if (!backends) co_return backends.error();
    Result<std::vector<RuleNow>> running = co_await ReadNow(*backends->state, rule.id);
    if (!running) co_return running.error();
    if (std::ranges::none_of(*running, [](const RuleNow& process) { return process.source; })) {
      co_return Retryable("no process runs rule " + rule.id +
                          " as source; `longhaul replicate` compares when it starts");
    }
    const SystemTime now = context.runtime().clock.Now();
    Result<void> asked =
        co_await AskForBackfill(*backends->state, rule.id, {.asked = now, .prefix = prefix_});
    if (!asked) co_return asked.error();
    RuleControl control(*backends->state, context.runtime().clock);
    Result<bool> read = co_await control.Refresh();
    if (!read) co_return read.error();
    const bool paused = control.PauseOf(rule.id).has_value();
    context.output().Print(
        Message("summary")
            .With("rule", rule.id)
            .With("prefix", prefix_)
            .With("paused", paused)
            .Says("rule " + rule.id +
                  (paused ? " is paused; it is compared when it goes on"
                          : " will be compared by the process that runs it, within seconds")));
    co_return ExitCode::kDone;
  }

 private:
  std::string rule_;
  std::string prefix_;
};

}  // namespace

std::unique_ptr<Command> MakeRulesBackfillCommand() {
  return std::make_unique<RulesBackfillCommand>();
}

}  // namespace longhaul
