#include "base/md5_lanes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/checksum.h"

namespace longhaul {
namespace {

#if defined(__x86_64__) && defined(__clang__)

constexpr size_t kLanes = 8;
constexpr size_t kBlockBytes = 64;
// With fewer bodies one after the other is as fast.
constexpr size_t kBodiesMin = 3;

using Lanes = uint32_t __attribute__((ext_vector_type(kLanes)));

struct Sums {
  Lanes a, b, c, d;
};

// RFC 1321, 3.4: the sines, and by how much the rounds rotate.
constexpr std::array<uint32_t, 64> kSines = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
constexpr std::array<std::array<int, 4>, 4> kRotations = {
    {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};

// One lane: a body, then its end with the padding.
struct Lane {
  size_t body = SIZE_MAX;  // SIZE_MAX: idle.
  const std::byte* at = nullptr;
  size_t blocks = 0;  // From `at` on.
  bool in_tail = false;
  std::array<std::byte, 2 * kBlockBytes> tail{};
  size_t tail_blocks = 0;
};

void EnterTail(Lane& lane) {
  lane.in_tail = true;
  lane.at = lane.tail.data();
  lane.blocks = lane.tail_blocks;
}

void Begin(Lane& lane, size_t body, std::span<const std::byte> bytes) {
  lane.body = body;
  lane.at = bytes.data();
  lane.blocks = bytes.size() / kBlockBytes;
  lane.in_tail = false;
  const size_t rest = bytes.size() % kBlockBytes;
  lane.tail.fill(std::byte{0});
  if (rest > 0) std::memcpy(lane.tail.data(), bytes.data() + lane.blocks * kBlockBytes, rest);
  lane.tail[rest] = std::byte{0x80};
  lane.tail_blocks = rest + 1 + sizeof(uint64_t) > kBlockBytes ? 2 : 1;
  const uint64_t bits = static_cast<uint64_t>(bytes.size()) * 8;
  std::memcpy(lane.tail.data() + lane.tail_blocks * kBlockBytes - sizeof bits, &bits, sizeof bits);
  if (lane.blocks == 0) EnterTail(lane);
}

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

template <int kRotation>
[[gnu::always_inline]] inline Lanes Rotate(Lanes x) {
  return x << kRotation | x >> (32 - kRotation);
}

template <size_t kStep>
[[gnu::always_inline]] inline void Step(Lanes& a, Lanes b, Lanes c, Lanes d,
                                        const std::array<Lanes, 16>& words) {
  constexpr size_t kRound = kStep / 16;
  constexpr size_t kWord = kRound == 0   ? kStep
                           : kRound == 1 ? (5 * kStep + 1) % 16
                           : kRound == 2 ? (3 * kStep + 5) % 16
                                         : 7 * kStep % 16;
  Lanes f;
  if constexpr (kRound == 0) f = d ^ (b & (c ^ d));
  if constexpr (kRound == 1) f = c ^ (d & (b ^ c));
  if constexpr (kRound == 2) f = b ^ c ^ d;
  if constexpr (kRound == 3) f = c ^ (b | ~d);
  a = b + Rotate<kRotations[kRound][kStep % 4]>(a + f + words[kWord] + kSines[kStep]);
}

template <size_t kStep>
[[gnu::always_inline]] inline void Steps(Lanes& a, Lanes& b, Lanes& c, Lanes& d,
                                         const std::array<Lanes, 16>& words) {
  if constexpr (kStep < 64) {
    Step<kStep>(a, b, c, d, words);
    Step<kStep + 1>(d, a, b, c, words);
    Step<kStep + 2>(c, d, a, b, words);
    Step<kStep + 3>(b, c, d, a, words);
    Steps<kStep + 4>(a, b, c, d, words);
  }
}

// Eight words of each lane, turned: a vector for each word.
[[gnu::always_inline]] inline void Load(const std::array<const std::byte*, kLanes>& from,
                                        size_t offset_bytes, Lanes* words) {
  std::array<Lanes, kLanes> rows;
  for (size_t i = 0; i < kLanes; ++i) {
    std::memcpy(&rows[i], from[i] + offset_bytes, sizeof rows[i]);
  }
  std::array<Lanes, kLanes> pairs;
  for (size_t i = 0; i < kLanes; i += 2) {
    pairs[i] = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  std::array<Lanes, kLanes> fours;
  for (size_t i = 0; i < kLanes; i += 4) {
    for (size_t half = 0; half < 2; ++half) {
      const Lanes& one = pairs[i + half];
      const Lanes& two = pairs[i + 2 + half];
      fours[i + 2 * half] = __builtin_shufflevector(one, two, 0, 1, 8, 9, 4, 5, 12, 13);
      fours[i + 2 * half + 1] = __builtin_shufflevector(one, two, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (size_t i = 0; i < 4; ++i) {
    words[i] = __builtin_shufflevector(fours[i], fours[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    words[i + 4] = __builtin_shufflevector(fours[i], fours[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// `blocks` of each lane, which are `stride` bytes apart.
void DigestBlocks(Sums& sums, std::array<const std::byte*, kLanes> from, size_t blocks,
                  const std::array<size_t, kLanes>& stride) {
  for (; blocks > 0; --blocks) {
    std::array<Lanes, 16> words;
    Load(from, 0, words.data());
    Load(from, 32, words.data() + kLanes);
    Lanes a = sums.a;
    Lanes b = sums.b;
    Lanes c = sums.c;
    Lanes d = sums.d;
    Steps<0>(a, b, c, d, words);
    sums.a += a;
    sums.b += b;
    sums.c += c;
    sums.d += d;
    for (size_t i = 0; i < kLanes; ++i) from[i] += stride[i];
  }
}

#pragma clang attribute pop

std::string Joined(const Sums& sums, size_t lane) {
  const std::array<uint32_t, 4> words = {sums.a[lane], sums.b[lane], sums.c[lane], sums.d[lane]};
  return {reinterpret_cast<const char*>(words.data()), sizeof words};
}

void DigestInLanes(std::span<const std::span<const std::byte>> bodies,
                   std::vector<std::string>& digests) {
  static constexpr std::array<std::byte, kBlockBytes> kIdle{};
  std::array<Lane, kLanes> lanes;
  Sums sums{};
  size_t next = 0;
  while (true) {
    std::array<const std::byte*, kLanes> from;
    std::array<size_t, kLanes> stride;
    size_t blocks = SIZE_MAX;
    for (size_t i = 0; i < kLanes; ++i) {
      Lane& lane = lanes[i];
      if (lane.body != SIZE_MAX && lane.blocks == 0) {
        if (lane.in_tail) {
          digests[lane.body] = Joined(sums, i);
          lane.body = SIZE_MAX;
        } else {
          EnterTail(lane);
        }
      }
      if (lane.body == SIZE_MAX && next < bodies.size()) {
        Begin(lane, next, bodies[next]);
        ++next;
        sums.a[i] = 0x67452301;
        sums.b[i] = 0xefcdab89;
        sums.c[i] = 0x98badcfe;
        sums.d[i] = 0x10325476;
      }
      const bool idle = lane.body == SIZE_MAX;
      from[i] = idle ? kIdle.data() : lane.at;
      stride[i] = idle ? 0 : kBlockBytes;
      if (!idle) blocks = std::min(blocks, lane.blocks);
    }
    if (blocks == SIZE_MAX) return;
    DigestBlocks(sums, from, blocks, stride);
    for (Lane& lane : lanes) {
      if (lane.body == SIZE_MAX) continue;
      lane.at += blocks * kBlockBytes;
      lane.blocks -= blocks;
    }
  }
}

#endif

}  // namespace

std::vector<std::string> Md5OfEach(std::span<const std::span<const std::byte>> bodies) {
  std::vector<std::string> digests(bodies.size());
#if defined(__x86_64__) && defined(__clang__)
  static const bool has_lanes = __builtin_cpu_supports("avx2");
  if (has_lanes && bodies.size() >= kBodiesMin) {
    DigestInLanes(bodies, digests);
    return digests;
  }
#endif
  for (size_t i = 0; i < bodies.size(); ++i) digests[i] = Digest(HashKind::kMd5, bodies[i]);
  return digests;
}

}  // namespace longhaul
