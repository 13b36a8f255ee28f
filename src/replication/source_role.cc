#include "replication/source_role.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "replication/carry.h"
#include "replication/choose_route.h"
#include "replication/giant.h"
#include "replication/local_staging.h"
#include "replication/loops.h"
#include "replication/reading.h"
#include "replication/spool.h"
#include "replication/target_breaker.h"

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
constexpr std::chrono::seconds kRetryFirst{1};
constexpr std::chrono::seconds kRetryLast{60};
// How often an object that is refused is tried, and one that arrives damaged: with the delays
// between them 15 seconds, and two minutes.
constexpr int kRefusalsMax = 4;
constexpr int kDamagesMax = 7;
// What is for a store that has not been found comes back so much later.
constexpr std::chrono::seconds kAwayDelay{5};
constexpr std::chrono::seconds kPausedSegmentDelay{30};
// An event's time may be ahead of our clock by this much.
constexpr std::chrono::hours kClockTolerance{1};

}  // namespace

struct SourceRole::RuleQueue {
  RuleQueue(ReplicationContext& roles, RuleContext& context, size_t number)
      : rule(&context),
        index(number),
        keys(context.rule->batch, roles.limits.bundle_object_bytes_max),
        health(roles, context) {
    for (const std::unique_ptr<TargetContext>& target : context.targets) {
      has_rivals = has_rivals || !target->rivals_above.empty();
    }
  }

  // The targets a hint is meant for, by their names ("": all, together) and as far as the key alone
  // tells: what rules of higher priority carry is left to them.
  [[nodiscard]] std::vector<std::string> TargetsOf(const std::string& key,
                                                   const std::string& only) const {
    if (!has_rivals) return {only};
    std::vector<size_t> meant;
    for (size_t i = 0; i < rule->targets.size(); ++i) {
      if (only.empty() || only == rule->targets[i]->config->name) meant.push_back(i);
    }
    const std::vector<size_t> wanted = WantedTargets(*rule, meant, key, {});
    if (wanted.size() == meant.size()) return {only};
    std::vector<std::string> names;
    for (size_t i : wanted) names.push_back(rule->targets[i]->config->name);
    return names;
  }

  RuleContext* rule;
  size_t index;  // Among the rules that share the process.
  PendingKeys keys;
  bool more_waits = true;  // In its lanes, as far as is known: a batch need not close yet.
  std::multimap<SystemTime, std::string> packing;  // The oldest key of each batch being packed.
  std::optional<Error> source_error;
  TargetHealth health;
  bool has_rivals = false;
};

