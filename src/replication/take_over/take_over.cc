#include "replication/take_over/take_over.h"

#include <algorithm>
#include <map>
#include <utility>

#include "replica/floor.h"
#include "replica/lease.h"
#include "replication/context/loops.h"
#include "replication/staging/staging.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

constexpr std::string_view kSuffix = ".tar.zst";
constexpr size_t kNameSize = 32;
constexpr std::chrono::minutes kHeldRetry{1};
constexpr std::chrono::hours kComparisonWait{1};  // A comparison may fail for ever.
constexpr int kPollGrowthMax = 12;                // With the janitor's 5 s a listing a minute.
constexpr size_t kFoldersToldMax = 100;

// Below the place: "bucket/prefix/".
std::string FolderOfSource(const Address& source) {
  std::string folder = source.bucket + "/" + source.prefix;
  while (folder.ends_with('/')) folder.pop_back();
  return folder + "/";
}

// "folder/", "32 hex digits"; nullopt: no archive.
std::optional<std::pair<std::string, std::string>> SplitArchiveKey(std::string_view key) {
  if (!key.ends_with(kSuffix)) return std::nullopt;
  key.remove_suffix(kSuffix.size());
  const size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view name = key.substr(slash + 1);
  const bool hex = name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (name.size() != kNameSize || !hex) return std::nullopt;
  return std::pair(std::string(key.substr(0, slash + 1)), std::string(name));
}

// What keeps an archive from being done with when its objects are in place.
struct Destinations {
  std::set<std::string> buckets;  // Of ours that it is for.
  std::string obstacle;           // Empty: none.
};

// `targets`: as the archive names them; `here`: the buckets of the targets that take over from its
// place. Whatever is in another region has an archive of its own there.
Destinations DestinationsOf(const std::vector<archive::CompressorTarget>& targets,
                            const std::set<std::string>& here) {
  Destinations found;
  std::set<std::string> regions;
  for (const archive::CompressorTarget& target : targets) {
    if (target.backup || !here.contains(target.bucket)) continue;
    found.buckets.insert(target.bucket);
    regions.insert(target.region);
  }
  for (const archive::CompressorTarget& target : targets) {
    if (!regions.contains(target.region) || !found.obstacle.empty()) continue;
    if (target.backup) {
      found.obstacle = "it is a backup for bucket " + target.bucket + " as well: move it there";
    } else if (!here.contains(target.bucket)) {
      found.obstacle = "it is for bucket " + target.bucket +
                       " as well, and no target with that bucket takes over from here";
    }
  }
  if (found.buckets.empty()) {
    found.obstacle = "none of its destinations is the bucket of a target that takes over from here";
    for (size_t i = 0; i < std::min<size_t>(targets.size(), 5); ++i) {
      found.obstacle += (i == 0 ? ": " : ", ") + targets[i].bucket;
    }
  }
  return found;
}

}  // namespace

TakeOverRole::TakeOverRole(ReplicationContext& context, int64_t job_bytes)
    : context_(context), job_bytes_(job_bytes) {
  for (const std::unique_ptr<RuleContext>& rule : context.rules) {
    for (const std::unique_ptr<TargetContext>& target : rule->targets) {
      if (!target->config->take_over) continue;
      const Address& from = target->config->take_over->from;
      Store* store = context.stores.at(from.store);
      auto place = std::ranges::find_if(places_, [&](const Place& known) {
        return known.store == store && known.bucket == from.bucket && known.prefix == from.prefix;
      });
      if (place == places_.end()) {
        place = places_.insert(
            place, {.store = store, .bucket = from.bucket, .prefix = from.prefix, .groups = {}});
      }
      Group& group = place->groups[FolderOfSource(rule->rule->source)];
      group.source = rule->rule->source;
      group.pairs.push_back({.rule = rule.get(), .target = target.get()});
    }
  }
}

asio::awaitable<TakeOverPass> TakeOverRole::RunPass(const Event& stop) {
  co_return co_await PassOverAll(stop, false);
}

