#include "cache/remove.h"

#include <algorithm>
#include <utility>

#include "storage/probe.h"
#include "transfer/runs/row.h"

namespace longhaul::cache {

namespace {

constexpr int kRemovalsInFlight = 32;
constexpr char kProbes[] = "cache/probes";
constexpr char kProbesUnderWay[] = "cache/probes under way";
constexpr std::chrono::hours kProbeAge{24};
// Nobody probes for so long.
constexpr std::chrono::minutes kProbeTime{10};

bool IsUnclear(const Result<std::vector<Result<int64_t>>>& written) {
  if (!written) return written.error().Transient();
  return std::ranges::any_of(
      *written, [](const Result<int64_t>& one) { return !one && one.error().Transient(); });
}

}  // namespace

bool IsCopyOf(const Entry& entry, const ObjectInfo& object) {
  if (!entry.cached_etag.empty() && object.etag == entry.cached_etag) return true;
  if (entry.state == EntryState::kReady) return false;
  // A copy whose end nobody has seen: of the state that was to be copied, or in parts of another
  // size, and then it is as large and no older than the claim. LastModified has whole seconds.
  const bool again = entry.unfinished != SystemTime{};
  if (object.etag == entry.etag || (again && object.etag == entry.unfinished_etag)) return true;
  const SystemTime claimed = again ? entry.unfinished : entry.claimed;
  const bool as_large = object.size_bytes == entry.size_bytes ||
                        (again && object.size_bytes == entry.unfinished_size_bytes);
  return claimed != SystemTime{} && as_large &&
         object.last_modified >= std::chrono::floor<std::chrono::seconds>(claimed);
}

Remover::Remover(Runtime runtime, State& state, Store& store, Place place, CountedBytes& bytes,
                 std::function<Claimant()> claimant, bool conditional)
    : runtime_(runtime),
      state_(state),
      store_(store),
      place_(std::move(place)),
      bytes_(bytes),
      claimant_(std::move(claimant)),
      conditional_(conditional),
      slots_(std::make_shared<Semaphore>(kRemovalsInFlight)) {}

Async<RemovalCounts> Remover::Remove(std::vector<EntryRow> rows,
                                     std::function<void(const RemovalReport&)> on_key) {
  RemovalCounts counts;
  if (rows.empty()) co_return counts;
  const Claimant mine = claimant_();
  const SystemTime now = runtime_.clock.Now();
  if (!ClaimsHold(mine, now)) {
    co_return PreconditionFailed("the lease of run " + std::to_string(mine.run) + " has run out");
  }
  std::vector<StateWrite> writes;
  for (const EntryRow& row : rows) {
    Entry claim = row.entry;
    claim.state = EntryState::kRemoving;
    claim.run = mine.run;
    claim.session = mine.session;
    // Whoever takes this claim over knows as well as we do which object is the copy.
    if (row.entry.state == EntryState::kReady) claim.claimed = {};
    writes.push_back({.key = row.key,
                      .value = EncodeEntry(claim),
                      .expected = Expected::Revision(row.revision)});
  }
  Result<std::vector<Result<int64_t>>> claimed =
      co_await state_.WriteMany(place_.Entries(), std::move(writes));
  // Each may have been written; what is claimed and forgotten would hold up all others.
  if (IsUnclear(claimed)) claimed = co_await FindClaims(rows, mine);
  if (!claimed) co_return claimed.error();
  std::vector<Claim> claims;
  for (size_t i = 0; i < rows.size(); ++i) {
    if ((*claimed)[i]) {
      claims.push_back({.row = std::move(rows[i]), .mine = mine});
      claims.back().row.revision = *(*claimed)[i];
      continue;
    }
    const Error& error = (*claimed)[i].error();
    if (error.kind != ErrorKind::kPrecondition) co_return error;
    ++counts.changed;
    if (on_key) on_key({.key = rows[i].key, .removal = Removal::kChanged});
  }
  TaskGroup removals(runtime_.executor);
  for (Claim& claim : claims) {
    co_await slots_->Acquire();
    removals.Spawn(RemoveOne(claim, std::make_unique<Permit>(slots_)));
  }
  Result<void> removed = co_await removals.Join();
  if (!removed) co_return removed.error();
  Result<void> settled = co_await Settle(claims);
  if (!settled) co_return settled.error();
  for (const Claim& claim : claims) {
    const uint64_t size = claim.row.entry.size_bytes;
    if (claim.removal == Removal::kRemoved) {
      ++counts.removed;
      counts.bytes += static_cast<int64_t>(size);
    }
    if (claim.removal == Removal::kForeign) ++counts.foreign;
    if (claim.removal == Removal::kFailed) ++counts.failed;
    if (claim.removal == Removal::kChanged) ++counts.changed;
    if (!on_key) continue;
    on_key({.key = claim.row.key,
            .removal = claim.removal,
            .size_bytes = size,
            .reason = claim.reason});
  }
  co_return counts;
}

Async<std::vector<Result<int64_t>>> Remover::FindClaims(const std::vector<EntryRow>& rows,
                                                        Claimant mine) {
  std::vector<std::string> keys;
  keys.reserve(rows.size());
  for (const EntryRow& row : rows) keys.push_back(row.key);
  Result<std::vector<std::optional<StateRow>>> found = co_await RepeatedWhileHeld(
      runtime_.clock, claimant_, [&] { return state_.GetMany(place_.Entries(), keys); });
  if (!found) co_return found.error();
  std::vector<Result<int64_t>> claims;
  for (const std::optional<StateRow>& row : *found) {
    Result<Entry> entry = row ? DecodeEntry(*row) : Result<Entry>(Entry());
    if (entry && entry->state == EntryState::kRemoving && entry->session == mine.session) {
      claims.emplace_back(row->revision);
    } else {
      claims.emplace_back(PreconditionFailed("it is not claimed"));
    }
  }
  co_return claims;
}

Async<void> Remover::RemoveOne(Claim& claim, std::unique_ptr<Permit> permit) {
  // A claim that does not hold any more may be a fill's by now.
  if (!ClaimsHold(claim.mine, claimant_(), runtime_.clock.Now())) {
    claim.removal = Removal::kChanged;
    co_return Ok();
  }
  Result<Removal> removed = co_await RemoveObject(claim.row, claim.mine);
  if (removed) {
    claim.removal = *removed;
  } else {
    claim.reason = removed.error().Describe();
  }
  permit.reset();
  co_return Ok();
}

Async<Removal> Remover::RemoveObject(const EntryRow& row, const Claimant& mine) {
  RemoveRequest request{.bucket = place_.bucket, .key = row.key, .at_most_once = true};
  if (conditional_ && row.entry.state == EntryState::kReady && !row.entry.cached_etag.empty()) {
    request.if_match = row.entry.cached_etag;
  } else {
    Result<ObjectInfo> found = co_await store_.Head({.bucket = place_.bucket, .key = row.key});
    if (!found && found.error().kind == ErrorKind::kNotFound) co_return Removal::kNoCopy;
    if (!found) co_return found.error();
    if (!IsCopyOf(row.entry, *found)) co_return Removal::kForeign;
    if (conditional_) request.if_match = found->etag;
  }
  if (!ClaimsHold(mine, claimant_(), runtime_.clock.Now())) co_return Removal::kChanged;
  Result<void> removed = co_await store_.Remove(std::move(request));
  if (removed) co_return Removal::kRemoved;
  if (removed.error().kind != ErrorKind::kPrecondition) co_return removed.error();
  Result<ObjectInfo> left = co_await store_.Head({.bucket = place_.bucket, .key = row.key});
  if (left) co_return Removal::kForeign;
  if (left.error().kind == ErrorKind::kNotFound) co_return Removal::kNoCopy;
  co_return left.error();
}

Async<void> Remover::Settle(std::vector<Claim>& claims) {
  std::vector<StateWrite> writes;
  std::vector<Claim*> of;
  for (Claim& claim : claims) {
    StateWrite write{.key = claim.row.key, .expected = Expected::Revision(claim.row.revision)};
    if (claim.removal == Removal::kFailed) {
      Entry entry = claim.row.entry;
      entry.state = EntryState::kFailed;
      entry.session.clear();
      entry.reason = "its copy could not be removed: " + claim.reason;
      write.value = EncodeEntry(entry);
    }
    // Nothing was asked of the store: it is as it was before. Under a session that goes on nobody
    // would take the claim over.
    if (claim.removal == Removal::kChanged) write.value = EncodeEntry(claim.row.entry);
    writes.push_back(std::move(write));
    of.push_back(&claim);
  }
  if (writes.empty()) co_return Ok();
  Result<std::vector<Result<int64_t>>> results = co_await RepeatedWhileHeld(
      runtime_.clock, claimant_, [&] { return state_.WriteMany(place_.Entries(), writes); });
  if (!results) co_return results.error();
  int64_t freed = 0;
  for (size_t i = 0; i < of.size(); ++i) {
    // Else somebody took this run for dead, and counts the key's bytes; or it was written by an
    // attempt whose answer was lost, and they count until the next recount.
    const bool stays = of[i]->removal == Removal::kFailed || of[i]->removal == Removal::kChanged;
    if ((*results)[i] && !stays) {
      freed += static_cast<int64_t>(of[i]->row.entry.counted_bytes);
    }
  }
  co_return co_await bytes_.Give(freed);
}

Async<bool> DeletesIfMatch(Runtime runtime, State& state, Store& store, Place place,
                           std::string prefix) {
  Result<std::optional<StateRow>> known = co_await state.Get(kProbes, place.Text());
  if (!known) co_return known.error();
  if (*known) {
    if (Result<Row> row = Row::Decode((*known)->value)) co_return row->Flag("delete_if_match");
  }
  const std::string base = NewProbeBase(prefix, runtime.random);
  Row under_way;
  under_way.Set("base", base).Set("until", SystemTime(runtime.clock.Now() + kProbeTime));
  Result<int64_t> noted = co_await state.Write(
      kProbesUnderWay,
      {.key = place.Text(), .value = under_way.Encode(), .expected = Expected::Absent()});
  // Another process is at it, or has left something: this time without.
  if (!noted && noted.error().kind == ErrorKind::kPrecondition) co_return false;
  if (!noted) co_return noted.error();
  Result<Capabilities> probed = co_await ProbeStore(store, place.bucket, base);
  Result<int64_t> over = co_await state.Write(
      kProbesUnderWay, {.key = place.Text(), .expected = Expected::Revision(*noted)});
  if (!over && over.error().kind != ErrorKind::kPrecondition) co_return over.error();
  if (!probed) co_return false;
  Row row;
  row.Set("delete_if_match", probed->delete_if_match);
  Result<int64_t> written = co_await state.Write(
      kProbes,
      {.key = place.Text(), .value = row.Encode(), .expires = runtime.clock.Now() + kProbeAge});
  if (!written) co_return written.error();
  co_return probed->delete_if_match;
}

Async<void> RemoveDeadProbe(Runtime runtime, State& state, Store& store, Place place) {
  Result<std::optional<StateRow>> row = co_await state.Get(kProbesUnderWay, place.Text());
  if (!row) co_return row.error();
  if (!*row) co_return Ok();
  Result<Row> fields = Row::Decode((*row)->value);
  if (!fields) co_return fields.error();
  if (fields->Time("until").value_or(SystemTime{}) > runtime.clock.Now()) co_return Ok();
  Result<void> removed = co_await RemoveProbe(store, place.bucket, fields->Text("base"));
  if (!removed) co_return removed.error();
  Result<int64_t> gone = co_await state.Write(
      kProbesUnderWay, {.key = place.Text(), .expected = Expected::Revision((*row)->revision)});
  if (!gone && gone.error().kind != ErrorKind::kPrecondition) co_return gone.error();
  co_return Ok();
}

}  // namespace longhaul::cache
