#include "archive/frame_codec.h"

#define ZSTD_STATIC_LINKING_ONLY  // Context sizes, frame headers, ZSTD_d_forceIgnoreChecksum.
#include <zstd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "archive/entry.h"
#include "base/check.h"

namespace longhaul::archive {
namespace {

constexpr int kFastestLevel = -5;

int ZstdLevel(int level) { return level == 0 ? kFastestLevel : level; }

// From this level on a look at samples costs less than 1 % of compressing the frame.
constexpr int kSampledLevelMin = 3;
// Level 1 is quick, and unlike the fastest ones it also finds what shrinks by its letters alone
// (hexadecimal digits, base64).
constexpr int kSampleLevel = 1;
constexpr size_t kSampleBytes = 16 << 10;
constexpr size_t kSamples = 8;
constexpr double kShrinks = 0.985;  // Less than this of its size.

// Levels 5 to 12 look for matches of 5 bytes or more; 6 finds fewer and better candidates in what
// object stores hold. Measured with levels 5 to 12 on real files: up to 3 % smaller, and mostly
// some percent cheaper, for events, tables, logs, documents and text; 1 to 2 % larger for
// databases, arrays and Parquet with snappy.
constexpr int kMinMatch = 6;

}  // namespace

struct FrameCompressor::Impl {
  void Set(ZSTD_cParameter parameter, int value) const {
    LH_CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)));
  }
  void Use(int zstd_level, uint64_t size_bytes) const {
    Set(ZSTD_c_compressionLevel, zstd_level);
    // The size of the last, shorter frame must not change what memory the context takes.
    const ZSTD_compressionParameters parameters = ZSTD_getCParams(zstd_level, size_bytes, 0);
    Set(ZSTD_c_windowLog, static_cast<int>(parameters.windowLog));
    Set(ZSTD_c_hashLog, static_cast<int>(parameters.hashLog));
    Set(ZSTD_c_chainLog, static_cast<int>(parameters.chainLog));
    Set(ZSTD_c_searchLog, static_cast<int>(parameters.searchLog));
    const bool hashed = parameters.strategy >= ZSTD_greedy && parameters.strategy <= ZSTD_lazy2;
    Set(ZSTD_c_minMatch, hashed ? std::max(kMinMatch, static_cast<int>(parameters.minMatch))
                                : static_cast<int>(parameters.minMatch));
    // Of the levels below 1 this follows from the level.
    if (zstd_level > 0) Set(ZSTD_c_targetLength, static_cast<int>(parameters.targetLength));
    Set(ZSTD_c_strategy, static_cast<int>(parameters.strategy));
  }
  [[nodiscard]] bool Shrinks(std::span<const std::byte> raw, std::span<std::byte> out) const;

  ZSTD_CCtx* context = nullptr;
  int level = 0;
  uint64_t frame_size_bytes = 0;
  std::optional<int> used;  // What the context is set to, for frames of this size.
};

// Judged by samples from all over the frame; `out` is room to work in.
bool FrameCompressor::Impl::Shrinks(std::span<const std::byte> raw,
                                    std::span<std::byte> out) const {
  Use(kSampleLevel, kSampleBytes);
  size_t compressed = 0;
  for (size_t i = 0; i < kSamples; ++i) {
    const size_t at = (raw.size() - kSampleBytes) / (kSamples - 1) * i;
    const size_t size =
        ZSTD_compress2(context, out.data(), out.size(), raw.data() + at, kSampleBytes);
    if (ZSTD_isError(size)) return true;
    compressed += size;
  }
  return static_cast<double>(compressed) < kShrinks * static_cast<double>(kSamples * kSampleBytes);
}

FrameCompressor::FrameCompressor(int level, uint64_t frame_size_bytes)
    : impl_(std::make_unique<Impl>()) {
  impl_->context = ZSTD_createCCtx();
  LH_CHECK(impl_->context != nullptr);
  impl_->level = ZstdLevel(level);
  impl_->frame_size_bytes = frame_size_bytes;
  impl_->Set(ZSTD_c_checksumFlag, 1);
}

void FrameCompressor::SetLevel(int level) { impl_->level = ZstdLevel(level); }

FrameCompressor::~FrameCompressor() { ZSTD_freeCCtx(impl_->context); }

Result<size_t> FrameCompressor::Compress(std::span<const std::byte> raw, std::span<std::byte> out) {
  Impl& impl = *impl_;
  int level = impl.level;
  if (level >= kSampledLevelMin && raw.size() >= 2 * kSamples * kSampleBytes) {
    if (!impl.Shrinks(raw, out)) level = kFastestLevel;
    impl.used.reset();
  }
  if (impl.used != level) impl.Use(level, impl.frame_size_bytes);
  impl.used = level;
  const size_t size = ZSTD_compress2(impl.context, out.data(), out.size(), raw.data(), raw.size());
  if (ZSTD_isError(size)) {
    return InvalidInput(std::string("zstd cannot compress a frame: ") + ZSTD_getErrorName(size));
  }
  return size;
}

size_t FrameCompressor::BoundBytes(uint64_t raw_size_bytes) {
  return ZSTD_compressBound(raw_size_bytes);
}

size_t FrameCompressor::ContextBytes(int level, uint64_t frame_size_bytes) {
  return ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(ZstdLevel(level), frame_size_bytes, 0));
}

Result<void> DecompressFrame(std::span<const std::byte> compressed, std::span<std::byte> out,
                             bool verified) {
  ZSTD_frameHeader header;
  if (ZSTD_getFrameHeader(&header, compressed.data(), compressed.size()) != 0 ||
      header.frameType != ZSTD_frame) {
    return Corrupt("a frame does not begin with a zstd header");
  }
  if (header.dictID != 0) return InvalidInput("a frame needs a dictionary: unknown encoding");
  if (header.frameContentSize != out.size()) {
    return Corrupt("a frame does not have the size that the seek table gives it");
  }
  if (header.windowSize > (1ULL << kWindowLogMax)) {
    return InvalidInput("a frame asks for a window of " + std::to_string(header.windowSize) +
                        " bytes; the limit is " + std::to_string(1ULL << kWindowLogMax));
  }
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                     &ZSTD_freeDCtx);
  LH_CHECK(context != nullptr);
  if (verified) {
    ZSTD_DCtx_setParameter(context.get(), ZSTD_d_forceIgnoreChecksum, ZSTD_d_ignoreChecksum);
  }
  // More than one frame would give more than `out` holds, or end in an error here.
  const size_t first = ZSTD_findFrameCompressedSize(compressed.data(), compressed.size());
  if (ZSTD_isError(first) || first != compressed.size()) {
    return Corrupt("a frame does not end where the seek table says");
  }
  const size_t size = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), compressed.data(),
                                          compressed.size());
  if (ZSTD_isError(size)) {
    return Corrupt(std::string("a frame does not decompress: ") + ZSTD_getErrorName(size));
  }
  if (size != out.size()) return Corrupt("a frame is shorter than its header says");
  return Ok();
}

}  // namespace longhaul::archive
