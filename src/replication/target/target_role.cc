#include "replication/target/target_role.h"

#include <algorithm>
#include <utility>

#include "archive/archive_file.h"
#include "replica/lease.h"
#include "replication/apply/keep_archive.h"
#include "replication/context/loops.h"
#include "replication/staging/origin.h"
#include "replication/staging/seal.h"
#include "replication/staging/shared_state.h"
#include "replication/target/apply_trace.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

constexpr int kPollGrowthMax = 10;
constexpr int kRefusalsMax = 5;      // With the delays between them, 15 seconds.
constexpr int kSoonTries = 3;        // Within seven seconds.
constexpr int kFailuresPerPass = 3;  // Then the store is left alone until the next pass.
constexpr int kArchivesAtOnce = 16;
constexpr int kLargeAtOnce = 2;
// Of a small archive (StagingQueue::IsLarge).
constexpr int64_t kSmallJobBytes = 4 << 20;

// Whether the archive names a target that the rule does not have.
bool NamesOneThatIsNot(const ArchiveManifest& manifest, const Rule& rule) {
  return std::ranges::any_of(manifest.targets, [&rule](const std::string& name) {
    return std::ranges::find(rule.targets, name, &Target::name) == rule.targets.end();
  });
}

// A request that is under way is soon over; one that had no answer may take effect for so long, and
// until then each look finds the same.
std::chrono::milliseconds DelayAfter(const Error& error, int attempts_before) {
  const std::chrono::milliseconds busy = BusyFor(error);
  if (attempts_before < kSoonTries || busy.count() == 0) return RetryDelay(attempts_before);
  return busy;
}

// The source learns that the transfer of which this archive holds a segment is over.
void EndTransfer(const ArchiveReader& reader, ArchiveReceipt& receipt) {
  for (const ArchiveEntry& entry : reader.entries()) {
    if (!entry.segment) continue;
    receipt.transfer = entry.segment->plan;
    receipt.transfer_key = entry.key;
  }
}

uint64_t BodyBytesOf(const ArchiveReader& reader) {
  uint64_t bytes = 0;
  for (const ArchiveEntry& entry : reader.entries()) {
    if (entry.op == EntryOp::kPut) bytes += entry.size_bytes;
  }
  return bytes;
}

}  // namespace

asio::awaitable<TargetPass> TargetRole::RunPass(const Event& stop) {
  auto pass = std::make_shared<TargetPass>();
  TaskGroup group(context_.runtime.executor);
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    for (const std::unique_ptr<TargetContext>& target : rule->targets) {
      const bool held = context_.control->Holds(rule->rule->id, target->config->name);
      if (target->applier && !held) group.Spawn(WholePass(*rule, *target, pass, stop));
    }
  }
  Result<void> joined = co_await group.Join();
  static_cast<void>(joined);
  co_return *pass;
}

Async<void> TargetRole::WholePass(RuleContext& rule, TargetContext& target,
                                  std::shared_ptr<TargetPass> pass, const Event& stop) {
  TaskGroup applying(context_.runtime.executor);
  TaskGroup beside(context_.runtime.executor);
  Result<void> passed = co_await ListInto(QueueOf(target), rule, target, *pass, stop, beside);
  if (passed) passed = co_await PassOver(rule, target, std::move(pass), stop, applying, true);
  Result<void> joined = co_await applying.Join();
  Result<void> sought = co_await beside.Join();
  static_cast<void>(sought);
  co_return passed ? joined : passed;
}

// Each target has a loop of its own: one that hangs does not keep the others waiting.
asio::awaitable<void> TargetRole::Run(Event& stop) {
  TaskGroup loops(context_.runtime.executor);
  for (const std::unique_ptr<RuleContext>& rule : context_.rules) {
    for (const std::unique_ptr<TargetContext>& target : rule->targets) {
      loops.Spawn(PassLoop(*rule, *target, stop));
    }
  }
  Result<void> joined = co_await loops.Join();
  static_cast<void>(joined);
}

