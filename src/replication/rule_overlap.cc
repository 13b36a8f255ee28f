#include "replication/rule_overlap.h"

#include <boost/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/json.h"
#include "replication/compare/by_inventory.h"

namespace longhaul {

namespace {

constexpr char kPartition[] = "configurations";
constexpr std::chrono::seconds kInterval{60};
// Whoever looks once in an interval, and misses one look, sees it.
constexpr std::chrono::seconds kLifetime{180};
constexpr std::chrono::hours kComparedInterval{1};
constexpr int kRecordPageRows = 1'000;
constexpr size_t kDigestBytes = 8;

// What another process has written. Of a row that makes no sense nothing is as it is here.
struct Others {
  bool events = true;
  std::map<std::string, std::string> digests;
};

Others Decode(std::string_view text) {
  Others others;
  Result<boost::json::value> value = ParseJson(text);
  const boost::json::object* row = value ? value->if_object() : nullptr;
  if (row == nullptr) return others;
  const boost::json::value* events = row->if_contains("events");
  others.events = events == nullptr || !events->is_bool() || events->get_bool();
  const boost::json::value* rules = row->if_contains("rules");
  if (rules == nullptr || !rules->is_object()) return others;
  for (const auto& member : rules->get_object()) {
    if (!member.value().is_string()) continue;
    others.digests[std::string(member.key())] = std::string(member.value().get_string());
  }
  return others;
}

}  // namespace

std::string DigestOfRule(const RuleContext& rule) {
  std::string text = rule.rule->deletes ? "deletes" : "";
  for (const auto& target : rule.targets) {
    const Target& config = *target->config;
    text += "\n\n" + config.name + "\n" + config.staging.ToString() + "\n" +
            (config.backup ? "backup" : "") + "\n" + WhatIsCompared(rule, *target);
  }
  return HexEncode(Sha256(text).substr(0, kDigestBytes));
}

RuleOverlap::RuleOverlap(ReplicationContext& context,
                         std::function<void(const std::string& rule)> gone)
    : context_(context), gone_(std::move(gone)) {
  for (const auto& rule : context.rules) digests_[rule->rule->id] = DigestOfRule(*rule);
}

Async<void> RuleOverlap::Say(bool events) {
  boost::json::object rules;
  for (const auto& [rule, digest] : digests_) rules[rule] = digest;
  Result<int64_t> written = co_await context_.state.Write(
      kPartition,
      {.key = context_.owner,
       .value = WriteJson(boost::json::object{{"events", events}, {"rules", std::move(rules)}}),
       .expires = context_.runtime.clock.Now() + kLifetime});
  if (!written) co_return written.error();
  co_return Ok();
}

Async<void> RuleOverlap::Look() {
  std::set<std::string> overlapped;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows =
        co_await context_.state.Scan(kPartition, after, kRecordPageRows);
    if (!rows) co_return rows.error();
    for (const StateRow& row : *rows) {
      if (row.key == context_.owner) continue;
      const Others others = Decode(row.value);
      for (const auto& [rule, digest] : digests_) {
        const auto theirs = others.digests.find(rule);
        const bool lacks = theirs == others.digests.end();
        if (lacks ? others.events : theirs->second != digest) overlapped.insert(rule);
      }
    }
    if (rows->size() < kRecordPageRows) break;
    after = rows->back().key;
  }
  for (const std::string& rule : overlapped) {
    if (overlapped_.contains(rule)) continue;
    context_.runtime.log.Info("another process has another configuration of a rule",
                              {{"rule", rule}});
  }
  for (const std::string& rule : std::exchange(overlapped_, std::move(overlapped))) {
    left_.insert(rule);
  }
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  for (auto left = left_.begin(); left != left_.end();) {
    const auto last = compared_.find(*left);
    // Who comes and goes all the time, as a process that does not get up, costs no more than this.
    if (overlapped_.contains(*left) ||
        (last != compared_.end() && now - last->second < kComparedInterval)) {
      ++left;
      continue;
    }
    context_.runtime.log.Info("nobody has another configuration of a rule any more: comparing",
                              {{"rule", *left}});
    compared_[*left] = now;
    gone_(*left);
    left = left_.erase(left);
  }
  co_return Ok();
}

asio::awaitable<void> RuleOverlap::Watch(bool events, Event& stop) {
  bool failing = false;
  do {
    Result<void> done = co_await Say(events);
    Result<void> looked = co_await Look();
    if (done) done = looked;
    if (!done && !failing) {
      context_.runtime.log.Warning("nobody knows which processes have another configuration",
                                   {done.error()});
    }
    failing = !done;
  } while (!co_await stop.WaitFor(context_.runtime.clock, kInterval));
}

}  // namespace longhaul
