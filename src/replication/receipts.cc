#include "replication/receipts.h"

#include <algorithm>
#include <utility>

#include "events/hint.h"
#include "replication/archive_keys.h"
#include "replication/giant.h"
#include "replication/reconcile.h"

namespace longhaul {

namespace {

// The staging of a target; several may share one.
std::string PlaceOf(const TargetContext& target) {
  return target.staging_store->description() + "/" + target.staging_bucket + "/" +
         target.staging_prefix;
}

}  // namespace

asio::awaitable<ReceiptPass> ReceiptReader::RunPass() {
  ReceiptPass pass;
  std::set<std::string> before = std::move(present_);
  present_.clear();
  std::set<std::string> seen;  // Targets that share a staging share its listing.
  TaskGroup passes(context_.runtime.executor);
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    for (const std::unique_ptr<TargetContext>& target : rule->targets) {
      std::string place = PlaceOf(*target);
      if (!seen.insert(std::move(place)).second) continue;
      if (target->staging_found) {
        passes.Spawn(PassAndTell(*rule, *target, pass));
      } else {
        pass.complete = false;
      }
    }
  }
  Result<void> joined = co_await passes.Join();
  static_cast<void>(joined);
  // Gone from every staging: nobody will ask for its keys any more.
  for (const std::string& archive : before) {
    if (present_.contains(archive)) continue;
    if (!pass.complete) {
      present_.insert(archive);  // A staging could not be listed; it may be there.
      continue;
    }
    std::erase_if(missed_, [&](const auto& missed) { return missed.first == archive; });
    Result<void> forgotten =
        co_await ForgetArchiveKeys(context_.state, context_.runtime.clock.Now(), archive);
    if (!forgotten) context_.runtime.log.Warning("archive not forgotten", {forgotten.error()});
  }
  co_return pass;
}

asio::awaitable<void> ReceiptReader::Run(Event& stop) {
  int quiet_passes = 1;
  while (!stop.is_set()) {
    wake_.Reset();
    ReceiptPass pass = co_await RunPass();
    quiet_passes = pass.read > 0 || pass.archives > 0 ? 1 : std::min(quiet_passes + 1, 10);
    if (stop.is_set()) co_return;
    co_await wake_.WaitFor(context_.runtime.clock, context_.limits.staging_poll * quiet_passes);
  }
}

Async<void> ReceiptReader::PassAndTell(const RuleContext& rule, const TargetContext& target,
                                       ReceiptPass& pass) {
  Result<void> passed = co_await PassOver(rule, target, pass);
  if (passed) co_return Ok();
  pass.complete = false;
  if (!pass.store_error) pass.store_error = passed.error();
  context_.runtime.log.Warning(
      "receipts cannot be read",
      {{"rule", rule.rule->id}, {"target", target.config->name}, passed.error()});
  co_return Ok();
}

Async<void> ReceiptReader::PassOver(const RuleContext& rule, const TargetContext& target,
                                    ReceiptPass& pass) {
  Result<std::vector<StagedArchive>> listed =
      co_await ListStaging(*target.staging_store, target.staging_bucket, target.staging_prefix);
  if (!listed) co_return listed.error();
  const std::string place = PlaceOf(target) + "/";
  std::optional<Error> failure;  // One receipt that cannot be taken keeps no other waiting.
  for (const StagedArchive& staged : *listed) {
    if (staged.archive) {
      present_.insert(staged.ulid);
      WatchThreshold(rule, target, staged);
    }
    bool all_taken = true;
    for (const StagedReceipt& found : staged.receipts) {
      if (taken_.contains(found.key)) continue;
      Result<std::string> text = co_await GetAll(
          *target.staging_store, {.bucket = target.staging_bucket, .key = found.key},
          kReceiptSizeBytesMax);
      if (!text) {
        if (text.error().kind == ErrorKind::kNotFound) continue;
        co_return text.error().In("read receipt " + found.key);
      }
      Result<ArchiveReceipt> receipt = DecodeReceipt(*text);
      if (!receipt) {
        // Nobody knows what it wanted: comparing both sides finds out.
        context_.runtime.log.Failure("a receipt cannot be read; comparing the whole rule",
                                     {{"key", found.key}, receipt.error()});
        receipt = ArchiveReceipt{
            .state = ArchiveReceipt::State::kCorrupt, .archive = staged.ulid, .keys_known = false};
      }
      Result<void> taken = co_await Take(rule, *receipt);
      if (!taken) {
        if (!failure) failure = taken.error();
        all_taken = false;
        break;
      }
      if (receipt->state == ArchiveReceipt::State::kCorrupt) corrupt_.insert(place + staged.ulid);
      taken_.insert(found.key);
      ++pass.read;
    }
    if (!all_taken) continue;
    // A damaged archive has said all that it can: its keys are in the Queue again.
    const bool corrupt = corrupt_.contains(place + staged.ulid);
    if (staged.archive && !corrupt) {
      ++pass.archives;
      pass.receipts += static_cast<int>(staged.receipts.size());
      continue;
    }
    if (staged.archive) {
      Result<void> removed = co_await target.staging_store->Remove(
          {.bucket = target.staging_bucket, .key = staged.archive->key});
      if (!removed) co_return removed.error().In("remove damaged archive");
    }
    for (const StagedReceipt& found : staged.receipts) {
      Result<void> removed = co_await target.staging_store->Remove(
          {.bucket = target.staging_bucket, .key = found.key});
      if (!removed) co_return removed.error().In("remove receipt");
      taken_.erase(found.key);
    }
    corrupt_.erase(place + staged.ulid);
  }
  if (failure) co_return *failure;
  co_return Ok();
}

