#include "replication/explain/explain_next.h"

#include <algorithm>
#include <string>

#include "base/units.h"
#include "replica/floor.h"
#include "replication/life/target_breaker.h"

namespace longhaul {

namespace {

// Whether the target is as the source is.
bool InStep(const RuleExplanation& source, const TargetExplanation& told) {
  if (!source.source) return !told.replica || !source.rule->deletes || !told.mark;
  if (!told.replica) return false;
  const ObjectInfo& there = *source.source;
  if (told.mark) {
    // The same bytes with other metadata were written later than they were read.
    return told.mark->source_etag == there.etag &&
           std::chrono::floor<std::chrono::seconds>(there.last_modified) <= told.mark->stamp;
  }
  return told.replica->etag == there.etag && told.replica->size_bytes == there.size_bytes;
}

std::string LeftAlone(const OpenTarget& open) {
  return "the target is left alone since " + FormatRfc3339(open.since) + " (" + open.reason +
         "); its store is probed every " + FormatDuration(TargetBreaker::kProbeLast) +
         " or more often";
}

class Judgement {
 public:
  Judgement(const RuleExplanation& source, const RuleSight& sight, TargetExplanation& told)
      : source_(source), rule_(*source.rule), sight_(sight), told_(told) {}

  void Run() {
    // What cannot be read is what was parked at the source: that it is tried for ever is not so.
    if (source_.source_error && source_.parked) return JudgeParked();
    if (source_.source_error || told_.error) return JudgeUnseen();
    if (!source_.why_not.empty()) {
      Say(ReplicationStatus::kNone,
          told_.replica ? "nothing: the rule does not carry it, and leaves what is there"
                        : "nothing: the rule does not carry it");
      return SaySweep();
    }
    if (told_.carrier != nullptr) {
      Say(ReplicationStatus::kNone,
          "nothing: rule " + told_.carrier->id + ", of higher priority, carries it");
      return SaySweep();
    }
    if (InStep(source_, told_)) return JudgeInStep();
    if (source_.parked || told_.parked) return JudgeParked();
    if (const ParkedKey* refused = NewestRefused()) return JudgeRefused(*refused);
    told_.status = ReplicationStatus::kPending;
    JudgePending();
  }

 private:
  void Say(ReplicationStatus status, std::string next) {
    told_.status = status;
    told_.next = std::move(next);
  }

  [[nodiscard]] bool Runs(bool RuleNow::* role) const {
    return std::ranges::any_of(sight_.processes, role);
  }

  // When the first of the processes that run it compares again. Each counts from its start; one
  // that comes late to a comparison makes the later ones late, so this may be some seconds early.
  [[nodiscard]] std::optional<SystemTime> NextComparison() const {
    const std::optional<std::chrono::seconds> interval = rule_.intake.listing;
    std::optional<SystemTime> next;
    if (!interval || interval->count() <= 0) return next;
    for (const RuleNow& process : sight_.processes) {
      if (!process.source) continue;
      const auto passed = std::max(sight_.now - process.started, SystemTime::duration(0));
      const SystemTime due = process.started + (passed / *interval + 1) * *interval;
      next = next ? std::min(*next, due) : due;
    }
    if (next) next = std::chrono::ceil<std::chrono::seconds>(*next);
    return next;
  }

  // "a comparison finds it, …", with its time in `next_try`.
  std::string ComparisonFinds() {
    if (!Runs(&RuleNow::source)) {
      return "a comparison finds it when a process runs the rule as source, as none does now";
    }
    if (sight_.backfill && source_.source_key.starts_with(sight_.backfill->prefix)) {
      return "a comparison finds it, which was asked for at " +
             FormatRfc3339(sight_.backfill->asked);
    }
    std::string at_once = "at once after `longhaul rules backfill " + rule_.id + "`";
    told_.next_try = NextComparison();
    if (!told_.next_try) return "a comparison finds it, " + at_once;
    return "the next comparison finds it, about " + FormatRfc3339(*told_.next_try) + ", or " +
           at_once;
  }

  // The row of the newest archive that holds the key, where that is refused as a whole.
  [[nodiscard]] const ParkedKey* NewestRefused() const {
    if (told_.pending.empty()) return nullptr;
    const auto found =
        std::ranges::find(told_.refused, told_.pending.front().archive, &ParkedKey::archive);
    return found == told_.refused.end() ? nullptr : &*found;
  }

