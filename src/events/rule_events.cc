#include "events/rule_events.h"

#include <algorithm>
#include <map>
#include <utility>

#include "events/hint.h"

namespace longhaul {

RuleEvents::RuleEvents(Runtime runtime, const Configuration& configuration, Queue& queue,
                       std::string origin, std::function<bool(const Rule&)> takes)
    : runtime_(runtime),
      configuration_(configuration),
      queue_(queue),
      origin_(std::move(origin)),
      takes_(std::move(takes)) {}

std::vector<EventTaker::Source> RuleEvents::Sources() const {
  std::vector<Source> sources;
  for (const Rule& rule : configuration_.rules) {
    if (rule.enabled && takes_(rule)) sources.push_back({rule.source.store, rule.source.bucket});
  }
  return sources;
}

std::string RuleEvents::NamelessBucket(std::string_view store) const {
  std::vector<Source> sources;
  for (const Rule& rule : configuration_.rules) {
    if (takes_(rule)) sources.push_back({rule.source.store, rule.source.bucket});
  }
  return OnlyBucket(sources, store);
}

std::string_view RuleEvents::Unwanted(const StoreEvent& event) const {
  return RulesOf(event).empty() ? "no_rule" : "";
}

std::vector<const Rule*> RuleEvents::RulesOf(const StoreEvent& event) const {
  std::vector<const Rule*> rules;
  for (const Rule& rule : configuration_.rules) {
    if (rule.enabled && takes_(rule) && rule.source.store == event.store &&
        rule.MatchesKey(event.record.bucket, event.record.key)) {
      rules.push_back(&rule);
    }
  }
  return rules;
}

Async<size_t> RuleEvents::Take(std::vector<StoreEvent> events) {
  // Never later than now: a store whose clock is ahead must not hold its keys back.
  const SystemTime now = runtime_.clock.Now();
  std::map<const Rule*, std::vector<Hint>> hints;  // Each rule's wait in a lane of its own.
  for (const StoreEvent& event : events) {
    const S3EventRecord& record = event.record;
    for (const Rule* rule : RulesOf(event)) {
      hints[rule].push_back({.key = record.key,
                             .time = std::min(record.time.value_or(now), now),
                             .size_bytes = record.size_bytes,
                             .attributes = record.attributes});
    }
  }
  std::vector<NewMessage> messages;
  size_t count = 0;
  for (auto& [rule, found] : hints) {
    count += found.size();
    HintMessage message{.store = rule->source.store,
                        .bucket = rule->source.bucket,
                        .rule = rule->id,
                        .target = {},
                        .origin = HintOrigin::kWebhook,
                        .hints = std::move(found)};
    for (NewMessage& encoded : EncodeHints(message)) messages.push_back(std::move(encoded));
  }
  Result<void> sent = co_await queue_.Send(std::move(messages), std::chrono::milliseconds(0));
  if (!sent) co_return sent.error();
  runtime_.metrics
      .counter("longhaul_hints_queued_total", "Hints put into the queue, by origin.",
               {{"origin", origin_}})
      .Add(static_cast<double>(count));
  co_return count;
}

}  // namespace longhaul
