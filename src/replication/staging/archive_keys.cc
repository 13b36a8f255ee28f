#include "replication/staging/archive_keys.h"

#include <string_view>
#include <utility>

#include "replica/floor.h"

namespace longhaul {

namespace {

std::string Partition(const std::string& archive) { return "archive/" + archive; }
// A row has up to 240 KiB (events/hint.h), so a page has 4 MB. Keys are percent-encoded there:
// 10,000 of the longest, none of their bytes ASCII, take some 130 rows.
constexpr int kKeysPageRows = 16;
// The rows of keys are numbered; those of targets come behind them.
constexpr std::string_view kTold = "told/";

}  // namespace

// The first 10 of a ULID's characters are milliseconds in base 32
// (github.com/ulid/spec). The caller has looked that it is one.
SystemTime UlidTime(std::string_view ulid) {
  static constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  int64_t milliseconds = 0;
  for (char c : ulid.substr(0, 10)) {
    const size_t digit = kDigits.find(c);
    milliseconds = milliseconds * 32 + static_cast<int64_t>(digit == kDigits.npos ? 0 : digit);
  }
  return SystemTime(std::chrono::milliseconds(milliseconds));
}

Async<bool> AreArchiveKeysRemembered(State& state, std::string archive) {
  const SystemTime end = UlidTime(archive) + kArchiveKeysKept;
  Result<std::optional<StateRow>> row = co_await state.Get(Partition(archive), "0");
  if (!row) co_return row.error().In("look for the keys of an archive");
  // (State may keep whole seconds.)
  co_return *row && !((*row)->expires && *(*row)->expires <= end + std::chrono::seconds(1));
}

Async<void> RememberArchiveKeys(State& state, SystemTime now, std::string archive,
                                HintMessage message) {
  std::vector<StateWrite> writes;
  for (NewMessage& encoded : EncodeHints(message)) {
    writes.push_back({.key = std::to_string(writes.size()),
                      .value = std::move(encoded.body),
                      .expires = now + kFloorLifetime});
  }
  Result<std::vector<Result<int64_t>>> written =
      co_await state.WriteMany(Partition(archive), std::move(writes));
  if (!written) co_return written.error().In("remember the keys of an archive");
  for (const Result<int64_t>& row : *written) {
    if (!row) co_return row.error().In("remember the keys of an archive");
  }
  co_return Ok();
}

Async<std::vector<std::string>> RecallArchiveKeys(State& state, std::string archive) {
  std::vector<std::string> bodies;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows =
        co_await state.Scan(Partition(archive), after, kKeysPageRows);
    if (!rows) co_return rows.error().In("recall the keys of an archive");
    for (StateRow& row : *rows) {
      if (!row.key.starts_with(kTold)) bodies.push_back(std::move(row.value));
    }
    if (rows->size() < kKeysPageRows) co_return bodies;
    after = std::move(rows->back().key);
  }
}

Async<void> RememberTold(State& state, SystemTime now, std::string archive,
                         std::vector<std::string> targets) {
  std::vector<StateWrite> writes;
  for (const std::string& target : targets) {
    writes.push_back(
        {.key = std::string(kTold) + target, .value = "1", .expires = now + kFloorLifetime});
  }
  Result<std::vector<Result<int64_t>>> written =
      co_await state.WriteMany(Partition(archive), std::move(writes));
  if (!written) co_return written.error().In("remember who told of an archive");
  for (const Result<int64_t>& row : *written) {
    if (!row) co_return row.error().In("remember who told of an archive");
  }
  co_return Ok();
}

Async<std::vector<std::string>> RecallTold(State& state, std::string archive) {
  std::vector<std::string> targets;
  for (std::string after(kTold);;) {
    Result<std::vector<StateRow>> rows =
        co_await state.Scan(Partition(archive), after, kKeysPageRows);
    if (!rows) co_return rows.error().In("recall who told of an archive");
    for (const StateRow& row : *rows) targets.push_back(row.key.substr(kTold.size()));
    if (rows->size() < kKeysPageRows) co_return targets;
    after = std::move(rows->back().key);
  }
}

Async<void> ForgetArchiveKeys(State& state, SystemTime now, std::string archive) {
  const SystemTime end = UlidTime(archive) + kArchiveKeysKept;
  std::string after;
  while (true) {
    Result<std::vector<StateRow>> rows =
        co_await state.Scan(Partition(archive), after, kKeysPageRows);
    if (!rows) co_return rows.error();
    if (rows->empty()) co_return Ok();
    const bool last = rows->size() < kKeysPageRows;
    after = rows->back().key;
    std::vector<StateWrite> removals;
    for (StateRow& row : *rows) {
      StateWrite write{.key = std::move(row.key)};
      if (now < end) {
        write.value = std::move(row.value);
        write.expires = end;
      }
      removals.push_back(std::move(write));
    }
    Result<std::vector<Result<int64_t>>> removed =
        co_await state.WriteMany(Partition(archive), std::move(removals));
    if (!removed) co_return removed.error();
    if (last) co_return Ok();
  }
}

}  // namespace longhaul
