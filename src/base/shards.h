// Shards: threads that do the work of the network for another thread, each with an io_context of
// its own.
//
// What runs on a shard belongs to it and has no lock, as everywhere; what goes there and comes back
// is posted. The thread that made the shards (their home) hands out the work, and owns the clients
// whose parts live on them. With fewer than two there is no thread: all stays at home, as it is.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/async.h"

namespace longhaul {

class Clock;

inline constexpr int kShardsMax = 8;

class Shard {
 public:
  explicit Shard(int number);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  [[nodiscard]] asio::any_io_executor executor() const;
  // For what runs on the shard.
  [[nodiscard]] Clock& clock();
  // From its home. Runs `work` on the shard, in the order of the calls; once it has been stopped,
  // at once and here. `work` must not throw.
  void Post(std::move_only_function<void()> work);
  // The same, and waits for its end: for what must be over before something here is destroyed.
  void RunAndWait(std::move_only_function<void()> work);
  // Ends the thread when all that was posted before has run. What waits for the network stays as it
  // is, and is destroyed by whoever owns it.
  void Stop();

  // Requests under way. Touched at home alone.
  int under_way = 0;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Must outlive what runs at home: stop them before the io_context there goes.
class Shards {
 public:
  explicit Shards(int count);

  // Null: there is none. The first of those that have least under way, so that what comes one after
  // the other finds its connection again.
  [[nodiscard]] Shard* LeastBusy();
  [[nodiscard]] const std::vector<std::unique_ptr<Shard>>& all() const { return shards_; }
  void Stop();

 private:
  std::vector<std::unique_ptr<Shard>> shards_;  // None, or two and more.
};

// One for each eight cores, at least one and at most kShardsMax.
int DefaultShards(int cores);

}  // namespace longhaul
