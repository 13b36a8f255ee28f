#include "cache/fill.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <utility>

#include "base/units.h"
#include "cache/budget.h"
#include "cache/decide.h"
#include "cache/fill_bill.h"
#include "cache/fill_copy.h"
#include "transfer/listing/listing.h"

namespace longhaul::cache {

namespace {

using std::chrono::milliseconds;

constexpr size_t kKeysPerPage = 500;
constexpr size_t kRowsPerFlush = 100;
constexpr milliseconds kFlushEvery{100};
constexpr milliseconds kLookMin{100};
constexpr milliseconds kLookMax{2000};
constexpr std::chrono::hours kRunsKept{30 * 24};

constexpr std::array<std::string_view, 6> kOutcomes = {"hit",  "copied", "found",
                                                       "gone", "failed", "waiting"};

using Key = FillKey;
using Task = FillTask;
using Ending = FillEnding;

// The prefixes without those that lie below others.
std::vector<std::string> WithoutCovered(std::vector<std::string> prefixes) {
  std::ranges::sort(prefixes);
  std::vector<std::string> left;
  for (std::string& prefix : prefixes) {
    if (left.empty() || !prefix.starts_with(left.back())) left.push_back(std::move(prefix));
  }
  return left;
}

class Filler {
 public:
  Filler(Runtime runtime, State& state, FillRequest& request, FillOptions& options)
      : runtime_(runtime),
        state_(state),
        request_(request),
        options_(options),
        place_{.store = request.target.description(), .bucket = request.bucket},
        book_(runtime, state, place_),
        lives_(runtime, state, place_),
        bytes_(runtime, state, place_),
        slots_(std::make_shared<Semaphore>(options.in_flight)),
        listers_(std::make_shared<Semaphore>(options.prefixes_at_once)),
        copies_(runtime.executor),
        helpers_(runtime.executor) {
    for (const std::string& prefix : request.prefixes)
      result_.prefixes.push_back({.prefix = prefix});
  }
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;

  Async<FillResult> FillAll() {
    Result<void> begun = co_await Begin();
    if (!begun) co_return begun.error();
    helpers_.Spawn(KeepLease());
    helpers_.Spawn(KeepFlushing());

    TaskGroup listings(runtime_.executor);
    for (const std::string& prefix : WithoutCovered(request_.prefixes)) {
      listings.Spawn(ListPrefix(prefix));
    }
    Result<void> listed = co_await listings.Join();
    if (!listed) Abandon(listed.error());
    if (!error_) co_await WaitForOthers();
    Result<void> copied = co_await copies_.Join();
    if (!copied) Abandon(copied.error());
    if (!error_) co_await Flush();
    ended_.Set();
    Result<void> helped = co_await helpers_.Join();
    if (!helped) Abandon(helped.error());
    co_return co_await End();
  }

 private:
  // -- the run's row

  Async<void> Begin() {
    run_ = {.session = NewUlid(runtime_.clock.Now(), runtime_.random),
            .owner = options_.owner,
            .source = SourceText(request_.source.description(), request_.source_bucket),
            .source_name = request_.source_name,
            .target_prefix = request_.target_prefix,
            .prefixes = request_.prefixes,
            .ttl = request_.ttl,
            .force = request_.force,
            .started = runtime_.clock.Now()};
    run_.lease_until = runtime_.clock.Now() + options_.lease;
    Result<cache::Run> begun = run_;
    if (request_.resume) {
      Result<void> taken = co_await TakeOver();
      if (!taken) co_return taken.error();
      begun = co_await book_.Save(run_);
    } else {
      Result<void> noted = co_await NotePlace(state_, place_);
      if (!noted) co_return noted.error();
      begun = co_await book_.Begin(run_);
    }
    if (!begun) co_return begun.error();
    run_ = std::move(*begun);
    Result<void> pruned = co_await book_.Prune(kRunsKept);
    static_cast<void>(pruned);  // The next run tries again.
    Result<void> budget = co_await OpenBudget();
    if (!budget) {
      // Nothing has been claimed; the row says that the run is over.
      Abandon(budget.error());
      Result<FillResult> ended = co_await End();
      co_return ended ? budget.error() : ended.error();
    }
    if (options_.on_begin) options_.on_begin(run_);
    co_return Ok();
  }

