#include "replication/source/receipts.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "events/hint.h"
#include "replication/compare/reconcile.h"
#include "replication/giants/giant.h"
#include "replication/staging/archive_keys.h"

namespace longhaul {

namespace {

// Of this size receipts are read as they come; for larger ones memory is reserved: a text, and what
// it becomes on its way to a list of keys.
constexpr uint64_t kReceiptSizeBytesSmall = 1 << 20;
constexpr int64_t kDecodedTimes = 8;

// A target may write it anew, with more that must be read anew, while another's is waited for.
std::string NameOf(const StagedReceipt& receipt) { return receipt.key + " " + receipt.etag; }

}  // namespace

asio::awaitable<ReceiptPass> ReceiptReader::RunPass() {
  ReceiptPass pass;
  co_await untold_.Load();
  std::set<std::string> before = std::move(present_);
  present_.clear();
  // Also those that this process has never listed: another one may have removed their receipts.
  const std::vector<std::string> waiting = context_.meter->ArchivesWaiting();
  Sight sight;
  TaskGroup looks(context_.runtime.executor);
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    if (rule->local) looks.Spawn(LookLocally(*rule, pass, sight));
  }
  Result<void> joined = co_await looks.Join();
  std::set<std::string> seen;  // Targets that share a staging share its listing.
  TaskGroup passes(context_.runtime.executor);
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    for (const std::unique_ptr<TargetContext>& target : rule->targets) {
      std::string place = StagingPlace(*target);
      if (!seen.insert(std::move(place)).second) continue;
      if (target->staging_found) {
        passes.Spawn(PassAndTell(*rule, *target, pass, sight));
      } else {
        pass.complete = false;
      }
    }
  }
  joined = co_await passes.Join();
  static_cast<void>(joined);
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    if (rule->local) co_await TendLocally(*rule, pass, sight);
  }
  co_await TendGone(before, waiting, pass.complete);
  co_return pass;
}

asio::awaitable<void> ReceiptReader::TendGone(const std::set<std::string>& before,
                                              const std::vector<std::string>& waiting,
                                              bool complete) {
  for (const std::string& archive : waiting) {
    if (complete && !present_.contains(archive)) context_.meter->OnArchiveGone(archive);
  }
  std::vector<std::string> over;  // Nobody will ask for their keys any more.
  for (const std::string& archive : before) {
    if (present_.contains(archive)) continue;
    if (!complete) {
      present_.insert(archive);  // A staging could not be listed; it may be there.
      continue;
    }
    if (!untold_.Contains(archive)) over.push_back(archive);
  }
  std::ranges::move(co_await untold_.Tend(present_, complete), std::back_inserter(over));
  for (const std::string& archive : over) {
    Result<void> forgotten =
        co_await ForgetArchiveKeys(context_.state, context_.runtime.clock.Now(), archive);
    if (!forgotten) context_.runtime.log.Warning("archive not forgotten", {forgotten.error()});
  }
}

asio::awaitable<void> ReceiptReader::Run(Event& stop) {
  int quiet_passes = 1;
  while (!stop.is_set()) {
    wake_.Reset();
    ReceiptPass pass = co_await RunPass();
    quiet_passes = pass.read > 0 || pass.archives > 0 || pass.on_the_way > 0
                       ? 1
                       : std::min(quiet_passes + 1, 10);
    if (stop.is_set()) co_return;
    co_await wake_.WaitFor(context_.runtime.clock, context_.limits.staging_poll * quiet_passes);
  }
}

// Whether nobody applies it now: whoever has no receipt yet is paused.
bool ReceiptReader::WaitsForPaused(const RuleContext& rule, const TargetContext& target,
                                   const StagedArchive& staged) const {
  bool any_paused = false;
  for (const std::unique_ptr<TargetContext>& other : rule.targets) {
    if (StagingPlace(*other) != StagingPlace(target) || staged.HasReceipt(other->config->name))
      continue;
    if (!context_.control->Holds(rule.rule->id, other->config->name)) return false;
    any_paused = true;
  }
  return any_paused;
}