asio::awaitable<void> TakeOverRole::Run(Event& stop) {
  if (places_.empty()) co_return;
  Clock& clock = context_.runtime.clock;
  const SteadyTime patience = clock.SteadyNow() + kComparisonWait;
  int quiet_passes = 1;
  // Not at once: what this process compares is found first.
  while (!co_await stop.WaitFor(clock, context_.limits.janitor_interval * quiet_passes)) {
    const TakeOverPass pass = co_await PassOverAll(stop, clock.SteadyNow() < patience);
    context_.observer.OnReadiness("take-over", pass.store_error);
    const bool soon = pass.removed > 0 || pass.waiting > 0;
    quiet_passes = soon ? 1 : std::min(quiet_passes + 1, kPollGrowthMax);
  }
}

asio::awaitable<TakeOverPass> TakeOverRole::PassOverAll(const Event& stop, bool after_comparison) {
  TakeOverPass pass;
  for (Place& place : places_) {
    if (!stop.is_set()) co_await PassOver(place, pass, stop, after_comparison);
  }
  co_return pass;
}

std::vector<TakeOverRole::Pair> TakeOverRole::ReadyPairs(const Group& group, bool after_comparison,
                                                         int& waiting) const {
  std::vector<Pair> ready;
  for (const Pair& pair : group.pairs) {
    const bool to_be_compared =
        after_comparison && pair.rule->source_found && !pair.target->compared;
    if (context_.control->Holds(pair.rule->rule->id, pair.target->config->name)) continue;
    if (!pair.target->applier || to_be_compared) {
      ++waiting;
    } else {
      ready.push_back(pair);
    }
  }
  return ready;
}

asio::awaitable<void> TakeOverRole::PassOver(Place& place, TakeOverPass& pass, const Event& stop,
                                             bool after_comparison) {
  const std::string where = place.store->description() + "/" + place.bucket + "/" + place.prefix;
  auto concerns_all = [&](const Error& error) {
    if (!pass.store_error) pass.store_error = error.In("take over from " + where);
  };
  const SystemTime listed_at = context_.runtime.clock.Now();
  std::vector<ListedObject> archives;
  std::string token;
  do {
    Result<ListPage> page = co_await place.store->List(
        {.bucket = place.bucket, .prefix = place.prefix, .token = token});
    if (!page) {
      context_.runtime.log.Warning("archives to take over cannot be listed",
                                   {{"place", where}, page.error()});
      ++pass.waiting;
      concerns_all(page.error());
      co_return;
    }
    for (ListedObject& object : page->objects) {
      const std::string_view below = std::string_view(object.key).substr(place.prefix.size());
      if (SplitArchiveKey(below)) archives.push_back(std::move(object));
    }
    token = page->next_token;
  } while (!token.empty());
  // Oldest first: of two states of a key the older one need not be written over then.
  std::ranges::sort(archives, {}, [](const ListedObject& archive) {
    return std::pair(archive.last_modified, std::string_view(archive.key));
  });
  // Before the first is applied, which may take hours.
  std::map<std::string, ArchivesToTakeOver> there;  // By folder.
  for (const ListedObject& listed : archives) {
    auto [folder, name] =
        *SplitArchiveKey(std::string_view(listed.key).substr(place.prefix.size()));
    there[folder].names.insert(std::move(name));
  }
  for (auto& [folder, group] : place.groups) {
    there[folder].at = listed_at;
    for (const Pair& pair : group.pairs) pair.target->to_take_over = there[folder];
  }
  std::set<std::string> present;
  for (const ListedObject& listed : archives) {
    auto [folder, name] =
        *SplitArchiveKey(std::string_view(listed.key).substr(place.prefix.size()));
    auto found = place.groups.find(folder);
    if (found == place.groups.end()) {
      const bool told = nobodys_folders_.size() >= kFoldersToldMax ||
                        !nobodys_folders_.insert(where + folder).second;
      if (!told) {
        context_.runtime.log.Warning(
            "archives that no rule takes over: their folder is that of another source",
            {{"place", where}, {"folder", folder}});
      }
      continue;
    }
    const Group& group = found->second;
    present.insert(where + listed.key);
    Work& work = work_[where + listed.key];
    for (const Pair& pair : group.pairs) {
      const int64_t asked = context_.control->RetryRevision(pair.rule->rule->id);
      const auto [known, first] = work.retried.try_emplace(pair.target, asked);
      if (std::exchange(known->second, asked) != asked && work.parked) work.next_try = {};
    }
    if (stop.is_set() || work.next_try > context_.runtime.clock.SteadyNow()) {
      if (!work.held) ++(work.parked ? pass.parked : pass.waiting);
      if (work.store_error) concerns_all(*work.store_error);
      continue;
    }
    std::vector<Pair> ready = ReadyPairs(group, after_comparison, pass.waiting);
    if (ready.empty()) continue;
    Result<Handled> handled = co_await Handle(place, group, std::move(ready), listed, name, work);
    work.store_error.reset();
    work.parked = work.held = false;
    if (!handled) {
      work.next_try = context_.runtime.clock.SteadyNow() + RetryDelay(work.attempts++);
      ++pass.waiting;
      ++pass.failed;
      if (FailsAsStore(handled.error())) {
        work.store_error = handled.error();
        concerns_all(handled.error());
      }
      context_.runtime.log.Warning("archive not taken over yet",
                                   {{"archive", listed.key}, handled.error()});
      continue;
    }
    if (*handled == Handled::kRemoved) ++pass.removed;
    if (*handled == Handled::kWaiting) ++pass.waiting;
    work.held = *handled == Handled::kHeld;
    work.parked = *handled == Handled::kParked;
    if (work.parked) ++pass.parked;
    if (work.held || work.parked) {
      // A look costs reading all of it.
      work.next_try = context_.runtime.clock.SteadyNow() + (work.held ? kHeldRetry : kParkedRetry);
    }
  }
  std::erase_if(work_, [&](const auto& entry) {
    return entry.first.starts_with(where) && !present.contains(entry.first);
  });
}

