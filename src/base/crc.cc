// The three CRCs of S3. All are bit-reflected, start with all ones and end inverted, so one
// template over the polynomial serves them.

#include <array>
#include <bit>
#include <cstring>

#include "base/checksum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace longhaul {

namespace {

static_assert(std::endian::native == std::endian::little);

// T holds the remainder: bit 0 is the coefficient of the highest power.
template <class T, T kPolynomial>
struct Crc {
  static constexpr int kBits = sizeof(T) * 8;
  static constexpr T kOne = T{1} << (kBits - 1);  // The polynomial 1.

  static constexpr T TimesX(T a) { return (a >> 1) ^ ((a & 1) != 0 ? kPolynomial : T{0}); }

  static constexpr T Multiply(T a, T b) {
    T product = 0;
    for (T bit = kOne; bit != 0; bit >>= 1, b = TimesX(b)) {
      if ((a & bit) != 0) product ^= b;
    }
    return product;
  }

  // x to the power of `exponent`.
  static constexpr T Power(uint64_t exponent) {
    T result = kOne;
    for (T square = TimesX(kOne); exponent != 0; exponent >>= 1) {
      if ((exponent & 1) != 0) result = Multiply(result, square);
      square = Multiply(square, square);
    }
    return result;
  }

  // kTables[k][b]: the remainder of byte b followed by k zero bytes.
  static constexpr auto MakeTables() {
    std::array<std::array<T, 256>, 8> tables{};
    for (size_t b = 0; b < 256; ++b) {
      T crc = static_cast<T>(b);
      for (int i = 0; i < 8; ++i) crc = TimesX(crc);
      tables[0][b] = crc;
    }
    for (size_t k = 1; k < 8; ++k) {
      for (size_t b = 0; b < 256; ++b) {
        T crc = tables[k - 1][b];
        tables[k][b] = (crc >> 8) ^ tables[0][crc & 0xff];
      }
    }
    return tables;
  }
  static const std::array<std::array<T, 256>, 8> kTables;

  // Without the inversions at both ends, as are all functions below.
  static T Slice(T crc, const std::byte* data, size_t size) {
    for (; size >= 8; data += 8, size -= 8) {
      uint64_t word;
      std::memcpy(&word, data, 8);
      word ^= crc;
      crc = kTables[7][word & 0xff] ^ kTables[6][word >> 8 & 0xff] ^ kTables[5][word >> 16 & 0xff] ^
            kTables[4][word >> 24 & 0xff] ^ kTables[3][word >> 32 & 0xff] ^
            kTables[2][word >> 40 & 0xff] ^ kTables[1][word >> 48 & 0xff] ^ kTables[0][word >> 56];
    }
    for (; size > 0; ++data, --size) {
      crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<T>(*data)) & 0xff];
    }
    return crc;
  }

#if defined(__x86_64__)
  // Moving 128 bits `distance` bits ahead multiplies them by x^distance; the low half (the first
  // bytes, the higher powers) by 64 more. A carry-less product of two reflected words comes out
  // multiplied by x already, hence the -1. (Gopal et al., "Fast CRC Computation for Generic
  // Polynomials Using PCLMULQDQ Instruction", Intel 2009.)
  struct Fold {
    uint64_t low;
    uint64_t high;
  };
  static constexpr Fold FoldBy(int distance_bits) {
    constexpr int kShift = 64 - kBits;
    return {static_cast<uint64_t>(Power(static_cast<uint64_t>(distance_bits) + 63)) << kShift,
            static_cast<uint64_t>(Power(static_cast<uint64_t>(distance_bits) - 1)) << kShift};
  }

  __attribute__((target("pclmul,sse4.1"))) static __m128i Step(__m128i a, __m128i fold,
                                                               __m128i next) {
    return _mm_xor_si128(
        _mm_xor_si128(_mm_clmulepi64_si128(a, fold, 0x00), _mm_clmulepi64_si128(a, fold, 0x11)),
        next);
  }

  // What `lanes`, each 128 bits ahead of the next, and the bytes after them come to.
  __attribute__((target("pclmul,sse4.1"))) static T Finish(std::span<const __m128i> lanes,
                                                           const std::byte* data, size_t size) {
    constexpr Fold kNext = FoldBy(128);
    const __m128i next =
        _mm_set_epi64x(static_cast<int64_t>(kNext.high), static_cast<int64_t>(kNext.low));
    __m128i sum = lanes[0];
    for (const __m128i& lane : lanes.subspan(1)) sum = Step(sum, next, lane);
    for (; size >= 16; data += 16, size -= 16) {
      sum = Step(sum, next, _mm_loadu_si128(reinterpret_cast<const __m128i*>(data)));
    }
    std::byte rest[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), sum);
    return Slice(Slice(0, rest, sizeof rest), data, size);
  }

  // Eight lanes of 16 bytes hide the latency of the multiplication.
  __attribute__((target("pclmul,sse4.1"))) static T FoldAll(T crc, const std::byte* data,
                                                            size_t size) {
    constexpr size_t kLanes = 8;
    constexpr Fold kAhead = FoldBy(kLanes * 128);
    const __m128i ahead =
        _mm_set_epi64x(static_cast<int64_t>(kAhead.high), static_cast<int64_t>(kAhead.low));
    auto load = [](const std::byte* from) __attribute__((target("pclmul,sse4.1"))) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    };
    __m128i lanes[kLanes];
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = load(data + 16 * i);
    lanes[0] = _mm_xor_si128(lanes[0],
                             _mm_set_epi64x(0, static_cast<int64_t>(static_cast<uint64_t>(crc))));
    data += 16 * kLanes;
    size -= 16 * kLanes;
    for (; size >= 16 * kLanes; data += 16 * kLanes, size -= 16 * kLanes) {
      for (size_t i = 0; i < kLanes; ++i) lanes[i] = Step(lanes[i], ahead, load(data + 16 * i));
    }
    return Finish(lanes, data, size);
  }
  static constexpr size_t kFoldSizeMin = 128;

  // The same with four lanes in each register, where the processor multiplies so many at a time.
  __attribute__((target("avx512f,vpclmulqdq,pclmul,sse4.1"))) static T FoldWide(
      T crc, const std::byte* data, size_t size) {
    constexpr size_t kRegisters = 4;
    constexpr size_t kBytes = 64 * kRegisters;
    constexpr Fold kAhead = FoldBy(8 * kBytes);
    const __m512i ahead = _mm512_broadcast_i32x4(
        _mm_set_epi64x(static_cast<int64_t>(kAhead.high), static_cast<int64_t>(kAhead.low)));
    __m512i wide[kRegisters];
    for (size_t i = 0; i < kRegisters; ++i) wide[i] = _mm512_loadu_si512(data + 64 * i);
    wide[0] = _mm512_xor_si512(wide[0], _mm512_zextsi128_si512(_mm_set_epi64x(
                                            0, static_cast<int64_t>(static_cast<uint64_t>(crc)))));
    data += kBytes;
    size -= kBytes;
    constexpr int kXorOfThree = 0x96;
    for (; size >= kBytes; data += kBytes, size -= kBytes) {
      for (size_t i = 0; i < kRegisters; ++i) {
        wide[i] = _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(wide[i], ahead, 0x00),
                                            _mm512_clmulepi64_epi128(wide[i], ahead, 0x11),
                                            _mm512_loadu_si512(data + 64 * i), kXorOfThree);
      }
    }
    __m128i lanes[4 * kRegisters];
    std::memcpy(lanes, wide, sizeof lanes);
    return Finish(lanes, data, size);
  }
  static constexpr size_t kFoldWideSizeMin = 1024;