Async<void> TargetRole::PassLoop(RuleContext& rule, TargetContext& target, Event& stop) {
  Clock& clock = context_.runtime.clock;
  StagingQueue& queue = QueueOf(target);
  TaskGroup applying(context_.runtime.executor);
  TaskGroup beside(context_.runtime.executor);
  int quiet_passes = 0;
  SteadyTime next_listing{};
  while (!stop.is_set()) {
    const uint64_t wakes = wakes_;
    auto pass = std::make_shared<TargetPass>();
    const bool lists = clock.SteadyNow() >= next_listing;
    if (target.applier && !context_.control->Holds(rule.rule->id, target.config->name)) {
      Result<void> passed = Ok();
      if (lists) passed = co_await ListInto(queue, rule, target, *pass, stop, beside);
      if (passed) passed = co_await PassOver(rule, target, pass, stop, applying, lists);
      context_.observer.OnReadiness("target " + target.config->name + " of rule " + rule.rule->id,
                                    pass->store_error);
    }
    if (pass->begun > 0) {
      quiet_passes = 0;
    } else if (lists) {
      quiet_passes = std::min(quiet_passes + 1, kPollGrowthMax);
    }
    if (stop.is_set()) break;
    // Something is under way, failed or is held by another: look again soon. Else listings cost
    // money.
    const int factor = pass->waiting > 0 ? 1 : std::max(quiet_passes, 1);
    const SteadyTime now = clock.SteadyNow();
    if (lists) next_listing = now + context_.limits.staging_poll * factor;
    if (wakes != wakes_ || pass->full) {
      next_listing = {};
      continue;
    }
    SteadyTime next = next_listing;
    if (const std::optional<SteadyTime> due = queue.NextDue(now)) next = std::min(next, *due);
    if (next > now) co_await woken_.WaitFor(clock, next - now);
    if (wakes != wakes_) next_listing = {};
  }
  Result<void> sought = co_await beside.Join();
  static_cast<void>(sought);
  co_return co_await applying.Join();
}

StagingQueue& TargetRole::QueueOf(const TargetContext& target) {
  return queues_.try_emplace(&target, target.config->name).first->second;
}

Async<void> TargetRole::ListInto(StagingQueue& queue, const RuleContext& rule,
                                 TargetContext& target, TargetPass& pass, const Event& stop,
                                 TaskGroup& beside) {
  const SteadyTime begun_at = context_.runtime.clock.SteadyNow();
  const SystemTime listed_at = context_.runtime.clock.Now();
  Result<std::vector<StagedArchive>> listed =
      co_await ListStaging(*target.staging_store, target.staging_bucket, target.staging_prefix);
  if (!listed) {
    context_.runtime.log.Warning(
        "staging cannot be listed",
        {{"rule", rule.rule->id}, {"target", target.config->name}, listed.error()});
    ++pass.waiting;
    unlisted_[&target] = listed.error();
    if (!pass.store_error) pass.store_error = listed.error().In("rule " + rule.rule->id);
    co_return listed.error();
  }
  unlisted_.erase(&target);
  queue.Saw(*listed, begun_at);
  for (const StagedArchive& staged : *listed) {
    pass.receipts += static_cast<int>(staged.receipts.size());
  }
  TellStaging(rule, target);
  const auto [sought, first] = left_sought_.try_emplace(&target, begun_at);
  const bool again = begun_at >= sought->second + kParkedRetry;
  if ((first || again) && left_being_sought_.insert(&target).second) {
    sought->second = begun_at;
    // There may be a hundred thousand: what waits in staging must not wait for them.
    beside.Spawn(SeekLeft(target, queue.Archives(), listed_at, stop));
  }
  co_return Ok();
}

