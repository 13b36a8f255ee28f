// MemoryBudget: how much memory the buffers of all transfers may take together.
//
// Reserve before the request that will fill the memory, in the order in which the bytes will be
// needed: first come first served, so what is open can always finish. Reservations are given back
// on the shard that made them.

#pragma once

#include <cstdint>
#include <memory>

#include "base/async.h"

namespace longhaul {

class MemoryBudget;

// Bytes of a budget, given back when this is destroyed.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  [[nodiscard]] int64_t size_bytes() const { return size_bytes_; }
  // Gives the rest back; `size_bytes` must not be larger than what is held.
  void ShrinkTo(int64_t size_bytes);

 private:
  friend class MemoryBudget;
  Reservation(MemoryBudget* budget, int64_t size_bytes)
      : budget_(budget), size_bytes_(size_bytes) {}
  MemoryBudget* budget_ = nullptr;
  int64_t size_bytes_ = 0;
};

class MemoryBudget {
 public:
  explicit MemoryBudget(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  ~MemoryBudget();  // CHECKs that nothing is reserved any more.

  // Waits, in order, until `size_bytes` are free. kInvalidInput: more than the whole budget; the
  // message says how much is needed.
  Async<Reservation> Reserve(int64_t size_bytes);
  // Without waiting, and not ahead of anyone who waits.
  std::optional<Reservation> TryReserve(int64_t size_bytes);

  [[nodiscard]] int64_t limit_bytes() const { return limit_bytes_; }
  [[nodiscard]] int64_t reserved_bytes() const { return reserved_bytes_; }
  [[nodiscard]] int64_t peak_bytes() const { return peak_bytes_; }

 private:
  friend class Reservation;
  void Take(int64_t size_bytes);
  void Release(int64_t size_bytes);

  int64_t limit_bytes_;
  int64_t reserved_bytes_ = 0;
  int64_t peak_bytes_ = 0;
  uint64_t next_ticket_ = 0;
  uint64_t serving_ticket_ = 0;
  WaitList waiters_;
};

}  // namespace longhaul