  Async<void> OpenBudget() {
    if (request_.budget_bytes) {
      Result<void> set = co_await SetBudget(state_, place_, *request_.budget_bytes);
      if (!set) co_return set.error();
    }
    Result<uint64_t> limit = co_await BudgetOf(state_, place_);
    if (!limit) co_return limit.error();
    bool conditional = false;
    if (*limit > 0) {
      Result<void> counted = co_await bytes_.Recount(run_.number);
      if (!counted) co_return counted.error();
      Result<bool> heeded = co_await DeletesIfMatch(runtime_, state_, request_.target, place_,
                                                    request_.target_prefix);
      if (!heeded) co_return heeded.error();
      conditional = *heeded;
    }
    remover_.emplace(
        runtime_, state_, request_.target, place_, bytes_,
        [this] { return Claimant{run_.number, run_.session, run_.lease_until, lapses_}; },
        conditional);
    budget_.emplace(runtime_, state_, place_, bytes_, *remover_);
    co_return co_await budget_->Open();
  }

  Async<void> TakeOver() {
    Result<cache::Run> found = co_await book_.Find(*request_.resume);
    if (!found) co_return found.error();
    const std::string name = "run " + std::to_string(found->number);
    if (IsAlive(*found, runtime_.clock.Now())) {
      co_return PreconditionFailed(name + " is under way");
    }
    if (found->phase == RunPhase::kDone) co_return InvalidInput(name + " has nothing left to do");
    if (found->source != run_.source || found->prefixes != run_.prefixes ||
        found->target_prefix != run_.target_prefix || found->force != run_.force) {
      co_return InvalidInput(name + " is one of other prefixes or options: give the same again");
    }
    run_.number = found->number;
    run_.revision = found->revision;
    run_.started = found->started;
    co_return Ok();
  }

  // Written again often enough that others see it alive.
  Async<void> KeepLease() {
    while (!co_await ended_.WaitFor(runtime_.clock, options_.lease / 3)) {
      cache::Run next = Described();
      next.lease_until = runtime_.clock.Now() + options_.lease;
      const SystemTime until = run_.lease_until;
      Result<void> saved = co_await SaveRow(std::move(next));
      // Asked for or answered late: who saw it run out has taken over what was claimed.
      if (runtime_.clock.Now() >= until) ++lapses_;
      if (saved || (saved.error().Transient() && runtime_.clock.Now() < run_.lease_until)) continue;
      Abandon(saved.error().In("the lease of run " + std::to_string(run_.number)));
      co_return Ok();
    }
    co_return Ok();
  }

  // kPrecondition: another session has taken the run over.
  Async<void> SaveRow(cache::Run row) {
    Result<cache::Run> saved = co_await book_.Save(row);
    if (!saved && saved.error().kind == ErrorKind::kPrecondition) {
      // Perhaps by a write of ours whose answer was lost.
      Result<cache::Run> found = co_await book_.Find(run_.number);
      if (!found) co_return found.error();
      if (found->session != run_.session) co_return saved.error();
      row.revision = found->revision;
      saved = co_await book_.Save(std::move(row));
    }
    if (!saved) co_return saved.error();
    run_ = std::move(*saved);
    co_return Ok();
  }

