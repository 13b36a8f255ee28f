#include "replication/archive_keys.h"

#include <string_view>
#include <utility>

#include "replica/floor.h"

namespace longhaul {

namespace {

std::string Partition(const std::string& archive) { return "archive/" + archive; }
// When the archive was begun: the first 10 of a ULID's characters are milliseconds in base 32
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

constexpr int kRowsMax = 100;  // An archive of 10,000 of the longest keys takes 43.

}  // namespace

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
  Result<std::vector<StateRow>> rows = co_await state.Scan(Partition(archive), "", kRowsMax);
  if (!rows) co_return rows.error().In("recall the keys of an archive");
  std::vector<std::string> bodies;
  for (StateRow& row : *rows) bodies.push_back(std::move(row.value));
  co_return bodies;
}

Async<void> ForgetArchiveKeys(State& state, SystemTime now, std::string archive) {
  Result<std::vector<StateRow>> rows = co_await state.Scan(Partition(archive), "", kRowsMax);
  if (!rows) co_return rows.error();
  std::vector<StateWrite> removals;
  const SystemTime end = UlidTime(archive) + kArchiveKeysKept;
  for (StateRow& row : *rows) {
    StateWrite write{.key = std::move(row.key)};
    if (now < end) {
      write.value = std::move(row.value);
      write.expires = end;
    }
    removals.push_back(std::move(write));
  }
  if (removals.empty()) co_return Ok();
  Result<std::vector<Result<int64_t>>> removed =
      co_await state.WriteMany(Partition(archive), std::move(removals));
  if (!removed) co_return removed.error();
  co_return Ok();
}

}  // namespace longhaul