Async<void> TargetRole::PassOver(RuleContext& rule, TargetContext& target,
                                 std::shared_ptr<TargetPass> pass, const Event& stop,
                                 TaskGroup& applying, bool listed) {
  auto concerns_all = [&](const Error& error) {
    if (!pass->store_error) pass->store_error = error.In("rule " + rule.rule->id);
  };
  if (const auto unlisted = unlisted_.find(&target); unlisted != unlisted_.end()) {
    concerns_all(unlisted->second);
  }
  StagingQueue& queue = QueueOf(target);
  const int64_t retry = context_.control->RetryRevision(rule.rule->id);
  if (retry != std::exchange(retried_[&target], retry)) queue.RetryParked();

  // A store that fails gets as many tries at a time as it may fail, until one succeeds.
  const int& store_failures = store_failures_[&target];
  int failures_before = store_failures;
  const int at_once = failures_before >= kFailuresPerPass ? kFailuresPerPass : kArchivesAtOnce;
  std::shared_ptr<LargePlaces>& places = large_[&target];
  if (!places) places = std::make_shared<LargePlaces>();
  bool full = false;
  // (Nothing leaves the queue meanwhile: that is done by a listing, before the next pass.)
  for (Work* entry : queue.InOrder()) {
    Work& work = *entry;
    if (work.under_way || work.done_at) {
      ++pass->waiting;
      if (work.store_error) concerns_all(*work.store_error);
      continue;
    }
    if (queue.IsSettled(work)) {
      if (work.corrupt) {
        ++pass->corrupt;
        continue;
      }
      if (!listed) continue;
      // A crash came between receipt and removal, or another target is not done yet.
      Result<void> removed = co_await RemoveIfDone(rule, target, work.staged);
      if (!removed) ++pass->waiting;  // Another target that is not done counts it in its own pass.
      continue;
    }
    bool begins = work.due <= context_.runtime.clock.SteadyNow();
    if (begins) co_await applying.WaitBelow(at_once);
    const bool large = StagingQueue::IsLarge(work);
    if (begins && large && !full) full = !co_await WaitForPlace(*places, stop);
    if (large && full) begins = false;
    failures_before = std::min(failures_before, store_failures);
    if (!begins || stop.is_set() || store_failures >= failures_before + kFailuresPerPass ||
        context_.control->Holds(rule.rule->id, target.config->name)) {
      ++(work.parked ? pass->parked : pass->waiting);
      if (work.store_error) concerns_all(*work.store_error);
      continue;
    }
    ++pass->begun;
    work.under_way = true;
    applying.Spawn(
        Apply(rule, target, work, large ? LargePlace(places) : LargePlace(), pass, stop));
  }
  pass->full = pass->full || full;
  co_return Ok();
}

asio::awaitable<bool> TargetRole::WaitForPlace(LargePlaces& places, const Event& stop) {
  // Not for long: the pass that waits sees nothing that is new in staging.
  Clock& clock = context_.runtime.clock;
  const SteadyTime until = clock.SteadyNow() + context_.limits.staging_poll;
  while (places.taken >= kLargeAtOnce) {
    if (stop.is_set() || clock.SteadyNow() >= until) co_return false;
    co_await places.freed.WaitFor(clock, until - clock.SteadyNow());
  }
  co_return true;
}

TargetRole::LargePlace::~LargePlace() {
  if (!places_) return;
  --places_->taken;
  places_->freed.NotifyAll();
}

void TargetRole::TellStaging(const RuleContext& rule, const TargetContext& target) {
  const StagingQueue& queue = QueueOf(target);
  context_.meter->OnStagingSeen(rule.rule->id, target.config->name, queue.CountLeft(),
                                queue.OldestLeft());
}

