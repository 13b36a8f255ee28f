// What became of a key: the lines of a report, the counts of a summary, the progress on a terminal.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

enum class OutcomeState { kApplied, kEqual, kSuperseded, kParked, kConflict, kReread };
std::string_view ToString(OutcomeState state);

struct Outcome {
  SystemTime time{};
  std::string rule;
  std::string target;  // Empty for what failed at the source, before it had a target.
  std::string op;      // "put", "delete" or "attributes"
  std::string key;     // At the source.
  uint64_t size_bytes = 0;
  SystemTime stamp{};
  std::string archive;  // Its ULID; empty for what failed at the source.
  std::string route{};  // archive, s3-replication, copy or plain; empty where it took none.
  OutcomeState state = OutcomeState::kApplied;
  std::string reason;
};

// What an archive carries, and what carrying it took.
struct ArchiveBytes {
  uint64_t objects = 0;  // Bodies, without framing and metadata, each object counted once.
  // What copies of the objects themselves would have sent: `objects` for each target.
  uint64_t plain = 0;
  uint64_t sent = 0;  // What went to staging, or to the targets themselves.
  uint64_t archives = 1;
  std::string rule{};
  std::chrono::milliseconds took{0};  // Until the archive was durable; 0 where there is none.
};

// An archive whose objects a target has, and of which it has written the receipt.
struct ArchiveApplied {
  std::string rule;
  std::string target;
  uint64_t archive_bytes = 0;         // As it lay in the staging.
  uint64_t object_bytes = 0;          // Of the bodies in it.
  std::chrono::milliseconds took{0};  // The last try.
};

// An object took longer to a target than its rule's threshold, or arrived there after that.
struct ThresholdEvent {
  enum class Kind { kMissed, kReachedAfter };
  Kind kind = Kind::kMissed;
  SystemTime time{};  // Of kReachedAfter: that of the receipt.
  std::string rule;
  std::string target;
  std::string key;     // At the source.
  SystemTime heard{};  // From when on it is waited for.
  std::chrono::milliseconds threshold{0};
};

// An archive has gone from a staging, in which it lay for so long.
struct StagingFreed {
  std::string rule;
  std::string target;  // Empty: from the local staging.
  uint64_t bytes = 0;
  std::chrono::milliseconds kept{0};
};

// Hears what happens. Belongs to one shard; must not block.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnOutcome(const Outcome&) {}
  // A comparison came to its end and found so much to be written or removed, each target's counted;
  // sums over all calls.
  virtual void OnFound(uint64_t objects, uint64_t size_bytes) {
    static_cast<void>(objects);
    static_cast<void>(size_bytes);
  }
  // An object could not be carried now for a reason of its own and will be tried again.
  virtual void OnRetry(std::string_view rule, std::string_view key, const Error& error) {
    static_cast<void>(rule);
    static_cast<void>(key);
    static_cast<void>(error);
  }
  // A part of the program (source, target, …) can or cannot do its work now.
  virtual void OnReadiness(std::string_view part, const std::optional<Error>& error) {
    static_cast<void>(part);
    static_cast<void>(error);
  }
  virtual void OnArchiveStaged(const ArchiveBytes&) {}
  virtual void OnArchiveApplied(const ArchiveApplied&) {}
  virtual void OnThreshold(const ThresholdEvent&) {}
  virtual void OnStagingFreed(const StagingFreed&) {}
};

}  // namespace longhaul
