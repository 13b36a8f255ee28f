#include "archive/tar_reader.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace longhaul::archive {

namespace {

// Behind the two empty blocks: tar fills up its last record.
constexpr uint64_t kTrailerBytesMax = 1 << 20;

Error TooLarge() {
  return InvalidInput("its content is larger than " + std::to_string(kTarRawBytesMax) + " bytes");
}

}  // namespace

Async<void> TarReader::Fill(std::span<std::byte> out) {
  while (!out.empty()) {
    Result<size_t> count = co_await source_.Read(out);
    if (!count) co_return count.error();
    if (*count == 0) co_return Corrupt("the tar is cut off");
    read_ += *count;
    if (read_ > kTarRawBytesMax) co_return TooLarge();
    out = out.subspan(*count);
  }
  co_return Ok();
}

Async<void> TarReader::Skip(uint64_t size_bytes) {
  std::vector<std::byte> passed(static_cast<size_t>(std::min<uint64_t>(size_bytes, 64 << 10)));
  for (uint64_t left = size_bytes; left > 0;) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(left, passed.size()));
    Result<void> filled = co_await Fill(std::span(passed).first(size));
    if (!filled) co_return filled.error();
    left -= size;
  }
  co_return Ok();
}

// Only at its end has the source found its length and checksum right.
Async<void> TarReader::ReadToEnd() {
  std::vector<std::byte> rest(64 << 10);
  for (uint64_t trailer = 0;;) {
    Result<size_t> count = co_await source_.Read(rest);
    if (!count) co_return count.error();
    if (*count == 0) co_return Ok();
    trailer += *count;
    const auto end = rest.begin() + static_cast<ptrdiff_t>(*count);
    if (trailer > kTrailerBytesMax ||
        std::any_of(rest.begin(), end, [](std::byte byte) { return byte != std::byte{0}; })) {
      co_return Corrupt("the tar goes on behind its end");
    }
  }
}

Async<std::optional<TarMember>> TarReader::Next() {
  Result<void> skipped = co_await Skip(left_ + padding_);
  if (!skipped) co_return skipped.error();
  left_ = padding_ = 0;
  std::vector<std::byte> headers(kTarBlockBytes);
  Result<void> filled = co_await Fill(headers);
  if (!filled) co_return filled.error();
  if (std::all_of(headers.begin(), headers.end(), [](std::byte b) { return b == std::byte{0}; })) {
    Result<void> ended = co_await ReadToEnd();
    if (!ended) co_return ended.error();
    co_return std::optional<TarMember>();
  }
  Result<uint64_t> size = TarHeaderBytes(headers);
  if (!size) co_return size.error();
  headers.resize(*size);
  filled = co_await Fill(std::span(headers).subspan(kTarBlockBytes));
  if (!filled) co_return filled.error();
  Result<ParsedTarMember> parsed = ParseTarHeaders(headers);
  if (!parsed) co_return parsed.error();
  if (!parsed->member.link.empty()) co_return InvalidInput("it holds a link");
  // Before sums are made of it.
  if (parsed->member.size_bytes > kTarRawBytesMax) co_return TooLarge();
  left_ = parsed->member.size_bytes;
  padding_ = PaddingBytes(left_);
  co_return std::optional<TarMember>(std::move(parsed->member));
}

Async<size_t> TarReader::Read(std::span<std::byte> out) {
  const auto size = static_cast<size_t>(std::min<uint64_t>(out.size(), left_));
  if (size == 0) co_return 0;
  Result<size_t> count = co_await source_.Read(out.first(size));
  if (!count) co_return count.error();
  if (*count == 0) co_return Corrupt("the tar is cut off");
  read_ += *count;
  if (read_ > kTarRawBytesMax) co_return TooLarge();
  left_ -= *count;
  co_return *count;
}

}  // namespace longhaul::archive
