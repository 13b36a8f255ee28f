#include "replication/source_role.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace longhaul {

namespace {

constexpr int kMessagesPerReceive = 10;
constexpr std::chrono::milliseconds kReceiveWait{1'000};
constexpr std::chrono::seconds kRetryFirst{1};
constexpr std::chrono::seconds kRetryLast{60};
constexpr int kRefusalsMax = 4;  // With the delays between them, 15 seconds.

std::chrono::milliseconds RetryDelay(int tries) {
  return std::min<std::chrono::milliseconds>(kRetryLast, kRetryFirst * (1 << std::min(tries, 6)));
}

bool ConcernsStore(const Error& error) { return error.Transient() || error.code == "NoSuchBucket"; }

}  // namespace

// A message that was received and is not acknowledged yet.
struct SourceRole::OpenMessage {
  Receipt receipt;
  int undone = 0;  // Keys (times rules) that it still waits for.
  bool closing = false;
  std::vector<HintMessage> left;  // What must go back.
  int tries_max = 0;
};

// A key that is to be read for a rule, and who waits for it.
struct SourceRole::PendingKey {
  SystemTime not_before{};
  SystemTime due{};  // By our own clock; the source's is behind it.
  SteadyTime since{};
  std::optional<uint64_t> size_bytes;
  int tries = 0;
  std::string target;  // Only this one; empty: all.
  std::vector<std::shared_ptr<OpenMessage>> messages;
};

struct SourceRole::RuleQueue {
  RuleContext* rule = nullptr;
  // Two targets that need a key for themselves alone make two entries: the name is key NUL target.
  std::map<std::string, PendingKey> keys;
};

SourceRole::SourceRole(ReplicationContext& context, PackMemory memory, int jobs_max)
    : context_(context), memory_(memory), jobs_(jobs_max) {
  for (const std::unique_ptr<RuleContext>& rule : context.rules) {
    if (!rule->rule->enabled) continue;
    queues_.push_back(std::make_unique<RuleQueue>());
    queues_.back()->rule = rule.get();
  }
}

SourceRole::~SourceRole() = default;

bool SourceRole::IsLarge(const PendingKey& pending) const {
  return pending.size_bytes.value_or(0) > context_.limits.bundle_object_bytes_max;
}

namespace {

Async<void> AsTask(asio::awaitable<void> work) {
  co_await std::move(work);
  co_return Ok();
}

}  // namespace

asio::awaitable<void> SourceRole::Run(Event& stop) {
  TaskGroup loops(context_.runtime.executor);
  loops.Spawn(AsTask(ReceiveLoop(stop)));
  for (const std::unique_ptr<RuleQueue>& queue : queues_) {
    loops.Spawn(AsTask(PackLoop(*queue, stop)));
  }
  Event extended;
  TaskGroup extender(context_.runtime.executor);
  extender.Spawn(AsTask(ExtendLoop(extended)));
  Result<void> joined = co_await loops.Join();
  static_cast<void>(joined);
  extended.Set();
  joined = co_await extender.Join();
  // What was not begun goes back at once instead of when its visibility runs out.
  for (const std::shared_ptr<OpenMessage>& message : messages_) {
    Result<void> released = co_await context_.queue.Release(message->receipt, {});
    static_cast<void>(released);
  }
  messages_.clear();
}

asio::awaitable<void> SourceRole::ExtendLoop(Event& stop) {
  const auto visibility = context_.limits.visibility;
  while (!co_await stop.WaitFor(context_.runtime.clock, visibility / 3)) {
    const std::vector<std::shared_ptr<OpenMessage>> messages = messages_;
    for (const std::shared_ptr<OpenMessage>& message : messages) {
      if (message->closing) continue;
      // Lost: another process works on the same keys, which is harmless.
      Result<void> extended = co_await context_.queue.Extend(message->receipt, visibility);
      static_cast<void>(extended);
    }
  }
}

asio::awaitable<void> SourceRole::ReceiveLoop(Event& stop) {
  int failures = 0;
  while (!stop.is_set()) {
    if (keys_pending_ >= context_.limits.hints_pending_max) {
      co_await changed_.WaitFor(context_.runtime.clock, kReceiveWait);
      continue;
    }
    // While keys wait here, an empty queue must be noticed at once: their batch closes then.
    const bool waiting = keys_pending_ > 0 && !queue_empty_;
    Result<std::vector<QueueMessage>> messages =
        co_await context_.queue.Receive(kMessagesPerReceive, context_.limits.visibility,
                                        waiting ? std::chrono::milliseconds(0) : kReceiveWait);
    if (!messages) {
      context_.runtime.log.Warning("the queue cannot be read", {messages.error()});
      context_.observer.OnReadiness("queue", messages.error());
      store_error_ = messages.error().In("queue");
      co_await stop.WaitFor(context_.runtime.clock, RetryDelay(failures++));
      continue;
    }
    if (failures > 0) context_.observer.OnReadiness("queue", std::nullopt);
    failures = 0;
    queue_empty_ = messages->empty();
    for (QueueMessage& message : *messages) co_await TakeMessage(std::move(message));
    changed_.NotifyAll();
  }
}

asio::awaitable<void> SourceRole::TakeMessage(QueueMessage message) {
  Result<HintMessage> hints = DecodeHints(message.body);
  if (!hints) {
    // It stays, and ends among the dead letters, where a person can look at it.
    context_.runtime.log.Failure("a message in the queue cannot be understood", {hints.error()});
    co_return;
  }
  auto open = std::make_shared<OpenMessage>();
  open->receipt = message.receipt;
  open->undone = 1;  // Until all of its keys are taken.
  messages_.push_back(open);
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  for (Hint& hint : hints->hints) {
    for (const std::unique_ptr<RuleQueue>& queue : queues_) {
      const Rule& rule = *queue->rule->rule;
      if (rule.source.store != hints->store) continue;
      if (!hints->rule.empty() && hints->rule != rule.id) continue;
      if (!rule.MatchesKey(hints->bucket, hint.key)) continue;
      PendingKey pending{.not_before = hint.time + rule.settle,
                         .since = now,
                         .size_bytes = hint.size_bytes,
                         .tries = hint.tries,
                         .target = hints->rule.empty() ? std::string() : hints->target,
                         .messages = {open}};
      ++open->undone;
      Requeue(*queue, hint.key, std::move(pending));
    }
  }
  co_await Finish({open}, {});
}

// Adds a key to those that wait. Two hints of one key need one reading, made late enough for both.
void SourceRole::Requeue(RuleQueue& queue, std::string key, PendingKey pending) {
  std::string name = key + '\0' + pending.target;
  auto [entry, inserted] = queue.keys.try_emplace(std::move(name), std::move(pending));
  if (inserted) {
    ++keys_pending_;
    return;
  }
  PendingKey& known = entry->second;
  known.not_before = std::max(known.not_before, pending.not_before);
  known.due = std::max(known.due, pending.due);
  known.tries = std::max(known.tries, pending.tries);
  if (pending.size_bytes) known.size_bytes = pending.size_bytes;
  known.messages.insert(known.messages.end(), pending.messages.begin(), pending.messages.end());
}

asio::awaitable<void> SourceRole::PackLoop(RuleQueue& queue, Event& stop) {
  Clock& clock = context_.runtime.clock;
  const Rule& rule = *queue.rule->rule;
  TaskGroup jobs(context_.runtime.executor);
  while (!stop.is_set()) {
    // What may be read now, in the order of keys; and how long until more may be.
    const SystemTime now = clock.Now();
    uint64_t ready_bytes = 0;
    int64_t ready = 0;
    SteadyTime oldest = SteadyTime::max();
    auto next = std::chrono::nanoseconds(kReceiveWait);
    for (const auto& [name, pending] : queue.keys) {
      if (const SystemTime when = std::max(pending.not_before, pending.due); when > now) {
        next = std::min<std::chrono::nanoseconds>(next, when - now);
        continue;
      }
      ++ready;
      ready_bytes += pending.size_bytes.value_or(0);
      oldest = std::min(oldest, pending.since);
      if (ready >= rule.batch.count || ready_bytes >= rule.batch.size_bytes) break;
    }
    const bool nothing_waits = queue_empty_ && ready == static_cast<int64_t>(queue.keys.size());
    const auto lingered = ready > 0 ? clock.SteadyNow() - oldest : std::chrono::nanoseconds(0);
    const bool close =
        ready > 0 && (ready >= rule.batch.count || ready_bytes >= rule.batch.size_bytes ||
                      nothing_waits || lingered >= rule.batch.linger);
    if (!close) {
      if (ready > 0) next = std::min<std::chrono::nanoseconds>(next, rule.batch.linger - lingered);
      co_await changed_.WaitFor(
          clock, std::max<std::chrono::nanoseconds>(next, std::chrono::milliseconds(1)));
      continue;
    }
    co_await jobs_.Acquire();
    if (stop.is_set()) {
      jobs_.Release();
      break;
    }
    std::vector<std::pair<std::string, PendingKey>> keys;
    uint64_t bytes = 0;
    const SystemTime start = clock.Now();
    for (auto entry = queue.keys.begin(); entry != queue.keys.end();) {
      if (static_cast<int>(keys.size()) >= rule.batch.count || bytes >= rule.batch.size_bytes)
        break;
      if (std::max(entry->second.not_before, entry->second.due) > start) {
        ++entry;
        continue;
      }
      // Keys of one batch go to the same targets, and a large object goes alone.
      const bool large = IsLarge(entry->second);
      if (!keys.empty() && (large || keys.front().second.target != entry->second.target)) {
        ++entry;
        continue;
      }
      bytes += entry->second.size_bytes.value_or(0);
      keys.emplace_back(entry->first.substr(0, entry->first.find('\0')), std::move(entry->second));
      entry = queue.keys.erase(entry);
      --keys_pending_;
      if (large) break;
    }
    if (keys.empty()) {
      jobs_.Release();
      continue;
    }
    ++jobs_running_;
    jobs.Spawn(RunJob(queue, std::move(keys)));
  }
  Result<void> joined = co_await jobs.Join();
  static_cast<void>(joined);
}

Async<void> SourceRole::RunJob(RuleQueue& queue,
                               std::vector<std::pair<std::string, PendingKey>> keys) {
  RuleContext& rule = *queue.rule;
  std::vector<size_t> targets;
  for (size_t i = 0; i < rule.targets.size(); ++i) {
    const std::string& only = keys.front().second.target;
    if (only.empty() || only == rule.targets[i]->config->name) targets.push_back(i);
  }
  Result<Reservation> memory = co_await context_.runtime.memory.Reserve(memory_.total());
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
      items.push_back(
          {.key = key, .size_bytes = pending.size_bytes, .not_before = pending.not_before});
    }
    if (IsLarge(keys.front().second)) {
      result = co_await PackSingle(context_, rule, targets, std::move(items.front()), memory_);
    } else {
      result = co_await PackBundle(context_, rule, targets, std::move(items), memory_);
    }
  }
  memory = Reservation();
  co_await TakeResults(queue, std::move(keys), std::move(targets), std::move(result));
  --jobs_running_;
  jobs_.Release();
  changed_.NotifyAll();
  co_return Ok();
}

