// CpuPool: where zstd and hashing run, one thread per core, so that no network thread computes.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "base/async.h"

namespace longhaul {

// Thread-safe. With 0 threads `Run` computes in place: for tests under a virtual clock.
class CpuPool {
 public:
  explicit CpuPool(int threads);
  ~CpuPool();  // Waits for what runs; drops what waits.
  CpuPool(const CpuPool&) = delete;
  CpuPool& operator=(const CpuPool&) = delete;

  // Runs `work` on the pool and resumes the caller on its own executor with the result. What `work`
  // borrows must live until then; it is not cancelled by anything. `work` must not throw.
  template <class Work>
  asio::awaitable<std::invoke_result_t<Work&>> Run(Work work) {
    using T = std::invoke_result_t<Work&>;
    if constexpr (std::is_void_v<T>) {
      co_await RunErased([&work] { work(); });
    } else {
      std::optional<T> result;
      co_await RunErased([&work, &result] { result.emplace(work()); });
      co_return std::move(*result);
    }
  }

  [[nodiscard]] int threads() const { return threads_; }

 private:
  struct Impl;
  asio::awaitable<void> RunErased(std::move_only_function<void()> work);
  int threads_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul
