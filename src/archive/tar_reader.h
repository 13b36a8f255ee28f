// TarReader: the members of a tar that somebody else has made, read from front to back.
//
// What our own archives hold of tar (archive/tar.h) is what it understands: files in ustar headers,
// with pax headers in front. A tar has no length but its own end: at most kTarRawBytesMax of it are
// read.
//   kCorrupt       damaged or cut off;
//   kInvalidInput  too large, or a member that is no file.

#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "archive/tar.h"
#include "storage/store.h"

namespace longhaul::archive {

// The compressor's tasks pack and unpack on a disk of at most 200 GiB.
// (Amazon ECS Developer Guide, "Fargate task ephemeral storage".)
inline constexpr uint64_t kTarRawBytesMax = 256ULL << 30;

class TarReader {
 public:
  // `source` outlives it.
  explicit TarReader(ByteReader& source) : source_(source) {}

  // The next member; what is left of the one before is passed over. nullopt: the end of the tar and
  // of its source.
  Async<std::optional<TarMember>> Next();
  // The next bytes of the member; 0 at its end.
  Async<size_t> Read(std::span<std::byte> out);

 private:
  Async<void> Fill(std::span<std::byte> out);
  Async<void> Skip(uint64_t size_bytes);
  Async<void> ReadToEnd();

  ByteReader& source_;
  uint64_t read_ = 0;     // Of the tar.
  uint64_t left_ = 0;     // Of the member.
  uint64_t padding_ = 0;  // Behind it.
};

}  // namespace longhaul::archive
