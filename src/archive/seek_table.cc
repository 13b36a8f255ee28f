#include "archive/seek_table.h"

#include "archive/entry.h"
#include "base/bytes.h"
#include "base/checksum.h"

namespace longhaul::archive {
namespace {

constexpr uint32_t kSeekTableMagic = 0x184D2A5E;
constexpr uint32_t kSeekableMagic = 0x8F92EAB1;
constexpr uint32_t kLocatorMagic = 0x184D2A5D;
constexpr uint8_t kChecksumFlag = 0x80;
constexpr uint8_t kReservedBits = 0x7C;  // Of the descriptor; must be zero.
constexpr size_t kSkippableHeaderBytes = 8;
constexpr size_t kChecksumOffset = 20;  // In the locator.

void AppendLittle(std::string& out, uint64_t value, int size_bytes) {
  for (int i = 0; i < size_bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

uint32_t ReadLittle(std::span<const std::byte> bytes, size_t offset, int size_bytes = 4) {
  uint32_t value = 0;
  for (int i = 0; i < size_bytes; ++i) {
    value |= std::to_integer<uint32_t>(bytes[offset + static_cast<size_t>(i)]) << (8 * i);
  }
  return value;
}

// Of everything in `tail` but the checksum itself.
uint32_t TailChecksum(std::span<const std::byte> tail) {
  return Crc32c(tail.subspan(kChecksumOffset + 4), Crc32c(tail.first(kChecksumOffset)));
}

}  // namespace

std::string WriteTail(const Locator& locator, const std::vector<FrameSizes>& frames) {
  std::string out;
  AppendLittle(out, kLocatorMagic, 4);
  AppendLittle(out, kLocatorBytes - kSkippableHeaderBytes, 4);
  AppendLittle(out, locator.version, 2);
  AppendLittle(out, 0, 2);
  AppendLittle(out, locator.index_frames, 4);
  AppendLittle(out, locator.entries, 4);
  AppendLittle(out, 0, 4);  // The checksum, below.
  AppendLittle(out, kSeekTableMagic, 4);
  AppendLittle(out, frames.size() * 8 + kSeekTableFooterBytes, 4);
  for (const FrameSizes& frame : frames) {
    AppendLittle(out, frame.compressed_bytes, 4);
    AppendLittle(out, frame.raw_bytes, 4);
  }
  AppendLittle(out, frames.size(), 4);
  AppendLittle(out, 0, 1);  // No checksums here: every frame ends in one of its own.
  AppendLittle(out, kSeekableMagic, 4);
  std::string checksum;
  AppendLittle(checksum, TailChecksum(AsBytes(out)), 4);
  return out.replace(kChecksumOffset, 4, checksum);
}

Result<uint64_t> TailSizeBytes(std::span<const std::byte> footer) {
  if (footer.size() != kSeekTableFooterBytes || ReadLittle(footer, 5) != kSeekableMagic) {
    return Corrupt("not an archive, or cut off: it does not end in a seek table");
  }
  const uint32_t count = ReadLittle(footer, 0);
  const uint32_t descriptor = ReadLittle(footer, 4, 1);
  if ((descriptor & kReservedBits) != 0) return Corrupt("reserved bits set in the seek table");
  if (count > kFramesMax) {
    return Corrupt("the seek table lists " + std::to_string(count) + " frames, more than " +
                   std::to_string(kFramesMax));
  }
  const uint64_t entry_bytes = (descriptor & kChecksumFlag) != 0 ? 12 : 8;
  return kLocatorBytes + kSkippableHeaderBytes + count * entry_bytes + kSeekTableFooterBytes;
}

Result<Tail> ParseTail(std::span<const std::byte> bytes) {
  if (bytes.size() < kLocatorBytes + kSkippableHeaderBytes + kSeekTableFooterBytes) {
    return Corrupt("cut off inside the seek table");
  }
  const auto size = TailSizeBytes(bytes.last(kSeekTableFooterBytes));
  if (!size) return size.error();
  if (*size != bytes.size()) return Corrupt("the seek table is not as long as it says");
  Tail tail;
  if (ReadLittle(bytes, 0) != kLocatorMagic ||
      ReadLittle(bytes, 4) != kLocatorBytes - kSkippableHeaderBytes) {
    return Corrupt("no locator before the seek table: not an archive of longhaul, or damaged");
  }
  if (ReadLittle(bytes, kChecksumOffset) != TailChecksum(bytes)) {
    return Corrupt("locator and seek table do not fit their checksum");
  }
  tail.locator.version = static_cast<uint16_t>(ReadLittle(bytes, 8, 2));
  tail.locator.index_frames = ReadLittle(bytes, 12);
  tail.locator.entries = ReadLittle(bytes, 16);

  const auto table = bytes.subspan(kLocatorBytes);
  if (ReadLittle(table, 0) != kSeekTableMagic ||
      ReadLittle(table, 4) != table.size() - kSkippableHeaderBytes) {
    return Corrupt("the seek table does not begin where it should");
  }
  const auto footer = table.last(kSeekTableFooterBytes);
  const uint32_t count = ReadLittle(footer, 0);
  const size_t entry_bytes = (ReadLittle(footer, 4, 1) & kChecksumFlag) != 0 ? 12 : 8;
  tail.frames.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t offset = kSkippableHeaderBytes + i * entry_bytes;
    tail.frames.push_back({ReadLittle(table, offset), ReadLittle(table, offset + 4)});
  }
  return tail;
}

}  // namespace longhaul::archive