  // The row as it is to be written now.
  cache::Run Described() {
    cache::Run next = run_;
    const int64_t waiting = run_.counts.waiting;
    next.counts = counts_;
    next.counts.waiting = waiting;
    next.failures = failures_;
    if (options_.bill != nullptr) {
      next.cost = options_.bill->Reckon({.jobs = copied_below_.size(),
                                         .copies = static_cast<uint64_t>(counts_.copied),
                                         .bytes = static_cast<uint64_t>(counts_.bytes),
                                         .listed = told_},
                                        request_.ttl);
    }
    if (looking_at_ > 0) return next;  // Half of them are not where they belong.
    std::set<int64_t> waits_for;
    for (const Key& key : waiting_) {
      if (key.waited_for != 0) waits_for.insert(key.waited_for);
    }
    next.waits_for.assign(waits_for.begin(), waits_for.end());
    next.counts.waiting = static_cast<int64_t>(waiting_.size());
    return next;
  }

  Async<FillResult> End() {
    for (const Key& key : waiting_) {
      Tell(key, Outcome::kWaiting, "", key.waited_for);
      for (FillResult::OfPrefix* of : PrefixesOf(key.key)) ++of->waiting;
    }
    const bool stopped = error_.has_value() || Stopping();
    cache::Run last = Described();
    last.phase = stopped            ? RunPhase::kStopped
                 : result_.failed() ? RunPhase::kFailed
                                    : RunPhase::kDone;
    last.ended = runtime_.clock.Now();
    if (stopped) last.reason = error_ ? error_->Describe() : "stopped on request";
    last.unfinished.clear();
    for (const FillResult::OfPrefix& of : result_.prefixes) {
      if (of.failed == 0 && of.waiting == 0 && of.not_listed.empty()) continue;
      if (last.unfinished.size() < kUnfinishedKept) last.unfinished.push_back(of);
    }
    Result<void> saved = co_await Retried([&] { return SaveRow(last); });
    if (error_) co_return *error_;
    if (!saved) co_return saved.error();
    if (stopped) co_return Cancelled("stopped on request");
    result_.run = run_;
    co_return std::move(result_);
  }

  // -- listing and deciding

  Async<void> ListPrefix(std::string prefix) {
    co_await listers_->Acquire();
    Permit permit(listers_);
    std::unique_ptr<Listing> listing =
        OpenListing(runtime_, request_.source, request_.source_bucket, prefix);
    std::vector<Key> page;
    Result<void> decided = Ok();
    bool more = true;
    while (more && decided && !Stopping()) {
      ListedObject object;
      if (!listing->TakeReady(object)) {
        Result<std::optional<ListedObject>> next = co_await listing->Next();
        if (!next) {
          NotListed(prefix, next.error());
          more = false;
        } else if (!*next) {
          more = false;
        } else {
          object = std::move(**next);
        }
      }
      if (more) {
        page.push_back({.key = std::move(object.key),
                        .size_bytes = object.size_bytes,
                        .etag = std::move(object.etag),
                        .modified = object.last_modified});
      }
      if (page.size() == kKeysPerPage || (!more && !page.empty())) {
        decided = co_await Settle(std::exchange(page, {}));
      }
    }
    co_await listing->Close();
    co_return decided;
  }

