#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "replication/rule_orders.h"

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
    Result<Backends> backends = co_await OpenBackends(context.runtime(), **configuration);
    if (!backends) co_return backends.error();
    Result<bool> waits =
        co_await BackfillRule(*backends->state, context.runtime().clock, rule, prefix_);
    if (!waits) {
      co_return waits.error().code == kNotBelowRule ? waits.error().In("--prefix") : waits.error();
    }
    const bool paused = *waits;
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