Async<void> ReceiptReader::LookLocally(const RuleContext& rule, ReceiptPass& pass, Sight& sight) {
  Result<LocalArchives> archives = rule.source_found
                                       ? co_await local_staging_.Look(rule)
                                       : Result<LocalArchives>(Retryable("not looked at yet"));
  if (archives) {
    for (const auto& [ulid, archive] : *archives) present_.insert(ulid);
    sight.local[&rule] = std::move(*archives);
    co_return Ok();
  }
  pass.complete = false;
  if (!rule.source_found) co_return Ok();
  if (!pass.store_error) pass.store_error = archives.error();
  context_.runtime.log.Warning("the local staging cannot be looked at",
                               {{"rule", rule.rule->id}, archives.error()});
  co_return Ok();
}

asio::awaitable<void> ReceiptReader::TendLocally(const RuleContext& rule, ReceiptPass& pass,
                                                 Sight& sight) {
  const auto found = sight.local.find(&rule);
  if (found == sight.local.end()) co_return;
  bool compared = false;
  for (const auto& [ulid, archive] : found->second) {
    for (const std::unique_ptr<TargetContext>& target : rule.targets) {
      const std::string& name = target->config->name;
      untold_.Note(rule.rule->id, ulid, name, archive.settled.contains(name));
    }
  }
  LocalPass tended = co_await local_staging_.Tend(rule, found->second, sight.seen);
  pass.on_the_way += tended.on_the_way;
  pass.read += tended.repaired;
  for (const auto& [ulid, target] : tended.unreadable) {
    context_.runtime.log.Failure("an archive is damaged in local staging; its keys are read anew",
                                 {{"rule", rule.rule->id}, {"archive", ulid}});
    ArchiveReceipt damaged{.state = ArchiveReceipt::State::kCorrupt,
                           .archive = ulid,
                           .target = target,
                           .keys_known = false};
    Result<void> done = co_await Take(rule, damaged, compared);
    if (done) done = co_await local_staging_.Settle(rule, &found->second, ulid, target);
    if (!done && !tended.failure) tended.failure = done.error();
    if (done) ++pass.read;
  }
  if (!tended.failure) co_return;
  if (!pass.store_error) pass.store_error = tended.failure;
  context_.runtime.log.Warning("the local staging cannot be cleared",
                               {{"rule", rule.rule->id}, *tended.failure});
}

Async<void> ReceiptReader::PassAndTell(const RuleContext& rule, const TargetContext& target,
                                       ReceiptPass& pass, Sight& sight) {
  Result<void> passed = co_await PassOver(rule, target, pass, sight);
  if (passed) co_return Ok();
  pass.complete = false;
  if (!pass.store_error) pass.store_error = passed.error();
  context_.runtime.log.Warning(
      "receipts cannot be read",
      {{"rule", rule.rule->id}, {"target", target.config->name}, passed.error()});
  co_return Ok();
}