  // When the target role tries again what it has parked: it does so on its own as long as the
  // archive is in staging.
  std::string TargetTries(const ParkedKey& parked) {
    if (!Runs(&RuleNow::target)) {
      return "it is tried again when a process runs the rule as target, as none does now";
    }
    const SystemTime due = parked.when + kParkedRetry;
    if (due <= sight_.now) return "it is tried again any moment";
    told_.next_try = due;
    return "it is tried again at " + FormatRfc3339(due);
  }

  // Likewise the source role, which reads anew what no archive holds, unless a comparison is
  // sooner.
  std::string SourceTries(const ParkedKey& parked) {
    const bool runs = Runs(&RuleNow::source);
    const SystemTime due = NextReading(parked);
    const std::optional<SystemTime> comparison = NextComparison();
    if (!runs || sight_.backfill || (comparison && *comparison < due)) return ComparisonFinds();
    if (due <= sight_.now) return "it is tried again any moment";
    told_.next_try = due;
    return "it is tried again at " + FormatRfc3339(due);
  }

  void JudgeUnseen() {
    Say(ReplicationStatus::kPending,
        std::string(source_.source_error ? "the source" : "the target or its staging") +
            " cannot be looked at: it is tried again for ever");
    if (told_.open) told_.next += "; " + LeftAlone(*told_.open);
  }

  void JudgeInStep() {
    const bool there = told_.replica.has_value() && source_.source.has_value();
    const bool deleted = !told_.replica && !source_.source && told_.floor && told_.floor->deleted;
    Say(there || deleted ? ReplicationStatus::kCompleted : ReplicationStatus::kNone,
        source_.source   ? "nothing until it changes"
        : !told_.replica ? "nothing: it is at neither end"
        : rule_.deletes  ? "nothing: what is there is no replica"
                         : "nothing: the rule does not replicate deletes, the replica stays");
    SaySweep();
  }

  // Where nothing comes any more, an upload that was begun for it is only in the way.
  void SaySweep() {
    if (!told_.giant || !told_.giant->upload) return;
    told_.next_try = told_.giant->upload->touched + kArchiveAgeMax;
    told_.next += "; the upload of its segments is swept when nothing is under way any more, at " +
                  FormatRfc3339(*told_.next_try) + " at the latest";
  }

  void JudgeParked() {
    const bool at_source = source_.parked.has_value();
    const ParkedKey& parked = at_source ? *source_.parked : *told_.parked;
    told_.status = ReplicationStatus::kFailed;
    if (parked.retried) {
      told_.next = "parked, and a retry has been asked for: " + parked.reason;
      return;
    }
    told_.next = "parked: " + parked.reason + "; mend that, then `longhaul rules retry " +
                 rule_.id + " KEY`; else ";
    const bool in_staging =
        !at_source && std::ranges::any_of(told_.pending, [&](const StagedReading& reading) {
          return reading.archive == parked.archive;
        });
    told_.next += in_staging                 ? TargetTries(parked)
                  : ReadAnewBySource(parked) ? SourceTries(parked)
                                             : ComparisonFinds();
  }

  void JudgeRefused(const ParkedKey& refused) {
    Say(ReplicationStatus::kFailed,
        "archive " + refused.archive + " is refused as a whole: " + refused.reason +
            "; mend that, then `longhaul rules retry " + rule_.id + " --all`; else ");
    told_.next += TargetTries(refused);
  }

  void JudgePending() {
    if (told_.pause) {
      told_.next =
          "it waits until the " + std::string(sight_.paused ? "rule" : "target") + " is resumed";
      told_.next_try = told_.pause->until;
      if (told_.pause->until) told_.next += ", at " + FormatRfc3339(*told_.pause->until);
    } else if (!told_.pending.empty()) {
      told_.next = "the target role applies archive " + told_.pending.front().archive;
      if (!Runs(&RuleNow::target)) told_.next += ", when one runs; none does now";
      AddTrouble("target " + told_.name);
    } else if (const LeftReceipt* left = Rereading()) {
      told_.next = "the source role reads it anew, as the receipt of archive " +
                   left->receipt.archive + " asks";
      if (!Runs(&RuleNow::source)) told_.next += ", when one runs; none does now";
    } else if (!told_.refused.empty()) {
      const ParkedKey& refused = told_.refused.front();
      told_.next = "archive " + refused.archive +
                   ", which may hold it, is refused as a whole: " + refused.reason + "; " +
                   TargetTries(refused);
    } else if (told_.open) {
      told_.next = LeftAlone(*told_.open);
      if (told_.spooled) told_.next += "; an event of it is kept until that succeeds";
    } else if (told_.giant && !told_.giant->plan.empty()) {
      told_.next = "its segments travel, as messages in the queue and archives in staging";
    } else if (told_.spooled) {
      told_.next =
          "the source role reads it: an event was kept while the rule was paused or the "
          "target's store failed";
    } else {
      JudgeUnheard();
    }
  }

