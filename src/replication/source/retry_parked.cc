#include "replication/source/retry_parked.h"

#include <set>
#include <utility>
#include <vector>

#include "events/hint.h"
#include "replication/life/parked.h"
#include "replication/source/carry.h"
#include "replication/source/reading.h"

namespace longhaul {

namespace {

constexpr std::chrono::minutes kInterval{1};
constexpr int kRetryPageRows = 1000;

}  // namespace

Async<uint64_t> ParkedRetries::RetryAt(const RuleContext& rule, const std::string& target) {
  const std::string& id = rule.rule->id;
  std::string& after = after_[id + "/" + target];
  Result<std::vector<ParkedKey>> parked =
      co_await ScanParked(context_.state, id, target, after, kRetryPageRows);
  if (!parked) co_return parked.error();
  after = std::ssize(*parked) < kRetryPageRows ? "" : parked->back().key;
  const SystemTime now = context_.runtime.clock.Now();
  std::vector<size_t> meant;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    if (target.empty() || target == rule.targets[i]->config->name) meant.push_back(i);
  }
  std::set<std::string> none_any_more;
  for (const ParkedKey& key : *parked) {
    // By now another rule carries it, or none.
    const bool carried = IsOfSource(key, *rule.rule) &&
                         rule.rule->MatchesKey(rule.rule->source.bucket, key.key) &&
                         !WantedTargets(rule, meant, key.key, {}).empty();
    if (carried || !ReadAnewBySource(key)) continue;
    Result<void> forgotten = co_await ForgetParked(context_.state, id, key);
    if (!forgotten && forgotten.error().kind != ErrorKind::kPrecondition) {
      co_return forgotten.error();
    }
    none_any_more.insert(key.key);
  }
  std::erase_if(*parked, [&](const ParkedKey& key) {
    return none_any_more.contains(key.key) || !ReadAnewBySource(key) || NextReading(key) > now;
  });
  if (parked->empty()) co_return uint64_t{0};
  HintMessage message{.store = rule.rule->source.store,
                      .bucket = rule.rule->source.bucket,
                      .rule = id,
                      .target = target,
                      .origin = HintOrigin::kReread,
                      .hints = {}};
  for (const ParkedKey& key : *parked) message.hints.push_back({.key = key.key, .time = now});
  std::vector<NewMessage> encoded = EncodeHints(message);
  for (NewMessage& one : encoded) one.lane = BacklogLane(id);
  Result<void> sent = co_await context_.queue.Send(std::move(encoded), {});
  if (!sent) co_return sent.error().In("send hints");
  const uint64_t count = parked->size();
  for (ParkedKey& key : *parked) {
    key.retried = now;
    Result<void> marked = co_await WriteParked(context_.state, id, std::move(key));
    // It has been carried, or parked anew, since.
    if (!marked && marked.error().kind != ErrorKind::kPrecondition) co_return marked.error();
  }
  co_return count;
}

asio::awaitable<void> ParkedRetries::Run(Event& stop) {
  for (bool first = true; !co_await stop.WaitFor(context_.runtime.clock, kInterval);
       first = false) {
    for (const auto& rule : context_.rules) {
      if (!rule->rule->enabled || context_.control->Holds(rule->rule->id)) continue;
      std::vector<std::string> places{""};
      for (const auto& target : rule->targets) {
        // What was carried directly before may be parked there, too: once, to the last page.
        const std::string& name = target->config->name;
        const bool begun = !after_[rule->rule->id + "/" + name].empty();
        if (first || begun || MayCarryDirectly(*rule->rule)) places.push_back(name);
      }
      for (const std::string& place : places) {
        Result<uint64_t> asked = co_await RetryAt(*rule, place);
        if (!asked) {
          context_.runtime.log.Warning("parked keys are not tried again",
                                       {{"rule", rule->rule->id}, asked.error()});
        } else if (*asked > 0) {
          context_.runtime.log.Info("parked keys are tried again",
                                    {{"rule", rule->rule->id}, {"keys", *asked}});
        }
      }
    }
  }
}

}  // namespace longhaul