Async<TakeOverRole::Handled> TakeOverRole::Handle(Place& place, const Group& group,
                                                  std::vector<Pair> ready,
                                                  const ListedObject& listed, std::string name,
                                                  Work& work) {
  Clock& clock = context_.runtime.clock;
  Lease lease(context_.state, clock, "take-over/" + place.bucket + "/" + listed.key, context_.owner,
              context_.limits.archive_lease);
  Result<bool> acquired = co_await lease.TryAcquire();
  if (!acquired) co_return acquired.error();
  if (!*acquired) co_return Handled::kWaiting;
  Event done;
  TaskGroup keeper(context_.runtime.executor);
  keeper.Spawn(KeepLease(clock, lease, done, context_.limits.archive_lease / 3));
  Result<Handled> handled =
      co_await HandleLeased(place, group, std::move(ready), listed, std::move(name), work);
  done.Set();
  Result<void> kept = co_await keeper.Join();
  static_cast<void>(kept);
  co_await lease.Release();
  co_return handled;
}

Async<TakeOverRole::Handled> TakeOverRole::HandleLeased(Place& place, const Group& group,
                                                        std::vector<Pair> ready,
                                                        const ListedObject& listed,
                                                        std::string name, Work& work) {
  if (listed.last_modified < context_.runtime.clock.Now() - kArchiveAgeMax) {
    // The floors that would tell what has been deleted since may have expired.
    co_await ParkWhole(ready, name,
                       "it is older than 14 days; what has been deleted since then is not known "
                       "any more: remove it, and compare (rules backfill)");
    co_return Handled::kParked;
  }
  Result<Reservation> memory = co_await context_.runtime.memory.Reserve(job_bytes_);
  if (!memory) co_return memory.error();
  MemoryBudget job_memory(job_bytes_);
  Runtime runtime{context_.runtime.executor,
                  context_.runtime.clock,
                  context_.runtime.random,
                  context_.runtime.pool,
                  job_memory,
                  context_.runtime.log,
                  context_.runtime.metrics};
  const CompressorArchivePlace archive{
      .store = place.store, .bucket = place.bucket, .key = listed.key, .etag = listed.etag};
  // What is wrong with an archive, as far as waiting does not cure it.
  auto hopeless = [](const Error& error) {
    return error.kind == ErrorKind::kCorrupt || error.kind == ErrorKind::kInvalidInput;
  };
  Result<CompressorContents> contents =
      co_await SurveyCompressorArchive(runtime, archive, group.source);
  if (!contents) {
    if (IsGone(contents.error())) co_return Handled::kRemoved;  // Another was faster.
    if (!hopeless(contents.error())) co_return contents.error().In("read archive " + listed.key);
    co_await ParkWhole(ready, name, contents.error().Describe());
    co_return Handled::kParked;
  }
  std::set<std::string> here;
  for (const Pair& pair : group.pairs) here.insert(pair.target->config->to.bucket);
  const Destinations destinations = DestinationsOf(contents->targets, here);
  bool parked = false;
  for (const Pair& pair : ready) {
    if (!destinations.buckets.contains(pair.target->config->to.bucket)) continue;
    Result<bool> applied = co_await ApplyTo(runtime, group, pair, archive, *contents, name, work);
    if (!applied && hopeless(applied.error())) {
      co_await ParkWhole(ready, name, applied.error().Describe());
      co_return Handled::kParked;
    }
    if (!applied) co_return applied.error();
    parked = parked || *applied;
  }
  if (!destinations.obstacle.empty()) {
    co_await ParkWhole(ready, name, destinations.obstacle);
    co_return Handled::kParked;
  }
  for (const Pair& pair : ready) {
    Result<void> settled = co_await pair.target->parked->ArchiveSettled(name);
    if (!settled) co_return settled.error();
  }
  if (parked) co_return Handled::kParked;
  if (ready.size() < group.pairs.size()) co_return Handled::kHeld;
  Result<void> removed = co_await Remove(place, listed);
  if (!removed) co_return removed.error().In("remove archive " + listed.key);
  context_.runtime.log.Info("archive taken over, and removed",
                            {{"archive", listed.key}, {"objects", contents->entries.size()}});
  co_return Handled::kRemoved;
}

