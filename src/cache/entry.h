// Entry: what State remembers of one key of a cache.
//
// A cache is one bucket of one store that fills put copies into. Its rows say whose copy lies under
// a key, of which state of the source, and until when; nothing is called cached that has no row
// that says so. A row that says "copying" is a claim: it belongs to one session of one run, and
// holds for as long as that lives (run_book.h). Each change of a row is made on the condition that
// nobody else has changed it since it was read, so of two runs one gets a key.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

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
  kReady,    // The copy is there.
  kCopying,  // A run has taken the key.
  kFailed,   // It has not been copied; `reason` says why.
};
std::string_view ToString(EntryState state);

struct Entry {
  EntryState state = EntryState::kReady;
  std::string source;       // SourceText.
  std::string etag;         // Of the source, as copied; while copying, as listed.
  std::string cached_etag;  // Of the copy.
  uint64_t size_bytes = 0;
  SystemTime until{};    // Its time to live ends. Of a failure: it is remembered so long.
  SystemTime used{};     // By a fill, last.
  SystemTime filled{};   // When the copy was made; none while there has been none.
  SystemTime claimed{};  // When the run took it.
  int64_t run = 0;       // That has filled it, failed, or is copying.
  std::string session;   // Of that run, while copying.
  std::string reason;

  bool operator==(const Entry&) const = default;
};

std::string EncodeEntry(const Entry& entry);
// kCorrupt.
Result<Entry> DecodeEntry(const StateRow& row);

// The rows of keys with this prefix, in order, until `each` says false.
Async<void> EachEntry(State& state, Place place, std::string prefix,
                      std::function<bool(const std::string& key, const Entry& entry)> each);

}  // namespace longhaul::cache
