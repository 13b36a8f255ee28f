#include "cache/entry.h"

#include <array>

#include "transfer/runs/row.h"

namespace longhaul::cache {

namespace {

constexpr int kRowsPerScan = 1000;
constexpr std::array<std::string_view, 4> kStates = {"ready", "copying", "failed", "removing"};

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
      .Set("counted", entry.counted_bytes)
      .Set("until", entry.until)
      .Set("used", entry.used)
      .Set("run", entry.run)
      .Set("session", entry.session)
      .Set("reason", entry.reason);
  // A list: none is not an empty one.
  if (entry.target_prefix) row.Set("to", std::vector<std::string>{*entry.target_prefix});
  if (entry.pinned) row.Set("pinned", true);
  if (entry.modified != SystemTime{}) row.Set("modified", entry.modified);
  if (entry.filled != SystemTime{}) row.Set("filled", entry.filled);
  if (entry.claimed != SystemTime{}) row.Set("claimed", entry.claimed);
  if (entry.unfinished != SystemTime{}) {
    row.Set("unfinished", entry.unfinished)
        .Set("unfinished_etag", entry.unfinished_etag)
        .Set("unfinished_size", entry.unfinished_size_bytes);
  }
  return row.Encode();
}

Result<Entry> DecodeEntry(const StateRow& row) {
  Result<Row> fields = Row::Decode(row.value);
  if (!fields) return fields.error();
  Entry entry{.source = fields->Text("source"),
              .etag = fields->Text("etag"),
              .cached_etag = fields->Text("cached_etag"),
              .size_bytes = static_cast<uint64_t>(fields->Number("size")),
              .counted_bytes = static_cast<uint64_t>(fields->Number("counted")),
              .pinned = fields->Flag("pinned"),
              .modified = fields->Time("modified").value_or(SystemTime{}),
              .until = fields->Time("until").value_or(SystemTime{}),
              .used = fields->Time("used").value_or(SystemTime{}),
              .filled = fields->Time("filled").value_or(SystemTime{}),
              .claimed = fields->Time("claimed").value_or(SystemTime{}),
              .unfinished = fields->Time("unfinished").value_or(SystemTime{}),
              .unfinished_etag = fields->Text("unfinished_etag"),
              .unfinished_size_bytes = static_cast<uint64_t>(fields->Number("unfinished_size")),
              .run = fields->Number("run"),
              .session = fields->Text("session"),
              .reason = fields->Text("reason")};
  if (const auto& to = fields->Texts("to"); !to.empty()) entry.target_prefix = to.front();
  const std::string& state = fields->Text("state");
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (state != kStates[i]) continue;
    entry.state = static_cast<EntryState>(i);
    return entry;
  }
  return Corrupt("State holds an entry of a cache in the state '" + state + "'");
}

EntryPages::EntryPages(State& state, Place place, std::string prefix)
    : state_(state), place_(std::move(place)), prefix_(std::move(prefix)), after_(prefix_) {
  // What comes before all keys with the prefix, and after as few others as can be.
  if (!after_.empty() && after_.back() == '\0') {
    after_.pop_back();
  } else if (!after_.empty()) {
    after_.back() = static_cast<char>(static_cast<unsigned char>(after_.back()) - 1);
    after_ += "\xff\xff\xff\xff";
  }
}

Async<std::vector<EntryRow>> EntryPages::Next() {
  std::vector<EntryRow> page;
  while (page.empty() && !ended_) {
    Result<std::vector<StateRow>> rows =
        co_await state_.Scan(place_.Entries(), after_, kRowsPerScan);
    if (!rows) co_return rows.error();
    ended_ = rows->size() < kRowsPerScan;
    for (StateRow& row : *rows) {
      after_ = row.key;
      if (row.key < prefix_) continue;
      if (!row.key.starts_with(prefix_)) {
        ended_ = true;
        break;
      }
      Result<Entry> entry = DecodeEntry(row);
      if (!entry) co_return entry.error();
      page.push_back(
          {.key = std::move(row.key), .revision = row.revision, .entry = std::move(*entry)});
    }
  }
  co_return page;
}

Async<void> EachEntry(State& state, Place place, std::string prefix,
                      std::function<bool(const std::string& key, const Entry& entry)> each) {
  EntryPages pages(state, std::move(place), std::move(prefix));
  while (true) {
    Result<std::vector<EntryRow>> page = co_await pages.Next();
    if (!page) co_return page.error();
    if (page->empty()) co_return Ok();
    for (const EntryRow& row : *page) {
      if (!each(row.key, row.entry)) co_return Ok();
    }
  }
}

}  // namespace longhaul::cache
