#include "archive/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "archive/entry.h"
#include "base/bytes.h"

namespace longhaul::archive {
namespace {

constexpr size_t kNameBytes = 100;
constexpr size_t kPrefixBytes = 155;
constexpr std::string_view kPaxName = "longhaul/pax";  // Only seen by a tar that knows no pax.

// Offsets of a ustar header.
constexpr size_t kModeAt = 100;
constexpr size_t kSizeAt = 124;
constexpr size_t kMtimeAt = 136;
constexpr size_t kChecksumAt = 148;
constexpr size_t kTypeAt = 156;
constexpr size_t kLinkAt = 157;
constexpr size_t kMagicAt = 257;
constexpr size_t kPrefixAt = 345;

constexpr char kFile = '0';
constexpr char kHardLink = '1';
constexpr char kPaxHeader = 'x';

using Block = std::array<char, kTarBlockBytes>;

void Put(Block& block, size_t at, std::string_view text) {
  std::copy(text.begin(), text.end(), block.begin() + static_cast<ptrdiff_t>(at));
}

// `digits` of octal; the byte after them stays NUL.
void PutOctal(Block& block, size_t at, int digits, uint64_t value) {
  for (int i = digits - 1; i >= 0; --i) {
    block[at + static_cast<size_t>(i)] = static_cast<char>('0' + (value & 7));
    value >>= 3;
  }
}

unsigned Checksum(std::string_view block) {
  unsigned sum = 0;
  for (size_t i = 0; i < kTarBlockBytes; ++i) {
    const bool inside = i >= kChecksumAt && i < kChecksumAt + 8;
    sum += inside ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

struct SplitPath {
  std::string_view prefix;
  std::string_view name;
  bool fits = true;
};

SplitPath Split(std::string_view path) {
  if (path.size() <= kNameBytes) return {"", path};
  // The longest name that fits keeps prefixes of neighbours equal.
  const size_t slash = path.find('/', path.size() - kNameBytes - 1);
  if (slash == std::string_view::npos || slash > kPrefixBytes || slash == 0 ||
      slash + 1 == path.size()) {
    return {"", "", false};
  }
  return {path.substr(0, slash), path.substr(slash + 1)};
}

void AppendHeader(std::string& out, const SplitPath& path, std::string_view link, char type,
                  uint64_t size_bytes, int64_t mtime_seconds) {
  Block block{};
  Put(block, 0, path.name);
  PutOctal(block, kModeAt, 7, 0644);
  PutOctal(block, kModeAt + 8, 7, 0);   // uid
  PutOctal(block, kModeAt + 16, 7, 0);  // gid
  PutOctal(block, kSizeAt, 11, size_bytes);
  PutOctal(block, kMtimeAt, 11,
           static_cast<uint64_t>(std::clamp<int64_t>(mtime_seconds, 0, 077777777777)));
  block[kTypeAt] = type;
  Put(block, kLinkAt, link);
  Put(block, kMagicAt, std::string_view("ustar\00000", 8));
  Put(block, kPrefixAt, path.prefix);
  PutOctal(block, kChecksumAt, 6, Checksum({block.data(), block.size()}));
  block[kChecksumAt + 7] = ' ';
  out.append(block.data(), block.size());
}

void AppendPaxRecord(std::string& records, std::string_view name, std::string_view value) {
  const size_t rest = name.size() + value.size() + 3;  // " ", "=", "\n"
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  records += std::to_string(length);
  records += ' ';
  records += name;
  records += '=';
  records += value;
  records += '\n';
}

std::string_view Field(std::string_view block, size_t at, size_t size) {
  const std::string_view field = block.substr(at, size);
  return field.substr(0, field.find('\0'));
}

// Leading spaces, octal digits, then spaces or NULs: what writers of the last decades left there.
bool ReadOctal(std::string_view block, size_t at, size_t size, uint64_t& value) {
  std::string_view field = block.substr(at, size);
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  return error == std::errc() && (end == field.data() + field.size() || *end == ' ' || *end == 0);
}

struct Header {
  std::string path;
  std::string link;
  char type = 0;
  uint64_t size_bytes = 0;
  uint64_t mtime_seconds = 0;
};

Result<Header> ParseHeader(std::string_view block) {
  if (block.size() < kTarBlockBytes) return Corrupt("a tar header is cut off");
  uint64_t checksum = 0;
  if (!ReadOctal(block, kChecksumAt, 8, checksum) || checksum != Checksum(block)) {
    return Corrupt("a tar header has a wrong checksum");
  }
  if (block.substr(kMagicAt, 6) != std::string_view("ustar\0", 6)) {
    return Corrupt("a tar header is not of the ustar format");
  }
  Header header;
  header.path = Field(block, 0, kNameBytes);
  if (const auto prefix = Field(block, kPrefixAt, kPrefixBytes); !prefix.empty()) {
    header.path = std::string(prefix) + "/" + header.path;
  }
  header.link = Field(block, kLinkAt, kNameBytes);
  header.type = block[kTypeAt];
  if (!ReadOctal(block, kSizeAt, 12, header.size_bytes) ||
      !ReadOctal(block, kMtimeAt, 12, header.mtime_seconds)) {
    return Corrupt("a number in a tar header is not octal");
  }
  return header;
}

}  // namespace

std::string WriteTarHeaders(const TarMember& member) {
  std::string out;
  SplitPath path = Split(member.path);
  std::string_view link = member.link;
  std::string records;
  if (!path.fits) {
    AppendPaxRecord(records, "path", member.path);
    path = {"", kPaxName};
  }
  if (link.size() > kNameBytes) {
    AppendPaxRecord(records, "linkpath", member.link);
    link = kPaxName;
  }
  if (!records.empty()) {
    AppendHeader(out, {"", kPaxName}, "", kPaxHeader, records.size(), member.mtime_seconds);
    out += records;
    out.append(PaddingBytes(records.size()), '\0');
  }
  AppendHeader(out, path, link, link.empty() ? kFile : kHardLink, member.size_bytes,
               member.mtime_seconds);
  return out;
}

Result<void> ParsePaxRecords(std::string_view records, TarMember& member) {
  const Error malformed = Corrupt("a pax record is malformed");
  while (!records.empty()) {
    size_t length = 0;
    const auto [end, error] =
        std::from_chars(records.data(), records.data() + records.size(), length);
    const size_t digits = static_cast<size_t>(end - records.data());
    if (error != std::errc() || length > records.size() || length < digits + 4 ||
        records[digits] != ' ' || records[length - 1] != '\n') {
      return malformed;
    }
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) return malformed;
    const std::string_view name = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (name == "path") {
      member.path = value;
    } else if (name == "linkpath") {
      member.link = value;
    } else if (name == "size") {
      uint64_t size = 0;
      const auto [stop, bad] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (bad != std::errc() || stop != value.data() + value.size()) return malformed;
      member.size_bytes = size;
    }
    records.remove_prefix(length);
  }
  return Ok();
}

Result<uint64_t> TarHeaderBytes(std::span<const std::byte> block) {
  const auto header = ParseHeader(AsText(block));
  if (!header) return header.error();
  if (header->type != kPaxHeader) return kTarBlockBytes;
  if (header->size_bytes > kEntryHeaderBytesMax) {
    return Corrupt("a pax header is larger than " + std::to_string(kEntryHeaderBytesMax));
  }
  return kTarBlockBytes + PaddedBytes(header->size_bytes) + kTarBlockBytes;
}

Result<ParsedTarMember> ParseTarHeaders(std::span<const std::byte> bytes) {
  const std::string_view text = AsText(bytes);
  ParsedTarMember parsed;
  auto header = ParseHeader(text);
  if (!header) return header.error();
  std::string_view records;
  if (header->type == kPaxHeader) {
    if (header->size_bytes > kEntryHeaderBytesMax) {
      return Corrupt("a pax header is larger than " + std::to_string(kEntryHeaderBytesMax));
    }
    if (text.size() < kTarBlockBytes + PaddedBytes(header->size_bytes)) {
      return Corrupt("a pax header is cut off");
    }
    records = text.substr(kTarBlockBytes, header->size_bytes);
    parsed.header_bytes = kTarBlockBytes + PaddedBytes(header->size_bytes);
    header = ParseHeader(text.substr(parsed.header_bytes));
    if (!header) return header.error();
  }
  parsed.header_bytes += kTarBlockBytes;
  if (header->type != kFile && header->type != kHardLink) {
    return Corrupt("a tar member is neither a file nor a hard link");
  }
  parsed.member.path = std::move(header->path);
  if (header->type == kHardLink) parsed.member.link = std::move(header->link);
  parsed.member.size_bytes = header->size_bytes;
  parsed.member.mtime_seconds = static_cast<int64_t>(header->mtime_seconds);
  const Result<void> pax = ParsePaxRecords(records, parsed.member);
  if (!pax) return pax.error();
  if (header->type == kFile) parsed.member.link.clear();
  return parsed;
}

}  // namespace longhaul::archive
