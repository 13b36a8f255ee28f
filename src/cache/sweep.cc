#include "cache/sweep.h"

#include <algorithm>

#include "transfer/runs/row.h"

namespace longhaul::cache {

namespace {

constexpr char kSweepers[] = "cache/sweepers";
constexpr std::chrono::hours kRunsKept{30 * 24};
constexpr std::chrono::seconds kPauseMin{15};
// A time to live is no shorter than a minute: what is filled after a sweep ends after the next.
constexpr std::chrono::seconds kPauseMax{45};

// The lease on sweeping a cache.
class SweepLease {
 public:
  SweepLease(Runtime runtime, State& state, Place place, const SweepOptions& options)
      : runtime_(runtime), state_(state), place_(std::move(place)), options_(options) {}

  // False: another process has it.
  Async<bool> Take() {
    Result<std::optional<StateRow>> found = co_await state_.Get(kSweepers, place_.Text());
    if (!found) co_return found.error();
    Expected expected = Expected::Absent();
    if (*found) {
      expected = Expected::Revision((*found)->revision);
      Result<Row> row = Row::Decode((*found)->value);
      if (!row) co_return row.error();
      const bool held = row->Time("until").value_or(SystemTime{}) > runtime_.clock.Now() &&
                        LifeOf(ParseProcess(row->Text("owner"))) != ProcessLife::kGone;
      if (held && row->Text("session") != session_) co_return false;
    }
    if (session_.empty()) session_ = NewUlid(runtime_.clock.Now(), runtime_.random);
    Row row;
    row.Set("owner", ProcessText(options_.owner))
        .Set("session", session_)
        .Set("until", SystemTime(runtime_.clock.Now() + options_.lease));
    Result<int64_t> written = co_await state_.Write(
        kSweepers, {.key = place_.Text(), .value = row.Encode(), .expected = expected});
    if (written) {
      revision_ = *written;
      co_return true;
    }
    if (written.error().kind == ErrorKind::kPrecondition) co_return false;
    co_return written.error();
  }
  asio::awaitable<void> Leave() {
    if (revision_ == 0) co_return;
    // What cannot be written runs out.
    Result<int64_t> left = co_await state_.Write(
        kSweepers, {.key = place_.Text(), .expected = Expected::Revision(revision_)});
    static_cast<void>(left);
  }

 private:
  Runtime runtime_;
  State& state_;
  Place place_;
  const SweepOptions& options_;
  std::string session_;
  int64_t revision_ = 0;
};

class Sweeper {
 public:
  Sweeper(Runtime runtime, State& state, Store& store, Place place, SweepOptions& options)
      : runtime_(runtime),
        state_(state),
        store_(store),
        place_(std::move(place)),
        options_(options),
        lives_(runtime, state, place_),
        bytes_(runtime, state, place_),
        session_(runtime, state, place_, options.owner, options.lease),
        lease_(runtime, state, place_, options) {}

  Async<SweepResult> SweepAll() {
    Result<bool> taken = co_await lease_.Take();
    if (!taken) co_return taken.error();
    if (!*taken) {
      result_.elsewhere = true;
      co_return result_;
    }
    Result<void> swept = co_await SweepRows();
    if (swept) swept = co_await RemoveDeadProbe(runtime_, state_, store_, place_);
    if (session_.begun()) {
      session_.counts.removed = result_.counts.removed;
      session_.counts.bytes = result_.counts.bytes;
      session_.counts.failed = result_.counts.failed;
      Result<void> ended = co_await session_.End(!swept                      ? RunPhase::kStopped
                                                 : result_.counts.failed > 0 ? RunPhase::kFailed
                                                                             : RunPhase::kDone);
      if (swept && !ended) swept = ended.error();
      Result<void> pruned = co_await RunBook(runtime_, state_, place_).Prune(kRunsKept);
      static_cast<void>(pruned);  // The next one tries again.
    }
    co_await lease_.Leave();
    if (!swept) co_return swept.error();
    co_return result_;
  }

