// What the archives of the cross-region compressor of AWS Samples say of themselves: the file
// manifest.json in a .tar.zst whose other members are objects/<relative key>.
//
// Source: its code (aws-samples/sample-s3-cross-region-compressor, releases 1.0.0 and 1.1.0).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "storage/object.h"

namespace longhaul::archive {

inline constexpr std::string_view kCompressorManifestName = "manifest.json";
inline constexpr std::string_view kCompressorObjectsFolder = "objects/";
// Of a copy: when its source's object was last modified, as CompressorTime reads it.
inline constexpr std::string_view kCompressorTimeTag = "OriginalCreationTime";

struct CompressorTarget {
  std::string region;
  std::string bucket;
  bool backup = false;  // Keeps archives, not objects.

  bool operator==(const CompressorTarget&) const = default;
};

struct CompressorObject {
  std::string source_bucket;
  std::string source_region;  // Empty in archives of release 1.0.0.
  std::string source_prefix;  // As it was configured, with or without a "/" at its end.
  std::string relative_key;   // Without the prefix, and without any "/" at its beginning.
  std::optional<Tags> tags;   // nullopt: they could not be read.
  SystemTime created{};       // Last modified, at the source; whole seconds.
  std::string etag;           // Of the object as it was a moment after its bytes were read.
  uint64_t size_bytes = 0;    // The same.
  std::string storage_class;

  bool operator==(const CompressorObject&) const = default;
};

struct CompressorManifest {
  std::vector<CompressorTarget> targets;
  std::vector<CompressorObject> objects;

  bool operator==(const CompressorManifest&) const = default;
};

// kCorrupt: not such a manifest.
Result<CompressorManifest> ParseCompressorManifest(std::string_view text);

// "2026-03-01 09:30:00", of UTC. nullopt: anything else.
std::optional<SystemTime> CompressorTime(std::string_view text);

}  // namespace longhaul::archive