  // Reads, decides, writes; again for those whose rows somebody else has changed meanwhile.
  Async<void> Settle(std::vector<Key> keys) {
    std::vector<Task> tasks;
    while (!keys.empty() && !Stopping()) {
      std::vector<std::string> names;
      names.reserve(keys.size());
      for (const Key& key : keys) names.push_back(request_.target_prefix + key.key);
      Result<std::vector<std::optional<StateRow>>> rows =
          co_await Retried([&] { return state_.GetMany(place_.Entries(), names); });
      if (!rows) co_return rows.error();
      std::vector<std::optional<Entry>> entries(keys.size());
      for (size_t i = 0; i < keys.size(); ++i) {
        if (!(*rows)[i]) continue;
        Result<Entry> entry = DecodeEntry(*(*rows)[i]);
        if (!entry) co_return entry.error();
        entries[i] = std::move(*entry);
      }
      Result<void> known = co_await LearnRuns(entries);
      if (!known) co_return known.error();

      std::vector<Key> left;
      std::vector<int64_t> counted;  // What was counted for each write.
      std::vector<StateWrite> writes;
      std::vector<std::pair<Key, std::optional<Task>>> written;  // Without a task: a hit.
      const SystemTime now = runtime_.clock.Now();
      for (size_t i = 0; i < keys.size(); ++i) {
        Key& key = keys[i];
        const std::optional<Entry>& entry = entries[i];
        const Wish wish = WishOf(key, now);
        const bool lives = entry && entry->claimed_now() && lives_.Lives(*entry);
        const Verdict verdict = Decide(entry, wish, lives, now);
        if (verdict == Verdict::kForeign) {
          const bool other_key = entry->source == wish.source;
          Failed(key,
                 "a copy of " + std::string(other_key ? "another key of " : "") + entry->source +
                     " lies there",
                 0);
          continue;
        }
        if (verdict == Verdict::kWait) {
          key.waited_for = entry->run;
          key.being_removed = entry->state == EntryState::kRemoving;
          waiting_.push_back(std::move(key));
          continue;
        }
        if (key.waited_for != 0 && verdict == Verdict::kCopy && entry &&
            entry->state == EntryState::kFailed && entry->run == key.waited_for &&
            CountsFor(wish, entry->run)) {
          Failed(key, entry->reason, entry->run);
          continue;
        }
        if (verdict == Verdict::kCopyOwn) {
          tasks.push_back(
              {.key = std::move(key), .claim = *entry, .revision = (*rows)[i]->revision});
          continue;
        }
        const bool hit = verdict == Verdict::kHit;
        const int64_t more = hit ? 0 : MoreOf(key, entry);
        Result<bool> room = co_await TakeRoom(key, more);
        if (!room) co_return room.error();
        if (!*room) continue;
        counted.push_back(more);
        Entry next = hit ? Extended(*entry, wish, now) : Claimed(entry, wish, now);
        writes.push_back({.key = names[i],
                          .value = EncodeEntry(next),
                          .expected = (*rows)[i] ? Expected::Revision((*rows)[i]->revision)
                                                 : Expected::Absent()});
        std::optional<Task> task;
        if (!hit) {
          task = Task{.key = key, .claim = std::move(next)};
          // A copy that a killed run may have made; not where the source has other headers since.
          if (entry && entry->state == EntryState::kCopying &&
              entry->MayBeOf(wish.source, wish.target_prefix) && entry->etag == key.etag &&
              !IsLater(wish.modified, entry->modified) && CountsFor(wish, entry->run)) {
            task->looks_from = entry->claimed;
          }
        }
        written.emplace_back(std::move(key), std::move(task));
      }
      if (!writes.empty()) {
        Result<void> took = co_await TakeUnlimited(counted);
        if (!took) co_return took.error();
        Result<std::vector<Result<int64_t>>> results =
            co_await state_.WriteMany(place_.Entries(), std::move(writes));
        // Each may have been written: the next look tells, as it does of single ones, and what was
        // counted for it stays so.
        if (!results && !results.error().Transient()) co_return results.error();
        if (!results) co_await runtime_.clock.Sleep(kLookMin);
        int64_t unused = 0;
        for (size_t i = 0; i < written.size(); ++i) {
          auto& [key, task] = written[i];
          if (results && !(*results)[i]) unused += counted[i];
          if (!results || !(*results)[i]) {
            if (results && !(*results)[i].error().Transient() &&
                (*results)[i].error().kind != ErrorKind::kPrecondition) {
              co_return (*results)[i].error();
            }
            left.push_back(std::move(key));
          } else if (task) {
            task->revision = *(*results)[i];
            tasks.push_back(std::move(*task));
          } else {
            ++counts_.hits;
            Tell(key, Outcome::kHit);
          }
        }
        Result<void> given = co_await bytes_.Give(unused);
        if (!given) co_return given.error();
      }
      keys = std::move(left);
    }
    for (Task& task : tasks) {
      if (Stopping()) break;  // What is claimed and not copied is free when this run has ended.
      co_await slots_->Acquire();
      copies_.Spawn(Copy(std::move(task), std::make_unique<Permit>(slots_)));
    }
    co_return Ok();
  }

