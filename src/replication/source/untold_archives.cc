#include "replication/source/untold_archives.h"

#include <algorithm>
#include <chrono>
#include <ranges>
#include <utility>

#include "replica/floor.h"
#include "replication/life/rule_meter.h"
#include "replication/staging/archive_keys.h"
#include "replication/staging/local_staging.h"

namespace longhaul {

namespace {

// What a process has not seen a receipt of may have been taken by another one, or a target may
// still ask for it (target_role_left.cc: within half an hour). Longer than rows of keys that
// another one has forgotten live (kArchiveKeysKept), also where its clock is another.
constexpr std::chrono::minutes kLeftToOthers{90};
// Nearly all are told of sooner, and cost no row.
constexpr std::chrono::minutes kWithoutRow{10};
// Whoever has taken its receipts forgets its keys by then.
constexpr std::chrono::minutes kJustGone{1};
constexpr int kUntoldPageRows = 1000;
constexpr std::string_view kGone = "gone=";

std::string Partition(const std::string& rule) { return "untold/" + rule; }

bool HasTarget(const RuleContext& rule, std::string_view name) {
  return std::ranges::any_of(rule.targets,
                             [name](const auto& target) { return target->config->name == name; });
}

}  // namespace

Async<bool> SendArchiveKeys(State& state, Queue& queue, std::string rule, std::string archive) {
  Result<std::vector<std::string>> bodies = co_await RecallArchiveKeys(state, std::move(archive));
  if (!bodies) co_return bodies.error();
  if (bodies->empty()) co_return false;
  std::vector<NewMessage> again;
  for (std::string& body : *bodies) {
    again.push_back({.body = std::move(body), .lane = FreshLane(rule)});
  }
  Result<void> sent = co_await queue.Send(std::move(again), {});
  if (!sent) co_return sent.error().In("send hints");
  co_return true;
}

asio::awaitable<void> UntoldArchives::Load() {
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    const std::string& id = rule->rule->id;
    if (loaded_.contains(id)) continue;
    std::string after;
    for (bool more = true; more;) {
      Result<std::vector<StateRow>> rows =
          co_await context_.state.Scan(Partition(id), after, kUntoldPageRows);
      if (!rows) {
        context_.runtime.log.Warning("archives that wait are not known yet",
                                     {{"rule", id}, rows.error()});
        co_return;
      }
      for (StateRow& row : *rows) {
        Untold untold{.rule = id, .targets = {}, .gone_since = {}, .row = std::move(row.value)};
        for (const auto field : std::views::split(untold.row, ' ')) {
          const std::string_view text(field.begin(), field.end());
          if (text.starts_with(kGone)) {
            Result<SystemTime> gone = ParseRfc3339(text.substr(kGone.size()));
            if (gone) untold.gone_since = *gone;
          } else if (HasTarget(*rule, text)) {  // Of one that was taken out nothing is missed.
            untold.targets.emplace(text);
          }
        }
        archives_.try_emplace(row.key, std::move(untold));
      }
      more = rows->size() == kUntoldPageRows;
      if (more) after = std::move(rows->back().key);
    }
    loaded_.insert(id);
  }
}

void UntoldArchives::Note(const std::string& rule, const std::string& archive,
                          const std::string& target, bool told) {
  auto found = archives_.find(archive);
  if (found == archives_.end()) {
    if (told) return;
    found =
        archives_.emplace(archive, Untold{.rule = rule, .targets = {}, .gone_since = {}, .row = {}})
            .first;
  }
  std::set<std::string>& targets = found->second.targets;
  if (told) {
    targets.erase(target);
  } else {
    targets.insert(target);
  }
}

void UntoldArchives::Drop(const std::string& archive) {
  const auto found = archives_.find(archive);
  if (found != archives_.end()) found->second.targets.clear();
}

bool UntoldArchives::Contains(const std::string& archive) const {
  const auto found = archives_.find(archive);
  return found != archives_.end() && !found->second.targets.empty();
}

asio::awaitable<std::vector<std::string>> UntoldArchives::Tend(const std::set<std::string>& present,
                                                               bool complete) {
  const SystemTime now = context_.runtime.clock.Now();
  std::vector<std::string> over;
  for (auto& [archive, untold] : archives_) {
    if (present.contains(archive)) {
      untold.gone_since.reset();
    } else if (complete && !untold.gone_since) {
      untold.gone_since = now;
    }
    if (untold.targets.empty()) continue;
    if (untold.gone_since && now >= *untold.gone_since + kLeftToOthers) {
      if (!co_await SendAnew(archive, untold)) continue;
      over.push_back(archive);
      untold.targets.clear();
    } else if (untold.gone_since) {
      const bool just_gone = now >= *untold.gone_since + kJustGone;
      if (just_gone && co_await NoteGone(archive, untold)) over.push_back(archive);
    } else if (now >= UlidTime(archive) + kWithoutRow) {
      co_await WriteRow(archive, untold);
    }
  }
  for (auto untold = archives_.begin(); untold != archives_.end();) {
    if (!untold->second.targets.empty()) {
      ++untold;
      continue;
    }
    if (!untold->second.row.empty()) co_await RemoveRow(untold->first, untold->second);
    untold = archives_.erase(untold);
  }
  co_return over;
}

