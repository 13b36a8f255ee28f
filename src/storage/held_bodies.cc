#include "storage/held_bodies.h"

#include <algorithm>

namespace longhaul {
namespace {

// A place in a line, left when this is destroyed.
class Place {
 public:
  Place(std::list<int>& line, WaitList& freed)
      : line_(line), freed_(freed), at_(line.insert(line.end(), 0)) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    line_.erase(at_);
    freed_.NotifyAll();
  }
  [[nodiscard]] bool is_first() const { return at_ == line_.begin(); }

 private:
  std::list<int>& line_;
  WaitList& freed_;
  std::list<int>::iterator at_;
};

}  // namespace

HeldBodies::Room::Room(std::shared_ptr<HeldBodies> bodies, uint64_t size_bytes)
    : bodies_(std::move(bodies)), size_bytes_(size_bytes) {
  bodies_->used_bytes_ += size_bytes_;
}

HeldBodies::Room::~Room() {
  if (!bodies_) return;
  bodies_->used_bytes_ -= size_bytes_;
  bodies_->freed_.NotifyAll();
}

asio::awaitable<std::optional<HeldBodies::Room>> HeldBodies::Take(
    std::shared_ptr<HeldBodies> bodies, Clock& clock, uint64_t size_bytes,
    std::chrono::nanoseconds wait) {
  if (size_bytes == 0) co_return Room(bodies, 0);
  const SteadyTime until = clock.SteadyNow() + wait;
  Place place(bodies->line_, bodies->freed_);
  while (!place.is_first() || bodies->used_bytes_ + size_bytes > bodies->limit_bytes_) {
    const SteadyTime now = clock.SteadyNow();
    if (now >= until) co_return std::nullopt;
    co_await bodies->freed_.WaitFor(clock, until - now);
  }
  co_return Room(bodies, size_bytes);
}

}  // namespace longhaul
