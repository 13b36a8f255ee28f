#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

namespace longhaul {

// Takes the first `count` bytes from `pieces`.
inline void Advance(std::span<iovec>& pieces, size_t count) {
  while (!pieces.empty() && count >= pieces.front().iov_len) {
    count -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (count == 0) return;
  pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + count;
  pieces.front().iov_len -= count;
}

}  // namespace longhaul
