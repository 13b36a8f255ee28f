#include "state/dynamodb_state.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "state/dynamodb_table.h"

namespace longhaul {

using std::chrono::microseconds;
using std::chrono::seconds;

namespace {

constexpr int kBatchesAtOnce = 4;          // Up to 16 MB each.
constexpr int kWritesAtOnce = 16;          // Of one WriteMany.
constexpr size_t kSignsKnownMax = 10'000;  // About 20 MB.
constexpr int kLookedAtMax = 1'000;
constexpr int kAddAttemptsMax = 32;
constexpr const char* kNotExpired = "attribute_not_exists(#expires) OR #expires > :now";

// A row of a later longhaul is never written over. One with a revision that somebody has read is
// none of those.
DynamoExpression ConditionOf(const Expected& expected, int64_t now_us) {
  const DynamoValue now = DynamoValue::Number(now_us);
  switch (expected.kind) {
    case Expected::Kind::kAnything:
      return {.text = "attribute_not_exists(#version)"};
    case Expected::Kind::kAbsent:
      return {.text =
                  "attribute_not_exists(#p) OR "
                  "(attribute_not_exists(#version) AND #expires <= :now)",
              .values = {{":now", now}}};
    case Expected::Kind::kRevision:
      return {.text = std::string("#revision = :expected AND (") + kNotExpired + ")",
              .values = {{":now", now}, {":expected", DynamoValue::Number(expected.revision)}}};
  }
  return {};
}

Error InDoubt(const Error& error) {
  Error doubt = error;
  doubt.kind = ErrorKind::kRetryable;
  if (doubt.code == kNotSentCode) doubt.code.clear();
  return doubt;
}

// Whether the error is about one write, so that the others of a WriteMany go on.
bool IsVerdict(const Error& error) { return error.kind == ErrorKind::kPrecondition; }

}  // namespace

Async<std::unique_ptr<State>> DynamodbState::Open(Runtime runtime,
                                                  std::shared_ptr<DynamodbClient> client) {
  Result<void> checked = co_await CheckDynamodbState(*client);
  if (!checked) co_return checked.error();
  co_return std::unique_ptr<State>(new DynamodbState(runtime, std::move(client)));
}

int64_t DynamodbState::NowUs() const {
  return (runtime_.clock.Now() + client_->service().ahead()).time_since_epoch().count();
}

std::optional<int64_t> DynamodbState::TheirTime(std::optional<SystemTime> time) const {
  if (!time) return std::nullopt;
  const int64_t ours =
      std::clamp<int64_t>(time->time_since_epoch().count(), 0, kDynamoExpiresMaxUs);
  return std::clamp<int64_t>(ours + microseconds(client_->service().ahead()).count(), 0,
                             kDynamoExpiresMaxUs);
}

bool DynamodbState::ClockHasMoved(const Error& error, seconds ahead) const {
  return error.code == kNotSentCode && client_->service().ahead() != ahead;
}

StateRow DynamodbState::RowOf(std::string key, const DynamoRow& row) const {
  StateRow read{.key = std::move(key), .value = row.value, .revision = row.revision};
  if (row.expires_us) {
    read.expires = SystemTime(microseconds(*row.expires_us)) - client_->service().ahead();
  }
  return read;
}

Error DynamodbState::Refused(const DynamoPlace& place, const Error& why) const {
  return why.In(client_->description() + ", " + place.ToString());
}

int64_t DynamodbState::NewRevision() {
  return std::max<int64_t>(1, static_cast<int64_t>(runtime_.random.Next() >> 2));
}

Async<std::optional<DynamoRow>> DynamodbState::Read(DynamoPlace place) {
  Result<std::optional<DynamoItem>> item = co_await client_->Get(place.Key());
  if (!item) co_return item.error();
  if (!*item) co_return std::optional<DynamoRow>();
  Result<DynamoRow> row = ReadDynamoRow(**item);
  if (!row) co_return Refused(place, row.error());
  co_return std::optional(std::move(*row));
}

Async<std::optional<StateRow>> DynamodbState::Get(std::string partition, std::string key) {
  if (key.empty() || key.size() > kStateKeySizeMaxBytes) co_return std::optional<StateRow>();
  Result<std::optional<DynamoRow>> row = co_await Read(PlaceOfDynamoRow(partition, key));
  if (!row) co_return row.error().In("state: get");
  if (!*row || (*row)->Expired(NowUs())) co_return std::optional<StateRow>();
  co_return RowOf(std::move(key), **row);
}

Async<void> DynamodbState::FindBatch(std::vector<DynamoItem> keys,
                                     std::map<DynamoPlace, DynamoRow>& found) {
  Result<std::vector<DynamoItem>> items = co_await client_->BatchGet(std::move(keys));
  if (!items) co_return items.error();
  for (const DynamoItem& item : *items) {
    Result<DynamoPlace> place = PlaceOfDynamoItem(item);
    if (!place) co_return place.error().In(client_->description());
    Result<DynamoRow> row = ReadDynamoRow(item);
    if (!row) co_return Refused(*place, row.error());
    found.insert_or_assign(std::move(*place), std::move(*row));
  }
  co_return Ok();
}

Async<std::vector<std::optional<StateRow>>> DynamodbState::GetMany(std::string partition,
                                                                   std::vector<std::string> keys) {
  std::vector<std::optional<StateRow>> rows(keys.size());
  std::map<DynamoPlace, std::vector<size_t>> wanted;  // One key may be asked for twice.
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].empty() || keys[i].size() > kStateKeySizeMaxBytes) continue;
    wanted[PlaceOfDynamoRow(partition, keys[i])].push_back(i);
  }
  std::map<DynamoPlace, DynamoRow> found;
  TaskGroup group(runtime_.executor);
  std::vector<DynamoItem> batch;
  for (auto next = wanted.begin(); next != wanted.end();) {
    batch.push_back(next->first.Key());
    ++next;
    if (batch.size() < DynamodbClient::kBatchMax && next != wanted.end()) continue;
    co_await group.WaitBelow(kBatchesAtOnce);
    if (group.failed()) break;
    group.Spawn(FindBatch(std::exchange(batch, {}), found));
  }
  Result<void> all = co_await group.Join();
  if (!all) co_return all.error().In("state: get");
  const int64_t now_us = NowUs();
  for (const auto& [place, row] : found) {
    auto places = wanted.find(place);
    if (places == wanted.end() || row.Expired(now_us)) continue;
    for (size_t i : places->second) rows[i] = RowOf(keys[i], row);
  }
  co_return rows;
}

