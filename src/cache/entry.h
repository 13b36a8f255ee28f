// Entry: what State remembers of one key of a cache.
//
// A cache is one bucket of one store that fills put copies into. Its rows say whose copy lies under
// a key, of which state of the source, and until when; nothing is called cached that has no row
// that says so. A row that says "copying" or "removing" is a claim: it belongs to one session of
// one run, and holds for as long as that lives (run_book.h). Each change of a row is made on the
// condition that nobody else has changed it since it was read, so of two runs one gets a key.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "state/state.h"

namespace longhaul::cache {

// Where copies lie.
struct Place {
  std::string store;  // Store::description().
  std::string bucket;

  // Partitions of State.
  [[nodiscard]] std::string Entries() const { return "cache/entries/" + Text(); }
  [[nodiscard]] std::string Runs() const { return "cache/runs/" + Text(); }
  [[nodiscard]] std::string Text() const { return bucket + "@" + store; }

  bool operator==(const Place&) const = default;
};

// Which bucket a copy is of, as rows name it.
std::string SourceText(std::string_view store, std::string_view bucket);

enum class EntryState {
  kReady,     // The copy is there.
  kCopying,   // A run has taken the key.
  kFailed,    // It has not been copied, or counts no more; `reason` says why.
  kRemoving,  // A run has taken the key to remove its copy.
};
std::string_view ToString(EntryState state);

struct Entry {
  EntryState state = EntryState::kReady;
  std::string source;  // SourceText.
  // What stands before the source's key in this one: by another one the copy is another key's.
  // Rows of old do not tell.
  std::optional<std::string> target_prefix;
  std::string etag;         // Of the source, as copied; while copying, as listed.
  std::string cached_etag;  // Of the copy.
  uint64_t size_bytes = 0;
  // So much of the bytes of the cache (budget.h) is counted for this key.
  uint64_t counted_bytes = 0;
  bool pinned = false;    // Neither its end nor a budget removes it.
  SystemTime modified{};  // LastModified of what was copied, where it was told.
  SystemTime until{};     // Its time to live ends. Of a failure: it is remembered so long.
  SystemTime used{};      // By a fill or a reader, last.
  SystemTime filled{};    // When the copy was made; none while there has been none.
  SystemTime claimed{};   // When the run took it.
  // The first of the claims before, since the last copy, whose end nobody has seen: its copy may
  // have arrived, and be what lies there.
  SystemTime unfinished{};
  std::string unfinished_etag;
  uint64_t unfinished_size_bytes = 0;
  int64_t run = 0;      // That has filled it, failed, or has claimed it.
  std::string session;  // Of that run, while it holds the claim.
  std::string reason;

  [[nodiscard]] bool claimed_now() const {
    return state == EntryState::kCopying || state == EntryState::kRemoving;
  }
  // Whether an object may lie under the key because of this row.
  [[nodiscard]] bool may_have_copy() const {
    return filled != SystemTime{} || claimed != SystemTime{};
  }
  // May be one of that source, filled so.
  [[nodiscard]] bool MayBeOf(std::string_view from, std::string_view prefix) const {
    return source == from && (!target_prefix || *target_prefix == prefix);
  }
  bool operator==(const Entry&) const = default;
};

std::string EncodeEntry(const Entry& entry);
// kCorrupt.
Result<Entry> DecodeEntry(const StateRow& row);

// A row as it was read.
struct EntryRow {
  std::string key;
  int64_t revision = 0;
  Entry entry;
};

// The rows of keys with a prefix, in order, page by page.
class EntryPages {
 public:
  EntryPages(State& state, Place place, std::string prefix);
  // Empty: there are no more.
  Async<std::vector<EntryRow>> Next();

 private:
  State& state_;
  Place place_;
  std::string prefix_;
  std::string after_;
  bool ended_ = false;
};

// The same one by one, until `each` says false.
Async<void> EachEntry(State& state, Place place, std::string prefix,
                      std::function<bool(const std::string& key, const Entry& entry)> each);

}  // namespace longhaul::cache
