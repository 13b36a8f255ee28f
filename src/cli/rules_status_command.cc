#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/units.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/output.h"
#include "cli/rule_life.h"
#include "cli/savings.h"
#include "replication/rule_report.h"

namespace longhaul {

namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

double Seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000; }

class RulesStatusCommand : public Command {
 public:
  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "rules status",
        .summary = "show how far each rule and target is",
        .description =
            "For each rule and target: whether it is active, paused or disabled, and whether a "
            "process runs it; how long changes take to arrive (p50, p99 and the longest of the "
            "last one to two hours, from the event to the receipt); what waits, and the oldest "
            "of it; how fast objects are applied; what was sent and saved; with compression: auto "
            "which level each kind of content has, and why; and what has "
            "failed, is parked or in conflict. A target whose store fails is open: it is left "
            "alone until a probe succeeds, and its events are kept meanwhile. The processes "
            "publish this in State every few "
            "seconds; counts are sums over all of them since the rule first ran.\n\n"
            "Then the processes that run them, on whatever machine: roles, version, when each was "
            "last seen, and how many keys it holds. Hints that wait in the queue are counted "
            "for all rules together.",
        .examples = {{"All rules", "longhaul rules status --config longhaul.yaml"},
                     {"One rule, for a script",
                      "longhaul rules status app-logs --json --config longhaul.yaml"}},
        .exit_codes = {ExitCode::kDenied, ExitCode::kUnreachable}};
  }
  void Declare(FlagSet& flags) override {
    DeclareRule(flags, rule_);
    flags.Number({.name = "price-per-gib",
                  .help = "US dollars for a GiB between the regions, for the money saved. "
                          "Default: 0.02.",
                  .value_name = "DOLLARS"},
                 price_per_gib_);
  }

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
    RuleControl control(*backends->state, context.runtime().clock);
    Result<bool> read = co_await control.Refresh();
    if (!read) co_return read.error();
    for (const Rule* rule : rules) {
      Result<void> told = co_await Tell(context, *backends->state, control, *rule);
      if (!told) co_return told.error();
    }
    TellMembers(context);
    Result<QueueDepth> depth = co_await backends->queue->Depth();
    if (!depth) co_return depth.error().In("queue");
    const int64_t waiting = depth->visible + depth->delayed + depth->in_flight;
    std::string text = "queue: " + Counted(static_cast<uint64_t>(waiting), "message") + " of hints";
    if (depth->dead > 0) {
      text += ", " + Counted(static_cast<uint64_t>(depth->dead), "dead letter") +
              " (longhaul rules dead-letters)";
    }
    context.output().Print(Message("summary")
                               .With("rules", rules.size())
                               .With("queue_messages", waiting)
                               .With("dead_letters", depth->dead)
                               .Says(text));
    co_return ExitCode::kDone;
  }

 private:
  static std::string StateOf(const std::optional<Pause>& pause, bool enabled) {
    if (!enabled) return "disabled";
    if (!pause) return "active";
    return pause->until ? "paused until " + FormatRfc3339(*pause->until) : "paused";
  }

  // "3", or "10,000 or more".
  static std::string ParkedText(uint64_t count) {
    return FormatCount(count) + (count == kParkedCountMax ? " or more" : "");
  }

  static std::string TroublesText(const std::map<std::string, std::string>& troubles) {
    std::string text;
    for (const auto& [part, reason] : troubles) {
      text += (text.empty() ? "" : "; ") + part + ": " + reason;
    }
    return text;
  }

  static std::string OldestText(const OldestKey& oldest, SystemTime now) {
    const std::chrono::duration<double> age = now - oldest.heard;
    return "the oldest " + (oldest.key.empty() ? std::string("of them") : Printable(oldest.key)) +
           ", for " + FormatSeconds(std::max(0.0, age.count()));
  }

  static void AddOldest(Message& message, const std::optional<OldestKey>& oldest, SystemTime now) {
    if (!oldest) return;
    const std::chrono::duration<double> age = now - oldest->heard;
    message.With("oldest_pending_seconds", std::max(0.0, age.count()));
    if (!oldest->key.empty()) message.With("oldest_pending_key", oldest->key);
  }

  static std::string Processes(const std::vector<RuleNow>& running) {
    if (running.empty()) return "no process runs it";
    size_t source = 0;
    size_t target = 0;
    for (const RuleNow& process : running) {
      source += process.source ? 1 : 0;
      target += process.target ? 1 : 0;
    }
    std::string text = Counted(running.size(), "process", "processes");
    if (source == 0) text += ", none as source";
    if (target == 0) text += ", none as target";
    return text;
  }

  Async<void> Tell(RunContext& context, State& state, const RuleControl& control,
                   const Rule& rule) {
    const SystemTime now = context.runtime().clock.Now();
    Result<RuleReport> report =
        co_await ReadRuleReport(state, context.runtime().clock, control, rule);
    if (!report) co_return report.error();
    const RuleTotals* totals = &report->totals;
    const std::vector<RuleNow>* running = &report->running;
    const uint64_t keys_pending = report->keys_pending;
    const uint64_t deletes_held = report->deletes_held;
    const std::optional<OldestKey>& oldest = report->oldest;
    const std::map<std::string, std::string>& troubles = report->troubles;
    AddMembers(members_, *running);
    const Savings savings{.plain_bytes = totals->plain_bytes,
                          .sent_bytes = totals->sent_bytes,
                          .price_per_gib = price_per_gib_};
    const std::string state_text = StateOf(report->pause, rule.enabled);
    Message message("rule");
    message.With("rule", rule.id)
        .With("state", state_text)
        .With("processes", running->size())
        .With("source", rule.source.ToString())
        .With("keys_pending", keys_pending)
        .With("hints_kept", report->hints_kept)
        .With("archives", totals->archives)
        .With("object_bytes", totals->object_bytes)
        .With("plain_bytes", totals->plain_bytes)
        .With("sent_bytes", totals->sent_bytes)
        .With("saved_bytes", savings.bytes())
        .With("saved_money", savings.money())
        .With("failures", totals->failures)
        .With("parked", report->parked)
        .With("deletes_held", deletes_held)
        .With("troubles", TroublesText(troubles));
    AddOldest(message, oldest, now);
    Rows rows;
    rows.emplace_back("source", rule.source.ToString());
    for (const auto& [part, reason] : troubles) rows.emplace_back("trouble", part + ": " + reason);
    if (deletes_held > 0) {
      rows.emplace_back("held", "deletes of " + Counted(deletes_held, "key") +
                                    ", by the delete guard (delete_guard in the guide)");
    }
    if (totals->since) {
      message.With("since", FormatRfc3339(*totals->since));
      rows.emplace_back("since", FormatRfc3339(*totals->since));
    }
    if (keys_pending > 0 || oldest) {
      std::string pending = Counted(keys_pending, "key") + " to be read";
      if (oldest) pending += ", " + OldestText(*oldest, now);
      rows.emplace_back("pending", std::move(pending));
    }
    if (report->hints_kept) rows.emplace_back("kept", "events wait until the rule goes on");
    if (totals->sent_bytes > 0) {
      rows.emplace_back("sent", FormatBytes(totals->sent_bytes) + " for " +
                                    FormatBytes(totals->plain_bytes) + ", " + savings.Ratio());
      rows.emplace_back("saved", savings.Describe());
    }
    for (const KindLevel& level : report->levels) {
      rows.emplace_back("level", fmt::format("{} for {} ({} packed): {}", level.level, level.kind,
                                             FormatBytes(level.bytes), level.why));
    }
    if (totals->failures > 0) {
      rows.emplace_back("failures", FormatCount(totals->failures) + " tries failed");
    }
    if (report->parked > 0) rows.emplace_back("parked", ParkedText(report->parked));
    Print(context, std::move(message),
          "rule " + rule.id + ": " + state_text + ", " + Processes(*running), rows, "  ");
    for (const KindLevel& level : report->levels) {
      Message line("level");
      line.With("rule", rule.id)
          .With("kind", level.kind)
          .With("level", level.level)
          .With("bytes", level.bytes)
          .With("why", level.why);
      context.output().Print(line);
    }
    for (const TargetReport& told : report->targets) TellTarget(context, rule, told);
    co_return Ok();
  }

  static void TellTarget(RunContext& context, const Rule& rule, const TargetReport& told) {
    const SystemTime now = context.runtime().clock.Now();
    const Target& target = *told.target;
    const TargetNow& seen = told.now;
    const TargetTotals& totals = told.totals;
    const LagHistogram& lag = told.lag;
    const std::string state_text = StateOf(told.pause, rule.enabled);
    Message message("target");
    message.With("rule", rule.id)
        .With("target", target.name)
        .With("address", target.to.ToString())
        .With("state", state_text)
        .With("archives_waiting", seen.archives_waiting)
        .With("objects_per_second", seen.objects_per_second)
        .With("bytes_per_second", seen.bytes_per_second)
        .With("applied", totals.applied)
        .With("applied_bytes", totals.applied_bytes)
        .With("equal", totals.equal)
        .With("superseded", totals.superseded)
        .With("conflicts", totals.conflicts)
        .With("parked", told.parked);
    AddOldest(message, seen.oldest, now);
    Rows rows;
    message.With("open", seen.open.has_value());
    if (seen.open) {
      message.With("open_since", FormatRfc3339(seen.open->since))
          .With("open_reason", seen.open->reason);
      rows.emplace_back("open", "left alone since " + FormatRfc3339(seen.open->since) +
                                    ", until a probe succeeds: " + seen.open->reason);
    }
    if (lag.count() > 0) {
      message.With("lag_p50_seconds", Seconds(lag.Quantile(0.5)))
          .With("lag_p99_seconds", Seconds(lag.Quantile(0.99)))
          .With("lag_max_seconds", Seconds(lag.max()))
          .With("lag_objects", lag.count());
      rows.emplace_back("lag", "p50 " + FormatSeconds(Seconds(lag.Quantile(0.5))) + ", p99 " +
                                   FormatSeconds(Seconds(lag.Quantile(0.99))) + ", max " +
                                   FormatSeconds(Seconds(lag.max())) + " (" +
                                   Counted(lag.count(), "object") + " lately)");
    }
    if (seen.archives_waiting > 0 || seen.oldest) {
      std::string pending = Counted(seen.archives_waiting, "archive") + " to be applied";
      if (seen.oldest) pending += ", " + OldestText(*seen.oldest, now);
      rows.emplace_back("pending", std::move(pending));
    }
    if (seen.objects_per_second > 0) {
      rows.emplace_back("rate",
                        fmt::format("{:.1f} objects/s, {}/s", seen.objects_per_second,
                                    FormatBytes(static_cast<uint64_t>(seen.bytes_per_second))));
    }
    std::string applied =
        Counted(totals.applied, "object") + ", " + FormatBytes(totals.applied_bytes);
    if (totals.equal > 0) applied += ", " + FormatCount(totals.equal) + " equal";
    if (totals.superseded > 0) applied += ", " + FormatCount(totals.superseded) + " superseded";
    if (totals.conflicts > 0) applied += ", " + Counted(totals.conflicts, "conflict");
    rows.emplace_back("applied", std::move(applied));
    message.With("missed_threshold", totals.missed)
        .With("reached_after_threshold", totals.reached_after);
    if (totals.missed > 0) {
      std::string threshold = " missed the threshold";
      if (rule.threshold) threshold += " of " + FormatDuration(*rule.threshold);
      rows.emplace_back("late", FormatCount(totals.missed) + threshold + ", " +
                                    FormatCount(totals.reached_after) + " of them have arrived");
    }
    if (told.parked > 0) rows.emplace_back("parked", ParkedText(told.parked));
    Print(context, std::move(message),
          "  target " + target.name + " (" + target.to.ToString() + "): " + state_text, rows,
          "    ");
  }

  static void Print(RunContext& context, Message message, std::string text, const Rows& rows,
                    const std::string& margin) {
    for (const auto& [name, value] : rows) {
      text += "\n" + margin + name + std::string(name.size() < 9 ? 9 - name.size() : 1, ' ') +
              Printable(value);  // Some of it is what a server says.
    }
    context.output().Print(message.Says(std::move(text)));
  }

  void TellMembers(RunContext& context) const {
    const SystemTime now = context.runtime().clock.Now();
    for (const auto& [id, member] : members_) {
      const std::chrono::duration<double> silent = now - member.now.beat;
      const std::chrono::duration<double> age = now - member.now.started;
      const std::string roles = member.now.source && member.now.target ? "source,target"
                                : member.now.source                    ? "source"
                                                                       : "target";
      std::string text =
          "process " + std::to_string(member.now.pid) + " on " + Printable(member.now.host) + ": " +
          roles + ", version " + Printable(member.now.version) + ", runs for " +
          FormatSeconds(std::max(0.0, age.count())) + ", seen " +
          FormatSeconds(std::max(0.0, silent.count())) + " ago, holds " +
          Counted(member.keys_pending, "key") + " of " + Counted(member.rules, "rule");
      context.output().Print(Message("member")
                                 .With("process", id)
                                 .With("host", member.now.host)
                                 .With("pid", member.now.pid)
                                 .With("version", member.now.version)
                                 .With("roles", roles)
                                 .With("started", FormatRfc3339(member.now.started))
                                 .With("seen", FormatRfc3339(member.now.beat))
                                 .With("keys_pending", member.keys_pending)
                                 .With("rules", member.rules)
                                 .Says(std::move(text)));
    }
  }

  std::optional<std::string> rule_;
  double price_per_gib_ = 0.02;
  std::map<std::string, Member> members_;
};

}  // namespace

std::unique_ptr<Command> MakeRulesStatusCommand() { return std::make_unique<RulesStatusCommand>(); }

}  // namespace longhaul
