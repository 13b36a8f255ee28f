// What becomes of the keys of a batch that has been packed or carried: done, back to the Queue,
// tried again, or parked.

#include <algorithm>
#include <utility>

#include "replication/context/loops.h"
#include "replication/giants/giant.h"
#include "replication/source/carry.h"
#include "replication/source/rule_queue.h"
#include "replication/source/source_role.h"
#include "storage/restores_objects.h"

namespace longhaul {

namespace {

// How often an object that is refused is tried, and one that arrives damaged: with the delays
// between them 15 seconds, and two minutes.
constexpr int kRefusalsMax = 4;
constexpr int kDamagesMax = 7;
constexpr std::chrono::seconds kRetryFirst{1};
constexpr std::chrono::seconds kRetryLast{60};

}  // namespace

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

std::vector<HintMessage> LeftFor(const std::vector<std::string>& targets, const Rule& rule,
                                 const std::string& key, const PendingKey& pending) {
  std::vector<HintMessage> left;
  for (const std::string& target : targets) {
    left.push_back(Left(rule, key, pending, pending.tries));
    left.back().target = target;
  }
  return left;
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
  std::vector<std::string> still_open;
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
          if (packed.unverified) queue.unverified.Add();
          for (const std::string& target : failed_targets) {
            again.push_back(left);
            again.back().target = target;
            NoteReturned(queue, key, pending, target);
          }
          // (Of a giant that has been planned just now nothing has been carried: receipts.cc.)
          const bool packed_now = !result.archive.empty() && !pending.segment;
          if (packed_now) {
            co_await UnparkFor(queue, key, pending, result.begun, failed_targets);
          }
        }
        co_await messages_.Finish(std::move(pending.messages), std::move(again), delay);
        break;
      }
      case PackedKey::State::kSkipped:
        ++keys_done_;
        // Else all of its targets are held, and nothing has been read.
        if (!targets.empty()) {
          any_read = true;
          co_await UnparkFor(queue, key, pending, result.begun, away);
        }
        // Where nothing went by staging no archive is left that could settle it.
        for (size_t t = 0; result.carried && t < targets.size(); ++t) {
          co_await Unpark(*queue.rule->targets[targets[t]]->parked, key, result.begun);
        }
        co_await messages_.Finish(std::move(pending.messages), {}, {});
        break;
      case PackedKey::State::kSplit:
        any_read = true;
        if (packed.wanted.empty()) ++keys_done_;
        still_open = away;
        for (size_t wanted : packed.wanted) {  // They are read for anew.
          still_open.push_back(queue.rule->targets[wanted]->config->name);
        }
        co_await UnparkFor(queue, key, pending, result.begun, still_open);
        for (size_t target : targets) {
          const bool wanted = std::ranges::find(packed.wanted, target) != packed.wanted.end();
          if (result.carried && !wanted) {
            co_await Unpark(*queue.rule->targets[target]->parked, key, result.begun);
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
        // What lies in an archive class is there in hours at the earliest.
        const bool refused = error.kind == ErrorKind::kDenied && error.code != kArchivedCode &&
                             pending.tries < kRefusalsMax;
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
          // Those that are away have not been asked.
          std::vector<HintMessage> left = LeftFor(away, rule, key, pending);
          std::chrono::milliseconds left_delay = delay;
          const Result<void> parked = co_await Park(queue, key, packed, pending);
          if (!parked) {
            source_error = parked.error().In("rule " + rule.id + ": record what is parked");
            ++failures_;
            NoteReturned(queue, key, pending, pending.target);
            left.assign(1, Left(rule, key, pending, pending.tries));
            left_delay = std::max<std::chrono::milliseconds>(delay, kAwayDelay);
          } else if (pending.segment) {
            co_await EndTransfers(queue, key, pending.segment->segment.plan);
          }
          co_await messages_.Finish(std::move(pending.messages), std::move(left), left_delay);
        }
        break;
      }
    }
  }
  co_await messages_.Flush();
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

Async<void> SourceRole::Park(RuleQueue& queue, const std::string& key, const PackedKey& packed,
                             const PendingKey& pending) {
  const std::string plan = pending.segment ? pending.segment->segment.plan : "";
  for (const auto& [index, error] : packed.refused_by) {
    TargetContext& target = *queue.rule->targets[index];
    Result<void> parked =
        co_await ParkAt(*target.parked, target.config->name, queue, key, packed, error, plan);
    if (!parked) co_return parked;
  }
  if (!packed.refused_by.empty()) co_return Ok();
  co_return co_await ParkAt(*queue.rule->parked, "", queue, key, packed, packed.error, plan);
}

Async<void> SourceRole::ParkAt(ParkedPlace& place, const std::string& target, RuleQueue& queue,
                               const std::string& key, const PackedKey& packed, const Error& error,
                               const std::string& plan) {
  const std::string op = packed.deleted ? "delete" : "put";
  Result<void> written =
      co_await place.Park({.key = key, .op = op, .reason = error.Describe(), .plan = plan});
  if (!written) {
    context_.runtime.log.Warning(
        "parked object not recorded; it is tried again",
        {{"rule", queue.rule->rule->id}, {"target", target}, {"key", key}, written.error()});
    co_return written;
  }
  context_.runtime.log.Failure(
      "object parked", {{"rule", queue.rule->rule->id}, {"target", target}, {"key", key}, error});
  context_.observer.OnOutcome({.time = context_.runtime.clock.Now(),
                               .rule = queue.rule->rule->id,
                               .target = target,
                               .op = op,
                               .key = key,
                               .size_bytes = packed.size_bytes,
                               .stamp = packed.stamp,
                               .state = OutcomeState::kParked,
                               .reason = error.Describe()});
  co_return Ok();
}

// What was parked there has been carried past that place, or is not to be carried.
asio::awaitable<void> SourceRole::Unpark(ParkedPlace& place, const std::string& key,
                                         SystemTime begun) {
  Result<void> settled = co_await place.Settled(key, begun);
  if (!settled) {
    context_.runtime.log.Warning("an object stays recorded as parked",
                                 {{"key", key}, settled.error()});
  }
}

asio::awaitable<void> SourceRole::UnparkFor(RuleQueue& queue, const std::string& key,
                                            const PendingKey& pending, SystemTime begun,
                                            const std::vector<std::string>& open) {
  ParkedPlace& place = *queue.rule->parked;
  if (!place.MayHold(key)) co_return;
  std::vector<std::string> names;
  for (const auto& target : queue.rule->targets) names.push_back(target->config->name);
  std::vector<std::string> all = queue.TargetsOf(key, "");
  if (all == std::vector<std::string>{""}) all = names;
  // Of a hint for all, what others are to get is in the Queue, or in the spool.
  std::vector<std::string> done = pending.target.empty() ? names : std::vector{pending.target};
  std::erase_if(done, [&open](const std::string& name) {
    return std::ranges::find(open, name) != open.end();
  });
  Result<void> settled = co_await place.SettledFor(key, begun, std::move(done), std::move(all));
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
