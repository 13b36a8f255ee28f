// What is parked at a target, keys and whole archives, and is not in staging any more.

#include <optional>
#include <utility>

#include "replica/lease.h"
#include "replication/context/loops.h"
#include "replication/target/target_role.h"

namespace longhaul {

namespace {

constexpr int kPageRows = 1000;

// Whether an archive of another system may be there still, as far as this process has seen. Without
// `take_over` nobody looks, nor applies it.
bool MayLieElsewhere(const TargetContext& target, const ParkedKey& row) {
  if (!target.config->take_over || IsUlid(row.archive)) return false;
  const std::optional<ArchivesToTakeOver>& listed = target.to_take_over;
  if (!listed || row.when >= listed->at - kParkedRetry) return true;
  return listed->names.contains(row.archive);
}

// Its archive alone holds it: a conflict is told of without one, and what has another name comes
// from elsewhere (take_over.h).
bool WaitsInStaging(const ParkedKey& row) {
  return IsUlid(row.archive) && !row.reason.starts_with("conflict: ");
}

}  // namespace

Async<void> TargetRole::SeekLeft(TargetContext& target, std::set<std::string> archives,
                                 SystemTime listed_at, const Event& stop) {
  Clock& clock = context_.runtime.clock;
  const std::chrono::milliseconds lifetime = context_.limits.archive_lease;
  Lease lease(context_.state, clock, "left/" + target.rule->id + "/" + target.config->name,
              context_.owner, lifetime);
  Result<bool> ours = co_await lease.TryAcquire();
  Result<void> asked;
  if (!ours) asked = ours.error();
  if (ours && *ours) {
    Event done;
    TaskGroup keeper(context_.runtime.executor);
    keeper.Spawn(KeepLease(clock, lease, done, lifetime / 3));
    asked = co_await AskForLeftKeys(target, archives, listed_at, stop);
    if (asked) asked = co_await AskForLeftArchives(target, archives, listed_at, stop);
    done.Set();
    // Lost: another process asks as well, which is harmless.
    Result<void> kept = co_await keeper.Join();
    static_cast<void>(kept);
    co_await lease.Release();
  }
  left_being_sought_.erase(&target);
  if (!asked) {
    context_.runtime.log.Warning(
        "what is parked without an archive is not read anew",
        {{"rule", target.rule->id}, {"target", target.config->name}, asked.error()});
  }
  co_return Ok();
}

Async<void> TargetRole::AskForLeftKeys(TargetContext& target, const std::set<std::string>& archives,
                                       SystemTime listed_at, const Event& stop) {
  // What another process has parked a moment ago may lie there since the listing was begun; and its
  // clock may be another.
  const SystemTime before = listed_at - kParkedRetry;
  std::string after;
  do {
    Result<std::vector<ParkedKey>> rows =
        co_await ScanParked(context_.state, target.rule->id, target.config->name, after, kPageRows);
    if (!rows) co_return rows.error();
    after = std::ssize(*rows) < kPageRows ? "" : rows->back().key;
    std::erase_if(*rows, [&](const ParkedKey& row) {
      return !WaitsInStaging(row) || row.when >= before || archives.contains(row.archive);
    });
    if (rows->empty()) continue;
    std::vector<std::string> keys;
    for (const ParkedKey& row : *rows) {
      // (Another bucket's would be other objects.)
      if (IsOfSource(row, *target.rule)) keys.push_back(row.key);
    }
    context_.runtime.log.Warning(
        "the archives of parked keys are not in staging any more: the "
        "keys are forgotten here, and the source reads them anew",
        {{"rule", target.rule->id},
         {"target", target.config->name},
         {"keys", rows->size()},
         {"key", rows->front().key},
         {"archive", rows->front().archive}});
    // Before the rows go: whoever dies in between asks once more.
    Result<void> asked = co_await AskForKeys(target, std::move(keys));
    if (!asked) co_return asked.error();
    for (const ParkedKey& row : *rows) {
      if (stop.is_set()) co_return Ok();
      Result<void> forgotten = co_await ForgetParked(context_.state, target.rule->id, row);
      // It has been parked anew, or settled, since.
      const bool changed = !forgotten && forgotten.error().kind == ErrorKind::kPrecondition;
      if (!forgotten && !changed) co_return forgotten.error();
    }
  } while (!after.empty() && !stop.is_set());
  co_return Ok();
}

// Nobody knows what it held but the source, which remembers its keys until a target has told of it.
Async<void> TargetRole::AskForLeftArchives(TargetContext& target,
                                           const std::set<std::string>& archives,
                                           SystemTime listed_at, const Event& stop) {
  const SystemTime before = listed_at - kParkedRetry;  // As above.
  std::string after;
  do {
    Result<std::vector<ParkedKey>> rows = co_await ScanParkedArchives(
        context_.state, target.rule->id, target.config->name, after, kPageRows);
    if (!rows) co_return rows.error();
    after = std::ssize(*rows) < kPageRows ? "" : rows->back().archive;
    for (const ParkedKey& row : *rows) {
      if (stop.is_set()) co_return Ok();
      if (row.when >= before || archives.contains(row.archive)) continue;
      if (MayLieElsewhere(target, row)) continue;
      const bool asks = IsUlid(row.archive) && IsOfSource(row, *target.rule);
      context_.runtime.log.Warning(
          asks ? "a refused archive is not in staging any more: the source reads its keys anew"
               : "a refused archive is not in staging any more; it is forgotten",
          {{"rule", target.rule->id}, {"target", target.config->name}, {"archive", row.archive}});
      if (asks) {
        // Before the row goes: whoever dies in between asks once more.
        Result<void> asked =
            co_await WriteReceipt(target, {.state = ArchiveReceipt::State::kCorrupt,
                                           .archive = row.archive,
                                           .rule = target.rule->id,
                                           .target = target.config->name,
                                           .reason = "refused, and removed: " + row.reason,
                                           .keys_known = false});
        if (!asked) co_return asked.error();
      }
      Result<void> forgotten = co_await ForgetParked(context_.state, target.rule->id, row);
      const bool changed = !forgotten && forgotten.error().kind == ErrorKind::kPrecondition;
      if (!forgotten && !changed) co_return forgotten.error();
    }
  } while (!after.empty());
  co_return Ok();
}

}  // namespace longhaul