Async<bool> TakeOverRole::ApplyTo(Runtime& runtime, const Group& group, Pair pair,
                                  const CompressorArchivePlace& archive,
                                  const CompressorContents& contents, const std::string& name,
                                  Work& work) {
  TargetContext& target = *pair.target;
  Result<void> loaded = co_await target.parked->Load();
  if (!loaded) co_return loaded.error();
  std::set<size_t>& settled = work.settled[&target];
  Result<CompressorApplication> applied = co_await ApplyCompressorArchive(
      context_, runtime, *pair.rule, target, archive, contents, name, settled);
  if (!applied) co_return applied.error();
  for (const auto& [index, reason] : applied->conflicting) {
    Result<void> noted = co_await target.parked->Park({.key = contents.entries[index].key,
                                                       .archive = name,
                                                       .op = "put",
                                                       .reason = "conflict: " + reason});
    // Nothing else remembers a conflict: the archive goes.
    if (!noted) co_return noted.error();
  }
  if (!applied->reread.empty()) {
    Result<void> asked = co_await AskSource(pair, contents, applied->reread, name);
    if (!asked) co_return asked.error();
    for (const auto& [index, reason] : applied->reread) settled.insert(index);
  }
  co_await Unpark(pair, contents, settled, name);
  if (!applied->pending.empty()) {
    co_return applied->pending.begin()->second.In(std::to_string(applied->pending.size()) +
                                                  " of its objects failed, the first");
  }
  if (!applied->refused.empty() && settled.empty()) {
    // A store that has settled nothing, then or now, denies everything: that is no object's fault.
    const auto& [index, error] = *applied->refused.begin();
    co_return error.In("put " + contents.entries[index].key);
  }
  std::map<size_t, Error> parked = std::move(applied->parked);
  parked.merge(applied->refused);
  std::erase_if(parked, [&](const auto& entry) {
    // Of several rules that share out the keys of one source another carries this one.
    const std::string& key = contents.entries[entry.first].key;
    return std::ranges::any_of(group.pairs, [&](const Pair& other) {
      return other.rule != pair.rule &&
             other.target->config->to.bucket == target.config->to.bucket &&
             !pair.rule->rule->MatchesKey(group.source.bucket, key) &&
             other.rule->rule->MatchesKey(group.source.bucket, key);
    });
  });
  for (const auto& [index, error] : parked) {
    const CompressorEntry& entry = contents.entries[index];
    context_.observer.OnOutcome({.time = runtime.clock.Now(),
                                 .rule = pair.rule->rule->id,
                                 .target = target.config->name,
                                 .op = "put",
                                 .key = entry.key,
                                 .size_bytes = entry.size_bytes,
                                 .stamp = entry.stamp,
                                 .archive = name,
                                 .route = "take-over",
                                 .state = OutcomeState::kParked,
                                 .reason = error.Describe()});
    Result<void> noted = co_await target.parked->Park(
        {.key = entry.key, .archive = name, .op = "put", .reason = error.Describe()});
    if (!noted) context_.runtime.log.Warning("parked object not recorded", {noted.error()});
  }
  co_return !parked.empty();
}