  Wish WishOf(const Key& key, SystemTime now) const {
    return {.run = run_.number,
            .session = run_.session,
            .force = request_.force,
            .again = key.again,
            .source = run_.source,
            .target_prefix = request_.target_prefix,
            .etag = key.etag,
            .size_bytes = key.size_bytes,
            .modified = key.modified,
            .until = now + request_.ttl};
  }

  // Whose claims hold: of each run that `entries` name, a row that is young enough.
  Async<void> LearnRuns(const std::vector<std::optional<Entry>>& entries) {
    std::vector<int64_t> numbers;
    for (const std::optional<Entry>& entry : entries) {
      if (!entry || !entry->claimed_now()) continue;
      if (entry->run == run_.number && entry->session == run_.session) continue;
      numbers.push_back(entry->run);
    }
    co_return co_await Retried([&] { return lives_.Learn(numbers); });
  }

  // What a claim of the key counts more than its row does now.
  static int64_t MoreOf(const Key& key, const std::optional<Entry>& entry) {
    const uint64_t counted = entry ? entry->counted_bytes : 0;
    return key.size_bytes > counted ? static_cast<int64_t>(key.size_bytes - counted) : 0;
  }

  // Without a budget, all of a round is counted in one step.
  Async<void> TakeUnlimited(const std::vector<int64_t>& counted) {
    const int64_t sum = std::accumulate(counted.begin(), counted.end(), int64_t{0});
    if (budget_->limit_bytes() != 0 || sum == 0) co_return Ok();
    Result<int64_t> taken = co_await bytes_.Take(sum);
    if (!taken) co_return taken.error();
    co_return Ok();
  }

  // False where the budget has no room for it: the key has failed then.
  Async<bool> TakeRoom(const Key& key, int64_t bytes) {
    if (budget_->limit_bytes() == 0 || bytes == 0) co_return true;
    Result<bool> room = co_await budget_->Take(bytes, run_.started);
    if (!room) co_return room.error();
    if (!*room) {
      Failed(key,
             fmt::format("it does not fit: the budget of the cache is {}, and what this run has "
                         "not used, and nobody has pinned, does not make room for it",
                         FormatSizeExact(budget_->limit_bytes())),
             0);
    }
    co_return *room;
  }

  // Looks again at what others are copying, until there is nothing left to wait for.
  asio::awaitable<void> WaitForOthers() {
    milliseconds pause = kLookMin;
    while (!Stopping()) {
      if (!MustWait()) {
        // Copies under way may find that somebody has taken their keys.
        Result<void> copied = co_await copies_.Join();
        if (!copied) Abandon(copied.error());
        co_await Flush();
        if (!MustWait()) co_return;
      }
      co_await runtime_.clock.Sleep(pause);
      const size_t waited = waiting_.size();
      std::vector<Key> keys = std::exchange(waiting_, {});
      for (size_t at = 0; at < keys.size() && !Stopping(); at += kKeysPerPage) {
        looking_at_ = keys.size() - at;
        const size_t end = std::min(keys.size(), at + kKeysPerPage);
        Result<void> settled =
            co_await Settle({std::make_move_iterator(keys.begin() + static_cast<ptrdiff_t>(at)),
                             std::make_move_iterator(keys.begin() + static_cast<ptrdiff_t>(end))});
        if (!settled) Abandon(settled.error());
      }
      looking_at_ = 0;
      pause = waiting_.size() < waited ? kLookMin : std::min(2 * pause, kLookMax);
    }
  }
  [[nodiscard]] bool MustWait() const {
    return std::ranges::any_of(waiting_, [&](const Key& key) {
      return request_.wait || key.being_removed || !CountsFor(WishOf(key, {}), key.waited_for);
    });
  }

