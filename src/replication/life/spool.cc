#include "replication/life/spool.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "replication/life/of_source.h"

namespace longhaul {

namespace {

constexpr size_t kBatchRows = 500;
constexpr int kHintsPageRows = 1000;
constexpr int kRoundsMax = 10;  // Of writers that meet on the same keys.

std::string Partition(const std::string& rule) { return "spool/" + rule; }

struct Place {
  std::string store;  // Empty: by a version that did not write it, as `bucket`.
  std::string bucket;
};
struct SpooledRow {
  Hint hint;
  Place place;
};

// "2 <time> <tries> <size or -> <time heard or -> <store> <bucket>"; before, "1" and no store.
std::string Encode(const Hint& hint, const Place& place) {
  return "2 " + FormatRfc3339(hint.time) + " " + std::to_string(hint.tries) + " " +
         (hint.size_bytes ? std::to_string(*hint.size_bytes) : "-") + " " +
         (hint.heard ? FormatRfc3339(*hint.heard) : "-") + " " + place.store + " " + place.bucket;
}

std::string_view NextField(std::string_view& text) {
  const size_t end = std::min(text.find(' '), text.size());
  std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

template <class T>
std::optional<T> Number(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What cannot be read is a hint all the same, of an unknown time.
SpooledRow Decode(std::string key, std::string_view text) {
  SpooledRow row{.hint = {.key = std::move(key)}, .place = {}};
  Hint& hint = row.hint;
  const std::string_view form = NextField(text);
  if (form != "1" && form != "2") return row;
  if (Result<SystemTime> time = ParseRfc3339(NextField(text))) hint.time = *time;
  hint.tries = std::max(0, Number<int>(NextField(text)).value_or(0));
  hint.size_bytes = Number<uint64_t>(NextField(text));
  if (Result<SystemTime> heard = ParseRfc3339(NextField(text))) hint.heard = *heard;
  if (form == "2") row.place.store = NextField(text);
  row.place.bucket = text;
  return row;
}

// One batch of different keys.
Async<void> SpoolBatch(State& state, std::string partition, Place place,
                       std::map<std::string, Hint> batch) {
  for (int round = 0; !batch.empty(); ++round) {
    if (round == kRoundsMax) co_return Retryable("the spool is written by too many at once");
    std::vector<std::string> keys;
    for (const auto& [key, hint] : batch) keys.push_back(key);
    Result<std::vector<std::optional<StateRow>>> rows = co_await state.GetMany(partition, keys);
    if (!rows) co_return rows.error().In("spool");
    std::vector<StateWrite> writes;
    for (size_t i = 0; i < keys.size(); ++i) {
      Hint& hint = batch[keys[i]];
      StateWrite write{
          .key = keys[i], .value = Encode(hint, place), .expected = Expected::Absent()};
      if (const std::optional<StateRow>& row = (*rows)[i]) {
        // Also where it says no more than what is there: whoever has sent that and is about to
        // remove the row, because for him the rule goes on, must not take this one with it.
        auto [there, there_place] = Decode("", row->value);
        // One of another bucket's object counts for nothing.
        const bool counts = (there_place.bucket.empty() || there_place.bucket == place.bucket) &&
                            (there_place.store.empty() || there_place.store == place.store);
        if (counts && there.heard && (!hint.heard || *there.heard < *hint.heard)) {
          hint.heard = there.heard;
        }
        if (counts && there.time >= hint.time) {
          there.heard = hint.heard;
          hint = std::move(there);
        }
        write.value = Encode(hint, place);
        write.expected = Expected::Revision(row->revision);
      }
      writes.push_back(std::move(write));
    }
    const std::vector<StateWrite> asked = writes;
    Result<std::vector<Result<int64_t>>> written =
        co_await state.WriteMany(partition, std::move(writes));
    if (!written) co_return written.error().In("spool");
    for (size_t i = 0; i < asked.size(); ++i) {
      const Result<int64_t>& row = (*written)[i];
      if (row) {
        batch.erase(asked[i].key);
      } else if (row.error().kind != ErrorKind::kPrecondition) {
        co_return row.error().In("spool");
      }
    }
  }
  co_return Ok();
}

}  // namespace

Async<void> SpoolHints(State& state, std::string rule, std::string store, std::string bucket,
                       std::vector<SpooledHint> hints) {
  const Place place{.store = std::move(store), .bucket = std::move(bucket)};
  std::map<std::string, Hint> batch;
  for (size_t i = 0; i < hints.size(); ++i) {
    // A target's name has no "/" in it.
    std::string key = hints[i].target + "/" + hints[i].hint.key;
    Hint& slot = batch[key];
    if (slot.key.empty() || slot.time < hints[i].hint.time) slot = std::move(hints[i].hint);
    if (batch.size() < kBatchRows && i + 1 < hints.size()) continue;
    Result<void> spooled = co_await SpoolBatch(state, Partition(rule), place, std::move(batch));
    if (!spooled) co_return spooled.error();
    batch.clear();
  }
  co_return Ok();
}

Async<bool> IsSpooled(State& state, std::string rule, std::string target, std::string key) {
  std::vector<std::string> keys{"/" + key, target + "/" + key};
  Result<std::vector<std::optional<StateRow>>> rows =
      co_await state.GetMany(Partition(rule), std::move(keys));
  if (!rows) co_return rows.error().In("spool");
  co_return std::ranges::any_of(*rows, [](const auto& row) { return row.has_value(); });
}

Async<bool> SpoolIsEmpty(State& state, const Rule& rule) {
  Result<std::vector<StateRow>> rows = co_await state.Scan(Partition(rule.id), "", 1);
  if (!rows) co_return rows.error().In("spool");
  co_return rows->empty();
}

Async<KeptHints> CountKept(State& state, std::string rule) {
  Result<std::vector<StateRow>> rows = co_await state.Scan(Partition(rule), "", kHintsPageRows);
  if (!rows) co_return rows.error().In("spool");
  co_return KeptHints{.hints = rows->size(), .more = rows->size() == kHintsPageRows};
}

Async<SpoolSight> LookAtSpool(State& state, const Rule& rule,
                              std::function<bool(const std::string& target)> held) {
  Result<std::vector<StateRow>> rows = co_await state.Scan(Partition(rule.id), "", kHintsPageRows);
  if (!rows) co_return rows.error().In("spool");
  SpoolSight sight{.empty = rows->empty()};
  for (const StateRow& row : *rows) {
    const size_t slash = std::min(row.key.find('/'), row.key.size() - 1);
    if (held(row.key.substr(0, slash))) continue;
    SpooledRow kept = Decode(row.key.substr(slash + 1), row.value);
    if (!IsOfSource(kept.place.store, kept.place.bucket, rule)) continue;
    const SystemTime heard = kept.hint.heard.value_or(kept.hint.time);
    if (heard == SystemTime{} || (sight.heard && *sight.heard <= heard)) continue;
    sight.heard = heard;
    sight.key = std::move(kept.hint.key);
  }
  co_return sight;
}

Async<Unspooled> Unspool(State& state, Queue& queue, const Rule& rule,
                         std::function<bool(const std::string& target)> held) {
  Unspooled result;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows =
        co_await state.Scan(Partition(rule.id), after, kHintsPageRows);
    if (!rows) co_return rows.error().In("spool");
    if (rows->empty()) co_return result;
    std::map<std::string, HintMessage> messages;  // By target.
    std::vector<StateWrite> removals;
    for (const StateRow& row : *rows) {
      const size_t slash = std::min(row.key.find('/'), row.key.size() - 1);
      const std::string target = row.key.substr(0, slash);
      if (held && held(target)) continue;
      SpooledRow kept = Decode(row.key.substr(slash + 1), row.value);
      if (IsOfSource(kept.place.store, kept.place.bucket, rule)) {
        messages[target].hints.push_back(std::move(kept.hint));
        ++result.sent;
      } else {
        ++result.forgotten;
      }
      removals.push_back({.key = row.key, .expected = Expected::Revision(row.revision)});
    }
    for (auto& [target, message] : messages) {
      message.store = rule.source.store;
      message.bucket = rule.source.bucket;
      message.rule = rule.id;
      message.target = target;
      message.origin = HintOrigin::kReread;
      // They are many perhaps, and have waited: what happens now is not to wait behind them.
      std::vector<NewMessage> encoded = EncodeHints(message);
      for (NewMessage& one : encoded) one.lane = BacklogLane(rule.id);
      Result<void> sent = co_await queue.Send(std::move(encoded), {});
      if (!sent) co_return sent.error().In("spool");
    }
    // A row that has been written since stays, and is sent by the next one who looks.
    Result<std::vector<Result<int64_t>>> removed =
        co_await state.WriteMany(Partition(rule.id), std::move(removals));
    if (!removed) co_return removed.error().In("spool");
    if (rows->size() < kHintsPageRows) co_return result;
    after = rows->back().key;
  }
}

}  // namespace longhaul
