// An archive of the cross-region compressor of AWS Samples (archive/compressor_manifest.h), read as
// a stream: it has no index, and its manifest comes last.
//
// So it is read twice. The first time (SurveyCompressorArchive) gives the manifest and what can be
// known of each member: size and digests. Nothing is written before the whole archive has been
// found sound. The second time (CompressorCursor) gives the bytes.

#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "archive/compressor_manifest.h"
#include "archive/tar.h"
#include "base/runtime.h"
#include "rules/rule.h"
#include "storage/store.h"

namespace longhaul {

struct CompressorArchivePlace {
  Store* store = nullptr;
  std::string bucket;
  std::string key;
  std::string etag;  // The version to read.
};

// One object of an archive.
struct CompressorEntry {
  // What the ETag of the manifest, which was asked for after the bytes, says of them.
  enum class Proof {
    kEtag,       // It is their MD5.
    kNone,       // It is that of a multipart object, or none.
    kOtherEtag,  // It looks like an MD5 and is that of other bytes, if the source does not encrypt.
    kOtherSize,  // The object had another size by then: it had been overwritten.
  };

  size_t member = 0;  // Of the tar, counted from 0; of several with one name the last.
  std::string key;    // At the source.
  SystemTime stamp{};
  uint64_t size_bytes = 0;
  std::string md5;    // 32 hex digits.
  std::string crc64;  // 8 bytes, big-endian.
  Proof proof = Proof::kNone;
  std::optional<Tags> tags;  // nullopt: unknown.
  std::string storage_class;
  std::string refusal;  // Not empty: why it cannot be applied. Then `key` may be a guess.
};

struct CompressorContents {
  std::vector<archive::CompressorTarget> targets;
  std::vector<CompressorEntry> entries;  // In the order of the tar.
  Reservation memory;
};

// Reads all of it, takes memory from `runtime.memory` and keeps what the contents need. `source`:
// whose objects it must hold, by the configuration.
// kCorrupt: damaged. kInvalidInput: over a limit, or more memory than there is. kPrecondition,
// kNotFound: it is not that archive any more. Else the errors of the store.
Async<CompressorContents> SurveyCompressorArchive(Runtime& runtime, CompressorArchivePlace place,
                                                  Address source);

// The bytes of the members, from front to back; whoever goes back pays for reading it again.
class CompressorCursor {
 public:
  CompressorCursor(Runtime& runtime, CompressorArchivePlace place);
  ~CompressorCursor();
  CompressorCursor(const CompressorCursor&) = delete;
  CompressorCursor& operator=(const CompressorCursor&) = delete;

  // The next member; nullopt: the end.
  Async<std::optional<archive::TarMember>> Next();
  // To the beginning of a member. kCorrupt: there are not so many.
  Async<void> SeekTo(size_t member);
  // The next bytes of the member; 0 at its end.
  Async<size_t> Read(std::span<std::byte> out);

 private:
  struct Stream;
  Async<void> Open();

  Runtime& runtime_;
  CompressorArchivePlace place_;
  std::unique_ptr<Stream> stream_;
  size_t members_seen_ = 0;
  bool untouched_ = false;  // Nothing of the current member has been read.
};

}  // namespace longhaul