// Something newer was recorded than these, and is not what stands there: what the source has now is
// to decide, as it is for readings. Durable when it returns.
Async<void> TakeOverRole::AskSource(Pair pair, const CompressorContents& contents,
                                    const std::map<size_t, std::string>& reread,
                                    const std::string& name) {
  const TargetContext& target = *pair.target;
  const SystemTime now = context_.runtime.clock.Now();
  ArchiveReceipt receipt{.archive = NewUlid(now, context_.runtime.random),
                         .rule = pair.rule->rule->id,
                         .target = target.config->name,
                         .bucket = pair.rule->rule->source.bucket,
                         .written = now};
  for (const auto& [index, reason] : reread) receipt.reread.push_back(contents.entries[index].key);
  Result<void> written = co_await WriteReceipt(*target.staging_store, target.staging_bucket,
                                               target.staging_prefix, receipt);
  if (!written) co_return written.error();
  for (const auto& [index, reason] : reread) {
    const CompressorEntry& entry = contents.entries[index];
    context_.observer.OnOutcome({.time = now,
                                 .rule = pair.rule->rule->id,
                                 .target = target.config->name,
                                 .op = "put",
                                 .key = entry.key,
                                 .size_bytes = entry.size_bytes,
                                 .stamp = entry.stamp,
                                 .archive = name,
                                 .route = "take-over",
                                 .state = OutcomeState::kReread,
                                 .reason = reason});
  }
  co_return Ok();
}

// What this archive had parked and has settled now.
asio::awaitable<void> TakeOverRole::Unpark(Pair pair, const CompressorContents& contents,
                                           const std::set<size_t>& settled,
                                           const std::string& name) {
  TargetContext& target = *pair.target;
  for (size_t index : settled) {
    const std::string& key = contents.entries[index].key;
    if (!target.parked->MayHold(key)) continue;
    Result<std::optional<ParkedKey>> row =
        co_await FindParked(context_.state, pair.rule->rule->id, target.config->name, key);
    if (!row || !*row || (*row)->archive != name || (*row)->reason.starts_with("conflict: ")) {
      continue;
    }
    Result<void> gone = co_await target.parked->Settled(key);
    if (!gone) {
      context_.runtime.log.Warning("an object stays recorded as parked",
                                   {{"key", key}, gone.error()});
    }
  }
}

asio::awaitable<void> TakeOverRole::ParkWhole(const std::vector<Pair>& pairs,
                                              const std::string& name, const std::string& reason) {
  for (const Pair& pair : pairs) {
    context_.observer.OnOutcome({.time = context_.runtime.clock.Now(),
                                 .rule = pair.rule->rule->id,
                                 .target = pair.target->config->name,
                                 .op = "archive",
                                 .archive = name,
                                 .route = "take-over",
                                 .state = OutcomeState::kParked,
                                 .reason = reason});
    Result<void> noted =
        co_await pair.target->parked->Park({.archive = name, .op = "archive", .reason = reason});
    if (!noted) context_.runtime.log.Warning("parked archive not recorded", {noted.error()});
  }
}

Async<void> TakeOverRole::Remove(const Place& place, const ListedObject& listed) {
  Result<ObjectInfo> there =
      co_await place.store->Head({.bucket = place.bucket, .key = listed.key});
  if (!there && there.error().kind == ErrorKind::kNotFound) co_return Ok();
  if (!there) co_return there.error();
  if (there->etag != listed.etag) co_return Retryable("it is another archive by now");
  co_return co_await place.store->Remove({.bucket = place.bucket, .key = listed.key});
}

}  // namespace longhaul
