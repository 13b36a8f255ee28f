// The tar side of an archive: POSIX ustar headers, with a pax header in front only where a path or
// a link does not fit (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block").

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace longhaul::archive {

inline constexpr uint64_t kTarBlockBytes = 512;
inline constexpr uint64_t kTarEndBytes = 1024;  // Two empty blocks.

inline uint64_t PaddingBytes(uint64_t size_bytes) {
  return (kTarBlockBytes - size_bytes % kTarBlockBytes) % kTarBlockBytes;
}
inline uint64_t PaddedBytes(uint64_t size_bytes) { return size_bytes + PaddingBytes(size_bytes); }

struct TarMember {
  std::string path;
  std::string link;  // Not empty: a hard link to that path, without content.
  uint64_t size_bytes = 0;
  int64_t mtime_seconds = 0;
};

// All header blocks of a member. Everything that could differ between members and says nothing
// (owner, mode, times) is constant: that is what lets 512 bytes compress to ten.
std::string WriteTarHeaders(const TarMember& member);

// How many bytes the headers of a member take whose first block is `block`, the pax header
// included. kCorrupt as ParseTarHeaders.
Result<uint64_t> TarHeaderBytes(std::span<const std::byte> block);

struct ParsedTarMember {
  TarMember member;
  uint64_t header_bytes = 0;  // Of `bytes`, with the pax header.
};

// Reads the headers of one member at the start of `bytes`, which may go on behind them. kCorrupt:
// they are damaged, cut off, over kEntryHeaderBytesMax, or of a kind that archives do not hold.
Result<ParsedTarMember> ParseTarHeaders(std::span<const std::byte> bytes);

// Takes "path", "linkpath" and "size" from pax records ("<length> <name>=<value>\n", the length
// counting itself); others are passed over. kCorrupt: they do not follow that grammar.
Result<void> ParsePaxRecords(std::string_view records, TarMember& member);

}  // namespace longhaul::archive