Async<void> TargetRole::Apply(RuleContext& rule, TargetContext& target, Work& work,
                              LargePlace place, std::shared_ptr<TargetPass> pass,
                              const Event& stop) {
  const StagedArchive staged = work.staged;  // A listing may see more of it meanwhile.
  Result<Handled> handled = co_await Handle(rule, target, staged, work, std::move(place), stop);
  work.under_way = false;
  work.store_error.reset();
  if (!handled) {
    work.due = context_.runtime.clock.SteadyNow() + DelayAfter(handled.error(), work.attempts++);
    ++pass->waiting;
    ++pass->failed;
    work.parked = false;
    if (FailsAsStore(handled.error())) {
      work.store_error = handled.error();
      if (!pass->store_error) pass->store_error = handled.error().In("rule " + rule.rule->id);
      ++store_failures_[&target];
    }
    context_.runtime.log.Warning("archive not applied yet", {{"rule", rule.rule->id},
                                                             {"target", target.config->name},
                                                             {"archive", staged.ulid},
                                                             handled.error()});
    co_return Ok();
  }
  store_failures_[&target] = 0;
  switch (*handled) {
    case Handled::kDone:
      ++pass->applied;
      StagingQueue::Done(work, context_.runtime.clock.SteadyNow());
      TellStaging(rule, target);
      break;
    case Handled::kWaiting:
    case Handled::kNeedsMoreMemory:
      ++pass->waiting;
      break;
    case Handled::kParked:
      ++pass->parked;
      break;
    case Handled::kCorrupt:
      work.corrupt = true;
      ++pass->corrupt;
      break;
  }
  co_return Ok();
}

Async<TargetRole::Handled> TargetRole::Handle(RuleContext& rule, TargetContext& target,
                                              const StagedArchive& staged, Work& work,
                                              LargePlace place, const Event& stop) {
  while (true) {
    const int64_t job_bytes =
        StagingQueue::IsLarge(work) ? job_bytes_ : std::min(kSmallJobBytes, job_bytes_);
    // Before the lease: others may have the memory that this process lacks.
    Result<Reservation> memory = co_await context_.runtime.memory.Reserve(job_bytes);
    if (!memory) co_return memory.error();
    if (stop.is_set()) co_return Handled::kWaiting;

    Clock& clock = context_.runtime.clock;
    Lease lease(context_.state, clock,
                "archive/" + rule.rule->id + "/" + staged.ulid + "/" + target.config->name,
                context_.owner, context_.limits.archive_lease);
    Result<bool> acquired = co_await lease.TryAcquire();
    if (!acquired) co_return acquired.error();
    if (!*acquired) co_return Handled::kWaiting;
    Event done;
    TaskGroup keeper(context_.runtime.executor);
    keeper.Spawn(KeepLease(clock, lease, done, context_.limits.archive_lease / 3));
    Result<Handled> handled = co_await HandleLeased(rule, target, staged, work, job_bytes);
    done.Set();
    Result<void> kept = co_await keeper.Join();
    static_cast<void>(kept);
    co_await lease.Release();
    if (!handled || *handled != Handled::kNeedsMoreMemory) co_return handled;
    work.needs_much = true;
    if (large_[&target]->taken >= kLargeAtOnce) co_return Handled::kNeedsMoreMemory;
    place = LargePlace(large_[&target]);
  }
}