Async<void> DynamodbState::EnsureSign(const std::string& partition, const std::string& key) {
  std::pair<std::string, std::string> sign(DynamoPartition(partition),
                                           key.substr(0, kDynamoSortKeyMaxBytes));
  if (signs_.contains(sign)) co_return Ok();
  // All signs of a place are the same, and none is ever taken out.
  Result<void> put = co_await client_->Put(DynamoSign(partition, key), {}, AwsRepeat::kSafe);
  if (!put) co_return put.error();
  if (signs_.size() >= kSignsKnownMax) signs_.clear();
  signs_.insert(std::move(sign));
  co_return Ok();
}

Async<int64_t> DynamodbState::WriteRow(const std::string& partition, const StateWrite& write) {
  if (write.value && IsLongDynamoKey(write.key)) {
    // First: a row that no scan finds would be lost.
    Result<void> sign = co_await EnsureSign(partition, write.key);
    if (!sign) co_return sign.error();
  }
  const DynamoPlace place = PlaceOfDynamoRow(partition, write.key);
  const int64_t revision = write.value ? NewRevision() : 0;
  const bool on_revision = write.expected.kind == Expected::Kind::kRevision;
  RetryState retry = client_->service().NewRetry();
  bool in_doubt = false;  // An attempt before may have happened, or may yet.
  while (true) {
    const seconds ahead = client_->service().ahead();
    DynamoExpression condition = ConditionOf(write.expected, NowUs());
    Result<void> done;
    if (write.value) {
      DynamoRow row{
          .value = *write.value, .revision = revision, .expires_us = TheirTime(write.expires)};
      done =
          co_await client_->Put(WriteDynamoRow(place, row), std::move(condition), AwsRepeat::kOnce);
    } else {
      done = co_await client_->Delete(place.Key(), std::move(condition));
    }
    if (done) co_return revision;
    const Error error = done.error();
    const bool refused = error.kind == ErrorKind::kPrecondition;
    if (refused && !in_doubt) co_return co_await WhyRefused(place, write);
    if (!refused && !MayHaveHappened(error)) {
      // With times by the clock that is known now: a lease that is another's would look expired.
      std::optional<std::chrono::nanoseconds> delay;
      if (ClockHasMoved(error, ahead)) delay = retry.DelayAfter(error);
      if (!delay) co_return in_doubt ? InDoubt(error) : error;
      co_await runtime_.clock.Sleep(*delay);
      continue;
    }
    if (error.kind == ErrorKind::kCancelled) co_return error;
    in_doubt = true;
    Result<std::optional<DynamoRow>> row = co_await Read(place);
    if (!row) co_return InDoubt(error);
    if (write.value && *row && (*row)->revision == revision) co_return revision;
    if (!write.value && !on_revision && !*row) co_return 0;
    // It can happen only while that revision is there, and so only once.
    if (refused || !on_revision || !*row || (*row)->revision != write.expected.revision) {
      co_return InDoubt(error);
    }
    const std::optional<std::chrono::nanoseconds> delay = retry.DelayAfter(error);
    if (!delay) co_return InDoubt(retry.GaveUp(error));
    co_await runtime_.clock.Sleep(*delay);
  }
}

