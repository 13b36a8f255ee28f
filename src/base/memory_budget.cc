#include "base/memory_budget.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace longhaul {

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    ShrinkTo(0);
    budget_ = std::exchange(other.budget_, nullptr);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
  }
  return *this;
}

Reservation::~Reservation() { ShrinkTo(0); }

void Reservation::ShrinkTo(int64_t size_bytes) {
  LH_CHECK(size_bytes <= size_bytes_);
  if (budget_ != nullptr) budget_->Release(size_bytes_ - size_bytes);
  size_bytes_ = size_bytes;
}

MemoryBudget::~MemoryBudget() { LH_CHECK(reserved_bytes_ == 0); }

Async<Reservation> MemoryBudget::Reserve(int64_t size_bytes) {
  if (size_bytes > limit_bytes_) {
    co_return InvalidInput("the memory budget of " + std::to_string(limit_bytes_) +
                           " bytes is too small: " + std::to_string(size_bytes) +
                           " bytes are needed at once (--memory)");
  }
  const uint64_t ticket = next_ticket_++;
  while (ticket != serving_ticket_ || reserved_bytes_ + size_bytes > limit_bytes_) {
    co_await waiters_.Wait();
  }
  ++serving_ticket_;
  Take(size_bytes);
  waiters_.NotifyAll();
  co_return Reservation(this, size_bytes);
}

std::optional<Reservation> MemoryBudget::TryReserve(int64_t size_bytes) {
  if (next_ticket_ != serving_ticket_ || reserved_bytes_ + size_bytes > limit_bytes_) {
    return std::nullopt;
  }
  Take(size_bytes);
  return Reservation(this, size_bytes);
}

void MemoryBudget::Take(int64_t size_bytes) {
  reserved_bytes_ += size_bytes;
  peak_bytes_ = std::max(peak_bytes_, reserved_bytes_);
}

void MemoryBudget::Release(int64_t size_bytes) {
  reserved_bytes_ -= size_bytes;
  LH_CHECK(reserved_bytes_ >= 0);
  if (size_bytes > 0) waiters_.NotifyAll();
}

}  // namespace longhaul