asio::awaitable<void> SourceRole::TakeResults(RuleQueue& queue,
                                              std::vector<std::pair<std::string, PendingKey>> keys,
                                              std::vector<size_t> targets, PackResult result) {
  const Rule& rule = *queue.rule->rule;
  std::optional<Error> store_error;
  std::vector<std::string> failed_targets;
  for (size_t i = 0; i < result.targets.size(); ++i) {
    if (result.targets[i]) continue;
    const std::string& name = queue.rule->targets[targets[i]]->config->name;
    failed_targets.push_back(name);
    store_error = result.targets[i].error().In("rule " + rule.id + ": staging of target " + name);
    context_.runtime.log.Warning("archive not staged",
                                 {{"rule", rule.id}, {"target", name}, result.targets[i].error()});
  }
  const bool any_staged = failed_targets.size() < result.targets.size();
  if (any_staged && !result.archive.empty()) {
    context_.runtime.log.Debug("archive staged", {{"rule", rule.id},
                                                  {"archive", result.archive},
                                                  {"raw_bytes", result.raw_bytes},
                                                  {"sent_bytes", result.sent_bytes}});
    if (on_staged_) on_staged_();
  }

  for (size_t i = 0; i < keys.size(); ++i) {
    auto& [key, pending] = keys[i];
    const PackedKey& packed = result.keys[i];
    HintMessage left{.store = rule.source.store,
                     .bucket = rule.source.bucket,
                     .rule = rule.id,
                     .target = pending.target,
                     .origin = HintOrigin::kReread,
                     .hints = {{.key = key,
                                .time = pending.not_before - rule.settle,
                                .size_bytes = pending.size_bytes,
                                .tries = pending.tries + 1}}};
    switch (packed.state) {
      case PackedKey::State::kStaged: {
        std::vector<HintMessage> again;
        for (const std::string& target : failed_targets) {
          again.push_back(left);
          if (any_staged) again.back().target = target;
          if (!any_staged) break;
        }
        if (any_staged) ++keys_done_;
        co_await Finish(std::move(pending.messages), std::move(again));
        break;
      }
      case PackedKey::State::kSkipped:
        ++keys_done_;
        co_await Finish(std::move(pending.messages), {});
        break;
      case PackedKey::State::kTooEarly:
        // The source's clock is behind ours: wait for as long as the reading was early.
        pending.since = context_.runtime.clock.SteadyNow();
        pending.due = context_.runtime.clock.Now() +
                      std::max<std::chrono::microseconds>(std::chrono::seconds(1),
                                                          pending.not_before - packed.stamp);
        Requeue(queue, key, std::move(pending));
        break;
      case PackedKey::State::kLarge:
      case PackedKey::State::kUnread:
        if (packed.size_bytes > 0) {
          pending.size_bytes = packed.size_bytes;
        } else if (IsLarge(pending)) {
          pending.size_bytes.reset();  // Gone, or unreadable: a bundle says so.
        }
        Requeue(queue, key, std::move(pending));
        break;
      case PackedKey::State::kFailed: {
        const Error& error = packed.error;
        // A refusal may be that of the whole store, for a while: only one that stays is the
        // object's.
        const bool refused = error.kind == ErrorKind::kDenied && pending.tries < kRefusalsMax;
        if (refused || ConcernsStore(error) || error.kind == ErrorKind::kCorrupt ||
            error.kind == ErrorKind::kCancelled || error.kind == ErrorKind::kPrecondition) {
          store_error = error.In("rule " + rule.id);
          co_await Finish(std::move(pending.messages), {left});
        } else {
          co_await Park(queue, key, packed);
          co_await Finish(std::move(pending.messages), {});
        }
        break;
      }
    }
  }
  if (store_error) {
    store_error_ = store_error;
  } else {
    store_error_.reset();
  }
  context_.observer.OnReadiness("source", store_error);
}