#endif

  static T Portable(std::span<const std::byte> bytes, T crc) {
    return ~Slice(~crc, bytes.data(), bytes.size());
  }

  static T Compute(std::span<const std::byte> bytes, T crc) {
#if defined(__x86_64__)
    static const bool can_fold =
        __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    static const bool can_fold_wide =
        can_fold && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
    if (can_fold_wide && bytes.size() >= kFoldWideSizeMin) {
      return ~FoldWide(~crc, bytes.data(), bytes.size());
    }
    if (can_fold && bytes.size() >= kFoldSizeMin) return ~FoldAll(~crc, bytes.data(), bytes.size());
#endif
    return Portable(bytes, crc);
  }

  // The inversions cancel out: what is left of A is its remainder moved ahead by the bits of B.
  static T Combine(T first, T second, uint64_t second_size_bytes) {
    T move = kOne;
    T square = Power(8);
    for (uint64_t exponent = second_size_bytes; exponent != 0; exponent >>= 1) {
      if ((exponent & 1) != 0) move = Multiply(move, square);
      square = Multiply(square, square);
    }
    return Multiply(move, first) ^ second;
  }
};

template <class T, T kPolynomial>
constexpr std::array<std::array<T, 256>, 8> Crc<T, kPolynomial>::kTables = MakeTables();

using Zlib = Crc<uint32_t, 0xedb88320U>;
using Castagnoli = Crc<uint32_t, 0x82f63b78U>;
using Nvme = Crc<uint64_t, 0x9a6c9329ac4bc9b5U>;

}  // namespace

uint32_t Crc32(std::span<const std::byte> bytes, uint32_t crc) { return Zlib::Compute(bytes, crc); }
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t crc) {
  return Castagnoli::Compute(bytes, crc);
}
uint64_t Crc64Nvme(std::span<const std::byte> bytes, uint64_t crc) {
  return Nvme::Compute(bytes, crc);
}

uint32_t PortableCrc32(std::span<const std::byte> bytes, uint32_t crc) {
  return Zlib::Portable(bytes, crc);
}
uint32_t PortableCrc32c(std::span<const std::byte> bytes, uint32_t crc) {
  return Castagnoli::Portable(bytes, crc);
}
uint64_t PortableCrc64Nvme(std::span<const std::byte> bytes, uint64_t crc) {
  return Nvme::Portable(bytes, crc);
}

uint32_t CombineCrc32(uint32_t first, uint32_t second, uint64_t second_size_bytes) {
  return Zlib::Combine(first, second, second_size_bytes);
}
uint32_t CombineCrc32c(uint32_t first, uint32_t second, uint64_t second_size_bytes) {
  return Castagnoli::Combine(first, second, second_size_bytes);
}
uint64_t CombineCrc64Nvme(uint64_t first, uint64_t second, uint64_t second_size_bytes) {
  return Nvme::Combine(first, second, second_size_bytes);
}

}  // namespace longhaul
