#include "base/shards.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <latch>
#include <string>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/event_loop.h"

namespace longhaul {
namespace {

constexpr int kCoresPerShard = 8;

}  // namespace

struct Shard::Impl {
  asio::io_context io{1};
  RealClock clock{io.get_executor()};
  std::thread thread;
  bool stopped = false;  // Known at home alone.
};

Shard::Shard(int number) : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([&io = impl_->io] {
    auto keep_running = asio::make_work_guard(io);
    RunEventLoop(io);
  });
  ::pthread_setname_np(impl_->thread.native_handle(), ("shard " + std::to_string(number)).c_str());
}

Shard::~Shard() { Stop(); }

asio::any_io_executor Shard::executor() const { return impl_->io.get_executor(); }
Clock& Shard::clock() { return impl_->clock; }

void Shard::Post(std::move_only_function<void()> work) {
  if (impl_->stopped) {
    work();
  } else {
    asio::post(impl_->io, std::move(work));
  }
}

void Shard::RunAndWait(std::move_only_function<void()> work) {
  LH_CHECK(std::this_thread::get_id() != impl_->thread.get_id());
  std::latch done(1);
  Post([&] {
    work();
    done.count_down();
  });
  done.wait();
}

void Shard::Stop() {
  if (impl_->stopped) return;
  asio::post(impl_->io, [&io = impl_->io] { io.stop(); });
  impl_->thread.join();
  impl_->stopped = true;
}

Shards::Shards(int count) {
  for (int i = 0; count >= 2 && i < count; ++i) {
    shards_.push_back(std::make_unique<Shard>(i + 1));
  }
}

Shard* Shards::LeastBusy() {
  const auto least = std::ranges::min_element(
      shards_, {}, [](const std::unique_ptr<Shard>& shard) { return shard->under_way; });
  return least == shards_.end() ? nullptr : least->get();
}

void Shards::Stop() {
  for (const std::unique_ptr<Shard>& shard : shards_) shard->Stop();
}

int DefaultShards(int cores) { return std::clamp(cores / kCoresPerShard, 1, kShardsMax); }

}  // namespace longhaul
