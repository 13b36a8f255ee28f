// What is missing at the target of a run: both listings side by side, name by name, by the filter
// and the comparison of `sync` (transfer/tree/filter.h, decide.h). What only heads can tell is
// taken for missing, and whoever is to carry it looks at both sides first (look.h).

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "migration/run.h"
#include "migration/task.h"
#include "storage/store.h"
#include "transfer/listing/listing.h"

namespace longhaul::migration {

// The two sides of a run, opened.
struct Ends {
  Store* source = nullptr;
  Store* target = nullptr;
};

// Whether an object is carried by many workers: by its size, and where it goes as parts, so that no
// upload is left by a worker that dies.
bool IsGiant(const MigrationOptions& options, const Ends& ends, uint64_t size_bytes,
             std::string_view etag);

struct Missing {
  TaskObject object;
  bool giant = false;
  bool none =
      false;  // Much has been looked at and is there; the reader goes on with the next call.
};

struct MissingCounts {
  int64_t seen = 0;    // At the source, whatever the filter says.
  int64_t listed = 0;  // At the source, that passed the filter.
  int64_t listed_bytes = 0;
  int64_t equal = 0;
};

// Belongs to one coroutine. Close it before it is destroyed.
class MissingReader {
 public:
  // Below the prefix of the run and `prefix`; names after `after`, where it is not empty.
  MissingReader(Runtime& runtime, const Run& run, Ends ends, const std::string& prefix,
                const std::string& after);

  // The next one, or nullopt: that was all. Errors are those of the listings.
  Async<std::optional<Missing>> Next();
  asio::awaitable<void> Close();

  [[nodiscard]] const MissingCounts& counts() const { return counts_; }
  // The last name of the source that was looked at; all before it have been.
  [[nodiscard]] const std::string& last_name() const { return last_name_; }

 private:
  // Takes the next one of the target.
  Async<void> Beside();

  const MigrationOptions options_;
  Ends ends_;
  size_t source_prefix_bytes_;
  size_t target_prefix_bytes_;
  std::unique_ptr<Listing> source_;
  std::unique_ptr<Listing> target_;
  bool started_ = false;
  std::optional<ListedObject> beside_;  // The next one of the target.
  MissingCounts counts_;
  std::string last_name_;
};

}  // namespace longhaul::migration
