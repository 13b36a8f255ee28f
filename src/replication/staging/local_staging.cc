#include "replication/staging/local_staging.h"

#include <algorithm>
#include <utility>

#include "replica/floor.h"
#include "replica/lease.h"
#include "replication/staging/archive_upload.h"
#include "replication/staging/staging.h"
#include "storage/is_gone.h"

namespace longhaul {

namespace {

constexpr int kStagingPageRows = 1000;
constexpr size_t kPieceBytes = 256 << 10;
// Receipts wait while a pass uploads; the next pass begins at once and brings the next ones.
constexpr int kUploadsPerPass = 2;

std::string Partition(const RuleContext& rule) { return "local-staging/" + rule.rule->id; }
std::string RowKey(const std::string& ulid, const std::string& target) {
  return ulid + "/" + target;
}

std::string Part(const RuleContext& rule, const TargetContext& target) {
  return "replication to the staging of target " + target.config->name + " of rule " +
         rule.rule->id;
}

Async<LocalArchives> List(const LocalStagingContext& local) {
  LocalArchives archives;
  std::map<std::string, std::vector<std::string>> markers;  // By ULID.
  std::string token;
  do {
    Result<ListPage> page = co_await local.store->List({.bucket = local.bucket,
                                                        .prefix = local.prefix,
                                                        .token = token,
                                                        .versions = local.versioned});
    if (!page) co_return page.error().In("local staging in " + local.store->description());
    for (ListedObject& object : page->objects) {
      std::optional<std::string> ulid = UlidOfArchive(local.prefix, object.key);
      if (!ulid) continue;
      if (object.is_delete_marker) {
        markers[*ulid].push_back(std::move(object.version_id));
        continue;
      }
      LocalArchive& archive = archives[*ulid];
      if (archive.ulid.empty() || object.last_modified > archive.written) {
        archive.newest_version = object.version_id;
        archive.written = object.last_modified;
      }
      archive.ulid = *ulid;
      archive.bytes += object.size_bytes;
      archive.key = std::move(object.key);
      archive.versions.push_back(std::move(object.version_id));
    }
    token = page->next_token;
  } while (!token.empty());
  for (auto& [ulid, versions] : markers) {
    const auto archive = archives.find(ulid);
    if (archive == archives.end()) continue;
    archive->second.versions.insert(archive->second.versions.end(), versions.begin(),
                                    versions.end());
  }
  co_return archives;
}

}  // namespace

std::string StagingPlace(const TargetContext& target) {
  return target.staging_store->description() + "/" + target.staging_bucket + "/" +
         target.staging_prefix;
}

bool GoesByLocalStaging(const RuleContext& rule, size_t targets) {
  return rule.local && rule.rule->transport == Transport::kS3Replication &&
         targets == rule.targets.size();
}

uint64_t StagingsOf(const RuleContext& rule) {
  std::set<std::string> places;
  for (const std::unique_ptr<TargetContext>& target : rule.targets) {
    places.insert(StagingPlace(*target));
  }
  return places.size();
}

Async<LocalArchives> ReadLocalStaging(State& state, const RuleContext& rule,
                                      std::vector<std::string>* stale) {
  // In this order: whatever the rows tell of was there before the listing, or is gone.
  std::vector<StateRow> rows;
  for (std::string after;;) {
    Result<std::vector<StateRow>> page =
        co_await state.Scan(Partition(rule), after, kStagingPageRows);
    if (!page) co_return page.error().In("local staging");
    if (page->empty()) break;
    after = page->back().key;
    for (StateRow& row : *page) rows.push_back(std::move(row));
  }
  Result<LocalArchives> archives = co_await List(*rule.local);
  if (!archives) co_return archives.error();
  for (StateRow& row : rows) {
    const size_t slash = std::min(row.key.find('/'), row.key.size() - 1);
    const auto archive = archives->find(row.key.substr(0, slash));
    if (archive != archives->end()) {
      archive->second.settled.insert(row.key.substr(slash + 1));
    } else if (stale != nullptr) {
      stale->push_back(std::move(row.key));
    }
  }
  co_return archives;
}

Async<bool> LocalStagingIsEmpty(const RuleContext& rule) {
  if (!rule.local) co_return true;
  Result<LocalArchives> archives = co_await List(*rule.local);
  if (!archives) co_return archives.error();
  co_return archives->empty();
}

Async<LocalArchives> LocalStaging::Look(const RuleContext& rule) {
  std::vector<std::string> stale;
  Result<LocalArchives> archives = co_await ReadLocalStaging(context_.state, rule, &stale);
  if (!archives || stale.empty()) co_return archives;
  std::vector<StateWrite> removals;
  for (std::string& row : stale) removals.push_back({.key = std::move(row)});
  Result<std::vector<Result<int64_t>>> removed =
      co_await context_.state.WriteMany(Partition(rule), std::move(removals));
  if (!removed) co_return removed.error().In("local staging");
  co_return archives;
}

Async<void> LocalStaging::Settle(const RuleContext& rule, LocalArchives* archives, std::string ulid,
                                 std::string target) {
  LocalArchive* known = nullptr;
  if (archives != nullptr && archives->contains(ulid)) known = &archives->at(ulid);
  if (known != nullptr && known->settled.contains(target)) co_return Ok();
  if (known == nullptr) {
    // It came by another way, its copy is gone, or it was uploaded since the listing.
    Result<ObjectInfo> found = co_await rule.local->store->Head(
        {.bucket = rule.local->bucket, .key = ArchiveKey(rule.local->prefix, ulid)});
    if (!found && found.error().kind == ErrorKind::kNotFound) co_return Ok();
    if (!found) co_return found.error().In("local staging");
  }
  StateWrite row{.key = RowKey(ulid, target),
                 .value = "settled",
                 .expires = context_.runtime.clock.Now() + kFloorLifetime};
  Result<int64_t> written = co_await context_.state.Write(Partition(rule), std::move(row));
  if (!written) co_return written.error().In("local staging");
  if (known != nullptr) known->settled.insert(std::move(target));
  co_return Ok();
}

Async<void> LocalStaging::RemoveCopy(const RuleContext& rule, const LocalArchive& archive) {
  for (const std::string& version : archive.versions) {
    Result<void> removed = co_await rule.local->store->Remove(
        {.bucket = rule.local->bucket, .key = archive.key, .version_id = version});
    if (!removed) co_return removed.error().In("remove " + archive.key + " from local staging");
  }
  ListedObject copies;
  copies.size_bytes = archive.bytes;
  copies.last_modified = archive.written;
  context_.observer.OnStagingFreed(
      FreedBy(rule.rule->id, "", copies, context_.runtime.clock.Now()));
  std::vector<StateWrite> rows;
  for (const std::string& target : archive.settled) {
    rows.push_back({.key = RowKey(archive.ulid, target)});
  }
  Result<std::vector<Result<int64_t>>> removed =
      co_await context_.state.WriteMany(Partition(rule), std::move(rows));
  static_cast<void>(removed);  // Else the next look finds them.
  co_return Ok();
}

asio::awaitable<LocalPass> LocalStaging::Tend(const RuleContext& rule,
                                              const LocalArchives& archives,
                                              const SeenInStaging& seen) {
  LocalPass pass;
  auto failed = [&](const Error& error) {
    if (!pass.failure) pass.failure = error;
  };
  const SystemTime now = context_.runtime.clock.Now();
  const auto patience = std::min(rule.rule->replication_timeout,
                                 patience_max_.value_or(std::chrono::hours(24 * 365)));
  std::map<const TargetContext*, Late> late;
  int uploads = 0;
  for (const auto& [ulid, archive] : archives) {
    std::set<std::string> brought;  // Places.
    bool open = false;
    for (const std::unique_ptr<TargetContext>& target : rule.targets) {
      if (archive.settled.contains(target->config->name)) continue;
      open = true;
      const std::string place = StagingPlace(*target);
      const auto there = seen.find(place);
      if (there != seen.end() && there->second.contains(ulid)) continue;
      ++pass.on_the_way;
      if (there == seen.end()) continue;  // Nobody knows what is there.
      const auto age = now - archive.written;
      if (age >= patience / 3) {
        Late& behind = late[target.get()];
        ++behind.archives;
        behind.oldest = std::min(behind.oldest, archive.written);
      }
      if (age < patience || uploads >= kUploadsPerPass || !brought.insert(place).second) continue;
      ++uploads;
      Result<bool> done = co_await Bring(rule, *target, archive);
      if (done && *done) {
        ++pass.repaired;
      } else if (!done && done.error().kind == ErrorKind::kCorrupt) {
        pass.unreadable.emplace_back(ulid, target->config->name);
      } else if (!done) {
        failed(done.error().In("rule " + rule.rule->id + ": target " + target->config->name));
      }
    }
    if (open) continue;
    Result<void> removed = co_await RemoveCopy(rule, archive);
    if (!removed) failed(removed.error());
  }
  for (const std::unique_ptr<TargetContext>& target : rule.targets) {
    Tell(rule, *target, late[target.get()]);
  }
  co_return pass;
}

void LocalStaging::Tell(const RuleContext& rule, const TargetContext& target, const Late& late) {
  if (late.archives == 0) {
    if (late_.erase(&target) == 0) return;
    context_.observer.OnReadiness(Part(rule, target), std::nullopt);
    context_.runtime.log.Info("the store replicates again",
                              {{"rule", rule.rule->id}, {"target", target.config->name}});
    return;
  }
  const Error error =
      Retryable("archives wait to be replicated by the store since " + FormatRfc3339(late.oldest));
  context_.observer.OnReadiness(Part(rule, target), error);
  if (!late_.insert(&target).second) return;
  const std::chrono::duration<double> age = context_.runtime.clock.Now() - late.oldest;
  context_.runtime.log.Warning("the store is late with replicating archives to a staging",
                               {{"rule", rule.rule->id},
                                {"target", target.config->name},
                                {"archives", late.archives},
                                {"seconds", static_cast<int64_t>(age.count())}});
}

// Whether it was uploaded: not where another process is at it, or it is settled by now.
Async<bool> LocalStaging::Bring(const RuleContext& rule, const TargetContext& target,
                                const LocalArchive& archive) {
  const std::string& name = target.config->name;
  Clock& clock = context_.runtime.clock;
  Lease lease(context_.state, clock, "bring/" + rule.rule->id + "/" + archive.ulid + "/" + name,
              context_.owner, context_.limits.archive_lease);
  Result<bool> acquired = co_await lease.TryAcquire();
  if (!acquired || !*acquired) co_return acquired;
  Event done;
  TaskGroup keeper(context_.runtime.executor);
  keeper.Spawn(KeepLease(clock, lease, done, context_.limits.archive_lease / 3));
  Result<std::optional<StateRow>> settled =
      co_await context_.state.Get(Partition(rule), RowKey(archive.ulid, name));
  Result<bool> brought = false;
  if (!settled) {
    brought = settled.error();
  } else if (!*settled) {
    Result<void> uploaded = co_await Upload(rule, target, archive);
    brought = uploaded ? Result<bool>(true) : Result<bool>(uploaded.error());
    // The copy is gone: another process has seen the last receipt. It was asked for by its version,
    // where the bucket keeps any.
    const bool gone =
        !uploaded && (IsGone(uploaded.error()) || uploaded.error().code == "NoSuchVersion");
    if (gone) brought = false;
  }
  done.Set();
  Result<void> kept = co_await keeper.Join();
  static_cast<void>(kept);
  co_await lease.Release();
  if (!brought || !*brought) co_return brought;
  context_.runtime.log.Warning("an archive was not replicated in time; uploaded by the source",
                               {{"rule", rule.rule->id}, {"target", name}, {"key", archive.key}});
  context_.runtime.metrics
      .counter("longhaul_staging_repairs_total",
               "Archives that the store did not replicate in time, uploaded by the source",
               {{"rule", rule.rule->id}, {"target", name}})
      .Add(1);
  co_return true;
}

Async<void> LocalStaging::Upload(const RuleContext& rule, const TargetContext& target,
                                 const LocalArchive& archive) {
  const uint64_t part_bytes = context_.limits.part_bytes;
  constexpr int kBuffers = ArchiveUpload::kBuffersMin;
  Result<Reservation> memory = co_await context_.runtime.memory.Reserve(
      static_cast<int64_t>(kBuffers * part_bytes + kPieceBytes));
  if (!memory) co_return memory.error();
  Result<ObjectStream> stream = co_await rule.local->store->Get(
      {.bucket = rule.local->bucket, .key = archive.key, .version_id = archive.newest_version});
  if (!stream) co_return stream.error().In("read " + archive.key + " in local staging");
  ArchiveUpload upload(context_.runtime, *context_.uploads,
                       {{.store = target.staging_store,
                         .bucket = target.staging_bucket,
                         .key = ArchiveKey(target.staging_prefix, archive.ulid)}},
                       part_bytes, kBuffers, context_.bytes_moved);
  std::vector<std::byte> piece(kPieceBytes);
  while (true) {
    Result<size_t> count = co_await stream->body->Read(piece);
    // At its end the bytes have been verified: only then does the archive become visible.
    if (count && *count == 0) break;
    Result<void> written;
    if (count) {
      written = co_await upload.Write(std::span(piece).first(*count));
    } else {
      written = count.error().In("read " + archive.key + " in local staging");
    }
    if (!written) {
      co_await upload.Abort();
      co_return written.error();
    }
  }
  std::vector<Result<void>> uploaded = co_await upload.Finish();
  co_return uploaded.front();
}

}  // namespace longhaul
