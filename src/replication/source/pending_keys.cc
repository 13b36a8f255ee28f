#include "replication/source/pending_keys.h"

#include <algorithm>
#include <iterator>

namespace longhaul {

namespace {

// Whoever waits looks again after this; longer times need not fit into nanoseconds.
constexpr std::chrono::hours kPendingWaitMax{1};

// What tells a segment from its object, and from the object's other segments.
std::string SuffixOf(const PendingKey& pending) {
  if (!pending.segment) return "";
  const Segment& segment = pending.segment->segment;
  return '\0' + segment.plan + '/' + std::to_string(segment.number);
}

// One reading for both.
void Merge(PendingKey& known, PendingKey other) {
  known.not_before = std::max(known.not_before, other.not_before);
  known.due = std::max(known.due, other.due);
  known.since = std::min(known.since, other.since);
  known.heard = std::min(known.heard, other.heard);
  known.tries = std::max(known.tries, other.tries);
  known.alone = known.alone || other.alone;
  known.attributes = known.attributes && other.attributes;
  known.backlog = known.backlog && other.backlog;
  known.company = std::max(known.company, other.company);
  if (other.size_bytes) known.size_bytes = other.size_bytes;
  known.messages.insert(known.messages.end(), std::make_move_iterator(other.messages.begin()),
                        std::make_move_iterator(other.messages.end()));
}

}  // namespace

std::vector<PendingKeys::Item> PendingKeys::HeardBefore(SystemTime before, size_t max) const {
  std::vector<Item> found;
  for (const auto& [name, entry] : entries_) {
    if (entry.pending.heard >= before) continue;
    if (found.size() == max) break;
    found.emplace_back(name.substr(0, name.find('\0')),
                       PendingKey{.heard = entry.pending.heard, .target = entry.pending.target});
  }
  return found;
}

std::optional<std::pair<SystemTime, std::string>> PendingKeys::Oldest() const {
  Entries::const_iterator oldest = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (oldest == entries_.end() || entry->second.pending.heard < oldest->second.pending.heard) {
      oldest = entry;
    }
  }
  if (oldest == entries_.end()) return std::nullopt;
  return std::pair(oldest->second.pending.heard, oldest->first.substr(0, oldest->first.find('\0')));
}

std::optional<SystemTime> PendingKeys::OldestFresh() const {
  std::optional<SystemTime> oldest;
  for (const auto& [key, entry] : entries_) {
    if (entry.pending.backlog) continue;
    oldest = std::min(entry.pending.heard, oldest.value_or(SystemTime::max()));
  }
  return oldest;
}

void PendingKeys::Insert(Entries::iterator entry) {
  PendingKey& pending = entry->second.pending;
  size_bytes_ += BytesOf(pending);
  if (IsOfBacklog(pending)) {
    ++backlog_;
    backlog_bytes_ += BytesOf(pending);
  }
  if (!entry->second.ready) {
    sleeping_.emplace(std::pair(WakesAt(pending), entry->second.sequence), entry);
    return;
  }
  Group& group = groups_[GroupOf(pending)];
  group.by_key.emplace(entry->first, entry);
  group.by_age.emplace(std::pair(pending.since, entry->second.sequence), entry);
  group.size_bytes += BytesOf(pending);
}

// The reverse of Insert; the entry stays in entries_.
void PendingKeys::Extract(Entries::iterator entry) {
  PendingKey& pending = entry->second.pending;
  size_bytes_ -= BytesOf(pending);
  if (IsOfBacklog(pending)) {
    --backlog_;
    backlog_bytes_ -= BytesOf(pending);
  }
  if (!entry->second.ready) {
    sleeping_.erase({WakesAt(pending), entry->second.sequence});
    return;
  }
  auto group = groups_.find(GroupOf(pending));
  group->second.by_key.erase(entry->first);
  group->second.by_age.erase({pending.since, entry->second.sequence});
  group->second.size_bytes -= BytesOf(pending);
  if (group->second.by_key.empty()) groups_.erase(group);
}

bool PendingKeys::Add(std::string key, PendingKey pending) {
  std::string name = std::move(key) + '\0' + pending.target + SuffixOf(pending);
  auto [place, inserted] = entries_.try_emplace(std::move(name));
  Entry& entry = place->second;
  if (inserted) {
    entry.put_off_until = pending.not_before + kPutOffMax;
    entry.pending = std::move(pending);
    entry.sequence = next_sequence_++;
    Insert(place);
    return true;
  }
  if (pending.not_before > entry.put_off_until) {
    const bool one_more = entry.later == nullptr;
    if (one_more) {
      entry.later = std::make_unique<PendingKey>(std::move(pending));
    } else {
      Merge(*entry.later, std::move(pending));
    }
    return one_more;
  }
  Extract(place);
  Merge(entry.pending, std::move(pending));
  entry.ready = false;  // The next look decides.
  Insert(place);
  return false;
}

