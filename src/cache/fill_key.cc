#include "cache/fill_key.h"

#include <algorithm>
#include <utility>

#include "cache/fill_copy.h"
#include "transfer/object/copy_object.h"

namespace longhaul::cache {

namespace {

constexpr int kTriesMax = 20;
constexpr std::chrono::milliseconds kPauseMin{50};
constexpr std::chrono::milliseconds kPauseMax{2000};

SourceState StateOf(const ObjectInfo& info) {
  return {.etag = info.etag, .size_bytes = info.size_bytes, .modified = info.last_modified};
}

// Of a claim, whoever holds it finds it gone and copies again.
Entry CountsNoMore(Entry entry, SystemTime now) {
  entry.state = EntryState::kFailed;
  entry.session.clear();
  entry.reason = "the source has changed";
  if (!entry.pinned) entry.until = now;
  return entry;
}

}  // namespace

KeyFiller::KeyFiller(Runtime runtime, State& state, Store& source, Store& target, Place place,
                     KeyFillerOptions options)
    : runtime_(runtime),
      state_(state),
      source_(source),
      target_(target),
      place_(std::move(place)),
      options_(std::move(options)),
      source_text_(SourceText(source.description(), options_.source_bucket)),
      session_(runtime, state, place_, options_.owner, options_.lease),
      lives_(runtime, state, place_),
      bytes_(runtime, state, place_),
      uses_(runtime, state, place_),
      uploads_(runtime, state, options_.owner, "", ""),
      helpers_(runtime.executor) {}

Async<void> KeyFiller::Begin() {
  Result<void> noted = co_await NotePlace(state_, place_);
  if (!noted) co_return noted.error();
  Result<bool> conditional =
      co_await DeletesIfMatch(runtime_, state_, target_, place_, options_.target_prefix);
  if (!conditional) co_return conditional.error();
  Result<void> begun = co_await session_.Begin({.kind = options_.kind,
                                                .source = source_text_,
                                                .source_name = options_.source_name,
                                                .target_prefix = options_.target_prefix,
                                                .prefixes = {""},
                                                .ttl = options_.ttl});
  if (!begun) co_return begun.error();
  remover_.emplace(
      runtime_, state_, target_, place_, bytes_, [this] { return session_.claimant(); },
      *conditional);
  budget_.emplace(runtime_, state_, place_, bytes_, *remover_, [this] { return uses_.Write(); });
  Result<void> opened = co_await budget_->Open();
  if (!opened) {
    Result<void> ended = co_await session_.End(RunPhase::kStopped);
    static_cast<void>(ended);
    co_return opened;
  }
  helpers_.Spawn(uses_.KeepWriting(ended_));
  co_return Ok();
}

Async<void> KeyFiller::End() {
  ended_.Set();
  Result<void> helped = co_await helpers_.Join();
  static_cast<void>(helped);
  Result<void> written = co_await uses_.Write();
  static_cast<void>(written);  // What was read last counts as used a little earlier.
  co_return co_await session_.End(RunPhase::kDone);
}

Async<std::optional<EntryRow>> KeyFiller::Read(std::string key) {
  Result<std::optional<StateRow>> row =
      co_await state_.Get(place_.Entries(), options_.target_prefix + key);
  if (!row) co_return row.error();
  if (!*row) co_return std::optional<EntryRow>();
  Result<Entry> entry = DecodeEntry(**row);
  if (!entry) co_return entry.error();
  co_return std::optional(EntryRow{
      .key = std::move((*row)->key), .revision = (*row)->revision, .entry = std::move(*entry)});
}

Async<void> KeyFiller::Fill(std::string key, SourceState found) {
  if (filling_.contains(key)) co_return Ok();
  const Turn turn(*this, key);
  co_return co_await FillInTurn(key, std::move(found));
}

Async<void> KeyFiller::FillInTurn(const std::string& key, SourceState found) {
  std::optional<Entry> lost;  // What was put there under a claim that was broken.
  std::chrono::milliseconds pause = kPauseMin;
  for (int tries = 0; tries < kTriesMax && !Stopping(); ++tries) {
    if (!session_.Holds()) co_return PreconditionFailed("the lease of this process has run out");
    if (IsBeingWritten(key)) break;
    Result<std::optional<EntryRow>> row = co_await Read(key);
    if (!row) co_return row.error();
    std::optional<Entry> entry;
    if (*row) entry = (*row)->entry;
    if (entry && entry->claimed_now()) {
      Result<void> learnt = co_await lives_.Learn({entry->run});
      if (!learnt) co_return learnt.error();
    }
    const SystemTime now = runtime_.clock.Now();
    const Wish wish{.run = session_.run().number,
                    .session = session_.run().session,
                    .again = lost.has_value(),
                    .source = source_text_,
                    .target_prefix = options_.target_prefix,
                    .etag = found.etag,
                    .size_bytes = found.size_bytes,
                    .modified = found.modified,
                    .until = now + options_.ttl};
    Verdict verdict = Decide(entry, wish, entry && lives_.Lives(*entry), now);
    if (verdict == Verdict::kWait && lost) {
      // However long it takes: that copy may have arrived before ours, and its end would call what
      // lies there its own.
      --tries;
      co_await runtime_.clock.Sleep(pause);
      pause = std::min(2 * pause, kPauseMax);
      continue;
    }
    // An attempt of ours whose answer was lost: nobody else in this process is at the key.
    if (verdict != Verdict::kCopy && verdict != Verdict::kHit && verdict != Verdict::kCopyOwn) {
      break;
    }
    if (verdict == Verdict::kHit) {
      if (entry->until > now && entry->target_prefix) co_return Ok();
      Result<int64_t> written = co_await state_.Write(
          place_.Entries(), {.key = (*row)->key,
                             .value = EncodeEntry(Extended(*entry, wish, now)),
                             .expected = Expected::Revision((*row)->revision)});
      if (written || written.error().kind != ErrorKind::kPrecondition) {
        if (!written) co_return written.error();
        co_return Ok();
      }
      continue;
    }
    const uint64_t counted = entry ? entry->counted_bytes : 0;
    const int64_t more =
        found.size_bytes > counted ? static_cast<int64_t>(found.size_bytes - counted) : 0;
    if (more > 0) {
      Result<void> refreshed = co_await budget_->Refresh();
      if (!refreshed) co_return refreshed.error();
      Result<bool> room = co_await budget_->Take(more, SystemTime::max());
      if (!room) co_return room.error();
      if (!*room) break;  // It does not fit: it is read from the source.
    }
    Entry claim = Claimed(entry, wish, now);
    Result<int64_t> claimed = co_await state_.Write(
        place_.Entries(),
        {.key = options_.target_prefix + key,
         .value = EncodeEntry(claim),
         .expected = *row ? Expected::Revision((*row)->revision) : Expected::Absent()});
    if (claimed && IsBeingWritten(key)) {
      // Whoever writes may have looked for a claim before this one was there.
      Result<void> given = co_await GiveBack(key, std::move(claim), *claimed, more);
      if (!given) co_return given.error();
      break;
    }
    if (claimed) {
      Result<bool> counts = co_await Copy(key, claim, *claimed, found);
      if (!counts) {
        Result<void> disowned = lost ? co_await Disown(key, *lost, false) : Ok();
        static_cast<void>(disowned);  // The copy's error says more.
        co_return counts.error();
      }
      if (*counts) co_return Ok();
      lost = std::move(claim);
      Result<ObjectInfo> info =
          co_await source_.Head({.bucket = options_.source_bucket, .key = key});
      if (!info) {
        const bool gone = info.error().kind == ErrorKind::kNotFound;
        Result<void> disowned = co_await Disown(key, *lost, gone);
        if (!gone) co_return info.error();
        co_return disowned;
      }
      found = StateOf(*info);
      continue;
    }
    if (claimed.error().kind == ErrorKind::kPrecondition) {
      Result<void> given = co_await bytes_.Give(more);
      if (!given) co_return given.error();
    } else if (!claimed.error().Transient()) {
      co_return claimed.error();
    }
    co_await runtime_.clock.Sleep(kPauseMin);
  }
  if (lost) co_return co_await Disown(key, *lost, false);
  if (Stopping()) co_return Cancelled("stopped on request");
  co_return Ok();
}

Async<void> KeyFiller::GiveBack(const std::string& key, Entry claim, int64_t revision,
                                int64_t more) {
  claim.counted_bytes -= static_cast<uint64_t>(more);
  Result<void> written = co_await Write(
      options_.target_prefix + key, CountsNoMore(std::move(claim), runtime_.clock.Now()), revision);
  // Somebody has broken it, and counts its bytes.
  if (!written && written.error().kind == ErrorKind::kPrecondition) co_return Ok();
  if (!written) co_return written.error();
  co_return co_await bytes_.Give(more);
}

void KeyFiller::EndWrite(const std::string& key) {
  const auto found = being_written_.find(key);
  if (--found->second == 0) being_written_.erase(found);
}

Async<bool> KeyFiller::Copy(const std::string& key, Entry& claim, int64_t revision,
                            SourceState found) {
  const std::string target_key = options_.target_prefix + key;
  Result<CopyOutcome> copied = co_await CopyObject(
      runtime_,
      {.store = source_,
       .bucket = options_.source_bucket,
       .key = key,
       .listed =
           CopySource::Listed{
               .size_bytes = found.size_bytes, .etag = found.etag, .modified = found.modified}},
      {.store = target_, .bucket = place_.bucket, .key = target_key},
      {.keep_storage_class = false, .uploads = &uploads_, .stop = options_.stop});
  if (!copied && copied.error().kind == ErrorKind::kCancelled) {
    co_return copied.error();  // The claim ends with the run.
  }
  const SystemTime now = runtime_.clock.Now();
  const uint64_t counted = claim.counted_bytes;
  int64_t more = 0;  // Counted besides what the claim counts.
  claim.session.clear();
  claim.used = now;
  if (copied) {
    claim.etag = copied->source_etag;
    claim.cached_etag = copied->put.etag;
    claim.size_bytes = copied->size_bytes;
    claim = Filled(std::move(claim), now);
    claim.modified = ModifiedOf(*copied, found.etag, found.modified);
    claim.until = std::max(claim.until, now + options_.ttl);
    if (claim.counted_bytes > counted) {
      more = static_cast<int64_t>(claim.counted_bytes - counted);
      Result<int64_t> taken = co_await bytes_.Take(more);
      if (!taken) {
        copied = taken.error();
        more = 0;
      }
    }
  }
  if (!copied) {
    claim.state = EntryState::kFailed;
    claim.reason = copied.error().Describe();
    claim.until = now;  // What an earlier copy has left goes with the next sweep.
    claim.counted_bytes = counted;
  }
  Result<void> written = co_await Write(target_key, claim, revision);
  if (!written && written.error().kind == ErrorKind::kPrecondition) {
    Result<void> given = co_await bytes_.Give(more);
    if (!given) co_return given.error();
    if (!copied) claim.cached_etag.clear();  // It was that of an earlier copy.
    co_return false;
  }
  if (written && counted > claim.counted_bytes) {
    written = co_await bytes_.Give(static_cast<int64_t>(counted - claim.counted_bytes));
  }
  if (!copied) {
    ++session_.counts.failed;
    co_return copied.error();
  }
  if (!written) co_return written.error();
  ++session_.counts.copied;
  session_.counts.bytes += static_cast<int64_t>(claim.size_bytes);
  co_return true;
}

Async<void> KeyFiller::Disown(const std::string& key, Entry lost, bool source_gone) {
  const std::string target_key = options_.target_prefix + key;
  lost.state = EntryState::kFailed;
  lost.reason = "the source has changed";
  lost.pinned = false;
  lost.until = runtime_.clock.Now();
  for (int tries = 0; tries < kTriesMax; ++tries) {
    Result<ObjectInfo> there = co_await target_.Head({.bucket = place_.bucket, .key = target_key});
    if (!there && there.error().kind == ErrorKind::kNotFound) co_return Ok();
    if (!there) co_return there.error();
    const bool ours =
        lost.cached_etag.empty() ? IsCopyOf(lost, *there) : there->etag == lost.cached_etag;
    if (!ours) co_return Ok();  // Whoever has put it there has its row.
    Result<std::optional<EntryRow>> row = co_await Read(key);
    if (!row) co_return row.error();
    // Another one has copied the same state since, and it counts.
    if (*row && !source_gone && (*row)->entry.state == EntryState::kReady &&
        (*row)->entry.cached_etag == there->etag && (*row)->entry.etag == lost.etag &&
        !IsLater((*row)->entry.modified, lost.modified)) {
      co_return Ok();
    }
    if (*row && (*row)->entry.claimed_now()) {
      Result<void> learnt = co_await lives_.Learn({(*row)->entry.run});
      if (!learnt) co_return learnt.error();
    }
    const bool claimed =
        *row && lives_.Lives((*row)->entry) && (*row)->entry.session != session_.run().session;
    if (claimed && (*row)->entry.state == EntryState::kRemoving) {
      co_await runtime_.clock.Sleep(kPauseMax);
      continue;
    }
    // Whoever is copying finds its claim gone, and copies again: after this one has arrived.
    Entry entry = claimed ? CountsNoMore((*row)->entry, runtime_.clock.Now()) : lost;
    const uint64_t counted = *row ? (*row)->entry.counted_bytes : 0;
    entry.counted_bytes = std::max(counted, lost.size_bytes);
    const auto more = static_cast<int64_t>(entry.counted_bytes - counted);
    Result<int64_t> taken = co_await bytes_.Take(more);
    if (!taken) co_return taken.error();
    Result<int64_t> written = co_await state_.Write(
        place_.Entries(),
        {.key = target_key,
         .value = EncodeEntry(entry),
         .expected = *row ? Expected::Revision((*row)->revision) : Expected::Absent()});
    if (written) {
      if (claimed) co_return Ok();
      std::vector<EntryRow> rows;
      rows.push_back({.key = target_key, .revision = *written, .entry = std::move(entry)});
      Result<RemovalCounts> removed = co_await remover_->Remove(std::move(rows));
      if (!removed) co_return removed.error();
      session_.counts.removed += removed->removed;
      co_return Ok();
    }
    if (written.error().kind == ErrorKind::kPrecondition) {
      Result<void> given = co_await bytes_.Give(more);
      if (!given) co_return given.error();
    } else if (!written.error().Transient()) {
      co_return written.error();
    }
    co_await runtime_.clock.Sleep(kPauseMin);
  }
  co_return Retryable("the row of " + key + " keeps changing");
}

Async<void> KeyFiller::Write(const std::string& target_key, const Entry& entry, int64_t revision) {
  const std::string value = EncodeEntry(entry);
  Result<int64_t> written = co_await RepeatedWhileHeld(
      runtime_.clock, [this] { return session_.claimant(); },
      [&] {
        return state_.Write(
            place_.Entries(),
            {.key = target_key, .value = value, .expected = Expected::Revision(revision)});
      });
  if (!written && written.error().kind == ErrorKind::kPrecondition) {
    // Perhaps by an attempt whose answer was lost.
    Result<std::optional<StateRow>> row = co_await state_.Get(place_.Entries(), target_key);
    if (row && *row && (*row)->value == value) co_return Ok();
  }
  if (!written) co_return written.error();
  co_return Ok();
}

Async<void> KeyFiller::Invalidate(std::string key) {
  for (int tries = 0; tries < kTriesMax; ++tries) {
    Result<std::optional<EntryRow>> row = co_await Read(key);
    if (!row) co_return row.error();
    if (!*row || !MayBeOurs((*row)->entry)) co_return Ok();
    const Entry& entry = (*row)->entry;
    const bool counts = entry.state == EntryState::kReady || entry.state == EntryState::kCopying;
    if (!counts) co_return Ok();
    Result<int64_t> written = co_await state_.Write(
        place_.Entries(), {.key = (*row)->key,
                           .value = EncodeEntry(CountsNoMore(entry, runtime_.clock.Now())),
                           .expected = Expected::Revision((*row)->revision)});
    if (written) co_return Ok();
    if (written.error().kind != ErrorKind::kPrecondition && !written.error().Transient()) {
      co_return written.error();
    }
  }
  co_return Retryable("the row of " + key + " keeps changing");
}

Async<void> KeyFiller::Follow(std::string key, bool refresh) {
  while (filling_.contains(key)) co_await turn_ended_.Wait();
  const Turn turn(*this, key);
  Result<std::optional<EntryRow>> row = co_await Read(key);
  if (!row) co_return row.error();
  if (!*row || !MayBeOurs((*row)->entry)) co_return Ok();
  Result<ObjectInfo> now = co_await source_.Head({.bucket = options_.source_bucket, .key = key});
  const bool gone = !now && now.error().kind == ErrorKind::kNotFound;
  if (!now && !gone) co_return now.error();
  const Entry& entry = (*row)->entry;
  const bool counts = entry.state == EntryState::kReady || entry.state == EntryState::kCopying;
  const bool same =
      !gone && entry.etag == now->etag && !IsLater(now->last_modified, entry.modified);
  if (counts && same) co_return Ok();
  Result<void> invalidated = co_await Invalidate(key);
  if (!invalidated) co_return invalidated.error();
  if (refresh && !gone) {
    co_return co_await FillInTurn(key, StateOf(*now));
  }
  // Readers of the bucket itself would go on reading the old object.
  row = co_await Read(key);
  if (!row) co_return row.error();
  if (!*row || (*row)->entry.state != EntryState::kFailed) co_return Ok();
  std::vector<EntryRow> rows;
  rows.push_back(std::move(**row));
  Result<RemovalCounts> removed = co_await remover_->Remove(std::move(rows));
  if (!removed) co_return removed.error();
  session_.counts.removed += removed->removed;
  co_return Ok();
}

}  // namespace longhaul::cache
