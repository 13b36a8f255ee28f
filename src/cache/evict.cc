#include "cache/evict.h"

#include <optional>
#include <utility>

namespace longhaul::cache {

namespace {

constexpr int kEvictTriesMax = 20;
constexpr int kPassesMax = 5;  // Over the rows, where some were written by others meanwhile.

// Rows of dead runs may be taken; those of living ones may not.
Async<std::vector<EntryRow>> Free(std::vector<EntryRow> page, RunLives& lives,
                                  EvictResult& result) {
  std::vector<int64_t> numbers;
  for (const EntryRow& row : page) {
    if (row.entry.claimed_now()) numbers.push_back(row.entry.run);
  }
  Result<void> learnt = co_await lives.Learn(std::move(numbers));
  if (!learnt) co_return learnt.error();
  std::vector<EntryRow> free;
  for (EntryRow& row : page) {
    if (row.entry.claimed_now() && lives.Lives(row.entry)) {
      ++result.claimed;
    } else if (row.entry.pinned && row.entry.state != EntryState::kFailed) {
      ++result.pinned;
    } else {
      free.push_back(std::move(row));
    }
  }
  co_return free;
}

}  // namespace

Async<EvictResult> Evict(Runtime runtime, State& state, Store& store, Place place,
                         std::string prefix, EvictOptions options) {
  EvictResult result;
  RunLives lives(runtime, state, place);
  CountedBytes bytes(runtime, state, place);
  RunSession session(runtime, state, place, options.owner, options.lease);
  std::optional<Remover> remover;
  std::optional<EntryPages> pages(std::in_place, state, place, prefix);
  Result<void> evicted = Ok();
  int64_t changed = 0;  // In this pass: readers note what they use.
  for (int pass = 1; evicted;) {
    if (options.stop != nullptr && options.stop->is_set()) {
      evicted = Cancelled("stopped on request");
      break;
    }
    Result<std::vector<EntryRow>> page = co_await pages->Next();
    if (page && page->empty()) {
      if (changed == 0) break;
      if (pass++ == kPassesMax) {
        result.claimed += changed;
        break;
      }
      result.claimed = result.pinned = changed = 0;
      result.counts.failed = 0;
      pages.emplace(state, place, prefix);
      continue;
    }
    Result<std::vector<EntryRow>> free = page;
    if (page) free = co_await Free(std::move(*page), lives, result);
    if (!free) {
      evicted = free.error();
      break;
    }
    if (free->empty()) continue;
    if (options.dry_run) {
      for (const EntryRow& row : *free) {
        ++result.counts.removed;
        result.counts.bytes += static_cast<int64_t>(row.entry.size_bytes);
        if (options.on_key) {
          options.on_key({.key = row.key, .size_bytes = row.entry.size_bytes, .reason = {}});
        }
      }
      continue;
    }
    if (!session.begun()) {
      Result<void> begun = co_await session.Begin({.kind = RunKind::kEvict, .prefixes = {prefix}});
      if (!begun) co_return begun.error();
      Result<bool> conditional = co_await DeletesIfMatch(runtime, state, store, place, "");
      remover.emplace(
          runtime, state, store, place, bytes, [&session] { return session.claimant(); },
          conditional && *conditional);
    }
    Result<RemovalCounts> counts = co_await remover->Remove(std::move(*free), options.on_key);
    if (!counts) {
      evicted = counts.error();
      break;
    }
    result.counts.removed += counts->removed;
    result.counts.bytes += counts->bytes;
    result.counts.foreign += counts->foreign;
    result.counts.failed += counts->failed;
    changed += counts->changed;
    session.counts.removed = result.counts.removed;
    session.counts.bytes = result.counts.bytes;
    session.counts.failed = result.counts.failed;
  }
  if (session.begun()) {
    Result<void> ended = co_await session.End(!evicted                   ? RunPhase::kStopped
                                              : result.counts.failed > 0 ? RunPhase::kFailed
                                                                         : RunPhase::kDone);
    if (evicted) evicted = ended;
  }
  if (!evicted) co_return evicted.error();
  co_return result;
}

Async<PinResult> Pin(State& state, Place place, std::string prefix, bool pinned) {
  PinResult result;
  EntryPages pages(state, place, prefix);
  while (true) {
    Result<std::vector<EntryRow>> page = co_await pages.Next();
    if (!page) co_return page.error();
    if (page->empty()) co_return result;
    for (EntryRow& row : *page) {
      // A reader or a fill may write the row at the same time.
      for (int tries = 0;; ++tries) {
        // Another run's claim holds by its revision alone. What counts no more can be let go.
        const bool lets_go = !pinned && row.entry.state == EntryState::kFailed;
        if (row.entry.state != EntryState::kReady && !lets_go) {
          ++result.absent;
          break;
        }
        if (row.entry.pinned == pinned) {
          ++result.already;
          break;
        }
        row.entry.pinned = pinned;
        if (lets_go) row.entry.until = SystemTime{};  // The next sweep removes it.
        Result<int64_t> written =
            co_await state.Write(place.Entries(), {.key = row.key,
                                                   .value = EncodeEntry(row.entry),
                                                   .expected = Expected::Revision(row.revision)});
        if (written) {
          ++result.changed;
          break;
        }
        const bool again =
            written.error().kind == ErrorKind::kPrecondition && tries < kEvictTriesMax;
        if (!again) co_return written.error();
        Result<std::optional<StateRow>> read = co_await state.Get(place.Entries(), row.key);
        if (!read) co_return read.error();
        if (!*read) {
          ++result.absent;
          break;
        }
        Result<Entry> entry = DecodeEntry(**read);
        if (!entry) co_return entry.error();
        row.entry = std::move(*entry);
        row.revision = (*read)->revision;
      }
    }
  }
}

}  // namespace longhaul::cache