Async<TargetRole::Handled> TargetRole::HandleLeased(RuleContext& rule, TargetContext& target,
                                                    const StagedArchive& staged, Work& work,
                                                    int64_t job_bytes) {
  const SystemTime begin = context_.runtime.clock.Now();
  MemoryBudget job_memory(job_bytes);
  Runtime runtime{context_.runtime.executor,
                  context_.runtime.clock,
                  context_.runtime.random,
                  context_.runtime.pool,
                  job_memory,
                  context_.runtime.log,
                  context_.runtime.metrics};

  // Who was faster may have written it since staging was listed: what it asks the source for must
  // not be written over.
  Result<ObjectInfo> told = co_await target.staging_store->Head(
      {.bucket = target.staging_bucket,
       .key = ReceiptKey(target.staging_prefix, staged.ulid, target.config->name)});
  if (told) {
    // By then it may have been refused here.
    Result<void> forgotten = co_await target.parked->Load();
    if (forgotten) forgotten = co_await target.parked->ArchiveSettled(staged.ulid);
    if (!forgotten) co_return forgotten.error();
    co_return Handled::kDone;
  }
  if (told.error().kind != ErrorKind::kNotFound) co_return told.error().In("look for a receipt");

  Result<std::unique_ptr<StoreArchiveFile>> file = co_await StoreArchiveFile::Open(
      runtime, *target.staging_store, target.staging_bucket, staged.archive->key, "");
  if (!file) {
    if (IsGone(file.error())) co_return Handled::kDone;  // Another one was faster.
    if (file.error().kind == ErrorKind::kCorrupt) {
      co_return co_await ReportCorrupt(target, staged, file.error(), nullptr);
    }
    co_return file.error().In("open archive " + staged.archive->key);
  }
  ReaderOptions options;
  options.seal_keys = SealKeys(*rule.rule);
  Result<std::unique_ptr<ArchiveReader>> reader =
      co_await ArchiveReader::Open(runtime, **file, std::move(options));
  if (!reader) {
    if (reader.error().kind == ErrorKind::kCorrupt) {
      co_return co_await ReportCorrupt(target, staged, reader.error(), nullptr);
    }
    if (reader.error().kind == ErrorKind::kInvalidInput) {
      if (job_bytes < job_bytes_) co_return Handled::kNeedsMoreMemory;
      co_return co_await Refuse(target, staged, work, reader.error());
    }
    co_return reader.error().In("open archive " + staged.archive->key);
  }
  const ArchiveManifest& manifest = (*reader)->manifest();
  if (manifest.rule_id != rule.rule->id || manifest.id != staged.ulid) {
    co_return co_await ReportCorrupt(
        target, staged,
        Corrupt("it says that it is archive " + manifest.id + " of rule " + manifest.rule_id),
        nullptr);
  }

  const Result<void> own = CheckOrigin(*rule.rule, manifest);
  if (!own) co_return co_await Refuse(target, staged, work, own.error());

  ApplyTrace trace(context_, target, manifest, begin);
  const bool for_this = manifest.IsFor(target.config->name);
  Result<void> same_state;
  if (for_this) {
    same_state = co_await CheckState(context_.runtime, context_.state, target, manifest);
  }
  if (!same_state) {
    if (same_state.error().kind != ErrorKind::kInvalidInput) co_return same_state.error();
    co_return co_await Refuse(target, staged, work, same_state.error());
  }
  std::vector<std::string> keys;
  ArchiveReceipt receipt{
      .archive = staged.ulid, .rule = rule.rule->id, .target = target.config->name};
  const bool keeps = target.config->backup.has_value();
  bool unpacked = false;
  if (!for_this) {
    for (const ArchiveEntry& entry : (*reader)->entries()) keys.push_back(entry.key);
    // It may be this one that is called otherwise since: what it holds is read anew then.
    if (NamesOneThatIsNot(manifest, *rule.rule)) {
      receipt.reread = keys;
      receipt.reason = "for a target that the rule does not have";
    }
    Result<void> forgotten = co_await SettleParked(target, staged, std::move(keys));
    if (!forgotten) co_return forgotten.error();
  } else if (!keeps && manifest.created < runtime.clock.Now() - kArchiveAgeMax) {
    // The floors that would tell what is newer may have expired.
    for (const ArchiveEntry& entry : (*reader)->entries()) receipt.reread.push_back(entry.key);
    EndTransfer(**reader, receipt);
    receipt.reason = "older than 14 days";
    // What is read anew may be gone by now, or not the rule's any more.
    Result<void> forgotten = co_await SettleParked(target, staged, receipt.reread);
    if (!forgotten) co_return forgotten.error();
  } else {
    Result<void> loaded = co_await target.parked->Load();
    if (!loaded) co_return loaded.error();
    Result<ArchiveApplication> applied =
        keeps ? co_await KeepArchive(context_, runtime, rule, target, **reader, **file,
                                     staged.archive->key)
              : co_await ApplyArchive(context_, runtime, rule, target, **reader, work.only);
    if (!applied) {
      // More memory than there is: waiting does not cure that.
      if (applied.error().kind == ErrorKind::kInvalidInput) {
        if (job_bytes < job_bytes_) co_return Handled::kNeedsMoreMemory;
        co_return co_await Refuse(target, staged, work, applied.error());
      }
      if (applied.error().kind != ErrorKind::kCorrupt) co_return applied.error();
      for (const ArchiveEntry& entry : (*reader)->entries()) keys.push_back(entry.key);
      co_return co_await ReportCorrupt(target, staged, applied.error(), &keys);
    }
    work.reread.insert(applied->reread.begin(), applied->reread.end());
    work.applied += applied->applied;
    for (const auto& [index, reason] : applied->conflicting) work.conflicting.insert(index);
    Result<void> noted = co_await NoteParked(target, staged, **reader, *applied);
    if (!noted) co_return noted.error();
    if (work.refusals == 0) work.settled_before = settled_[&target];
    settled_[&target] += applied->settled;
    if (!applied->pending.empty() || !applied->refused.empty() || !applied->parked.empty()) {
      Result<void> asked = co_await AskSource(target, work);
      if (!asked) co_return asked.error();
      co_return co_await KeepRest(target, staged, work, **reader, *applied);
    }
    if (applied->transfer_over) EndTransfer(**reader, receipt);
    receipt.stamp_oldest = applied->stamp_oldest;
    receipt.entries = applied->entries;
    receipt.applied = work.applied;
    receipt.conflicts = work.conflicting.size();
    receipt.reread.assign(work.reread.begin(), work.reread.end());
    unpacked = !keeps;
  }
  const uint64_t entries = receipt.entries;
  const uint64_t entries_applied = receipt.applied;
  Result<void> written = co_await WriteReceipt(target, std::move(receipt));
  if (!written) co_return written.error();
  trace.Applied(entries, entries_applied);
  if (unpacked) {
    context_.observer.OnArchiveApplied(
        {.rule = rule.rule->id,
         .target = target.config->name,
         .archive_bytes = staged.archive->size_bytes,
         .object_bytes = BodyBytesOf(**reader),
         .took = std::chrono::duration_cast<std::chrono::milliseconds>(
             context_.runtime.clock.Now() - begin)});
  }
  StagedArchive with_receipt = staged;
  with_receipt.receipts.push_back({.target = target.config->name, .key = ""});
  Result<void> removed = co_await RemoveIfDone(rule, target, with_receipt);
  if (!removed) co_return removed.error();
  co_return Handled::kDone;
}

