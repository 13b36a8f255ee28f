// Hints: what travels in the Queue from whoever hears of a change to the source role.
//
// A hint says that a key may have changed. It is never believed: the source reads the key. So a
// hint too many costs one read, and only a hint too few could lose something.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/entry.h"
#include "base/clock.h"
#include "base/result.h"
#include "queue/queue.h"

namespace longhaul {

// A piece of a giant that is to be carried as it was when its transfer was planned. This alone is
// believed, in so far as the object is still the one that it names.
struct SegmentHint {
  Segment segment;
  SystemTime stamp{};  // Of the reading by which the transfer was planned.
  std::string etag;    // The object's, and its time: as it was then.
  SystemTime last_modified{};
  uint64_t size_bytes = 0;       // Of the segment.
  uint64_t part_size_bytes = 0;  // Of its parts; the last one may be smaller.

  bool operator==(const SegmentHint&) const = default;
};

struct Hint {
  std::string key;
  SystemTime time{};  // Of the event, by the clock of the store; of a listing: LastModified.
  std::optional<uint64_t> size_bytes;
  int tries = 0;  // How often it has come back because it could not be carried.
  // When it was heard of first, of one that has come back: its lag counts from then.
  std::optional<SystemTime> heard{};
  std::optional<SegmentHint> segment;  // Not the key is to be read, but this much of it.
  // By what was heard, no byte of it may have changed: asking whether the target has them may pay.
  bool attributes = false;

  bool operator==(const Hint&) const = default;
};

enum class HintOrigin { kWebhook, kListing, kWatch, kReread };

// The body of one message of the Queue.
struct HintMessage {
  std::string store;  // A store of the configuration.
  std::string bucket;
  std::string rule;    // Empty: every rule that matches the key.
  std::string target;  // Of that rule; empty: all of its targets.
  HintOrigin origin = HintOrigin::kWebhook;
  std::vector<Hint> hints;

  bool operator==(const HintMessage&) const = default;
};

inline constexpr size_t kHintsPerMessageMax = 1000;
// Below the 256 KiB that a Queue takes (queue/queue.h); long keys make more messages.
inline constexpr size_t kHintMessageBytesMax = 240 << 10;

// The lanes of the Queue in which hints wait. Each rule has three, so that the backlog of one is
// not before what another hears of, what is found by listing not before what happens now, and
// neither behind the segments of giants, of which a process takes only what it carries next.
std::string FreshLane(const std::string& rule);
std::string BacklogLane(const std::string& rule);
std::string SegmentLane(const std::string& rule);

// As many messages as the limits ask for, in the order of the hints; none for no hints. A segment
// has a message to itself, so that many processes can take part. What a listing found goes to the
// rule's lane for a backlog.
std::vector<NewMessage> EncodeHints(const HintMessage& message);
// kInvalidInput: not a message of hints, or over the limits.
Result<HintMessage> DecodeHints(std::string_view body);

}  // namespace longhaul