  // -- copying

  Async<void> Copy(Task task, std::unique_ptr<Permit> permit) {
    if (Stopping()) co_return Ok();
    Result<Outcome> outcome = co_await CopyClaimed(runtime_, request_, options_, task);
    if (!outcome) co_return Ok();  // Stopped: the claim ends with the run.
    endings_.push_back(EndingOf(std::move(task), *outcome, runtime_.clock.Now(), request_.ttl));
    if (endings_.size() >= kRowsPerFlush) flush_wanted_.NotifyAll();
    co_return Ok();
  }

  Async<void> KeepFlushing() {
    while (!ended_.is_set()) {
      co_await flush_wanted_.WaitFor(runtime_.clock, kFlushEvery);
      co_await Flush();
    }
    co_return Ok();
  }

  // One at a time; on return all that had ended before the call is written.
  asio::awaitable<void> Flush() {
    while (flushing_) co_await flushed_.Wait();
    flushing_ = true;
    while (!endings_.empty() && !error_) {
      std::vector<Ending> batch(std::make_move_iterator(endings_.begin()),
                                std::make_move_iterator(endings_.end()));
      endings_.clear();
      Result<void> written = co_await WriteEndings(std::move(batch));
      if (!written) Abandon(written.error());
    }
    flushing_ = false;
    flushed_.NotifyAll();
  }

  Async<void> WriteEndings(std::vector<Ending> batch) {
    int64_t more = 0;  // Of objects that have grown since they were listed.
    for (const Ending& ending : batch) more += std::max<int64_t>(0, ending.counts_more());
    if (more > 0) {
      Result<int64_t> taken = co_await bytes_.Take(more);
      if (!taken) co_return taken.error();
    }
    int64_t less = 0;
    std::vector<std::string> values;
    std::vector<StateWrite> writes;
    for (const Ending& ending : batch) {
      StateWrite write{.key = request_.target_prefix + ending.task.key.key,
                       .expected = Expected::Revision(ending.task.revision)};
      if (ending.entry) write.value = EncodeEntry(*ending.entry);
      values.push_back(write.value.value_or(""));
      writes.push_back(std::move(write));
    }
    Result<std::vector<Result<int64_t>>> results =
        co_await Retried([&] { return state_.WriteMany(place_.Entries(), writes); });
    if (!results) co_return results.error();
    for (size_t i = 0; i < batch.size(); ++i) {
      Result<int64_t>& result = (*results)[i];
      bool ours = result.has_value();
      if (!ours) {
        // Perhaps it was written by an attempt whose answer was lost.
        const std::string name = writes[i].key;
        Result<std::optional<StateRow>> row =
            co_await Retried([&] { return state_.Get(place_.Entries(), name); });
        if (!row) co_return row.error();
        ours = *row ? (*row)->value == values[i] : !batch[i].entry.has_value();
        if (!ours && *row && (*row)->revision == batch[i].task.revision) {
          co_return result.error();
        }
      }
      if (ours) {
        less += std::max<int64_t>(0, -batch[i].counts_more());
        Counted(batch[i]);
        continue;
      }
      less += std::max<int64_t>(0, batch[i].counts_more());
      // Somebody took this run for dead. Which of two copies was the last, nobody knows.
      Key key = std::move(batch[i].task.key);
      key.again = true;
      if (batch[i].outcome == Outcome::kCopied) key.put_etag = batch[i].entry->cached_etag;
      waiting_.push_back(std::move(key));
    }
    co_return co_await bytes_.Give(less);
  }

  void Counted(const Ending& ending) {
    const Key& key = ending.task.key;
    switch (ending.outcome) {
      case Outcome::kCopied:
        ++counts_.copied;
        counts_.bytes += static_cast<int64_t>(ending.task.claim.size_bytes);
        for (const FillResult::OfPrefix* of : PrefixesOf(key.key)) copied_below_.insert(of->prefix);
        break;
      case Outcome::kFound:
        ++counts_.hits;
        break;
      case Outcome::kGone:
        ++counts_.gone;
        break;
      default:
        Failed(key, ending.task.claim.reason, 0);
        return;
    }
    Tell(key, ending.outcome);
  }