// Nobody would ever end the rows of an archive that is not there.
Async<void> TargetRole::SettleParked(TargetContext& target, const StagedArchive& staged,
                                     std::vector<std::string> keys) {
  Result<void> forgotten = co_await target.parked->Load();
  if (forgotten) forgotten = co_await target.parked->SettledWith(staged.ulid, std::move(keys));
  if (forgotten) forgotten = co_await target.parked->ArchiveSettled(staged.ulid);
  co_return forgotten;
}

Async<TargetRole::Handled> TargetRole::Refuse(TargetContext& target, const StagedArchive& staged,
                                              Work& work, const Error& error) {
  Clock& clock = context_.runtime.clock;
  context_.runtime.log.Failure("archive refused; it stays in staging",
                               {{"archive", staged.archive->key}, error});
  context_.observer.OnOutcome({.time = clock.Now(),
                               .rule = target.rule->id,
                               .target = target.config->name,
                               .op = "archive",
                               .archive = staged.ulid,
                               .state = OutcomeState::kParked,
                               .reason = error.Describe()});
  Result<void> noted =
      co_await Park(target, {.archive = staged.ulid, .op = "archive", .reason = error.Describe()});
  static_cast<void>(noted);  // It stays, and is tried again.
  work.parked = true;
  work.due = clock.SteadyNow() + kParkedRetry;
  co_return Handled::kParked;
}