Async<void> ReceiptReader::PassOver(const RuleContext& rule, const TargetContext& target,
                                    ReceiptPass& pass, Sight& sight) {
  Result<std::vector<StagedArchive>> listed =
      co_await ListStaging(*target.staging_store, target.staging_bucket, target.staging_prefix);
  if (!listed) co_return listed.error();
  std::set<std::string>& seen = sight.seen[StagingPlace(target)];
  // Only what is still there stays known: another process may have removed what this one has taken,
  // and what comes in its place is not taken yet.
  Known& known = known_[StagingPlace(target)];
  Known before = std::exchange(known, Known());
  for (const StagedArchive& staged : *listed) {
    seen.insert(staged.ulid);
    known.corrupt.insert(before.corrupt.extract(staged.ulid));
    for (const StagedReceipt& found : staged.receipts) {
      known.taken.insert(before.taken.extract(NameOf(found)));
    }
  }
  const auto local = sight.local.find(&rule);
  std::optional<Error> failure;  // One receipt that cannot be taken keeps no other waiting.
  bool compared = false;
  for (const StagedArchive& staged : *listed) {
    present_.insert(staged.ulid);  // Also of one that was applied before anybody saw it here.
    for (const std::unique_ptr<TargetContext>& other : rule.targets) {
      const std::string& name = other->config->name;
      if (StagingPlace(*other) != StagingPlace(target)) continue;
      untold_.Note(rule.rule->id, staged.ulid, name, staged.HasReceipt(name));
    }
    bool all_taken = true;
    for (const StagedReceipt& found : staged.receipts) {
      if (known.taken.contains(NameOf(found))) continue;
      Result<ArchiveReceipt> receipt = co_await Read(target, found);
      if (!receipt && receipt.error().kind == ErrorKind::kNotFound) continue;
      if (!receipt && receipt.error().kind == ErrorKind::kCorrupt) {
        // Nobody knows what it wanted: comparing both sides finds out.
        context_.runtime.log.Failure("a receipt cannot be read; comparing the whole rule",
                                     {{"key", found.key}, receipt.error()});
        receipt = ArchiveReceipt{
            .state = ArchiveReceipt::State::kCorrupt, .archive = staged.ulid, .keys_known = false};
      }
      if (!receipt) {
        if (!failure) failure = receipt.error().In("read receipt " + found.key);
        all_taken = false;
        break;
      }
      // First: should this process end now, the receipt is still there and is taken again.
      Result<void> taken;
      if (rule.local) {
        taken = co_await local_staging_.Settle(
            rule, local == sight.local.end() ? nullptr : &local->second, staged.ulid, found.target);
      }
      if (taken) taken = co_await Take(rule, *receipt, compared);
      if (!taken) {
        if (!failure) failure = taken.error();
        all_taken = false;
        break;
      }
      if (receipt->state == ArchiveReceipt::State::kCorrupt) {
        known.corrupt.insert(staged.ulid);
      }
      context_.meter->OnAnswer(rule.rule->id, found.target);
      known.taken.insert(NameOf(found));
      ++pass.read;
    }
    if (known.corrupt.contains(staged.ulid)) untold_.Drop(staged.ulid);  // They are in the Queue.
    if (!all_taken) continue;
    // A damaged archive has said all that it can: its keys are in the Queue again.
    const bool corrupt = known.corrupt.contains(staged.ulid);
    if (staged.archive && !corrupt) {
      if (!WaitsForPaused(rule, target, staged)) ++pass.archives;
      pass.receipts += static_cast<int>(staged.receipts.size());
      continue;
    }
    if (staged.archive) {
      Result<void> removed = co_await target.staging_store->Remove(
          {.bucket = target.staging_bucket, .key = staged.archive->key});
      if (!removed) co_return removed.error().In("remove damaged archive");
      context_.observer.OnStagingFreed(FreedBy(rule.rule->id, target.config->name, *staged.archive,
                                               context_.runtime.clock.Now()));
    }
    Result<void> told;
    if (!corrupt) told = co_await RememberTold(rule, staged);
    if (!told) {
      if (!failure) failure = told.error();
      continue;  // They go when that is known.
    }
    for (const StagedReceipt& found : staged.receipts) {
      Result<void> removed = co_await target.staging_store->Remove(
          {.bucket = target.staging_bucket, .key = found.key});
      if (!removed) co_return removed.error().In("remove receipt");
      known.taken.erase(NameOf(found));
    }
    known.corrupt.erase(staged.ulid);
  }
  if (failure) co_return *failure;
  co_return Ok();
}

Async<void> ReceiptReader::RememberTold(const RuleContext& rule, const StagedArchive& staged) {
  std::vector<std::string> targets;
  for (const StagedReceipt& receipt : staged.receipts) targets.push_back(receipt.target);
  co_return co_await untold_.RememberTold(rule, staged.ulid, std::move(targets));
}

// kCorrupt: it is none.
Async<ArchiveReceipt> ReceiptReader::Read(const TargetContext& target,
                                          const StagedReceipt& receipt) {
  if (receipt.size_bytes > kReceiptSizeBytesMax) {
    co_return InvalidInput("a receipt of " + std::to_string(receipt.size_bytes) +
                           " bytes: at most " + std::to_string(kReceiptSizeBytesMax) +
                           " are allowed; remove it, and compare the rule");
  }
  // Nobody waits behind it for memory: it comes with a later pass.
  std::optional<Reservation> memory;
  if (receipt.size_bytes > kReceiptSizeBytesSmall) {
    MemoryBudget& budget = context_.runtime.memory;
    memory = budget.TryReserve(
        std::min(budget.limit_bytes(), kDecodedTimes * static_cast<int64_t>(receipt.size_bytes)));
    if (!memory) co_return Retryable("there is no memory for it now");
  }
  Result<std::string> text = co_await GetAll(
      *target.staging_store, {.bucket = target.staging_bucket, .key = receipt.key},
      std::max(kReceiptSizeBytesSmall, std::min(receipt.size_bytes, kReceiptSizeBytesMax)));
  // (What was damaged on its way is no receipt that says nothing.)
  if (!text && text.error().kind == ErrorKind::kCorrupt) co_return Retryable(text.error().message);
  if (!text) co_return text.error();
  co_return DecodeReceipt(*text);
}