Async<int64_t> DynamodbState::WhyRefused(const DynamoPlace& place, const StateWrite& write) {
  if (write.expected.kind != Expected::Kind::kAnything) co_return UnexpectedState(write);
  Result<std::optional<DynamoRow>> row = co_await Read(place);
  if (!row) co_return row.error();
  co_return Retryable(client_->description() + ", " + place.ToString() +
                      ": it was changed just now");
}

Async<int64_t> DynamodbState::Write(std::string partition, StateWrite write) {
  Result<void> checked = CheckStateWrite(write);
  if (!checked) co_return checked.error();
  Result<int64_t> written = co_await WriteRow(partition, write);
  if (!written) co_return written.error().In("state: write");
  co_return written;
}

Async<void> DynamodbState::WriteInOrder(const std::string& partition,
                                        const std::vector<StateWrite>& writes,
                                        std::vector<size_t> order,
                                        std::vector<Result<int64_t>>& results) {
  for (size_t i : order) {
    results[i] = co_await WriteRow(partition, writes[i]);
    if (!results[i] && !IsVerdict(results[i].error())) co_return results[i].error();
  }
  co_return Ok();
}

Async<std::vector<Result<int64_t>>> DynamodbState::WriteMany(std::string partition,
                                                             std::vector<StateWrite> writes) {
  std::vector<Result<int64_t>> results;
  std::map<std::string_view, std::vector<size_t>> by_key;
  for (size_t i = 0; i < writes.size(); ++i) {
    Result<void> checked = CheckStateWrite(writes[i]);
    results.push_back(checked ? Result<int64_t>(0) : Result<int64_t>(checked.error()));
    if (checked) by_key[writes[i].key].push_back(i);
  }
  TaskGroup group(runtime_.executor);
  for (auto& [key, order] : by_key) {
    co_await group.WaitBelow(kWritesAtOnce);
    if (group.failed()) break;
    group.Spawn(WriteInOrder(partition, writes, std::move(order), results));
  }
  Result<void> all = co_await group.Join();
  if (!all) co_return all.error().In("state: write");
  co_return results;
}

Async<int64_t> DynamodbState::SumAfter(const DynamoPlace& place, int64_t revision, Error error) {
  if (error.kind == ErrorKind::kCancelled) co_return error;
  Result<std::optional<DynamoRow>> row = co_await Read(place);
  // With that revision nobody has added since.
  if (row && *row && (*row)->revision == revision) co_return AddToStateNumber((*row)->value, 0);
  co_return InDoubt(error);
}

