// Random: the only source of chance. Seeded in tests/sim, so that a run can be repeated.

#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>

#include "base/clock.h"

namespace longhaul {

// Belongs to one shard.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;

  // Uniform in [0, bound); bound > 0.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  // Uniform in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
};

class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  uint64_t Next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

// Seeded from the operating system.
class SystemRandom : public SeededRandom {
 public:
  SystemRandom();
};

// A ULID: 48 bits of milliseconds and 80 bits of chance as 26 characters of Crockford base 32;
// text order is time order to the millisecond. (https://github.com/ulid/spec)
std::string NewUlid(SystemTime now, Random& random);
bool IsUlid(std::string_view text);

}  // namespace longhaul
