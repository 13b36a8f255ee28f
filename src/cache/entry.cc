#include "cache/entry.h"

#include <array>

#include "transfer/runs/row.h"

namespace longhaul::cache {

namespace {

constexpr int kRowsPerScan = 1000;
constexpr std::array<std::string_view, 3> kStates = {"ready", "copying", "failed"};

}  // namespace

std::string SourceText(std::string_view store, std::string_view bucket) {
  return std::string(bucket) + "@" + std::string(store);
}

std::string_view ToString(EntryState state) { return kStates[static_cast<size_t>(state)]; }

std::string EncodeEntry(const Entry& entry) {
  Row row;
  row.Set("state", std::string(ToString(entry.state)))
      .Set("source", entry.source)
      .Set("etag", entry.etag)
      .Set("cached_etag", entry.cached_etag)
      .Set("size", entry.size_bytes)
      .Set("until", entry.until)
      .Set("used", entry.used)
      .Set("run", entry.run)
      .Set("session", entry.session)
      .Set("reason", entry.reason);
  if (entry.filled != SystemTime{}) row.Set("filled", entry.filled);
  if (entry.claimed != SystemTime{}) row.Set("claimed", entry.claimed);
  return row.Encode();
}

Result<Entry> DecodeEntry(const StateRow& row) {
  Result<Row> fields = Row::Decode(row.value);
  if (!fields) return fields.error();
  Entry entry{.source = fields->Text("source"),
              .etag = fields->Text("etag"),
              .cached_etag = fields->Text("cached_etag"),
              .size_bytes = static_cast<uint64_t>(fields->Number("size")),
              .until = fields->Time("until").value_or(SystemTime{}),
              .used = fields->Time("used").value_or(SystemTime{}),
              .filled = fields->Time("filled").value_or(SystemTime{}),
              .claimed = fields->Time("claimed").value_or(SystemTime{}),
              .run = fields->Number("run"),
              .session = fields->Text("session"),
              .reason = fields->Text("reason")};
  const std::string& state = fields->Text("state");
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (state != kStates[i]) continue;
    entry.state = static_cast<EntryState>(i);
    return entry;
  }
  return Corrupt("State holds an entry of a cache in the state '" + state + "'");
}

Async<void> EachEntry(State& state, Place place, std::string prefix,
                      std::function<bool(const std::string& key, const Entry& entry)> each) {
  // What comes before all keys with the prefix, and after as few others as can be.
  std::string after = prefix;
  if (!after.empty() && after.back() == '\0') {
    after.pop_back();
  } else if (!after.empty()) {
    after.back() = static_cast<char>(static_cast<unsigned char>(after.back()) - 1);
    after += "\xff\xff\xff\xff";
  }
  while (true) {
    Result<std::vector<StateRow>> rows = co_await state.Scan(place.Entries(), after, kRowsPerScan);
    if (!rows) co_return rows.error();
    for (const StateRow& row : *rows) {
      if (row.key < prefix) continue;
      if (!row.key.starts_with(prefix)) co_return Ok();
      Result<Entry> entry = DecodeEntry(row);
      if (!entry) co_return entry.error();
      if (!each(row.key, *entry)) co_return Ok();
    }
    if (rows->size() < kRowsPerScan) co_return Ok();
    after = rows->back().key;
  }
}

}  // namespace longhaul::cache