Async<std::optional<int64_t>> DynamodbState::AddToRow(const DynamoPlace& place,
                                                      const DynamoRow& row, int64_t amount) {
  const bool expired = row.Expired(NowUs());
  Result<int64_t> sum = AddToStateNumber(expired ? "0" : row.value, amount);
  if (!sum) co_return sum.error();
  if (!expired && row.is_number) co_return std::optional<int64_t>();
  const DynamoRow next{.value = std::to_string(*sum),
                       .is_number = true,
                       .revision = NewRevision(),
                       .expires_us = expired ? std::nullopt : row.expires_us};
  Result<void> put = co_await client_->Put(
      WriteDynamoRow(place, next),
      {.text = "#revision = :seen", .values = {{":seen", DynamoValue::Number(row.revision)}}},
      AwsRepeat::kOnce);
  if (put) co_return std::optional(*sum);
  if (put.error().kind == ErrorKind::kPrecondition) co_return std::optional<int64_t>();
  if (!MayHaveHappened(put.error())) co_return put.error();
  Result<int64_t> added = co_await SumAfter(place, next.revision, put.error());
  if (!added) co_return added.error();
  co_return std::optional(*added);
}

Async<int64_t> DynamodbState::Add(std::string partition, std::string key, int64_t amount) {
  Result<void> checked = CheckStateWrite({.key = key, .value = ""});
  if (!checked) co_return checked.error();
  if (IsLongDynamoKey(key)) {
    Result<void> sign = co_await EnsureSign(partition, key);
    if (!sign) co_return sign.error().In("state: add");
  }
  const DynamoPlace place = PlaceOfDynamoRow(partition, key);
  // So that the sum fits.
  const bool up = amount >= 0;
  const int64_t bound = up ? std::numeric_limits<int64_t>::max() - amount
                           : std::numeric_limits<int64_t>::min() - amount;
  RetryState retry = client_->service().NewRetry();
  for (int attempt = 0; attempt < kAddAttemptsMax; ++attempt) {
    const seconds ahead = client_->service().ahead();
    const int64_t revision = NewRevision();
    Result<DynamoItem> set = co_await client_->Update(
        place.Key(), "SET #revision = :revision ADD #number :amount",
        {.text = std::string("attribute_not_exists(#p) OR (attribute_not_exists(#version) AND "
                             "attribute_exists(#number) AND (") +
                 kNotExpired + ") AND #number " + (up ? "<=" : ">=") + " :bound)",
         .values = {{":revision", DynamoValue::Number(revision)},
                    {":amount", DynamoValue::Number(amount)},
                    {":now", DynamoValue::Number(NowUs())},
                    {":bound", DynamoValue::Number(bound)}}});
    if (set) {
      auto number = set->find("number");
      if (number == set->end()) co_return Corrupt("state: add: the answer has no sum");
      co_return AddToStateNumber(number->second.text, 0);
    }
    if (MayHaveHappened(set.error())) {
      Result<int64_t> sum = co_await SumAfter(place, revision, set.error());
      if (!sum) co_return sum.error().In("state: add");
      co_return sum;
    }
    Error error = set.error();
    if (error.kind == ErrorKind::kPrecondition) {
      // It is text, has expired, or the sum does not fit.
      Result<std::optional<DynamoRow>> row = co_await Read(place);
      if (!row) co_return row.error().In("state: add");
      if (!*row) continue;
      Result<std::optional<int64_t>> added = co_await AddToRow(place, **row, amount);
      if (added && *added) co_return **added;
      if (added) continue;
      error = added.error();
    }
    std::optional<std::chrono::nanoseconds> delay;
    if (ClockHasMoved(error, ahead)) delay = retry.DelayAfter(error);
    if (!delay) co_return error.In("state: add");
    co_await runtime_.clock.Sleep(*delay);
  }
  co_return Retryable("state: add: others write the same row all the time");
}