// Whether nothing of it is left to be sent. Where another process has taken its receipts, that one
// has forgotten its keys.
asio::awaitable<bool> UntoldArchives::SendAnew(const std::string& archive, Untold& untold) {
  Result<void> left_out = co_await LeaveOutTold(archive, untold);
  if (left_out) left_out = co_await LeaveOutSilent(untold);
  Result<bool> sent = false;
  if (!left_out) {
    sent = left_out.error();
  } else if (!untold.targets.empty()) {
    sent = co_await SendFor(archive, untold);
  }
  if (!sent) {
    context_.runtime.log.Warning("the keys of an archive that went are not read anew yet",
                                 {{"rule", untold.rule}, {"archive", archive}, sent.error()});
  } else if (*sent) {
    context_.runtime.log.Warning(
        "an archive went from staging before a target had told of it; its keys are read anew",
        {{"rule", untold.rule}, {"target", *untold.targets.begin()}, {"archive", archive}});
  }
  co_return sent.has_value();
}

// For those alone that have not told of it: the others have applied it.
Async<bool> UntoldArchives::SendFor(const std::string& archive, const Untold& untold) {
  const RuleContext* rule = Find(untold.rule);
  if (rule == nullptr || untold.targets.size() >= rule->targets.size()) {
    co_return co_await SendArchiveKeys(context_.state, context_.queue, untold.rule, archive);
  }
  Result<std::vector<std::string>> bodies = co_await RecallArchiveKeys(context_.state, archive);
  if (!bodies) co_return bodies.error();
  std::vector<NewMessage> again;
  for (const std::string& body : *bodies) {
    Result<HintMessage> hints = DecodeHints(body);
    if (!hints) {
      again.push_back({.body = body, .lane = FreshLane(untold.rule)});  // Another version's.
      continue;
    }
    for (const std::string& target : untold.targets) {
      hints->target = target;
      for (NewMessage& encoded : EncodeHints(*hints)) {
        encoded.lane = FreshLane(untold.rule);
        again.push_back(std::move(encoded));
      }
    }
  }
  if (again.empty()) co_return false;
  Result<void> sent = co_await context_.queue.Send(std::move(again), {});
  if (!sent) co_return sent.error().In("send hints");
  co_return true;
}

const RuleContext* UntoldArchives::Find(const std::string& rule) const {
  const auto found =
      std::ranges::find_if(context_.rules, [&](const auto& one) { return one->rule->id == rule; });
  return found == context_.rules.end() ? nullptr : found->get();
}

Async<void> UntoldArchives::RememberTold(const RuleContext& rule, const std::string& archive,
                                         std::vector<std::string> targets) {
  // (Of a copy in a local staging rows of that one tell.)
  if (targets.empty() || rule.local || StagingsOf(rule) < 2) co_return Ok();
  const auto found = archives_.find(archive);
  if (found != archives_.end() && found->second.targets.empty()) co_return Ok();
  co_return co_await longhaul::RememberTold(context_.state, context_.runtime.clock.Now(), archive,
                                            std::move(targets));
}

Async<void> UntoldArchives::LeaveOutTold(const std::string& archive, Untold& untold) {
  Result<std::vector<std::string>> told = co_await RecallTold(context_.state, archive);
  if (!told) co_return told.error();
  for (const std::string& target : *told) untold.targets.erase(target);
  co_return Ok();
}

Async<void> UntoldArchives::LeaveOutSilent(Untold& untold) {
  const RuleContext* rule = Find(untold.rule);
  if (rule == nullptr || untold.targets.empty()) co_return Ok();
  Result<RuleTotals> totals = co_await ReadTotals(context_.state, untold.rule);
  if (!totals) co_return totals.error();
  const auto answers = [&](const auto& target) {
    return totals->targets[target->config->name].HasAnswered();
  };
  for (const std::unique_ptr<TargetContext>& target : rule->targets) {
    const std::string& name = target->config->name;
    if (!untold.targets.contains(name) || answers(target)) continue;
    const bool others_answer = std::ranges::any_of(rule->targets, [&](const auto& other) {
      return StagingPlace(*other) == StagingPlace(*target) && answers(other);
    });
    if (!others_answer) continue;
    untold.targets.erase(name);
    if (!silent_told_.insert(untold.rule + "/" + name).second) continue;
    context_.runtime.log.Warning(
        "archives go from a staging that a target shares which has never answered",
        {{"rule", untold.rule},
         {"target", name},
         {"remedy",
          "add it to the configuration of the target's side, then run `longhaul rules backfill`"}});
  }
  co_return Ok();
}

asio::awaitable<bool> UntoldArchives::NoteGone(const std::string& archive, Untold& untold) {
  if (untold.row.starts_with(kGone)) co_return false;
  Result<bool> remembered = co_await AreArchiveKeysRemembered(context_.state, archive);
  if (remembered && !*remembered) {
    untold.targets.clear();
    co_return false;
  }
  Result<void> left_out = co_await LeaveOutTold(archive, untold);
  static_cast<void>(left_out);  // It is asked for once more before anything is sent.
  if (untold.targets.empty()) co_return true;
  co_await WriteRow(archive, untold);
  co_return false;
}

asio::awaitable<void> UntoldArchives::WriteRow(const std::string& archive, Untold& untold) {
  std::string text;
  if (untold.gone_since) text = std::string(kGone) + FormatRfc3339(*untold.gone_since);
  for (const std::string& target : untold.targets) text += (text.empty() ? "" : " ") + target;
  if (text == untold.row) co_return;
  StateWrite row{
      .key = archive, .value = text, .expires = context_.runtime.clock.Now() + kFloorLifetime};
  Result<int64_t> written = co_await context_.state.Write(Partition(untold.rule), std::move(row));
  if (written) untold.row = std::move(text);  // Else it is written after the next look.
}

asio::awaitable<void> UntoldArchives::RemoveRow(const std::string& archive, const Untold& untold) {
  Result<int64_t> removed = co_await context_.state.Write(Partition(untold.rule), {.key = archive});
  static_cast<void>(removed);  // Who finds it finds no keys with it.
}

}  // namespace longhaul
