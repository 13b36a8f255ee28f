// State remembers small facts by (partition, key): tombstones and floors, leases, upload ids,
// probed capabilities, statistics.
//
// Every row has a revision; Put and Remove can demand the one that the caller saw. A State belongs
// to one shard; many shards and processes may open the same one. Backends: sqlite,
// postgres, dynamodb, and the fake of the simulation. tests/conformance/state_suite.h says in code
// what the comments below say.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"

namespace longhaul {

inline constexpr size_t kStateKeySizeMaxBytes = 2048;  // Room for an S3 key and a few words.
inline constexpr size_t kStateValueSizeMaxBytes = 256 * 1024;

struct StateRow {
  std::string key;       // Bytes: 1 to kStateKeySizeMaxBytes.
  std::string value;     // Bytes: at most kStateValueSizeMaxBytes.
  int64_t revision = 0;  // > 0; another one after each write, never seen before for this key.
  std::optional<SystemTime> expires;
};

// What must hold for a write to happen.
struct Expected {
  enum class Kind { kAnything, kAbsent, kRevision };
  Kind kind = Kind::kAnything;
  int64_t revision = 0;

  static Expected Anything() { return {}; }
  static Expected Absent() { return {.kind = Kind::kAbsent}; }
  static Expected Revision(int64_t revision) {
    return {.kind = Kind::kRevision, .revision = revision};
  }
};

struct StateWrite {
  std::string key;
  std::optional<std::string> value;  // nullopt: remove.
  Expected expected;
  std::optional<SystemTime> expires;  // From then on the row reads as absent.
};

class State {
 public:
  virtual ~State() = default;

  // The row, or nullopt when it is absent or expired. Sees every write that returned OK before.
  virtual Async<std::optional<StateRow>> Get(std::string partition, std::string key) = 0;
  // The same for many keys, results in the same order; not one snapshot.
  virtual Async<std::vector<std::optional<StateRow>>> GetMany(std::string partition,
                                                              std::vector<std::string> keys) = 0;

  // One write. OK: durable; the new revision (0 after a removal). kPrecondition: `expected` does
  // not hold, nothing was written. kRetryable: it may have been written or not. kInvalidInput: key
  // or value too long. Removing an absent row is no error where `expected` allows it.
  virtual Async<int64_t> Write(std::string partition, StateWrite write) = 0;
  // Many writes of one partition, each on its own terms: a result for each, in order. Later ones
  // see earlier ones. An error of the whole: any of them may have been written or not.
  virtual Async<std::vector<Result<int64_t>>> WriteMany(std::string partition,
                                                        std::vector<StateWrite> writes) = 0;

  // Adds to a decimal number in one atomic step (absent counts as 0, and the row stays when it
  // becomes 0); the new value. An expiry stays as it is. kInvalidInput: the value is no number, or
  // the sum does not fit. kRetryable: it may have been added or not.
  virtual Async<int64_t> Add(std::string partition, std::string key, int64_t amount) = 0;

  // Rows with keys greater than `after`, in byte order of keys, without expired ones.
  virtual Async<std::vector<StateRow>> Scan(std::string partition, std::string after,
                                            int count_max) = 0;
};

// For implementations: what every backend refuses in the same words.
Result<void> CheckStateWrite(const StateWrite& write);
// kPrecondition: the row is not what the write expected.
Error UnexpectedState(const StateWrite& write);
// The sum as Add defines it; `value` is the text in the row.
Result<int64_t> AddToStateNumber(std::string_view value, int64_t amount);

}  // namespace longhaul
