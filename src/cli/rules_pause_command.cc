#include <memory>

#include "base/units.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "replication/rule_orders.h"

namespace longhaul {

namespace {

class RulesPauseCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rules pause",
            .summary = "hold a rule, or one of its targets, until it is resumed",
            .description =
                "Every process that works by the same State follows within a few seconds, also one "
                "that is started later; an archive that is being packed or applied is finished. "
                "Nothing is lost meanwhile.\n\n"
                "A paused rule is not compared and not packed: what events tell is kept in State, "
                "each key once, and taken up when the rule goes on. Nor is anything applied that "
                "lies in its stagings. With --target that target alone is held: the rule is packed "
                "as before, its archives wait in staging, and other targets of the same archives "
                "do not wait for it. (Staging costs what storage costs.)",
            .examples = {{"Hold a rule", "longhaul rules pause app-logs --config longhaul.yaml"},
                         {"Hold one target for two hours",
                          "longhaul rules pause app-logs --target west:copy/ --for 2h --config "
                          "longhaul.yaml"},
                         {"Hold a rule until a maintenance window ends",
                          "longhaul rules pause app-logs --until 2030-01-31T06:00:00Z --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    DeclareRule(flags, rule_);
    DeclareTarget(flags, "Only this target (its name or address).", target_);
    flags.Text({.name = "until",
                .help = "When it goes on by itself, as RFC 3339: 2030-01-31T06:00:00Z.",
                .value_name = "TIME"},
               until_);
    flags.Parsed({.name = "for",
                  .help = "After how long it goes on by itself: 90s, 15m, 2h.",
                  .value_name = "DURATION"},
                 [this](std::string_view text) -> Result<void> {
                   Result<std::chrono::milliseconds> length = ParseDuration(text);
                   if (!length) return length.error();
                   // Nobody who writes 0 means for ever.
                   if (length->count() == 0) return InvalidInput("give a time longer than 0s");
                   for_ = *length;
                   return Ok();
                 });
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    Result<const Rule*> rule = RequireRule(**configuration, rule_);
    if (!rule) co_return rule.error();
    std::string target;
    if (!target_.empty()) {
      Result<const Target*> found = RequireTarget(**rule, target_);
      if (!found) co_return found.error();
      target = (*found)->name;
    }
    std::optional<SystemTime> until;
    if (until_ && for_) co_return InvalidInput("give --until or --for, not both");
    if (until_) {
      Result<SystemTime> time = ParseRfc3339(*until_);
      if (!time)
        co_return InvalidInput("--until: '" + *until_ +
                               "' is no time; write it like "
                               "2030-01-31T06:00:00Z");
      until = *time;
    } else if (for_) {
      until = context.runtime().clock.Now() + *for_;
    }
    Result<Backends> backends = co_await OpenBackends(
        context.runtime(), **configuration, kEventsQueue, TellingClock(context.troubles()));
    if (!backends) co_return backends.error();
    Result<Pause> pause =
        co_await PauseRule(*backends->state, context.runtime().clock, **rule, target, until);
    if (!pause) co_return until_ ? pause.error().In("--until") : pause.error();
    Message message("paused");
    message.With("rule", (*rule)->id).With("target", target);
    std::string text = NameOfHeld(**rule, target) + " is paused";
    if (pause->until) {
      message.With("until", FormatRfc3339(*pause->until));
      text += " until " + FormatRfc3339(*pause->until);
    }
    context.output().Print(message.Says(text));
    co_return ExitCode::kDone;
  }

 private:
  std::string rule_;
  std::string target_;
  std::optional<std::string> until_;
  std::optional<std::chrono::milliseconds> for_;
};

class RulesResumeCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rules resume",
            .summary = "let a rule, or one of its targets, go on",
            .description =
                "Ends a pause. Running processes follow within a few seconds: what events have "
                "told meanwhile is read, what lies in staging is applied. A target that was paused "
                "by itself stays so until it is resumed by itself.",
            .examples = {{"Let a rule go on",
                          "longhaul rules resume app-logs --config "
                          "longhaul.yaml"},
                         {"Let one target go on",
                          "longhaul rules resume app-logs --target west:copy/ --config "
                          "longhaul.yaml"}},
            .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    DeclareRule(flags, rule_);
    DeclareTarget(flags, "Only this target (its name or address).", target_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    Result<const Rule*> rule = RequireRule(**configuration, rule_);
    if (!rule) co_return rule.error();
    std::string target;
    if (!target_.empty()) {
      Result<const Target*> found = RequireTarget(**rule, target_);
      if (!found) co_return found.error();
      target = (*found)->name;
    }
    Result<Backends> backends = co_await OpenBackends(
        context.runtime(), **configuration, kEventsQueue, TellingClock(context.troubles()));
    if (!backends) co_return backends.error();
    Result<Resumed> resumed =
        co_await ResumeRule(*backends->state, context.runtime().clock, **rule, target);
    if (!resumed) co_return resumed.error();
    std::string text =
        NameOfHeld(**rule, target) + (resumed->was_paused ? " goes on" : " was not paused");
    const std::vector<std::string>& paused = resumed->paused_still;
    for (const std::string& what : paused) text += "\n" + what + " is paused still";
    context.output().Print(Message("resumed")
                               .With("rule", (*rule)->id)
                               .With("target", target)
                               .With("was_paused", resumed->was_paused)
                               .With("paused_still", paused)
                               .Says(text));
    co_return ExitCode::kDone;
  }

 private:
  std::string rule_;
  std::string target_;
};

}  // namespace

std::unique_ptr<Command> MakeRulesPauseCommand() { return std::make_unique<RulesPauseCommand>(); }
std::unique_ptr<Command> MakeRulesResumeCommand() { return std::make_unique<RulesResumeCommand>(); }

}  // namespace longhaul