void PendingKeys::WakeReady(SystemTime now) {
  while (!sleeping_.empty() && sleeping_.begin()->first.first <= now) {
    Entries::iterator entry = sleeping_.begin()->second;
    Extract(entry);
    entry->second.ready = true;
    Insert(entry);
  }
}

SteadyTime PendingKeys::ClosesAt(const Groups::value_type& group, bool nothing_comes) const {
  const SteadyTime oldest = group.second.by_age.begin()->first.first;
  const bool alone = group.first.kind.alone || group.first.company != 0;
  const bool full = static_cast<int64_t>(group.second.by_key.size()) >= batch_.count ||
                    group.second.size_bytes >= batch_.size_bytes;
  if (alone || full) return SteadyTime::min();
  const SteadyTime lingered = oldest + batch_.linger;
  if (!nothing_comes || !sleeping_.empty()) return lingered;
  auto taken = taken_at_.find(group.first);
  return taken == taken_at_.end() ? SteadyTime::min()
                                  : std::min(lingered, taken->second + kBatchPause);
}

std::optional<std::chrono::nanoseconds> PendingKeys::NextBatch(SystemTime now,
                                                               SteadyTime steady_now,
                                                               bool nothing_comes) {
  WakeReady(now);
  std::optional<std::chrono::nanoseconds> next;
  if (!sleeping_.empty()) {
    next =
        std::min<std::chrono::microseconds>(sleeping_.begin()->first.first - now, kPendingWaitMax);
  }
  for (const auto& group : groups_) {
    const SteadyTime closes = ClosesAt(group, nothing_comes);
    if (closes <= steady_now) return std::chrono::nanoseconds(0);
    if (!next || closes - steady_now < *next) next = closes - steady_now;
  }
  return next;
}

std::vector<PendingKeys::Item> PendingKeys::Take(SystemTime now, SteadyTime steady_now,
                                                 bool nothing_comes) {
  WakeReady(now);
  // Of the batches that are to be taken, that of the key that has waited longest; but kinds take
  // turns: thousands of segments must not keep small objects waiting, nor a backlog what is new.
  Groups::value_type* chosen = nullptr;
  for (auto& group : groups_) {
    if (ClosesAt(group, nothing_comes) > steady_now) continue;
    const uint64_t turn = turns_[group.first.kind];
    const uint64_t turn_of_chosen = chosen == nullptr ? turn : turns_[chosen->first.kind];
    if (chosen == nullptr || turn < turn_of_chosen ||
        (turn == turn_of_chosen &&
         group.second.by_age.begin()->first < chosen->second.by_age.begin()->first)) {
      chosen = &group;
    }
  }
  if (chosen != nullptr) turns_[chosen->first.kind] = next_turn_++;
  std::vector<Entries::iterator> taken;
  if (chosen != nullptr) {
    const bool alone = chosen->first.kind.alone;
    if (!alone && chosen->first.company == 0) taken_at_[chosen->first] = steady_now;
    const auto& keys = chosen->second.by_key;
    const size_t count_max =
        alone ? 1 : std::min(keys.size(), static_cast<size_t>(std::max(batch_.count, 1)));
    uint64_t size_bytes = 0;
    auto next = keys.find(chosen->second.by_age.begin()->second->first);
    while (taken.size() < count_max && (taken.empty() || size_bytes < batch_.size_bytes)) {
      taken.push_back(next->second);
      size_bytes += BytesOf(next->second->second.pending);
      if (++next == keys.end()) next = keys.begin();
    }
  }
  std::vector<Item> items;
  items.reserve(taken.size());
  for (Entries::iterator entry : taken) {
    Extract(entry);
    PendingKey& pending = entry->second.pending;
    const size_t key_size =
        entry->first.size() - 1 - pending.target.size() - SuffixOf(pending).size();
    std::unique_ptr<PendingKey> later = std::move(entry->second.later);
    items.emplace_back(entry->first.substr(0, key_size), std::move(pending));
    entries_.erase(entry);
    if (later != nullptr) Add(items.back().first, std::move(*later));
  }
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.first < b.first; });
  return items;
}

}  // namespace longhaul