  [[nodiscard]] const LeftReceipt* Rereading() const {
    const auto left = std::ranges::find_if(told_.receipts, &LeftReceipt::rereads);
    return left == told_.receipts.end() ? nullptr : &*left;
  }

  // What a process says that fails there.
  void AddTrouble(const std::string& part) {
    for (const RuleNow& process : sight_.processes) {
      const auto trouble = process.troubles.find(part);
      if (trouble == process.troubles.end()) continue;
      told_.next += "; at present it fails: " + trouble->second;
      return;
    }
  }

  // Keys that only a target has, and that a comparison leaves there.
  [[nodiscard]] uint64_t DeletesHeld() const {
    uint64_t held = 0;
    for (const RuleNow& process : sight_.processes) held = std::max(held, process.deletes_held);
    return held;
  }

  // Nothing shows that anybody has heard of it.
  void JudgeUnheard() {
    if (!source_.source && DeletesHeld() > 0) {
      told_.next = "its delete is held back by the delete guard, as one of " +
                   std::to_string(DeletesHeld()) +
                   " that a comparison found: where they are meant, allow more by delete_guard";
      return;
    }
    if (sight_.messages == 0) {
      told_.next = "no event is in the queue: " + ComparisonFinds();
      AddTrouble("listing");
      return;
    }
    const std::string comparison = ComparisonFinds();
    told_.next =
        "an event may be among the " + std::to_string(sight_.messages) + " messages in the queue";
    if (source_.source && source_.source->last_modified + rule_.settle > sight_.now) {
      // An event is no older than its change.
      told_.next_try = source_.source->last_modified + rule_.settle;
      told_.next += ", and it is read from " + FormatRfc3339(*told_.next_try) +
                    " on, when the object has settled";
    }
    told_.next += "; else " + comparison;
  }

  const RuleExplanation& source_;
  const Rule& rule_;
  const RuleSight& sight_;
  TargetExplanation& told_;
};

// Which of several answers is told first.
int Rank(ReplicationStatus status) {
  switch (status) {
    case ReplicationStatus::kFailed:
      return 3;
    case ReplicationStatus::kPending:
      return 2;
    case ReplicationStatus::kCompleted:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

std::optional<OpenTarget> OpenOf(const RuleSight& sight, const std::string& target) {
  for (const RuleNow& process : sight.processes) {
    const auto found = process.targets.find(target);
    if (found != process.targets.end() && found->second.open) return found->second.open;
  }
  return std::nullopt;
}

void Judge(const RuleExplanation& source, const RuleSight& sight, TargetExplanation& told) {
  Judgement(source, sight, told).Run();
}

void Conclude(Explanation& explanation) {
  auto take = [&](const TargetExplanation& target) {
    explanation.next = target.next;
    explanation.next_try = target.next_try;
  };
  for (const RuleExplanation& rule : explanation.from) {
    for (const TargetExplanation& target : rule.targets) {
      if (Rank(target.status) <= Rank(explanation.status)) continue;
      explanation.status = target.status;
      take(target);
    }
  }
  if (explanation.status != ReplicationStatus::kNone) return;
  for (const RuleExplanation& rule : explanation.to) {
    for (const TargetExplanation& target : rule.targets) {
      const bool replica = target.replica && target.mark;
      if (!replica && target.status == ReplicationStatus::kNone) continue;
      explanation.status = replica ? ReplicationStatus::kReplica : target.status;
      take(target);
    }
  }
  for (const std::vector<RuleExplanation>* rules : {&explanation.from, &explanation.to}) {
    for (const RuleExplanation& rule : *rules) {
      if (explanation.next.empty() && !rule.targets.empty()) take(rule.targets.front());
    }
  }
  if (explanation.next.empty()) explanation.next = "nothing: no rule carries it";
}

std::string_view ToString(ReplicationStatus status) {
  switch (status) {
    case ReplicationStatus::kNone:
      return "none";
    case ReplicationStatus::kPending:
      return "PENDING";
    case ReplicationStatus::kCompleted:
      return "COMPLETED";
    case ReplicationStatus::kFailed:
      return "FAILED";
    case ReplicationStatus::kReplica:
      return "REPLICA";
  }
  return "none";
}

}  // namespace longhaul
