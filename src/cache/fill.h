// Fill: has all objects below some prefixes of a bucket in a cache, each key copied by one run.
//
// The prefixes are listed side by side. Of each page of keys the rows are read, decided upon
// (decide.h) and written; what this run has claimed is copied, by the server where both ends are
// one store. Rows say that a copy is there after it is. What others are copying is looked at again
// until it has ended: it then counts as theirs, failures too, or is free to be claimed.
//
// With a budget (budget.h), room is made before keys are claimed; what does not fit fails.
//
// A run that is killed leaves claims that hold no longer than it lived; whoever takes such a key
// looks first whether its copy has arrived. A run whose lease is lost stops.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "cache/entry.h"
#include "cache/run_book.h"
#include "storage/store.h"

namespace longhaul {
class UploadRecords;
}

namespace longhaul::cache {

class FillBill;

inline constexpr std::chrono::seconds kTtlMin{60};
inline constexpr std::chrono::hours kTtlMax{366 * 24};

struct FillRequest {
  Store& source;  // Borrowed, as `target`.
  std::string source_bucket;
  std::vector<std::string> prefixes;  // As asked for; "" is the whole bucket.
  Store& target;
  std::string bucket;
  std::string target_prefix;  // Before each key.
  std::chrono::seconds ttl{0};
  bool force = false;
  // Wait for what others are copying.
  bool wait = false;
  // A bucket that holds objects, and of which no row is known, may be used.
  bool take_bucket = false;
  // From now on, for the cache as a whole; 0 removes it. None: as it is.
  std::optional<uint64_t> budget_bytes{};
  std::optional<int64_t> resume;  // A run of the same prefixes that did not end.
  std::string source_name;        // As people name it.
};

enum class Outcome { kHit, kCopied, kFound, kGone, kFailed, kWaiting };
std::string_view ToString(Outcome outcome);

struct KeyReport {
  std::string_view key;  // Of the source.
  Outcome outcome = Outcome::kHit;
  uint64_t size_bytes = 0;
  std::string_view reason;
  int64_t by_run = 0;  // Whose failure it is, or who is copying it; 0: this run.
};

struct FillOptions {
  int in_flight = 64;  // Objects.
  int prefixes_at_once = 16;
  std::chrono::milliseconds lease = std::chrono::seconds(30);
  ProcessName owner = ThisProcess();
  UploadRecords* uploads = nullptr;  // Set: copies in parts go on where they broke off. Borrowed.
  Event* stop = nullptr;             // Borrowed; set: end soon.
  // What the stores of the request, and nobody else's work, are asked for. Set: the run says what
  // it cost. Borrowed.
  const FillBill* bill = nullptr;
  std::function<void(const Run&)> on_begin;
  std::function<void(const KeyReport&)> on_key;
};

struct FillResult {
  Run run;  // As it ended.
  using OfPrefix = Run::OfPrefix;
  std::vector<OfPrefix> prefixes;  // In the order of the request.
  [[nodiscard]] bool failed() const;
};

// What is wrong with a request as a whole, before anything is copied or remembered.
// kInvalidInput: the ttl, one bucket for both ends, a bucket that holds objects that are not known
// to be copies; kNotFound: a bucket, a prefix without objects; kDenied: a prefix may not be listed,
// or the first object below it not be read.
Async<void> CheckFill(Runtime runtime, State& state, const FillRequest& request);
// The parts of it, for whoever tells which part of a request is wrong.
Result<void> CheckTtl(std::chrono::seconds ttl);
Async<void> CheckSource(const FillRequest& request);
Async<void> CheckCache(State& state, const FillRequest& request);

// Errors are those of State, and kPrecondition: the run to be resumed is under way, or is one of
// other prefixes; kCancelled: stop. What failed of prefixes and keys is in the result.
Async<FillResult> Fill(Runtime runtime, State& state, FillRequest request, FillOptions options);

}  // namespace longhaul::cache
