#include "replication/source/source_role.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/version.h"
#include "replication/context/loops.h"
#include "replication/giants/giant.h"
#include "replication/life/left_spool.h"
#include "replication/life/spool.h"
#include "replication/life/target_breaker.h"
#include "replication/source/carry.h"
#include "replication/source/choose_route.h"
#include "replication/source/reading.h"
#include "replication/source/rule_queue.h"
#include "replication/staging/local_staging.h"

namespace longhaul {

namespace {

constexpr int kMessagesPerReceive = 10;
// Three are packed at a time (memory_plan.cc), and as many are at hand; the others are for
// whichever process has time. One that took all would also have to extend 10,000 messages.
constexpr int kSegmentsHeldMax = 6;
constexpr std::chrono::milliseconds kReceiveWait{1'000};
constexpr std::chrono::milliseconds kFullLaneWait{100};  // Then there may be room again.
// What a key costs beside its bytes, for sharing: the time of a request at 100 MB/s.
constexpr int64_t kKeyCostBytes = 16 << 10;
constexpr std::chrono::seconds kPausedSegmentDelay{30};
constexpr size_t kLevelsTold = 12;
constexpr size_t kUnmatchedToldMax = 100;
// An event's time may be ahead of our clock by this much.
constexpr std::chrono::hours kClockTolerance{1};

// `sent`: the message of the hint.
SystemTime HeardOf(const HintMessage& message, const Hint& hint, SystemTime sent) {
  if (hint.heard) return *hint.heard;
  // Where no event told, nobody knows since when a key differs: it counts from the comparison on.
  const bool told = message.origin == HintOrigin::kWebhook || message.origin == HintOrigin::kWatch;
  return told ? std::min(hint.time, sent) : sent;
}

// Whether `hints` are of what `rule` reads; its filter decides of their keys.
bool IsMeant(const Rule& rule, const HintMessage& hints) {
  if (!hints.rule.empty() && hints.rule != rule.id) return false;
  if (hints.bucket != rule.source.bucket) return false;
  if (hints.store == rule.source.store) return true;
  // The id names it, and its store may be called otherwise since then, or in another configuration.
  // It may also be another store. Then what that one lacks would be deleted past the delete guard.
  return !hints.rule.empty() && !rule.deletes;
}

}  // namespace

SourceRole::SourceRole(ReplicationContext& context, PackMemory memory, int jobs_max)
    : context_(context),
      memory_(memory),
      messages_(context.runtime, context.queue, context.limits, 2 * std::ssize(context.rules)),
      suspects_(context.runtime.random),
      slots_(jobs_max, context.rules.size()),
      unmatched_(context.runtime.metrics.counter("longhaul_hints_unmatched_total",
                                                 "Hints that were acknowledged though no rule here "
                                                 "reads what they are of, or has their target.",
                                                 {})),
      kept_for_others_(context.runtime.metrics.counter(
          "longhaul_hints_kept_for_others_total",
          "Hints that were put aside in State: no rule here has the id that they name.", {})) {
  for (const std::unique_ptr<RuleContext>& rule : context.rules) {
    if (!rule->rule->enabled) continue;
    queues_.push_back(std::make_unique<RuleQueue>(context, *rule, queues_.size()));
  }
}

SourceRole::~SourceRole() = default;

RuleMeter::SourceSight SourceRole::SightOf(const std::string& rule_id) const {
  RuleMeter::SourceSight sight;
  for (const std::unique_ptr<RuleQueue>& queue : queues_) {
    if (queue->rule->rule->id != rule_id) continue;
    sight.keys_pending = queue->keys.size();
    sight.bytes_pending = queue->keys.size_bytes();
    sight.oldest_fresh = queue->keys.OldestFresh();
    if (const RuleTuner* tuner = context_.tuner ? context_.tuner->Of(rule_id) : nullptr) {
      sight.levels = tuner->Levels(kLevelsTold);
    }
    if (auto oldest = queue->keys.Oldest()) {
      sight.oldest = OldestKey{.heard = oldest->first, .key = std::move(oldest->second)};
    }
    if (!queue->packing.empty()) {
      const auto& [heard, key] = *queue->packing.begin();
      sight.oldest = Older(std::move(sight.oldest), OldestKey{.heard = heard, .key = key});
    }
    for (const std::unique_ptr<TargetContext>& target : queue->rule->targets) {
      if (!target->breaker.open()) continue;
      sight.open[target->config->name] = {.since = *target->breaker.since(),
                                          .reason = target->breaker.error().Describe()};
    }
  }
  return sight;
}

std::vector<LateKey> SourceRole::LateKeys(const std::string& rule_id, SystemTime before,
                                          size_t max) const {
  std::vector<LateKey> late;
  for (const std::unique_ptr<RuleQueue>& queue : queues_) {
    if (queue->rule->rule->id != rule_id) continue;
    for (PendingKeys::Item& item : queue->keys.HeardBefore(before, max)) {
      late.push_back({.key = std::move(item.first),
                      .target = std::move(item.second.target),
                      .heard = item.second.heard});
    }
  }
  return late;
}

std::optional<Error> SourceRole::store_error() const {
  if (queue_error_) return queue_error_;
  for (const std::unique_ptr<RuleQueue>& queue : queues_) {
    if (queue->source_error) return queue->source_error;
    if (std::optional<Error> error = queue->health.error()) return error;
  }
  return std::nullopt;
}

asio::awaitable<void> SourceRole::Run(Event& stop) {
  TaskGroup probes(context_.runtime.executor);
  for (const std::unique_ptr<RuleQueue>& queue : queues_) {
    queue->health.Start(stop, probes, on_closed_);
  }
  TaskGroup loops(context_.runtime.executor);
  loops.Spawn(AsTask(ReceiveLoop(stop)));
  for (const std::unique_ptr<RuleQueue>& queue : queues_) {
    loops.Spawn(AsTask(PackLoop(*queue, stop)));
  }
  Event extended;
  TaskGroup extender(context_.runtime.executor);
  extender.Spawn(AsTask(messages_.KeepHidden(extended)));
  Result<void> joined = co_await loops.Join();
  static_cast<void>(joined);
  joined = co_await probes.Join();
  extended.Set();
  joined = co_await extender.Join();
  co_await messages_.Release();
}

asio::awaitable<void> SourceRole::ReceiveLoop(Event& stop) {
  int failures = 0;
  while (!stop.is_set()) {
    if (!co_await TakeSuspects()) {
      co_await changed_.WaitFor(context_.runtime.clock, kReceiveWait);
      continue;
    }
    // While keys wait here, an empty lane must be noticed at once: their batch closes then.
    const bool waiting = std::ranges::any_of(queues_, [](const std::unique_ptr<RuleQueue>& queue) {
      return queue->more_waits && queue->keys.size() > 0;
    });
    ReceiveRequest request{.count_max = kMessagesPerReceive,
                           .visibility = context_.limits.visibility,
                           .wait = waiting ? std::chrono::milliseconds(0) : kReceiveWait,
                           .without = messages_.FullLanes()};
    const bool some_full = !request.without.empty();
    for (const std::unique_ptr<RuleQueue>& queue : queues_) {
      const std::string lane = SegmentLane(queue->rule->rule->id);
      if (messages_.CountOf(lane) >= kSegmentsHeldMax) request.without.push_back(lane);
      // Who took all that waits would have other processes stand idle: what is taken can be packed
      // now, or is a batch that waits for its place.
      if (queue->keys.HasBacklog() || slots_.Crowds(queue->index)) {
        request.without.push_back(BacklogLane(queue->rule->rule->id));
        request.wait = kFullLaneWait;
      }
    }
    // (A run that ends waits for the Queue to be empty.)
    if (on_closed_) {
      request.without.insert(request.without.end(), foreign_lanes_.begin(), foreign_lanes_.end());
    }
    if (some_full) {
      // Messages hold up to a thousand keys each.
      request.count_max = 1;
      request.wait = kFullLaneWait;
    }
    Result<Received> received = co_await context_.queue.Receive(std::move(request));
    if (!received) {
      context_.runtime.log.Warning("the queue cannot be read", {received.error()});
      context_.observer.OnReadiness("queue", received.error());
      queue_error_ = received.error().In("queue");
      co_await stop.WaitFor(context_.runtime.clock, RetryDelay(failures++));
      continue;
    }
    if (failures > 0) context_.observer.OnReadiness("queue", std::nullopt);
    failures = 0;
    queue_error_.reset();
    for (QueueMessage& message : received->messages) co_await TakeMessage(std::move(message));
    co_await messages_.Flush();
    NoteWaiting(received->waiting);
    changed_.NotifyAll();
  }
}

void SourceRole::NoteWaiting(const std::vector<std::string>& waiting) {
  auto waits = [&](const std::string& lane) {
    return std::ranges::find(waiting, lane) != waiting.end();
  };
  for (const std::unique_ptr<RuleQueue>& queue : queues_) {
    const std::string& rule = queue->rule->rule->id;
    queue->more_waits = waits(FreshLane(rule)) || waits(BacklogLane(rule)) || waits("");
  }
}

asio::awaitable<void> SourceRole::TakeMessage(QueueMessage message) {
  Result<HintMessage> hints = DecodeHints(message.body);
  if (!hints) {
    // Among the dead letters a person can look at it. Another version may understand it.
    context_.runtime.log.Failure(
        "a message in the queue cannot be understood",
        {{"lane", message.lane}, {"message", message.receipt.id}, hints.error()});
    co_await messages_.Bury(std::move(message),
                            hints.error().message + ", says longhaul " + std::string(kVersion));
    co_return;
  }
  const bool segment = !hints->hints.empty() && hints->hints.front().segment;
  if (segment && messages_.CountOf(message.lane) >= kSegmentsHeldMax) {
    // A new message: giving it back would count as a receive, until it is a dead letter.
    Hint& hint = hints->hints.front();
    if (!hint.heard) hint.heard = message.sent;
    Result<void> replaced =
        co_await context_.queue.Replace({message.receipt}, EncodeHints(*hints), {});
    // Not: it comes back when its visibility runs out.
    static_cast<void>(replaced);
    co_return;
  }
  if (!hints->rule.empty() && !Knows(hints->rule)) {
    co_await KeepForOthers(message, *hints);
    co_return;
  }
  if (!segment && Suspects::IsToBeTakenApart(message, hints->hints.size())) {
    co_await TakeApart(message, *hints);
    co_return;
  }
  std::shared_ptr<OpenMessage> open = messages_.Open(message);
  if (Suspects::Is(message)) {
    suspects_.Add({.hints = std::move(*hints), .sent = message.sent, .open = std::move(open)});
    co_return;
  }
  co_await TakeKeys(std::move(*hints), message.sent, std::move(open), 0);
}

asio::awaitable<void> SourceRole::TakeApart(const QueueMessage& message, const HintMessage& hints) {
  const size_t count = hints.hints.size();
  const size_t each = (count + Suspects::kParts - 1) / Suspects::kParts;
  std::vector<NewMessage> parts;
  for (size_t begin = 0; begin < count; begin += each) {
    HintMessage part{.store = hints.store,
                     .bucket = hints.bucket,
                     .rule = hints.rule,
                     .target = hints.target,
                     .origin = hints.origin,
                     .hints = {}};
    for (size_t i = begin; i < std::min(begin + each, count); ++i) {
      part.hints.push_back(hints.hints[i]);
      part.hints.back().heard = HeardOf(hints, hints.hints[i], message.sent);
    }
    for (NewMessage& encoded : EncodeHints(part)) {
      if (!message.lane.empty()) encoded.lane = message.lane;
      parts.push_back(std::move(encoded));
    }
  }
  context_.runtime.log.Info("received once more after it travelled alone: it is taken apart",
                            {{"rule", hints.rule},
                             {"keys", count},
                             {"parts", parts.size()},
                             {"key", hints.hints.front().key},
                             {"last", hints.hints.back().key}});
  Result<void> replaced = co_await context_.queue.Replace({message.receipt}, std::move(parts), {});
  // Not: it comes back when its visibility runs out.
  static_cast<void>(replaced);
}

asio::awaitable<bool> SourceRole::TakeSuspects() {
  std::vector<Suspects::Suspect> suspects = suspects_.Take(context_.runtime.clock.SteadyNow());
  // The last lines of a process that has died of one of them.
  for (const Suspects::Suspect& suspect : suspects) {
    const std::vector<Hint>& keys = suspect.hints.hints;
    context_.runtime.log.Info("received for the third time or more: it travels alone",
                              {{"messages", suspects.size()},
                               {"rule", suspect.hints.rule},
                               {"keys", keys.size()},
                               {"key", keys.empty() ? "" : keys.front().key},
                               {"last", keys.empty() ? "" : keys.back().key}});
  }
  for (Suspects::Suspect& suspect : suspects) {
    co_await TakeKeys(std::move(suspect.hints), suspect.sent, std::move(suspect.open),
                      suspects_.company());
  }
  if (!suspects.empty()) {
    co_await messages_.Flush();
    changed_.NotifyAll();
  }
  co_return suspects_.MayReceive(context_.runtime.clock.SteadyNow());
}

asio::awaitable<void> SourceRole::TakeKeys(HintMessage hints, SystemTime sent,
                                           std::shared_ptr<OpenMessage> open, uint64_t company) {
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  // A time that somebody made up must not keep a key waiting for ever.
  const SystemTime latest = context_.runtime.clock.Now() + kClockTolerance;
  NoteUnmatched(hints);
  for (Hint& hint : hints.hints) {
    for (const std::unique_ptr<RuleQueue>& queue : queues_) {
      const Rule& rule = *queue->rule->rule;
      if (!IsMeant(rule, hints)) continue;
      if (!rule.MatchesKey(hints.bucket, hint.key)) continue;
      const std::string only = hints.rule.empty() ? std::string() : hints.target;
      if (!only.empty() && !queue->Has(only)) {
        NoteTargetGone(rule, only);
        continue;
      }
      for (std::string& target : queue->TargetsOf(hint.key, only)) {
        PendingKey pending{.not_before = std::min(hint.time, latest) + rule.settle,
                           .since = now,
                           .heard = HeardOf(hints, hint, sent),
                           .size_bytes = hint.size_bytes,
                           .tries = hint.tries,
                           .target = std::move(target),
                           .attributes = hint.attributes,
                           .backlog = open->lane == BacklogLane(rule.id) || hint.segment,
                           .company = company,
                           .segment = hint.segment,
                           .messages = {open}};
        messages_.Wait(*open, 1);
        Requeue(*queue, hint.key, std::move(pending));
      }
    }
  }
  co_await messages_.Finish({open}, {}, {});
}

void SourceRole::NoteUnmatched(const HintMessage& hints) {
  if (std::ranges::any_of(context_.rules,
                          [&](const auto& rule) { return IsMeant(*rule->rule, hints); })) {
    return;
  }
  unmatched_.Add(static_cast<double>(hints.hints.size()));
  if (unmatched_told_.size() >= kUnmatchedToldMax || !unmatched_told_.insert(hints.store).second) {
    return;
  }
  context_.runtime.log.Warning(
      "hints of a source that no rule here reads are dropped: was a store renamed, or a rule given "
      "another source? `longhaul rules backfill` finds what they told, but for changes of tags "
      "alone",
      {{"source", hints.store + ":" + hints.bucket},
       {"rule", hints.rule},
       {"keys", hints.hints.size()},
       {"key", hints.hints.empty() ? "" : hints.hints.front().key}});
}

void SourceRole::NoteTargetGone(const Rule& rule, const std::string& target) {
  unmatched_.Add(1);
  const std::string told = rule.id + "/" + target;
  if (unmatched_told_.size() >= kUnmatchedToldMax || !unmatched_told_.insert(told).second) return;
  context_.runtime.log.Warning(
      "hints for a target that the rule does not have are dropped: was it renamed? `longhaul rules "
      "backfill` finds what they told, but for changes of tags alone",
      {{"rule", rule.id}, {"target", target}});
}

bool SourceRole::Knows(const std::string& rule_id) const {
  return std::ranges::any_of(context_.rules,
                             [&](const auto& rule) { return rule->rule->id == rule_id; });
}

// Another process on this database may have a newer configuration. In the Queue they would come
// back here, and nobody could wait for it to run empty; kept like those of a rule that is paused
// they wait for whoever has the rule. Instead of a segment its object is kept, to be planned anew.
asio::awaitable<void> SourceRole::KeepForOthers(const QueueMessage& message, HintMessage& hints) {
  std::vector<SpooledHint> kept;
  for (Hint& hint : hints.hints) {
    if (!hint.heard) hint.heard = message.sent;
    if (hint.segment) {
      // As when a transfer is given up. No more of its lane are taken: each would begin it anew.
      hint.time = hint.segment->stamp + std::chrono::seconds(1);
      hint.size_bytes.reset();
      hint.segment.reset();
      foreign_lanes_.insert(message.lane);
    }
    kept.push_back({.target = hints.target, .hint = hint});
  }
  Result<void> done =
      co_await SpoolHints(context_.state, hints.rule, hints.store, hints.bucket, std::move(kept));
  if (done) done = co_await NoteSpools(context_.state, {hints.rule});
  if (done) done = co_await context_.queue.Ack({message.receipt});
  if (done) {
    NoteKept(hints);
    co_return;
  }
  // It comes back when its visibility runs out.
  context_.runtime.log.Warning("hints of a rule that is not in this configuration are not kept",
                               {{"rule", hints.rule}, done.error()});
}

// Where the rule was renamed or removed there are no others, and they wait for ever.
void SourceRole::NoteKept(const HintMessage& hints) {
  kept_for_others_.Add(static_cast<double>(hints.hints.size()));
  const std::string told = hints.rule + "/";  // (No target has an empty name, no store this one.)
  if (unmatched_told_.size() >= kUnmatchedToldMax || !unmatched_told_.insert(told).second) return;
  context_.runtime.log.Warning(
      "hints of a rule that is not enabled here are kept in State for whoever has it: was it "
      "renamed or removed? With its id again it sends them; else `longhaul rules backfill` finds "
      "what they told, but for changes of tags alone",
      {{"rule", hints.rule},
       {"keys", hints.hints.size()},
       {"key", hints.hints.empty() ? "" : hints.hints.front().key}});
}

void SourceRole::Requeue(RuleQueue& queue, std::string key, PendingKey pending) {
  if (queue.keys.Add(std::move(key), std::move(pending))) ++keys_pending_;
}

asio::awaitable<void> SourceRole::PackLoop(RuleQueue& queue, Event& stop) {
  Clock& clock = context_.runtime.clock;
  TaskGroup jobs(context_.runtime.executor);
  while (!stop.is_set()) {
    std::optional<std::chrono::nanoseconds> next =
        queue.keys.NextBatch(clock.Now(), clock.SteadyNow(), !queue.more_waits);
    if (!next || next->count() > 0) {
      const auto pause =
          std::min<std::chrono::nanoseconds>(next.value_or(kReceiveWait), kReceiveWait);
      co_await changed_.WaitFor(
          clock, std::max<std::chrono::nanoseconds>(pause, std::chrono::milliseconds(1)));
      continue;
    }
    co_await slots_.Acquire(queue.index);
    Items keys;
    if (!stop.is_set()) keys = queue.keys.Take(clock.Now(), clock.SteadyNow(), !queue.more_waits);
    if (keys.empty()) {
      slots_.Release(queue.index);
      continue;
    }
    keys_pending_ -= static_cast<int64_t>(keys.size());
    ++jobs_running_;
    jobs.Spawn(RunJob(queue, std::move(keys)));
  }
  Result<void> joined = co_await jobs.Join();
  static_cast<void>(joined);
}

// By what the hints say.
int64_t SourceRole::CostOf(const Items& keys) {
  int64_t cost = 0;
  for (const auto& [key, pending] : keys) {
    cost += kKeyCostBytes + static_cast<int64_t>(PendingKeys::BytesOf(pending));
  }
  return cost;
}

Async<void> SourceRole::RunJob(RuleQueue& queue, Items keys) {
  const RuleContext& rule = *queue.rule;
  const auto oldest = std::ranges::min_element(
      keys, {}, [](const PendingKeys::Item& item) { return item.second.heard; });
  const auto packing = queue.packing.emplace(oldest->second.heard, oldest->first);
  const int64_t charged = CostOf(keys);
  slots_.Charge(queue.index, charged);
  const bool known = context_.control->known();
  if (known && context_.control->PauseOf(rule.rule->id)) {
    co_await Spool(queue, std::move(keys));
    slots_.Charge(queue.index, -charged);
  } else if (!known || !rule.source_found) {
    co_await GiveBack(queue, std::move(keys), kAwayDelay);
    slots_.Charge(queue.index, -charged);
  } else if (rule.rule->transport != Transport::kAuto) {
    const bool direct = CarriesDirectly(*rule.rule) && !keys.front().second.segment;
    co_await Carry(queue, std::move(keys), direct);
  } else {
    const std::vector<bool> leaves = co_await ChooseRoutes(context_, rule, keys);
    Items packed;
    Items carried;
    for (size_t i = 0; i < keys.size(); ++i) {
      (leaves[i] ? carried : packed).push_back(std::move(keys[i]));
    }
    if (!packed.empty()) co_await Carry(queue, std::move(packed), false);
    if (!carried.empty()) co_await Carry(queue, std::move(carried), true);
  }
  queue.packing.erase(packing);
  --jobs_running_;
  slots_.SetSick(queue.index, queue.source_error.has_value() || queue.health.sick());
  slots_.Release(queue.index);
  changed_.NotifyAll();
  co_return Ok();
}

asio::awaitable<void> SourceRole::Carry(RuleQueue& queue, Items keys, bool direct) {
  RuleContext& rule = *queue.rule;
  int64_t charged = CostOf(keys);  // Corrected when all is read.
  std::vector<std::string> away;
  std::vector<std::string> held;
  std::vector<size_t> targets;
  // What goes by the local staging needs no other to be there.
  const bool local = GoesByLocalStaging(
      rule, keys.front().second.target.empty() ? rule.targets.size() : size_t{1});
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    const std::string& only = keys.front().second.target;
    const std::string& name = rule.targets[i]->config->name;
    if (!only.empty() && only != name) continue;
    const TargetContext& target = *rule.targets[i];
    const bool open = !local && target.breaker.open();
    // (A paused target's archives wait in its staging.)
    if (direct && context_.control->OwnPauseOf(rule.rule->id, name)) {
      held.push_back(name);
    } else if (open && on_closed_ && !keys.front().second.segment) {
      held.push_back(name);
      for (const auto& [key, pending] : keys) NoteReturned(queue, key, pending, name);
    } else if (open) {
      away.push_back(name);
    } else if (local || (direct ? target.applier != nullptr : target.staging_found)) {
      targets.push_back(i);
    } else {
      away.push_back(name);
    }
  }
  if (!held.empty()) {
    Result<void> kept = co_await SpoolFor(queue, keys, held);
    if (!kept) away.insert(away.end(), held.begin(), held.end());
  }
  if (targets.empty() && !away.empty()) {
    co_await GiveBack(queue, std::move(keys), kAwayDelay);
    slots_.Charge(queue.index, -charged);
    co_return;
  }
  Result<void> loaded = co_await rule.parked->Load();
  if (!loaded) context_.runtime.log.Warning("nobody knows what is parked", {loaded.error()});
  Result<Reservation> memory = Reservation();
  if (!targets.empty()) memory = co_await context_.runtime.memory.Reserve(memory_.total());
  const SystemTime begun = context_.runtime.clock.Now();
  PackResult result;
  result.keys.resize(keys.size());
  if (targets.empty()) {
    for (PackedKey& key : result.keys) key.state = PackedKey::State::kSkipped;
  } else if (!memory) {
    for (PackedKey& key : result.keys) {
      key.state = PackedKey::State::kFailed;
      key.error = memory.error();
    }
  } else {
    std::vector<PackItem> items;
    for (const auto& [key, pending] : keys) {
      items.push_back({.key = key,
                       .size_bytes = pending.size_bytes,
                       .not_before = pending.not_before,
                       .segment = pending.segment,
                       .attributes = pending.attributes});
    }
    if (direct) {
      result = co_await CarryDirectly(context_, rule, targets, std::move(items),
                                      queue.keys.IsLarge(keys.front().second), memory_.total());
    } else if (items.front().segment || queue.keys.IsLarge(keys.front().second)) {
      result = co_await PackSingle(context_, rule, targets, std::move(items.front()), memory_);
    } else {
      result = co_await PackBundle(context_, rule, targets, std::move(items), memory_);
    }
  }
  memory = Reservation();
  result.begun = begun;
  const std::string batch = result.carried ? result.archive : "";
  for (const PackedKey& key : result.keys) {
    const bool read = key.state == PackedKey::State::kStaged;
    charged -= kKeyCostBytes + (read ? static_cast<int64_t>(key.size_bytes) : 0);
  }
  slots_.Charge(queue.index, -charged);
  co_await TakeResults(queue, std::move(keys), targets, std::move(away), std::move(result));
  for (size_t i : targets) {
    if (!batch.empty()) {
      context_.meter->OnReceipt(batch, rule.targets[i]->config->name, context_.runtime.clock.Now());
    }
  }
}

asio::awaitable<void> SourceRole::GiveBack(RuleQueue& queue, Items keys,
                                           std::chrono::milliseconds delay) {
  for (auto& [key, pending] : keys) {
    NoteReturned(queue, key, pending, pending.target);
    std::vector<HintMessage> left{Left(*queue.rule->rule, key, pending, pending.tries)};
    co_await messages_.Finish(std::move(pending.messages), std::move(left), delay);
  }
  co_await messages_.Flush();
}

asio::awaitable<void> SourceRole::Spool(RuleQueue& queue, Items keys) {
  const Rule& rule = *queue.rule->rule;
  if (keys.front().second.segment) {
    // What has been planned of a giant goes on as it was planned; it is a few messages.
    co_await GiveBack(queue, std::move(keys), kPausedSegmentDelay);
    co_return;
  }
  std::vector<SpooledHint> hints;
  for (const auto& [key, pending] : keys) {
    HintMessage left = Left(rule, key, pending, pending.tries);
    hints.push_back({.target = pending.target, .hint = std::move(left.hints.front())});
  }
  Result<void> spooled = co_await SpoolHints(context_.state, rule.id, rule.source.store,
                                             rule.source.bucket, std::move(hints));
  if (!spooled) {
    context_.runtime.log.Warning("hints of a paused rule not kept; they stay in the queue",
                                 {{"rule", rule.id}, spooled.error()});
    co_await GiveBack(queue, std::move(keys), kAwayDelay);
    co_return;
  }
  for (auto& [key, pending] : keys) co_await messages_.Finish(std::move(pending.messages), {}, {});
  co_await messages_.Flush();
}

Async<void> SourceRole::SpoolFor(RuleQueue& queue, const Items& keys,
                                 std::vector<std::string> targets) {
  const Rule& rule = *queue.rule->rule;
  std::vector<SpooledHint> hints;
  for (const std::string& target : targets) {
    for (const auto& [key, pending] : keys) {
      HintMessage left = Left(rule, key, pending, pending.tries);
      hints.push_back({.target = target, .hint = std::move(left.hints.front())});
    }
  }
  Result<void> spooled = co_await SpoolHints(context_.state, rule.id, rule.source.store,
                                             rule.source.bucket, std::move(hints));
  if (!spooled) {
    context_.runtime.log.Warning("hints of a target that waits not kept; they stay in the queue",
                                 {{"rule", rule.id}, spooled.error()});
  }
  co_return spooled;
}

}  // namespace longhaul
