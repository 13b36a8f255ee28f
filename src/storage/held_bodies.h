// HeldBodies: room for the bodies that one store must hold whole before it can send them.
//
// First come first served, and for a time only: who waits may hold what somebody before him needs,
// such as the connection that his own body comes from. It is not of the process's MemoryBudget for
// the same reason: who streams a body may hold some of that, and could wait for ever for more.
// Belongs to one shard.

#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "base/async.h"
#include "base/clock.h"

namespace longhaul {

class HeldBodies {
 public:
  explicit HeldBodies(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Given back when it is destroyed.
  class Room {
   public:
    Room(std::shared_ptr<HeldBodies> bodies, uint64_t size_bytes);
    Room(Room&&) = default;
    Room& operator=(Room&&) = delete;
    ~Room();

   private:
    std::shared_ptr<HeldBodies> bodies_;  // shared: it may outlive the store.
    uint64_t size_bytes_;
  };

  // For a body of up to the limit; an empty one takes none. nullopt: there was no room for `wait`.
  static asio::awaitable<std::optional<Room>> Take(std::shared_ptr<HeldBodies> bodies, Clock& clock,
                                                   uint64_t size_bytes,
                                                   std::chrono::nanoseconds wait);

 private:
  uint64_t limit_bytes_;
  uint64_t used_bytes_ = 0;
  std::list<int> line_;  // Who waits; where is what counts.
  WaitList freed_;
};

}  // namespace longhaul