 private:
  Async<void> SweepRows() {
    EntryPages pages(state_, place_, "");
    while (options_.stop == nullptr || !options_.stop->is_set()) {
      Result<std::vector<EntryRow>> page = co_await pages.Next();
      if (!page) co_return page.error();
      if (page->empty()) co_return Ok();
      std::vector<int64_t> numbers;
      for (const EntryRow& row : *page) {
        if (row.entry.claimed_now()) numbers.push_back(row.entry.run);
      }
      Result<void> learnt = co_await lives_.Learn(std::move(numbers));
      if (!learnt) co_return learnt.error();
      const SystemTime now = runtime_.clock.Now();
      std::vector<EntryRow> over;
      for (EntryRow& row : *page) {
        if (IsOver(row.entry, lives_.Lives(row.entry), now)) {
          over.push_back(std::move(row));
          continue;
        }
        if (row.entry.state == EntryState::kReady) ++result_.kept;
        if (row.entry.pinned || row.entry.until <= now) continue;
        if (!result_.next || row.entry.until < *result_.next) result_.next = row.entry.until;
      }
      if (over.empty()) continue;
      Result<void> removed = co_await RemoveRows(std::move(over));
      if (!removed) co_return removed.error();
      // Removals take their time; another process must not begin beside this one.
      Result<bool> held = co_await lease_.Take();
      if (!held) co_return held.error();
      if (!*held) co_return PreconditionFailed("another process has begun to sweep this cache");
    }
    co_return Cancelled("stopped on request");
  }

  Async<void> RemoveRows(std::vector<EntryRow> rows) {
    if (!session_.begun()) {
      Result<void> begun = co_await session_.Begin({.kind = RunKind::kSweep});
      if (!begun) co_return begun.error();
      Result<bool> conditional = co_await DeletesIfMatch(runtime_, state_, store_, place_, "");
      if (!conditional) co_return conditional.error();
      remover_.emplace(
          runtime_, state_, store_, place_, bytes_, [this] { return session_.claimant(); },
          *conditional);
    }
    Result<RemovalCounts> counts = co_await remover_->Remove(std::move(rows), options_.on_key);
    if (!counts) co_return counts.error();
    result_.counts.removed += counts->removed;
    result_.counts.bytes += counts->bytes;
    result_.counts.foreign += counts->foreign;
    result_.counts.failed += counts->failed;
    session_.counts.removed = result_.counts.removed;
    co_return Ok();
  }

  Runtime runtime_;
  State& state_;
  Store& store_;
  Place place_;
  SweepOptions& options_;
  RunLives lives_;
  CountedBytes bytes_;
  RunSession session_;
  SweepLease lease_;
  std::optional<Remover> remover_;
  SweepResult result_;
};

}  // namespace

bool IsOver(const Entry& entry, bool claim_lives, SystemTime now) {
  if (entry.claimed_now() && claim_lives) return false;
  if (entry.state == EntryState::kRemoving) return true;  // Whoever began it is dead.
  return !entry.pinned && entry.until <= now;
}

Async<SweepResult> Sweep(Runtime runtime, State& state, Store& store, Place place,
                         SweepOptions options) {
  Sweeper sweeper(runtime, state, store, std::move(place), options);
  co_return co_await sweeper.SweepAll();
}

asio::awaitable<void> KeepSweeping(Runtime runtime, State& state, Store& store, Place place,
                                   Event& stop, ProcessName owner) {
  while (!stop.is_set()) {
    SystemTime next = runtime.clock.Now() + kPauseMax;
    Result<SweepResult> swept =
        co_await Sweep(runtime, state, store, place, {.owner = owner, .stop = &stop});
    if (!swept && swept.error().kind == ErrorKind::kCancelled) co_return;
    if (!swept) {
      runtime.log.Warning("a cache cannot be swept", {{"cache", place.bucket}, swept.error()});
    } else {
      if (swept->counts.removed > 0) {
        runtime.log.Info("copies removed", {{"cache", place.bucket},
                                            {"objects", swept->counts.removed},
                                            {"bytes", swept->counts.bytes}});
      }
      if (swept->next) next = std::min(next, *swept->next);
    }
    const auto pause = std::max<std::chrono::nanoseconds>(kPauseMin, next - runtime.clock.Now());
    if (co_await stop.WaitFor(runtime.clock, pause)) co_return;
  }
}

}  // namespace longhaul::cache