SourceRole::SourceRole(ReplicationContext& context, PackMemory memory, int jobs_max)
    : context_(context),
      memory_(memory),
      messages_(context, 2 * std::ssize(context.rules)),
      slots_(jobs_max, context.rules.size()) {
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
    // It stays, and ends among the dead letters, where a person can look at it.
    context_.runtime.log.Failure("a message in the queue cannot be understood", {hints.error()});
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
  const std::shared_ptr<OpenMessage> open = messages_.Open(message);
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  // A time that somebody made up must not keep a key waiting for ever.
  const SystemTime latest = context_.runtime.clock.Now() + kClockTolerance;
  // Where no event told, nobody knows since when a key differs: it counts from the comparison on.
  const bool told = hints->origin == HintOrigin::kWebhook || hints->origin == HintOrigin::kWatch;
  for (Hint& hint : hints->hints) {
    for (const std::unique_ptr<RuleQueue>& queue : queues_) {
      const Rule& rule = *queue->rule->rule;
      if (rule.source.store != hints->store) continue;
      if (!hints->rule.empty() && hints->rule != rule.id) continue;
      if (!rule.MatchesKey(hints->bucket, hint.key)) continue;
      const std::string only = hints->rule.empty() ? std::string() : hints->target;
      for (std::string& target : queue->TargetsOf(hint.key, only)) {
        PendingKey pending{.not_before = std::min(hint.time, latest) + rule.settle,
                           .since = now,
                           .heard = hint.heard ? *hint.heard
                                    : told     ? std::min(hint.time, message.sent)
                                               : message.sent,
                           .size_bytes = hint.size_bytes,
                           .tries = hint.tries,
                           .target = std::move(target),
                           .attributes = hint.attributes,
                           .backlog = message.lane == BacklogLane(rule.id) || hint.segment,
                           .segment = hint.segment,
                           .messages = {open}};
        messages_.Wait(*open, 1);
        Requeue(*queue, hint.key, std::move(pending));
      }
    }
  }
  co_await messages_.Finish({open}, {}, {});
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
  Result<void> done = co_await SpoolHints(context_.state, hints.rule, std::move(kept));
  if (done) done = co_await context_.queue.Ack({message.receipt});
  if (done) co_return;
  // It comes back when its visibility runs out.
  context_.runtime.log.Warning("hints of a rule that is not in this configuration are not kept",
                               {{"rule", hints.rule}, done.error()});
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

namespace {

// What goes back of a key: all that is known of it.
HintMessage Left(const Rule& rule, const std::string& key, const PendingKey& pending, int tries) {
  return {.store = rule.source.store,
          .bucket = rule.source.bucket,
          .rule = rule.id,
          .target = pending.target,
          .origin = HintOrigin::kReread,
          .hints = {{.key = key,
                     .time = pending.not_before - rule.settle,
                     .size_bytes = pending.size_bytes,
                     .tries = tries,
                     .heard = pending.heard,
                     .segment = pending.segment,
                     .attributes = pending.attributes}}};
}

// The same for some targets alone: what was decided of the others says nothing of them.
std::vector<HintMessage> LeftFor(const std::vector<std::string>& targets, const Rule& rule,
                                 const std::string& key, const PendingKey& pending) {
  std::vector<HintMessage> left;
  for (const std::string& target : targets) {
    left.push_back(Left(rule, key, pending, pending.tries));
    left.back().target = target;
  }
  return left;
}

}  // namespace

asio::awaitable<void> SourceRole::GiveBack(RuleQueue& queue, Items keys,
                                           std::chrono::milliseconds delay) {
  for (auto& [key, pending] : keys) {
    NoteReturned(queue, key, pending, pending.target);
    std::vector<HintMessage> left{Left(*queue.rule->rule, key, pending, pending.tries)};
    co_await messages_.Finish(std::move(pending.messages), std::move(left), delay);
  }
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
  Result<void> spooled = co_await SpoolHints(context_.state, rule.id, std::move(hints));
  if (!spooled) {
    context_.runtime.log.Warning("hints of a paused rule not kept; they stay in the queue",
                                 {{"rule", rule.id}, spooled.error()});
    co_await GiveBack(queue, std::move(keys), kAwayDelay);
    co_return;
  }
  for (auto& [key, pending] : keys) co_await messages_.Finish(std::move(pending.messages), {}, {});
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
  Result<void> spooled = co_await SpoolHints(context_.state, rule.id, std::move(hints));
  if (!spooled) {
    context_.runtime.log.Warning("hints of a target that waits not kept; they stay in the queue",
                                 {{"rule", rule.id}, spooled.error()});
  }
  co_return spooled;
}

asio::awaitable<void> SourceRole::TakeResults(RuleQueue& queue, Items keys,
                                              std::vector<size_t> targets,
                                              std::vector<std::string> away, PackResult result) {
  const Rule& rule = *queue.rule->rule;
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  // Targets whose staging does not have the archive, and when to try again.
  std::vector<std::string> failed_targets = away;
  std::chrono::milliseconds delay = away.empty() ? std::chrono::milliseconds(0) : kAwayDelay;
  const bool any_staged = std::any_of(result.targets.begin(), result.targets.end(),
                                      [](const Result<void>& staged) { return bool(staged); });
  // (What was carried says nothing of a staging, and so does a batch of which nothing was left.)
  const bool tried = !result.carried && (!result.archive.empty() || !any_staged);
  for (size_t i = 0; tried && i < result.targets.size(); ++i) {
    if (result.targets[i]) {
      queue.health.Succeeded(targets[i]);
      continue;
    }
    const std::string& name = queue.rule->targets[targets[i]]->config->name;
    const Error& error = result.targets[i].error();
    failed_targets.push_back(name);
    delay = std::max(delay, queue.health.Failed(targets[i], error));
    context_.runtime.log.Warning("archive not staged",
                                 {{"rule", rule.id}, {"target", name}, error});
    ++failures_;
  }
  // Of a rule whose archives go to a staging the breaker is that staging's.
  const bool stores_alone = CarriesDirectly(rule);
  for (const auto& [target, answered] : result.carried_to) {
    if (!stores_alone) break;
    if (answered) {
      queue.health.Succeeded(target);
    } else {
      queue.health.Failed(target, answered.error());
    }
  }
  if (any_staged && !result.archive.empty()) {
    NoteStaged(queue, keys, targets, result);
    context_.runtime.log.Debug("archive staged", {{"rule", rule.id},
                                                  {"archive", result.archive},
                                                  {"object_bytes", result.bytes.objects},
                                                  {"sent_bytes", result.bytes.sent}});
    if (on_staged_) on_staged_();
  }

  std::optional<Error> source_error;
  bool any_read = false;
  for (size_t i = 0; i < keys.size(); ++i) {
    auto& [key, pending] = keys[i];
    const PackedKey& packed = result.keys[i];
    switch (packed.state) {
      case PackedKey::State::kStaged: {
        any_read = true;
        HintMessage left = Left(rule, key, pending, pending.tries);
        std::vector<HintMessage> again;
        if (!any_staged) {
          again.push_back(std::move(left));
          NoteReturned(queue, key, pending, pending.target);
        } else {
          ++keys_done_;
          for (const std::string& target : failed_targets) {
            again.push_back(left);
            again.back().target = target;
            NoteReturned(queue, key, pending, target);
          }
          // (Of a giant that has been planned just now nothing has been carried: receipts.cc.)
          const bool packed_now = !result.archive.empty() && !pending.segment;
          if (again.empty() && packed_now) co_await Unpark(*queue.rule->parked, key);
        }
        co_await messages_.Finish(std::move(pending.messages), std::move(again), delay);
        break;
      }
      case PackedKey::State::kSkipped:
        any_read = true;
        ++keys_done_;
        co_await Unpark(*queue.rule->parked, key);
        // Where nothing went by staging no archive is left that could settle it.
        for (size_t t = 0; result.carried && t < targets.size(); ++t) {
          co_await Unpark(*queue.rule->targets[targets[t]]->parked, key);
        }
        co_await messages_.Finish(std::move(pending.messages), {}, {});
        break;
      case PackedKey::State::kSplit:
        any_read = true;
        if (packed.wanted.empty()) ++keys_done_;
        if (packed.wanted.empty() && away.empty()) co_await Unpark(*queue.rule->parked, key);
        for (size_t target : targets) {
          const bool wanted = std::ranges::find(packed.wanted, target) != packed.wanted.end();
          if (result.carried && !wanted) {
            co_await Unpark(*queue.rule->targets[target]->parked, key);
          }
        }
        for (const std::shared_ptr<OpenMessage>& message : pending.messages) {
          messages_.Wait(*message, static_cast<int>(packed.wanted.size()));
        }
        for (size_t wanted : packed.wanted) {
          PendingKey alone = pending;
          alone.target = queue.rule->targets[wanted]->config->name;
          alone.since = now;
          Requeue(queue, key, std::move(alone));
        }
        co_await messages_.Finish(std::move(pending.messages), LeftFor(away, rule, key, pending),
                                  delay);
        break;
      case PackedKey::State::kTooEarly:
        // The source's clock is behind ours: wait for as long as the reading was early, but not
        // for ever, whatever that clock says.
        any_read = true;
        pending.since = context_.runtime.clock.SteadyNow();
        pending.due = context_.runtime.clock.Now() +
                      std::clamp<std::chrono::microseconds>(pending.not_before - packed.stamp,
                                                            kRetryFirst, kRetryLast);
        Requeue(queue, key, std::move(pending));
        break;
      case PackedKey::State::kLarge:
      case PackedKey::State::kUnread:
        if (packed.size_bytes > 0) {
          pending.size_bytes = packed.size_bytes;
          pending.attributes = false;  // It was read: its bytes are needed.
        } else if (queue.keys.IsLarge(pending)) {
          pending.size_bytes.reset();  // Gone, or unreadable: a bundle says so.
        }
        pending.alone = packed.alone;
        Requeue(queue, key, std::move(pending));
        break;
      case PackedKey::State::kFailed: {
        const Error& error = packed.error;
        // A refusal may be that of the whole store, and damage that of the way, for a while: only
        // what stays is the object's.
        const bool refused = error.kind == ErrorKind::kDenied && pending.tries < kRefusalsMax;
        const bool damaged = error.kind == ErrorKind::kCorrupt && pending.tries >= kDamagesMax;
        if (refused || (MayPass(error) && !damaged)) {
          source_error = error.In("rule " + rule.id);
          context_.observer.OnRetry(rule.id, key, error);
          ++failures_;
          NoteReturned(queue, key, pending, pending.target);
          std::vector<HintMessage> left{Left(rule, key, pending, pending.tries + 1)};
          co_await messages_.Finish(std::move(pending.messages), std::move(left),
                                    RetryDelay(pending.tries));
        } else {
          co_await Park(queue, key, packed);
          if (pending.segment) co_await EndTransfers(queue, key, pending.segment->segment.plan);
          // Those that are away have not been asked.
          co_await messages_.Finish(std::move(pending.messages), LeftFor(away, rule, key, pending),
                                    delay);
        }
        break;
      }
    }
  }
  if (source_error || any_read) {
    queue.source_error = source_error;
    context_.observer.OnReadiness("source of rule " + rule.id, source_error);
  }
}

void SourceRole::NoteReturned(const RuleQueue& queue, const std::string& key,
                              const PendingKey& pending, const std::string& target) {
  context_.meter->thresholds().OnReturned(queue.rule->rule->id,
                                          {.key = key, .target = target, .heard = pending.heard});
}

void SourceRole::NoteStaged(const RuleQueue& queue, const Items& keys,
                            const std::vector<size_t>& targets, const PackResult& result) {
  std::vector<std::string> staged;
  for (size_t i = 0; i < result.targets.size(); ++i) {
    if (result.targets[i]) staged.push_back(queue.rule->targets[targets[i]]->config->name);
  }
  std::vector<LateKey> heard;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (result.keys[i].state != PackedKey::State::kStaged) continue;
    heard.push_back({.key = keys[i].first, .heard = keys[i].second.heard});
  }
  context_.meter->OnStaged(queue.rule->rule->id, result.archive, staged, result.bytes, heard);
}

