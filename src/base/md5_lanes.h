// MD5 (RFC 1321) of many small bodies at once. One MD5 is a chain of 64 dependent steps a block and
// leaves most of a processor idle; eight of them side by side, one in each lane of a vector, take
// little longer than one.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace longhaul {

// The raw digest of each body, in their order: what Md5 gives of it. On processors without AVX2,
// and for fewer bodies than pay for the lanes, one after the other. Any thread; does not wait, so
// feed big data on the CPU pool.
std::vector<std::string> Md5OfEach(std::span<const std::span<const std::byte>> bodies);

}  // namespace longhaul
