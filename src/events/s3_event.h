// What S3 servers send when something happened in a bucket, in all its shapes, as plain records.
//
// Understood: the S3 message ({"Records":[…]}, also one bare record) of AWS, MinIO, versitygw and
// Ceph; the same inside an SNS notification; EventBridge; CloudEvents (structured mode; in binary
// mode the body is an S3 message); a JSON array of these; s3:TestEvent. Unknown fields are ignored.
// And the jobs that systems of AWS Samples and AWS Solutions which migrate send to their workers:
// those of the Resumable migration, of its successor s3trans (an S3 message with capitals), and of
// the Data Transfer Hub, objects and parts. What they say of targets is not looked at.
//
// Keys. AWS and MinIO send them form-encoded ("a b+c" is "a+b%2Bc"), Ceph and EventBridge as they
// are, and versitygw too, although it calls itself aws:s3. Nothing in a message tells which: so
// what cannot be encoded (a space, a lone '%', bytes that an encoder never leaves) is taken as it
// is, what reads the same both ways is one key, and of everything else *both* readings are given: a
// hint for a key that does not exist costs one request and changes nothing. MinIO always encodes;
// the messages with which the cross-region compressor of AWS Samples fetches existing objects never
// do, nor do jobs. A part of the Data Transfer Hub has its key unescaped in the JSON: it is taken
// so, and where that reads otherwise also unescaped.
//
// Sources: S3 User Guide, "Event message structure" and "EventBridge"; MinIO internal/event;
// Ceph, "Bucket notifications"; CloudEvents 1.0, JSON format.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace longhaul {

inline constexpr size_t kEventBodyBytesMax = 1 << 20;
inline constexpr size_t kEventRecordsMax = 10'000;

struct S3EventRecord {
  std::string bucket;
  std::string key;
  std::optional<SystemTime> time;  // When it happened, by the clock of the store.
  std::optional<uint64_t> size_bytes;
  // Of tags, or of a copy, perhaps onto itself: the bytes may be those that were there before.
  bool attributes = false;
  // Of a delete, a delete marker, an expiry. Not of the removal of one version, or of a delete
  // marker: behind it an older version may be the object again.
  bool removal = false;

  bool operator==(const S3EventRecord&) const = default;
};

struct S3Events {
  std::vector<S3EventRecord> records;
  int ignored = 0;  // About nothing that is replicated: reads, ACLs, transitions, replication.
  // Without bucket or key, of an unknown version, with a key over 1,024 bytes; and items of an
  // array that are none of the above.
  int malformed = 0;
  int tests = 0;  // s3:TestEvent, sent when a notification is set up.
};

// `only_bucket`: what jobs that name no bucket are of; empty: they are refused.
//
// kInvalidInput with a code: "EntityTooLarge", "TooManyRecords", "NotJson", "UnknownShape" (nothing
// in it was understood), "NoBucket" (see above), "SubscriptionConfirmation" (SNS asks whether it
// may send: a person answers).
Result<S3Events> ParseS3Events(std::string_view body, std::string_view only_bucket = {});

}  // namespace longhaul
