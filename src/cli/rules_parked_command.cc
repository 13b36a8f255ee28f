#include <memory>

#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "replication/life/parked.h"
#include "replication/rule_orders.h"

namespace longhaul {

namespace {

constexpr int kPageRows = 1000;

class RulesParkedCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rules parked",
            .summary = "list the keys that could not be carried, and why",
            .description =
                "Lists what is parked: keys that the source cannot be read for, keys that a target "
                "cannot hold or refuses, objects at a target that are in the way, and archives "
                "that are refused as a whole; each with the reason, the time, the target and the "
                "archive in staging that holds it. Nothing of it is lost: mend the reason, then "
                "`rules retry`.",
            .examples = {{"Of all rules", "longhaul rules parked --config longhaul.yaml"},
                         {"Of one rule, for a script",
                          "longhaul rules parked app-logs --json --config longhaul.yaml"}},
            .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override { DeclareRule(flags, rule_); }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    std::vector<const Rule*> rules;
    if (rule_) {
      Result<const Rule*> rule = RequireRule(**configuration, *rule_);
      if (!rule) co_return rule.error();
      rules.push_back(*rule);
    } else {
      for (const Rule& rule : (*configuration)->rules) rules.push_back(&rule);
    }
    Result<Backends> backends = co_await OpenBackends(
        context.runtime(), **configuration, kEventsQueue, TellingClock(context.troubles()));
    if (!backends) co_return backends.error();
    uint64_t keys = 0;
    uint64_t archives = 0;
    for (const Rule* rule : rules) {
      for (const std::string& place : ParkedPlaces(*rule, "")) {
        std::string after;
        while (true) {
          Result<std::vector<ParkedKey>> parked =
              co_await ScanParked(*backends->state, rule->id, place, after, kPageRows);
          if (!parked) co_return parked.error();
          for (const ParkedKey& key : *parked) Print(context, *rule, key);
          keys += parked->size();
          if (parked->size() < kPageRows || !context.output().open()) break;
          after = parked->back().key;
        }
        after.clear();
        while (!place.empty()) {
          Result<std::vector<ParkedKey>> whole =
              co_await ScanParkedArchives(*backends->state, rule->id, place, after, kPageRows);
          if (!whole) co_return whole.error();
          for (const ParkedKey& archive : *whole) Print(context, *rule, archive);
          archives += whole->size();
          if (whole->size() < kPageRows || !context.output().open()) break;
          after = whole->back().archive;
        }
      }
    }
    std::string text = Counted(keys, "key") + " parked";
    if (archives > 0) text += ", " + Counted(archives, "archive");
    if (keys + archives == 0) text = "nothing is parked";
    context.output().Print(
        Message("summary").With("keys", keys).With("archives", archives).Says(text));
    co_return ExitCode::kDone;
  }

 private:
  static void Print(RunContext& context, const Rule& rule, const ParkedKey& parked) {
    Message message("parked");
    message.With("rule", rule.id).With("target", parked.target);
    const bool whole = parked.key.empty();
    if (!whole) message.With("key", parked.key);
    message.With("archive", parked.archive).With("op", parked.op).With("reason", parked.reason);
    std::string text = rule.id + (parked.target.empty() ? ", source" : ", " + parked.target) +
                       ": " + (whole ? "archive " + parked.archive : Printable(parked.key)) + ": " +
                       Printable(parked.reason);
    std::string details;
    auto add = [&](const std::string& detail) {
      details += (details.empty() ? "" : ", ") + detail;
    };
    if (parked.when != SystemTime{}) {
      message.With("when", FormatRfc3339(parked.when));
      add("parked " + AgoText(parked.when, context.runtime().clock.Now()));
    }
    if (!whole && !parked.archive.empty()) add("archive " + parked.archive);
    if (parked.retried) {
      message.With("retried", FormatRfc3339(*parked.retried));
      add("retry asked for " + AgoText(*parked.retried, context.runtime().clock.Now()));
    }
    if (!details.empty()) text += " (" + details + ")";
    context.output().Print(message.Says(text));
  }

  std::optional<std::string> rule_;
};

class RulesRetryCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {.name = "rules retry",
            .summary = "try what is parked once more",
            .description =
                "Sends hints for parked keys through the Queue, so that the source reads them "
                "anew, and asks the targets to try the archives that hold them at once instead of "
                "within ten minutes. A key stays in the list of `rules parked` until it has been "
                "carried; when it fails again its reason and time are new.",
            .examples = {{"All of a rule",
                          "longhaul rules retry app-logs --all --config "
                          "longhaul.yaml"},
                         {"Two keys, at one target",
                          "longhaul rules retry app-logs 2026/a.log 2026/b.log --target west:copy/ "
                          "--config longhaul.yaml"}},
            .exit_codes = {ExitCode::kSomeFailed, ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    DeclareRule(flags, rule_);
    flags.Arguments("KEY", "Keys at the source, as `rules parked` names them.", 0, keys_)
        .completes = Completes::kNothing;
    flags.Switch({.name = "all", .help = "All that is parked of this rule."}, all_);
    DeclareTarget(flags, "Only what is parked at this target (its name or address).", target_);
  }

  Async<ExitCode> RunAsync(RunContext& context) override {
    Result<const Configuration*> configuration = RequireRules(context);
    if (!configuration) co_return configuration.error();
    Result<const Rule*> rule = RequireRule(**configuration, rule_);
    if (!rule) co_return rule.error();
    if (all_ == !keys_.empty()) co_return InvalidInput("give either keys or --all");
    std::string only;
    if (!target_.empty()) {
      Result<const Target*> target = RequireTarget(**rule, target_);
      if (!target) co_return target.error();
      only = (*target)->name;
    }
    Result<Backends> backends = co_await OpenBackends(
        context.runtime(), **configuration, kEventsQueue, TellingClock(context.troubles()));
    if (!backends) co_return backends.error();

    Result<RetriedKeys> retried = co_await RetryParked(
        *backends->state, *backends->queue, context.runtime().clock, **rule, keys_, only);
    if (!retried) co_return retried.error();
    for (const std::string& key : retried->missing) {
      context.output().Problem(
          Message("not_parked").With("key", key).Says(Printable(key) + ": is not parked"));
    }
    const uint64_t asked = retried->asked;
    const uint64_t forgotten = retried->forgotten;
    const uint64_t missing = retried->missing.size();
    std::string text = asked == 0 ? "no key is to be tried; archives in staging are"
                                  : Counted(asked, "key") + " will be tried again";
    if (forgotten > 0) {
      text += "; " + Counted(forgotten, "key") +
              " of another source, which the rule read before, will not, and " +
              (forgotten == 1 ? "is" : "are") + " parked no more";
    }
    context.output().Print(Message("summary")
                               .With("rule", (*rule)->id)
                               .With("keys", asked)
                               .With("forgotten", forgotten)
                               .With("missing", missing)
                               .Says(std::move(text)));
    co_return missing > 0 ? ExitCode::kSomeFailed : ExitCode::kDone;
  }

 private:
  std::string rule_;
  std::vector<std::string> keys_;
  bool all_ = false;
  std::string target_;
};

}  // namespace

std::unique_ptr<Command> MakeRulesParkedCommand() { return std::make_unique<RulesParkedCommand>(); }
std::unique_ptr<Command> MakeRulesRetryCommand() { return std::make_unique<RulesRetryCommand>(); }

}  // namespace longhaul