  // -- what is told

  void Failed(const Key& key, const std::string& reason, int64_t by_run) {
    ++counts_.failed;
    if (by_run != 0) ++counts_.inherited;
    if (failures_.size() < kFailuresKept) failures_.push_back({.key = key.key, .reason = reason});
    for (FillResult::OfPrefix* of : PrefixesOf(key.key)) ++of->failed;
    Tell(key, Outcome::kFailed, reason, by_run);
  }
  void NotListed(const std::string& prefix, const Error& error) {
    for (FillResult::OfPrefix& of : result_.prefixes) {
      if (of.prefix.starts_with(prefix)) of.not_listed = error.Describe();
    }
  }
  void Tell(const Key& key, Outcome outcome, std::string_view reason = "", int64_t by_run = 0) {
    ++told_;
    if (!options_.on_key) return;
    options_.on_key({.key = key.key,
                     .outcome = outcome,
                     .size_bytes = key.size_bytes,
                     .reason = reason,
                     .by_run = by_run});
  }
  std::vector<FillResult::OfPrefix*> PrefixesOf(const std::string& key) {
    std::vector<FillResult::OfPrefix*> of;
    for (FillResult::OfPrefix& prefix : result_.prefixes) {
      if (key.starts_with(prefix.prefix)) of.push_back(&prefix);
    }
    return of;
  }

  // -- the rest

  [[nodiscard]] bool Stopping() const {
    return error_ || (options_.stop != nullptr && options_.stop->is_set());
  }
  void Abandon(Error error) {
    if (!error_) error_ = std::move(error);
  }
  // For as long as the lease holds; what cannot be written for so long belongs to others then.
  template <class Make>
  auto Retried(Make make) -> decltype(make()) {
    milliseconds pause = kLookMin;
    while (true) {
      auto result = co_await make();
      if (result || !result.error().Transient() || error_ ||
          runtime_.clock.Now() >= run_.lease_until) {
        co_return result;
      }
      co_await runtime_.clock.Sleep(pause);
      pause = std::min(2 * pause, kLookMax);
    }
  }

  Runtime runtime_;
  State& state_;
  FillRequest& request_;
  FillOptions& options_;
  Place place_;
  RunBook book_;
  cache::Run run_;
  int64_t lapses_ = 0;  // Of its lease.
  RunLives lives_;
  CountedBytes bytes_;
  std::optional<Remover> remover_;
  std::optional<Budget> budget_;
  FillCounts counts_;
  uint64_t told_ = 0;                   // Keys.
  std::set<std::string> copied_below_;  // Prefixes, as they were asked for.
  std::vector<cache::Run::Failure> failures_;
  FillResult result_;
  std::shared_ptr<Semaphore> slots_;    // shared: a Permit may outlive this (base/async.h).
  std::shared_ptr<Semaphore> listers_;  // The same.
  TaskGroup copies_;
  TaskGroup helpers_;
  Event ended_;
  std::vector<Key> waiting_;
  size_t looking_at_ = 0;
  std::vector<Ending> endings_;
  WaitList flush_wanted_;
  WaitList flushed_;
  bool flushing_ = false;
  std::optional<Error> error_;
};

}  // namespace

std::string_view ToString(Outcome outcome) { return kOutcomes[static_cast<size_t>(outcome)]; }

bool FillResult::failed() const {
  return std::ranges::any_of(
      prefixes, [](const OfPrefix& of) { return of.failed > 0 || !of.not_listed.empty(); });
}

Async<FillResult> Fill(Runtime runtime, State& state, FillRequest request, FillOptions options) {
  Filler filler(runtime, state, request, options);
  co_return co_await filler.FillAll();
}

}  // namespace longhaul::cache
