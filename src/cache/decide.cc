#include "cache/decide.h"

#include <algorithm>

namespace longhaul::cache {

bool IsLater(SystemTime seen, SystemTime copied) {
  using std::chrono::seconds;
  if (seen == SystemTime{}) return false;
  if (copied == SystemTime{}) return true;
  // Listings may tell milliseconds, and a HEAD of the same object never does.
  const SystemTime seen_seconds = std::chrono::floor<seconds>(seen);
  const SystemTime copied_seconds = std::chrono::floor<seconds>(copied);
  const bool exact = seen != seen_seconds && copied != copied_seconds;
  return exact ? seen > copied : seen_seconds > copied_seconds;
}

bool CountsFor(const Wish& wish, int64_t run) {
  return !wish.again && (!wish.force || run >= wish.run);
}

Verdict Decide(const std::optional<Entry>& entry, const Wish& wish, bool claim_lives,
               SystemTime now) {
  if (!entry) return Verdict::kCopy;
  const bool own = entry->run == wish.run && entry->session == wish.session;
  // Also where this very session removes it, to make room: its delete must not meet its own copy.
  if (entry->state == EntryState::kRemoving) {
    return claim_lives || own ? Verdict::kWait : Verdict::kCopy;
  }
  const bool claimed = entry->state == EntryState::kCopying;
  if (claimed && own) return Verdict::kCopyOwn;
  const bool holds =
      claimed ? claim_lives
              : entry->state == EntryState::kReady && (entry->until > now || entry->pinned);
  const bool may_be_of = entry->MayBeOf(wish.source, wish.target_prefix);
  if (!may_be_of && holds) return Verdict::kForeign;
  // Also before a barrier: of two that write one key at a time, the older may be the last.
  if (claimed && claim_lives) return Verdict::kWait;
  const bool fits = entry->state == EntryState::kReady && may_be_of && entry->etag == wish.etag &&
                    !IsLater(wish.modified, entry->modified) &&
                    (entry->target_prefix || !IsLater(entry->modified, wish.modified)) &&
                    CountsFor(wish, entry->run);
  return fits ? Verdict::kHit : Verdict::kCopy;
}

Entry Extended(Entry entry, const Wish& wish, SystemTime now) {
  entry.target_prefix = wish.target_prefix;
  entry.until = std::max(entry.until, wish.until);
  entry.used = now;
  return entry;
}

Entry Claimed(const std::optional<Entry>& entry, const Wish& wish, SystemTime now) {
  Entry claim = entry.value_or(Entry{});
  // What has been filled since it was claimed has ended.
  if (claim.state != EntryState::kReady && claim.claimed > claim.filled &&
      claim.unfinished == SystemTime{}) {
    claim.unfinished = claim.claimed;
    claim.unfinished_etag = claim.etag;
    claim.unfinished_size_bytes = claim.size_bytes;
  }
  claim.state = EntryState::kCopying;
  claim.source = wish.source;
  claim.target_prefix = wish.target_prefix;
  claim.etag = wish.etag;
  claim.size_bytes = wish.size_bytes;
  claim.modified = wish.modified;
  // Until the copy has arrived an earlier one may lie there.
  claim.counted_bytes = std::max(claim.counted_bytes, wish.size_bytes);
  claim.until = std::max(claim.until, wish.until);
  claim.used = now;
  claim.claimed = now;
  claim.run = wish.run;
  claim.session = wish.session;
  claim.reason.clear();
  return claim;
}

Entry Filled(Entry entry, SystemTime now) {
  entry.state = EntryState::kReady;
  entry.filled = now;
  entry.counted_bytes = entry.size_bytes;
  entry.unfinished = SystemTime{};
  entry.unfinished_etag.clear();
  entry.unfinished_size_bytes = 0;
  return entry;
}

}  // namespace longhaul::cache
