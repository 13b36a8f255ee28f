#include "base/cpu_pool.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace longhaul {

struct CpuPool::Impl {
  explicit Impl(int threads) : pool(static_cast<size_t>(threads)) {}
  asio::thread_pool pool;
};

CpuPool::CpuPool(int threads) : threads_(threads) {
  if (threads > 0) impl_ = std::make_unique<Impl>(threads);
}

CpuPool::~CpuPool() {
  if (impl_) {
    impl_->pool.stop();
    impl_->pool.join();
  }
}

asio::awaitable<void> CpuPool::RunErased(std::move_only_function<void()> work) {
  if (!impl_) {
    work();
    co_return;
  }
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [this, &work](auto handler) {
        auto home = asio::get_associated_executor(handler);
        auto keep_home_running = asio::make_work_guard(home);
        asio::post(impl_->pool, [&work, home, keep = std::move(keep_home_running),
                                 handler = std::move(handler)]() mutable {
          work();
          asio::post(home, [handler = std::move(handler)]() mutable { std::move(handler)(); });
        });
      },
      asio::use_awaitable);
}

}  // namespace longhaul