Async<void> TargetRole::Park(TargetContext& target, ParkedKey parked) {
  Result<void> written = co_await target.parked->Park(std::move(parked));
  if (!written) context_.runtime.log.Warning("parked object not recorded", {written.error()});
  co_return written;
}

Async<void> TargetRole::NoteParked(TargetContext& target, const StagedArchive& staged,
                                   const ArchiveReader& reader, const ArchiveApplication& applied) {
  // Nothing else remembers a conflict: its archive goes, so not before this.
  for (const auto& [index, reason] : applied.conflicting) {
    const ArchiveEntry& entry = reader.entries()[index];
    Result<void> parked = co_await Park(target, {.key = entry.key,
                                                 .archive = staged.ulid,
                                                 .op = OpName(entry.op),
                                                 .reason = "conflict: " + reason});
    if (!parked) co_return parked.error().In("record a conflict");
  }
  for (const std::string& key : applied.unparked) {
    // What was parked since the archive was begun may be of a later state, and no archive holds it.
    Result<void> settled =
        co_await target.parked->SettledBy(key, staged.ulid, reader.manifest().created);
    if (!settled) {
      context_.runtime.log.Warning("an object stays recorded as parked",
                                   {{"key", key}, settled.error()});
    }
  }
  Result<void> settled = co_await target.parked->ArchiveSettled(staged.ulid);
  if (!settled)
    context_.runtime.log.Warning("an archive stays recorded as parked", {settled.error()});
  co_return Ok();
}

// The receipt of an archive of which something is parked may be long in coming.
Async<void> TargetRole::AskSource(TargetContext& target, Work& work) {
  Result<void> asked = co_await AskForKeys(target, {work.reread.begin(), work.reread.end()});
  if (!asked) co_return asked.error();
  work.reread.clear();
  co_return Ok();
}

Async<void> TargetRole::AskForKeys(TargetContext& target, std::vector<std::string> keys) {
  if (keys.empty()) co_return Ok();
  ArchiveReceipt receipt{.archive = NewUlid(context_.runtime.clock.Now(), context_.runtime.random),
                         .rule = target.rule->id,
                         .target = target.config->name,
                         .reread = std::move(keys)};
  co_return co_await WriteReceipt(target, std::move(receipt));
}

Async<TargetRole::Handled> TargetRole::KeepRest(TargetContext& target, const StagedArchive& staged,
                                                Work& work, const ArchiveReader& reader,
                                                const ArchiveApplication& applied) {
  // What came before is done; only these are tried again.
  work.only = applied.pending;
  for (const auto& [index, error] : applied.refused) work.only.insert(index);
  for (const auto& [index, error] : applied.parked) work.only.insert(index);
  if (!applied.pending.empty()) {
    co_return applied.pending_error.In(std::to_string(applied.pending.size()) +
                                       " of its objects failed, the first");
  }
  const SteadyTime now = context_.runtime.clock.SteadyNow();
  std::map<size_t, Error> parked = applied.parked;
  if (!applied.refused.empty()) {
    ++work.refusals;
    const auto& [index, error] = *applied.refused.begin();
    // A store that settles nothing denies everything: that is no object's fault.
    const bool denies_all =
        settled_[&target] == work.settled_before &&
        std::all_of(applied.refused.begin(), applied.refused.end(),
                    [](const auto& refused) { return refused.second.kind == ErrorKind::kDenied; });
    if (denies_all) {
      work.refusals = 0;
      co_return error.In("put " + reader.entries()[index].key);
    }
    if (work.refusals < kRefusalsMax) {
      work.due = now + RetryDelay(work.refusals - 1);
      context_.runtime.log.Warning("objects refused; they are tried again",
                                   {{"target", target.config->name},
                                    {"archive", staged.ulid},
                                    {"objects", applied.refused.size()},
                                    {"key", reader.entries()[index].key},
                                    error});
      co_return Handled::kWaiting;
    }
    parked.insert(applied.refused.begin(), applied.refused.end());
  }
  for (const auto& [index, error] : parked) {
    const ArchiveEntry& entry = reader.entries()[index];
    context_.observer.OnOutcome({.time = context_.runtime.clock.Now(),
                                 .rule = target.rule->id,
                                 .target = target.config->name,
                                 .op = OpName(entry.op),
                                 .key = entry.key,
                                 .size_bytes = entry.size_bytes,
                                 .stamp = entry.stamp,
                                 .archive = staged.ulid,
                                 .state = OutcomeState::kParked,
                                 .reason = error.Describe()});
    Result<void> noted = co_await Park(target, {.key = entry.key,
                                                .archive = staged.ulid,
                                                .op = OpName(entry.op),
                                                .reason = error.Describe()});
    static_cast<void>(noted);  // Its archive stays, and is tried again.
  }
  work.parked = true;
  work.due = now + kParkedRetry;
  co_return Handled::kParked;
}