asio::awaitable<void> SourceRole::Park(RuleQueue& queue, const std::string& key,
                                       const PackedKey& packed) {
  for (const auto& [index, error] : packed.refused_by) {
    TargetContext& target = *queue.rule->targets[index];
    co_await ParkAt(*target.parked, target.config->name, queue, key, packed, error);
  }
  if (!packed.refused_by.empty()) co_return;
  co_await ParkAt(*queue.rule->parked, "", queue, key, packed, packed.error);
}

asio::awaitable<void> SourceRole::ParkAt(ParkedPlace& place, const std::string& target,
                                         RuleQueue& queue, const std::string& key,
                                         const PackedKey& packed, const Error& error) {
  const std::string op = packed.deleted ? "delete" : "put";
  context_.runtime.log.Failure(
      "object parked", {{"rule", queue.rule->rule->id}, {"target", target}, {"key", key}, error});
  Result<void> written = co_await place.Park({.key = key, .op = op, .reason = error.Describe()});
  if (!written) context_.runtime.log.Warning("parked object not recorded", {written.error()});
  context_.observer.OnOutcome({.time = context_.runtime.clock.Now(),
                               .rule = queue.rule->rule->id,
                               .target = target,
                               .op = op,
                               .key = key,
                               .size_bytes = packed.size_bytes,
                               .stamp = packed.stamp,
                               .state = OutcomeState::kParked,
                               .reason = error.Describe()});
}

// What was parked there has been carried past that place, or is not to be carried.
asio::awaitable<void> SourceRole::Unpark(ParkedPlace& place, const std::string& key) {
  Result<void> settled = co_await place.Settled(key);
  if (!settled) {
    context_.runtime.log.Warning("an object stays recorded as parked",
                                 {{"key", key}, settled.error()});
  }
}

// What is left of it comes to nothing; the next hint of the object begins anew.
asio::awaitable<void> SourceRole::EndTransfers(RuleQueue& queue, const std::string& key,
                                               const std::string& plan) {
  for (const std::unique_ptr<TargetContext>& target : queue.rule->targets) {
    Transfers transfers(context_.state, *queue.rule->rule, *target->config);
    Result<void> ended = co_await transfers.End(key, plan);
    if (!ended) context_.runtime.log.Warning("a transfer was not ended", {ended.error()});
  }
}

}  // namespace longhaul
