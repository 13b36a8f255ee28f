#include "archive/zstd_reader.h"

#define ZSTD_STATIC_LINKING_ONLY  // Frame headers, sizes of contexts.
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "archive/entry.h"
#include "base/check.h"

namespace longhaul::archive {

namespace {

constexpr int kWindowLogMin = 10;  // RFC 8878, 3.1.1.1.2.
constexpr size_t kInputBytes = 256 << 10;
// One trip to the pool for each: some 0.2 ms of work at 1 GB/s.
constexpr size_t kOutputBytes = 256 << 10;
static_assert(ZstdReader::kHeadBytes >= ZSTD_FRAMEHEADERSIZE_MAX);

int WindowLog(const ZSTD_frameHeader& header) {
  return std::max(static_cast<int>(std::bit_width(std::max<uint64_t>(header.windowSize, 1) - 1)),
                  kWindowLogMin);
}

int64_t WindowBytes(int window_log) {
  return static_cast<int64_t>(ZSTD_estimateDStreamSize(size_t{1} << window_log));
}

}  // namespace

int64_t ZstdReader::MemoryNeeded(std::span<const std::byte> head) {
  const auto buffers = static_cast<int64_t>(kInputBytes + kOutputBytes);
  ZSTD_frameHeader header;
  // What cannot be read takes no window.
  if (ZSTD_getFrameHeader(&header, head.data(), head.size()) != 0 ||
      header.frameType != ZSTD_frame || header.windowSize > (1ULL << kWindowLogMax)) {
    return buffers;
  }
  return buffers + WindowBytes(WindowLog(header));
}

struct ZstdReader::Impl {
  Impl(Runtime& made_for, ByteReader& read_from) : runtime(made_for), source(read_from) {}
  ~Impl() { ZSTD_freeDCtx(context); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Async<void> Begin();
  Async<void> Fill();
  Async<void> Decompress();

  Runtime& runtime;
  ByteReader& source;
  Reservation memory;  // Of the buffers.
  Reservation window_memory;
  ZSTD_DCtx* context = nullptr;
  std::vector<std::byte> input;
  ZSTD_inBuffer in{nullptr, 0, 0};
  bool source_ended = false;
  bool in_frame = false;
  std::vector<std::byte> output;
  size_t output_size = 0;
  size_t output_taken = 0;
};

ZstdReader::ZstdReader(Runtime& runtime, ByteReader& source)
    : impl_(std::make_unique<Impl>(runtime, source)) {}
ZstdReader::~ZstdReader() = default;

// More input behind what has not been used.
Async<void> ZstdReader::Impl::Fill() {
  const size_t left = in.size - in.pos;
  std::memmove(input.data(), input.data() + in.pos, left);
  in = {input.data(), left, 0};
  Result<size_t> count = co_await source.Read(std::span(input).subspan(left));
  if (!count) co_return count.error();
  source_ended = *count == 0;
  in.size += *count;
  co_return Ok();
}

Async<void> ZstdReader::Impl::Begin() {
  Result<Reservation> buffers =
      co_await runtime.memory.Reserve(static_cast<int64_t>(kInputBytes + kOutputBytes));
  if (!buffers) co_return buffers.error();
  memory = std::move(*buffers);
  input.resize(kInputBytes);
  output.resize(kOutputBytes);
  while (in.size < ZSTD_FRAMEHEADERSIZE_MAX && !source_ended) {
    Result<void> filled = co_await Fill();
    if (!filled) co_return filled.error();
  }
  ZSTD_frameHeader header;
  if (ZSTD_getFrameHeader(&header, in.src, in.size) != 0 || header.frameType != ZSTD_frame) {
    co_return Corrupt("it does not begin with a zstd frame");
  }
  if (header.dictID != 0) co_return InvalidInput("it needs a dictionary: unknown encoding");
  if (header.windowSize > (1ULL << kWindowLogMax)) {
    co_return InvalidInput("it asks for a window of " + std::to_string(header.windowSize) +
                           " bytes; the limit is " + std::to_string(1ULL << kWindowLogMax));
  }
  const int window_log = WindowLog(header);
  const int64_t needed = WindowBytes(window_log);
  // Not waited for: whoever uses this reader has set memory aside for it, or has too little.
  std::optional<Reservation> window = runtime.memory.TryReserve(needed);
  if (!window) {
    co_return InvalidInput("decompressing it takes " +
                           std::to_string(needed + memory.size_bytes()) + " bytes of memory, " +
                           std::to_string(runtime.memory.limit_bytes()) +
                           " are there for it (--memory)");
  }
  window_memory = std::move(*window);
  context = ZSTD_createDCtx();
  LH_CHECK(context != nullptr);
  LH_CHECK(!ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, window_log)));
  co_return Ok();
}

Async<void> ZstdReader::Impl::Decompress() {
  output_size = output_taken = 0;
  while (true) {
    if (in.pos == in.size && !source_ended) {
      Result<void> filled = co_await Fill();
      if (!filled) co_return filled.error();
    }
    if (in.pos == in.size && !in_frame) {
      if (source_ended) co_return Ok();
      continue;
    }
    ZSTD_outBuffer out{output.data(), output.size(), 0};
    const size_t code = co_await runtime.pool.Run(
        [this, &out] { return ZSTD_decompressStream(context, &out, &in); });
    if (ZSTD_isError(code)) {
      const std::string what = ZSTD_getErrorName(code);
      if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
        co_return InvalidInput("a later frame asks for a larger window than the first: " + what);
      }
      co_return Corrupt("it does not decompress: " + what);
    }
    in_frame = code != 0;
    output_size = out.pos;
    if (output_size > 0) co_return Ok();
    if (in.pos == in.size && source_ended) {
      if (in_frame) co_return Corrupt("it is cut off");
      co_return Ok();
    }
  }
}

Async<size_t> ZstdReader::Read(std::span<std::byte> out) {
  Impl& impl = *impl_;
  if (impl.context == nullptr) {
    Result<void> begun = co_await impl.Begin();
    if (!begun) co_return begun.error();
  }
  if (impl.output_taken == impl.output_size) {
    Result<void> decompressed = co_await impl.Decompress();
    if (!decompressed) co_return decompressed.error();
  }
  const size_t count = std::min(out.size(), impl.output_size - impl.output_taken);
  std::memcpy(out.data(), impl.output.data() + impl.output_taken, count);
  impl.output_taken += count;
  co_return count;
}

}  // namespace longhaul::archive