Async<TargetRole::Handled> TargetRole::ReportCorrupt(TargetContext& target,
                                                     const StagedArchive& staged,
                                                     const Error& error,
                                                     const std::vector<std::string>* keys) {
  context_.runtime.log.Failure(
      "archive damaged; its keys will be read anew",
      {{"archive", staged.archive->key}, {"target", target.config->name}, error});
  ArchiveReceipt receipt{.state = ArchiveReceipt::State::kCorrupt,
                         .archive = staged.ulid,
                         .rule = target.rule->id,
                         .target = target.config->name,
                         .reason = error.Describe(),
                         .keys_known = keys != nullptr};
  if (keys != nullptr) receipt.reread = *keys;
  // It may have been refused, by who had not its key, before it was seen that it is damaged.
  Result<void> forgotten = co_await SettleParked(target, staged, receipt.reread);
  if (!forgotten) co_return forgotten.error();
  Result<void> written = co_await WriteReceipt(target, std::move(receipt));
  if (!written) co_return written.error();
  context_.observer.OnOutcome(
      {.time = context_.runtime.clock.Now(),
       .rule = target.rule->id,
       .target = target.config->name,
       .op = "archive",
       .archive = staged.ulid,
       .state = OutcomeState::kParked,
       .reason = "archive " + staged.archive->key + " is damaged: " + error.Describe()});
  co_return Handled::kCorrupt;
}

Async<void> TargetRole::WriteReceipt(TargetContext& target, ArchiveReceipt receipt) {
  receipt.written = context_.runtime.clock.Now();
  receipt.bucket = target.rule->source.bucket;
  co_return co_await longhaul::WriteReceipt(*target.staging_store, target.staging_bucket,
                                            target.staging_prefix, receipt);
}

Async<void> TargetRole::RemoveIfDone(RuleContext& rule, TargetContext& target,
                                     const StagedArchive& staged) {
  for (const std::unique_ptr<TargetContext>& other : rule.targets) {
    const bool shares = other->staging_store == target.staging_store &&
                        other->staging_bucket == target.staging_bucket &&
                        other->staging_prefix == target.staging_prefix;
    if (shares && !staged.HasReceipt(other->config->name)) co_return Ok();
  }
  Result<void> removed =
      co_await target.staging_store->Remove({.bucket = target.staging_bucket,
                                             .key = staged.archive->key,
                                             .version_id = staged.archive->version_id});
  if (!removed) co_return removed.error().In("remove applied archive");
  context_.observer.OnStagingFreed(
      FreedBy(rule.rule->id, target.config->name, *staged.archive, context_.runtime.clock.Now()));
  co_return Ok();
}

}  // namespace longhaul
