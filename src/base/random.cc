#include "base/random.h"

namespace longhaul {

namespace {
constexpr char kCrockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

uint64_t SystemSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}
}  // namespace

SystemRandom::SystemRandom() : SeededRandom(SystemSeed()) {}

std::string NewUlid(SystemTime now, Random& random) {
  auto millis = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  std::string ulid(26, '0');
  for (int i = 9; i >= 0; --i, millis >>= 5) ulid[static_cast<size_t>(i)] = kCrockford[millis & 31];
  uint64_t bits = 0;
  for (size_t i = 10; i < 26; ++i, bits >>= 5) {
    if ((i - 10) % 8 == 0) bits = random.Next();
    ulid[i] = kCrockford[bits & 31];
  }
  return ulid;
}

bool IsUlid(std::string_view text) {
  return text.size() == 26 && text[0] <= '7' &&
         text.find_first_not_of(kCrockford) == std::string_view::npos;
}

}  // namespace longhaul