Async<void> DynamodbState::ScanPlace(std::string partition, DynamoPlace after, std::string prefix,
                                     size_t count_max, std::vector<StateRow>& rows) {
  DynamoQuery query;
  query.keys = "#p = :p";
  query.values.emplace(":p", DynamoValue::Bytes(after.partition));
  if (!after.sort.empty()) {
    query.keys += " AND #k > :k";
    query.values.emplace(":k", DynamoValue::Bytes(after.sort));
  }
  query.filter = kNotExpired;
  query.values.emplace(":now", DynamoValue::Number(0));
  std::string last = after.sort;
  bool asked_again = false;
  while (rows.size() < count_max) {
    const seconds ahead = client_->service().ahead();
    query.values[":now"] = DynamoValue::Number(NowUs());
    // Some have expired.
    query.looked_at_max =
        static_cast<int>(std::min<size_t>(kLookedAtMax, count_max - rows.size() + 10));
    Result<DynamoPage> page = co_await client_->Query(query);
    if (!page) co_return page.error();
    // By the clock that was believed it may leave out what has not expired.
    if (client_->service().ahead() != ahead && !std::exchange(asked_again, true)) continue;
    for (const DynamoItem& item : page->items) {
      if (rows.size() >= count_max) break;
      Result<DynamoPlace> place = PlaceOfDynamoItem(item);
      if (!place) co_return place.error().In(client_->description());
      if (place->partition != after.partition || place->sort <= last) {
        co_return Refused(*place, Corrupt("it was not asked for"));
      }
      last = place->sort;
      if (IsDynamoSign(item)) {
        // Behind a sign there are rows alone; who looked on could go round in a circle.
        if (!prefix.empty()) co_return Refused(*place, Corrupt("a sign where none can be"));
        Result<void> behind = co_await ScanBehindSign(partition, place->sort, "", count_max, rows);
        if (!behind) co_return behind.error();
        continue;
      }
      Result<DynamoRow> row = ReadDynamoRow(item);
      if (!row) co_return Refused(*place, row.error());
      const bool exact = place->partition.starts_with('e');
      rows.push_back(RowOf(exact ? prefix : prefix + place->sort, *row));
    }
    if (!page->next) co_return Ok();
    if (page->next == query.start) {
      co_return Refused(after, Corrupt("a page ends where it began"));
    }
    query.start = std::move(page->next);
  }
  co_return Ok();
}

Async<void> DynamodbState::ScanBehindSign(std::string partition, std::string prefix,
                                          std::string after, size_t count_max,
                                          std::vector<StateRow>& rows) {
  if (after.empty()) {
    DynamoPlace exact{.partition = DynamoExactPartition(partition, prefix)};
    Result<void> scanned = co_await ScanPlace(partition, std::move(exact), prefix, count_max, rows);
    if (!scanned) co_return scanned.error();
  }
  DynamoPlace rest{
      .partition = DynamoLongPartition(partition, prefix),
      .sort = after.size() > prefix.size() ? after.substr(prefix.size()) : std::string()};
  // No sort key is longer, so none lies between this and what follows it.
  if (rest.sort.size() > kDynamoSortKeyMaxBytes) rest.sort.resize(kDynamoSortKeyMaxBytes);
  co_return co_await ScanPlace(partition, std::move(rest), prefix, count_max, rows);
}

Async<std::vector<StateRow>> DynamodbState::Scan(std::string partition, std::string after,
                                                 int count_max) {
  std::vector<StateRow> rows;
  const auto most = static_cast<size_t>(std::max(count_max, 0));
  if (IsLongDynamoKey(after)) {
    Result<void> behind = co_await ScanBehindSign(
        partition, after.substr(0, kDynamoSortKeyMaxBytes), after, most, rows);
    if (!behind) co_return behind.error().In("state: scan");
    after.resize(kDynamoSortKeyMaxBytes);
  }
  DynamoPlace place{.partition = DynamoPartition(partition), .sort = std::move(after)};
  Result<void> scanned = co_await ScanPlace(partition, std::move(place), "", most, rows);
  if (!scanned) co_return scanned.error().In("state: scan");
  co_return rows;
}

}  // namespace longhaul
