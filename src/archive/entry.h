// What an archive says of one object, and of itself. The format is docs/archive-format.md.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/object.h"

namespace longhaul {

enum class EntryOp {
  kPut,         // The object as it was read: bytes, headers, metadata, tags.
  kDelete,      // There was no object under the key.
  kAttributes,  // The same without the bytes: they are those that `etag` and `size_bytes` name.
};

// The place of an entry's content in an object that is carried in several archives: its transfer
// is known by the ULID `plan`, and what is sent of the object are parts of one multipart upload.
struct Segment {
  std::string plan;
  uint64_t offset_bytes = 0;  // In the object.
  uint64_t object_size_bytes = 0;
  uint32_t number = 0;  // From 0 to count - 1.
  uint32_t count = 1;   // 10,000 at most.
  uint32_t first_part = 1;

  bool operator==(const Segment&) const = default;
};

inline constexpr uint32_t kSegmentsMax = 10'000;

// One reading. Strings are bytes: they need not be UTF-8.
struct ArchiveEntry {
  EntryOp op = EntryOp::kPut;
  std::string key;  // The whole source key.
  std::string version_id;
  SystemTime stamp{};
  uint64_t size_bytes = 0;
  // Without quotes. What follows from the bytes is not stored: below kDerivedSizeBytes an ETag that
  // is the MD5 of the content comes back from a reader as empty with `etag_is_md5` set, and so does
  // no checksum; the reader of the bytes computes what it needs.
  std::string etag;
  bool etag_is_md5 = false;
  std::vector<uint64_t> part_sizes;  // Of a multipart object; empty: one part or unknown.
  // Set: the content, `size_bytes` and `part_sizes` are those of a segment alone; the rest is said
  // of the object.
  std::optional<Segment> segment;
  SystemHeaders headers;
  UserMetadata metadata;
  Tags tags;
  std::string storage_class;
  std::optional<Checksum> checksum;  // Stored only from kDerivedSizeBytes on.
  std::optional<ObjectLock> lock{};  // Of the source object, where a target asks for it.

  bool operator==(const ArchiveEntry&) const = default;
};

inline constexpr uint64_t kDerivedSizeBytes = 64 << 10;

enum class ArchiveKind {
  kBundle,  // Many small objects.
  kSingle,  // One large object, or a segment of one.
};

struct ArchiveManifest {
  int version = 1;  // Of the format; a reader refuses a larger one.
  std::string id;   // ULID.
  std::string rule_id;
  std::string site;
  std::string source;  // "east:bucket/prefix"
  std::vector<std::string> sites_passed;
  SystemTime created{};
  std::string writer;  // "longhaul 0.3.0"
  ArchiveKind kind = ArchiveKind::kBundle;
  // By the names of targets: who applies it there must have this State. Empty: any will do.
  std::map<std::string, std::string> states{};
  // By their names: those of the rule's targets that it is for, where it is not for all of them.
  // Others may share the staging in which it lies.
  std::vector<std::string> targets{};
  // The span of the source that packed it, as W3C Trace Context writes it. Empty: not traced, or
  // by a version that does not trace.
  std::string traceparent{};

  [[nodiscard]] bool IsFor(std::string_view target) const;
  bool operator==(const ArchiveManifest&) const = default;
};

// A key that seals archives: HMAC-SHA-256 over the index, which holds the SHA-256 of every frame.
// Readers accept several, so that a key can be changed while archives are under way.
struct SealKey {
  std::string id;      // 1 to 64 of [A-Za-z0-9._-]; stands in the archive.
  std::string secret;  // Bytes; at least 16.
};

// What a hostile archive can make a reader take, and a writer never exceeds.
inline constexpr uint64_t kContentSizeBytesMax = 5ULL << 30;  // Of one object.
inline constexpr uint64_t kArchiveRawSizeBytesMax = kContentSizeBytesMax + (64 << 20);  // The tar.
inline constexpr uint64_t kFrameSizeBytesMax = 64 << 20;
inline constexpr int kWindowLogMax = 27;
inline constexpr uint64_t kEntryHeaderBytesMax = 64 << 10;  // Of one entry: key, metadata, tags, ….
inline constexpr uint64_t kArchiveEntriesMax = 1'000'000;
inline constexpr uint64_t kIndexSizeBytesMax = 256 << 20;
inline constexpr uint64_t kFramesMax = 65'536;
inline constexpr uint64_t kAttributesMax = 16'384;  // Different names of metadata, tags, ….

}  // namespace longhaul
