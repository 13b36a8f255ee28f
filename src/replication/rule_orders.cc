#include "replication/rule_orders.h"

#include <algorithm>
#include <map>
#include <utility>

#include "events/hint.h"
#include "replication/life/parked.h"
#include "replication/life/rule_meter.h"

namespace longhaul {

namespace {

constexpr int kOrderPageRows = 1000;

struct Asked {
  uint64_t rows = 0;
  uint64_t forgotten = 0;
};

// The hints first: a row that says "retried" without one would be a lie.
Async<Asked> AskFor(State& state, Queue& queue, SystemTime now, const Rule& rule,
                    std::vector<ParkedKey> parked) {
  Asked asked;
  for (const ParkedKey& key : parked) {
    if (IsOfSource(key, rule)) continue;
    Result<void> forgotten = co_await ForgetParked(state, rule.id, key);
    if (!forgotten && forgotten.error().kind != ErrorKind::kPrecondition) {
      co_return forgotten.error();
    }
    ++asked.forgotten;
  }
  std::erase_if(parked, [&](const ParkedKey& key) { return !IsOfSource(key, rule); });
  asked.rows = parked.size();
  std::map<std::string, HintMessage> messages;  // By target.
  for (const ParkedKey& key : parked) {
    messages[key.target].hints.push_back({.key = key.key, .time = now});
  }
  for (auto& [target, message] : messages) {
    message.store = rule.source.store;
    message.bucket = rule.source.bucket;
    message.rule = rule.id;
    message.target = target;
    message.origin = HintOrigin::kReread;
    Result<void> sent = co_await queue.Send(EncodeHints(message), {});
    if (!sent) co_return sent.error().In("send hints");
  }
  for (ParkedKey& key : parked) {
    key.retried = now;
    Result<void> marked = co_await WriteParked(state, rule.id, std::move(key));
    // It has been carried, or parked anew, since.
    if (!marked && marked.error().kind != ErrorKind::kPrecondition) co_return marked.error();
  }
  co_return asked;
}

}  // namespace

std::string NameOfHeld(const Rule& rule, const std::string& target) {
  return (target.empty() ? "" : "target " + target + " of ") + "rule " + rule.id;
}

const Target* FindTarget(const Rule& rule, std::string_view name) {
  const auto found = std::ranges::find_if(rule.targets, [&](const Target& target) {
    return target.name == name || target.to.ToString() == name;
  });
  return found == rule.targets.end() ? nullptr : &*found;
}

Async<Pause> PauseRule(State& state, Clock& clock, const Rule& rule, std::string target,
                       std::optional<SystemTime> until) {
  Pause pause{.since = clock.Now(), .until = until};
  if (until && *until <= pause.since) {
    co_return InvalidInput(FormatRfc3339(*until) + " has passed");
  }
  Result<void> written = co_await WritePause(state, rule.id, std::move(target), pause);
  if (!written) co_return written.error();
  co_return pause;
}

Async<Resumed> ResumeRule(State& state, Clock& clock, const Rule& rule, std::string target) {
  RuleControl control(state, clock);
  Result<bool> read = co_await control.Refresh();
  if (!read) co_return read.error();
  const std::optional<Pause> whole = control.PauseOf(rule.id);
  Resumed resumed;
  resumed.was_paused =
      target.empty() ? whole.has_value() : control.OwnPauseOf(rule.id, target).has_value();
  Result<void> removed = co_await RemovePause(state, rule.id, target);
  if (!removed) co_return removed.error();
  if (!target.empty() && whole) resumed.paused_still.push_back(NameOfHeld(rule, ""));
  for (const Target& other : rule.targets) {
    if (target.empty() && control.OwnPauseOf(rule.id, other.name)) {
      resumed.paused_still.push_back(NameOfHeld(rule, other.name));
    }
  }
  co_return resumed;
}

Async<bool> BackfillRule(State& state, Clock& clock, const Rule& rule, std::string prefix,
                         std::optional<ListedBy> listing) {
  if (!rule.enabled) co_return InvalidInput("rule " + rule.id + " is disabled");
  if (!prefix.empty() && !prefix.starts_with(rule.source.prefix)) {
    Error error = InvalidInput("rule " + rule.id + " has nothing below it: its keys begin with '" +
                               rule.source.prefix + "'");
    error.code = kNotBelowRule;
    co_return error;
  }
  Result<std::vector<RuleNow>> running = co_await ReadNow(state, rule.id);
  if (!running) co_return running.error();
  if (std::ranges::none_of(*running, [](const RuleNow& process) { return process.source; })) {
    co_return Retryable("no process runs rule " + rule.id +
                        " as source; `longhaul replicate` compares when it starts");
  }
  Result<void> asked = co_await AskForBackfill(
      state, rule.id,
      {.asked = clock.Now(), .prefix = std::move(prefix), .listing = std::move(listing)});
  if (!asked) co_return asked.error();
  RuleControl control(state, clock);
  Result<bool> read = co_await control.Refresh();
  if (!read) co_return read.error();
  co_return control.PauseOf(rule.id).has_value();
}

std::vector<std::string> ParkedPlaces(const Rule& rule, const std::string& only_target) {
  if (!only_target.empty()) return {only_target};
  std::vector<std::string> places{""};
  for (const Target& target : rule.targets) places.push_back(target.name);
  return places;
}

Async<RetriedKeys> RetryParked(State& state, Queue& queue, Clock& clock, const Rule& rule,
                               std::vector<std::string> keys, std::string target) {
  const SystemTime now = clock.Now();
  const std::vector<std::string> places = ParkedPlaces(rule, target);
  RetriedKeys retried;
  for (size_t i = 0; keys.empty() && i < places.size(); ++i) {
    std::string after;
    while (true) {
      Result<std::vector<ParkedKey>> parked =
          co_await ScanParked(state, rule.id, places[i], after, kOrderPageRows);
      if (!parked) co_return parked.error();
      if (parked->empty()) break;
      after = parked->back().key;
      const bool last = parked->size() < kOrderPageRows;
      Result<Asked> asked = co_await AskFor(state, queue, now, rule, std::move(*parked));
      if (!asked) co_return asked.error();
      retried.asked += asked->rows;
      retried.forgotten += asked->forgotten;
      if (last) break;
    }
  }
  for (const std::string& key : keys) {
    std::vector<ParkedKey> parked;
    for (const std::string& place : places) {
      Result<std::optional<ParkedKey>> found = co_await FindParked(state, rule.id, place, key);
      if (!found) co_return found.error();
      if (*found) parked.push_back(std::move(**found));
    }
    if (parked.empty()) {
      retried.missing.push_back(key);
      continue;
    }
    Result<Asked> asked = co_await AskFor(state, queue, now, rule, std::move(parked));
    if (!asked) co_return asked.error();
    ++(asked->rows > 0 ? retried.asked : retried.forgotten);
  }
  Result<void> woken = co_await AskForRetry(state, rule.id, now);
  if (!woken) co_return woken.error();
  co_return retried;
}

}  // namespace longhaul