void ReceiptReader::WatchThreshold(const RuleContext& rule, const TargetContext& staging,
                                   const StagedArchive& staged) {
  if (!rule.rule->threshold ||
      context_.runtime.clock.Now() < staged.archive->last_modified + *rule.rule->threshold) {
    return;
  }
  for (const std::unique_ptr<TargetContext>& target : rule.targets) {
    if (PlaceOf(*target) != PlaceOf(staging) || staged.HasReceipt(target->config->name)) continue;
    CountMissed(rule, target->config->name, staged.ulid);
  }
}

void ReceiptReader::WatchThreshold(const RuleContext& rule, const ArchiveReceipt& receipt) {
  if (!rule.rule->threshold || receipt.written <= receipt.stamp_oldest + *rule.rule->threshold) {
    return;
  }
  CountMissed(rule, receipt.target, receipt.archive);
  missed_.erase({receipt.archive, receipt.target});
  const std::chrono::duration<double> lag = receipt.written - receipt.stamp_oldest;
  context_.runtime.log.Warning("replicated after the threshold", {{"rule", rule.rule->id},
                                                                  {"target", receipt.target},
                                                                  {"archive", receipt.archive},
                                                                  {"seconds", lag.count()}});
}

void ReceiptReader::CountMissed(const RuleContext& rule, const std::string& target,
                                const std::string& archive) {
  if (!missed_.emplace(archive, target).second) return;
  context_.runtime.metrics
      .counter("longhaul_replication_threshold_missed_total",
               "Archives that were not applied within the rule's threshold",
               {{"rule", rule.rule->id}, {"target", target}})
      .Add();
  context_.runtime.log.Warning("the threshold is missed",
                               {{"rule", rule.rule->id}, {"target", target}, {"archive", archive}});
}

Async<void> ReceiptReader::Take(const RuleContext& rule, const ArchiveReceipt& receipt) {
  if (receipt.state == ArchiveReceipt::State::kCorrupt) {
    Result<std::vector<std::string>> bodies =
        co_await RecallArchiveKeys(context_.state, receipt.archive);
    if (!bodies) co_return bodies.error();
    if (!bodies->empty()) {
      Result<void> sent = co_await context_.queue.Send(std::move(*bodies), {});
      if (!sent) co_return sent.error().In("send hints");
      co_return Ok();
    }
  }
  if (receipt.state == ArchiveReceipt::State::kCorrupt && !receipt.keys_known) {
    // Those that are away are compared when they come.
    std::vector<size_t> found;
    for (size_t i = 0; i < rule.targets.size(); ++i) {
      if (rule.targets[i]->target_found) {
        found.push_back(i);
      } else {
        rule.targets[i]->compare_due = true;
      }
    }
    if (found.empty())
      co_return Retryable("no target of rule " + rule.rule->id + " can be compared");
    Result<ReconcileResult> reconciled = co_await Reconcile(context_, rule, std::move(found));
    if (!reconciled) co_return reconciled.error();
    if (!reconciled->failed.empty()) co_return reconciled->failed.begin()->second;
    co_return Ok();
  }
  if (!receipt.transfer.empty()) {
    // Before the hint of what must be read anew, which would find the transfer still under way.
    for (const std::unique_ptr<TargetContext>& target : rule.targets) {
      if (target->config->name != receipt.target) continue;
      Transfers transfers(context_.state, *rule.rule, *target->config);
      Result<void> ended = co_await transfers.End(receipt.transfer_key, receipt.transfer);
      if (!ended) co_return ended.error();
    }
  }
  if (receipt.state == ArchiveReceipt::State::kDone && receipt.entries > 0) {
    const std::chrono::duration<double> lag = receipt.written - receipt.stamp_oldest;
    context_.runtime.metrics
        .histogram("longhaul_replication_lag_seconds",
                   "From the oldest reading of an archive to its receipt",
                   {{"rule", rule.rule->id}, {"target", receipt.target}})
        .Observe(std::max(0.0, lag.count()));
    WatchThreshold(rule, receipt);
  }
  if (receipt.reread.empty()) co_return Ok();
  HintMessage message{
      .store = rule.rule->source.store,
      .bucket = rule.rule->source.bucket,
      .rule = rule.rule->id,
      // A damaged archive goes for all targets that share it.
      .target = receipt.state == ArchiveReceipt::State::kCorrupt ? std::string() : receipt.target,
      .origin = HintOrigin::kReread};
  for (const std::string& key : receipt.reread) {
    // A later second than any reading so far: its stamp decides where the others could not.
    message.hints.push_back({.key = key, .time = context_.runtime.clock.Now()});
  }
  Result<void> sent = co_await context_.queue.Send(EncodeHints(message), {});
  if (!sent) co_return sent.error().In("send hints");
  co_return Ok();
}

}  // namespace longhaul