asio::awaitable<void> SourceRole::Park(RuleQueue& queue, const std::string& key,
                                       const PackedKey& packed) {
  context_.runtime.log.Failure("object parked",
                               {{"rule", queue.rule->rule->id}, {"key", key}, packed.error});
  StateWrite write{.key = key, .value = packed.error.Describe()};
  Result<int64_t> written =
      co_await context_.state.Write("parked/" + queue.rule->rule->id, std::move(write));
  if (!written) context_.runtime.log.Warning("parked object not recorded", {written.error()});
  context_.observer.OnOutcome({.time = context_.runtime.clock.Now(),
                               .rule = queue.rule->rule->id,
                               .op = "put",
                               .key = key,
                               .size_bytes = packed.size_bytes,
                               .stamp = packed.stamp,
                               .state = OutcomeState::kParked,
                               .reason = packed.error.Describe()});
}

asio::awaitable<void> SourceRole::Finish(std::vector<std::shared_ptr<OpenMessage>> messages,
                                         std::vector<HintMessage> left) {
  // What goes back goes back with every message that waited for it: one of them may have been
  // delivered to another process since, which read the key too early for the others.
  for (const std::shared_ptr<OpenMessage>& message : messages) {
    for (const HintMessage& hints : left) {
      message->tries_max = std::max(message->tries_max, hints.hints.front().tries);
      auto same =
          std::find_if(message->left.begin(), message->left.end(), [&](const HintMessage& other) {
            return other.rule == hints.rule && other.target == hints.target;
          });
      if (same == message->left.end()) {
        message->left.push_back(hints);
      } else {
        same->hints.push_back(hints.hints.front());
      }
    }
    if (--message->undone == 0) co_await Close(message);
  }
}

asio::awaitable<void> SourceRole::Close(std::shared_ptr<OpenMessage> message) {
  message->closing = true;
  std::vector<std::string> bodies;
  for (const HintMessage& hints : message->left) {
    for (std::string& body : EncodeHints(hints)) bodies.push_back(std::move(body));
  }
  Result<void> closed;
  if (bodies.empty()) {
    closed = co_await context_.queue.Ack({message->receipt});
  } else {
    closed = co_await context_.queue.Replace({message->receipt}, std::move(bodies),
                                             RetryDelay(message->tries_max - 1));
  }
  // Not acknowledged: it comes again when its visibility runs out, and doing it again is harmless.
  if (!closed && closed.error().kind != ErrorKind::kPrecondition) {
    context_.runtime.log.Warning("a message could not be acknowledged", {closed.error()});
  }
  std::erase(messages_, message);
}

}  // namespace longhaul