Async<void> ReceiptReader::Take(const RuleContext& rule, const ArchiveReceipt& receipt,
                                bool& compared) {
  if (receipt.state == ArchiveReceipt::State::kDone) {
    context_.meter->OnReceipt(receipt.archive, receipt.target, receipt.written);
  } else {
    context_.meter->OnArchiveDropped(receipt.archive);  // Its keys come again.
  }
  if (receipt.state == ArchiveReceipt::State::kCorrupt) {
    Result<bool> sent =
        co_await SendArchiveKeys(context_.state, context_.queue, rule.rule->id, receipt.archive);
    if (!sent) co_return sent.error();
    if (*sent) co_return Ok();
  }
  if (receipt.state == ArchiveReceipt::State::kCorrupt && !receipt.keys_known) {
    if (compared) co_return Ok();
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
    Result<CompareMemory> memory =
        co_await CompareMemory::Take(context_, nullptr, SortsToCompare(*rule.rule));
    if (!memory) co_return memory.error();
    Result<ReconcileResult> reconciled =
        co_await Reconcile(context_, rule, std::move(found), "", nullptr, {}, std::move(*memory));
    if (!reconciled) co_return reconciled.error();
    if (!reconciled->failed.empty()) co_return reconciled->failed.begin()->second;
    compared = true;
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
    if (std::ranges::find(receipt.reread, receipt.transfer_key) == receipt.reread.end()) {
      // Another process may have parked it: a row that stays would have all of it carried again.
      Result<void> settled = co_await rule.parked->Load();
      std::vector<std::string> all;
      for (const auto& target : rule.targets) all.push_back(target->config->name);
      if (settled) {
        settled =
            co_await rule.parked->SettledFor(receipt.transfer_key, receipt.stamp_oldest,
                                             {receipt.target}, std::move(all), receipt.transfer);
      }
      if (!settled) co_return settled.error();
    }
  }
  if (receipt.state == ArchiveReceipt::State::kDone && receipt.entries > 0) {
    const std::chrono::duration<double> lag = receipt.written - receipt.stamp_oldest;
    context_.runtime.metrics
        .histogram("longhaul_replication_lag_seconds",
                   "From the oldest reading of an archive to its receipt",
                   {{"rule", rule.rule->id}, {"target", receipt.target}})
        .Observe(std::max(0.0, lag.count()));
  }
  if (receipt.reread.empty()) co_return Ok();
  if (!receipt.bucket.empty() && receipt.bucket != rule.rule->source.bucket) {
    // What is absent here would be a delete; what differs is found by a comparison.
    context_.runtime.log.Warning(
        "keys of another bucket are not read anew",
        {{"rule", rule.rule->id}, {"bucket", receipt.bucket}, {"keys", receipt.reread.size()}});
    co_return Ok();
  }
  HintMessage message{
      .store = rule.rule->source.store,
      .bucket = rule.rule->source.bucket,
      .rule = rule.rule->id,
      // A damaged archive goes for all targets that share it.
      .target = receipt.state == ArchiveReceipt::State::kCorrupt ? std::string() : receipt.target,
      .origin = HintOrigin::kReread};
  for (const std::string& key : receipt.reread) {
    // A later second than any reading so far: its stamp decides where the others could not. Each
    // segment of a transfer may ask for that; one new reading is enough for all of them.
    const bool of_transfer = !receipt.transfer.empty() && key == receipt.transfer_key &&
                             receipt.stamp_oldest != SystemTime();
    message.hints.push_back({.key = key,
                             .time = of_transfer ? receipt.stamp_oldest + std::chrono::seconds(1)
                                                 : context_.runtime.clock.Now()});
  }
  Result<void> sent = co_await context_.queue.Send(EncodeHints(message), {});
  if (!sent) co_return sent.error().In("send hints");
  co_return Ok();
}

}  // namespace longhaul
